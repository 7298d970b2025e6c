//! The client's manifest, `toju-plugin.json`: canonical except for a few spellings.

use super::build::{Object, list};
use crate::node::{Kind, Node};

/// Rewrites the spellings; everything else, unknown keys included, is carried over verbatim.
pub(super) fn canonical(source: &Node) -> Node {
    let mut manifest = Object::at(source);
    for member in source.members() {
        let value = match member.key.as_str() {
            "compatibility" => renamed(&member.value, |key| match key {
                "minimumTojuVersion" => "minimumHostVersion",
                "maximumTojuVersion" => "maximumHostVersion",
                "verifiedTojuVersion" => "verifiedHostVersion",
                other => other,
            }),
            "bundle" => renamed(&member.value, |key| {
                if key == "entrypoint" {
                    "entrypointUrl"
                } else {
                    key
                }
            }),
            "pluginUser" => renamed(&member.value, |key| {
                if key == "name" { "displayName" } else { key }
            }),
            "relationships" => relationships(&member.value),
            _ => member.value.clone(),
        };
        manifest.put(&member.key, value);
    }
    manifest.done()
}

/// The same object under canonical keys; where both spellings are given, the canonical one stays.
fn renamed(node: &Node, name: fn(&str) -> &str) -> Node {
    let Kind::Object(members) = &node.kind else {
        return node.clone();
    };
    let mut object = Object::at(node);
    for member in members {
        let key = name(&member.key);
        if key == member.key || node.get(key).is_none() {
            object.put(key, member.value.clone());
        }
    }
    object.done()
}

fn relationships(node: &Node) -> Node {
    let Kind::Object(lists) = &node.kind else {
        return node.clone();
    };
    let mut object = Object::at(node);
    for member in lists {
        let value = match &member.value.kind {
            Kind::List(items) => list(&member.value.span, items.iter().map(relation).collect()),
            _ => member.value.clone(),
        };
        object.put(&member.key, value);
    }
    object.done()
}

fn relation(node: &Node) -> Node {
    if node.as_text().is_none() {
        return renamed(node, |key| if key == "id" { "pluginId" } else { key });
    }
    let mut object = Object::at(node);
    object.put("pluginId", node.clone());
    object.done()
}
