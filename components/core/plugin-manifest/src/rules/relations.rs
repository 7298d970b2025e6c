//! Rules about other plugins.

use crate::{node::Node, rules::repeated, validate::Walk, violation::Code};
use std::collections::HashSet;

pub(super) fn relations(manifest: &Node, walk: &mut Walk<'_>) {
    let Some(relationships) = manifest.get("relationships") else {
        return;
    };
    let own = manifest.text_at("id");
    let of = |node: &Node| {
        node.as_text()
            .or_else(|| node.text_at("pluginId"))
            .or_else(|| node.text_at("id"))
            .map(str::to_owned)
    };
    let ids = |list: &str| -> HashSet<String> {
        relationships
            .get(list)
            .and_then(Node::as_list)
            .unwrap_or_default()
            .iter()
            .filter_map(of)
            .collect()
    };
    let (requires, before) = (ids("requires"), ids("before"));
    walk.at("relationships", |walk| {
        for list in ["requires", "optional", "conflicts", "before", "after"] {
            let items = relationships
                .get(list)
                .and_then(Node::as_list)
                .unwrap_or_default();
            repeated(items.iter().map(|node| (node, of(node))), list, walk);
            for (index, node) in items.iter().enumerate() {
                let Some(id) = of(node) else { continue };
                let mut say = |code, rule: &str| {
                    walk.at(list, |walk| {
                        walk.at(&index.to_string(), |walk| {
                            walk.say(code, node.span.clone(), rule, None)
                        })
                    })
                };
                if own == Some(id.as_str()) {
                    say(Code::SelfRelation, "is the plugin itself");
                } else if list == "conflicts" && requires.contains(&id) {
                    say(
                        Code::Contradiction,
                        &format!("is {id:?}, which is also required"),
                    );
                } else if list == "after" && before.contains(&id) {
                    say(
                        Code::Contradiction,
                        &format!("is {id:?}, which is also under \"before\""),
                    );
                } else if list == "requires" && before.contains(&id) {
                    say(
                        Code::Contradiction,
                        &format!(
                            "is {id:?}, which is activated first, but stands under \"before\""
                        ),
                    );
                }
            }
        }
    });
}
