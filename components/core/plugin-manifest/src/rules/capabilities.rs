//! Rules about capabilities: their scopes, and what needs one.

use crate::{node::Node, validate::Walk, violation::Code};
use capability::{BadScope, CapabilityId, Request, ScopeKey};
use std::collections::HashSet;

/// The entries of a list of capabilities that name one, with their places.
fn entries(list: Option<&Node>) -> impl Iterator<Item = (usize, &Node, CapabilityId)> {
    let items = list.and_then(Node::as_list).unwrap_or_default();
    items
        .iter()
        .enumerate()
        .take(limits::manifest::LIST_ENTRIES_MAX)
        .filter_map(|(index, node)| {
            let name = node.as_text().or_else(|| node.text_at("id"))?;
            Some((index, node, CapabilityId::find(name)?))
        })
}

/// The requests of a list of capabilities that are well formed, with their places.
fn requests(list: Option<&Node>) -> impl Iterator<Item = (usize, &Node, Request)> {
    entries(list).filter_map(|(index, node, _)| {
        let request = serde_json::from_value(node.to_value()).ok()?;
        Some((index, node, request))
    })
}

pub(super) fn scopes(manifest: &Node, walk: &mut Walk<'_>) {
    walk.at("capabilities", |walk| {
        scopes_of(manifest.get("capabilities"), walk)
    });
    for member in manifest
        .get("features")
        .map(Node::members)
        .unwrap_or_default()
    {
        walk.at("features", |walk| {
            walk.at(&member.key, |walk| {
                walk.at("additionalCapabilities", |walk| {
                    scopes_of(member.value.get("additionalCapabilities"), walk)
                });
            });
        });
    }
}

fn scopes_of(list: Option<&Node>, walk: &mut Walk<'_>) {
    let mut seen = HashSet::new();
    for (index, node, request) in requests(list) {
        if !seen.insert((request.id, format!("{:?}", request.scope))) {
            walk.at(&index.to_string(), |walk| {
                walk.say(
                    Code::DuplicateEntry,
                    node.span.clone(),
                    &format!("asks for {} again", request.id),
                    None,
                )
            });
        }
        for fault in request.scope.check(request.id) {
            // The walk over the tables has reported hosts and ports already.
            if !matches!(fault, BadScope::Host { .. } | BadScope::Port { .. }) {
                walk.at(&index.to_string(), |walk| say(&fault, node, walk));
            }
        }
    }
}

/// Reports a scope that [`capability::Scope::check`] refuses, at the key or entry of `node` that it names.
fn say(fault: &BadScope, node: &Node, walk: &mut Walk<'_>) {
    let (key, index) = fault.place();
    let list = node.get(key.as_str());
    let (code, rule, help) = match fault {
        BadScope::Key { capability, .. } => {
            let taken = capability.entry().scope.iter().map(|key| key.as_str());
            let taken = taken.collect::<Vec<_>>().join(", ");
            let help = if taken.is_empty() {
                "it cannot be narrowed".to_owned()
            } else {
                format!("it takes {taken}")
            };
            let rule = format!("does not narrow {capability}");
            (Code::BadScope, rule, help)
        }
        BadScope::Empty { .. } => {
            let help = "leave it out to cover every target".to_owned();
            (Code::Empty, "must not be empty".to_owned(), help)
        }
        _ => {
            let help = match key {
                ScopeKey::Paths => "end it with \"/*\", or leave the star out",
                _ => "write it as a beginning and a star",
            };
            let rule = "may hold a star only at its end".to_owned();
            (Code::BadScope, rule, help.to_owned())
        }
    };
    let entry = index.and_then(|index| list?.as_list()?.get(index));
    let span = entry.or(list).unwrap_or(node).span.clone();
    walk.at(key.as_str(), |walk| match index {
        Some(index) => walk.at(&index.to_string(), |walk| {
            walk.say(code, span, &rule, Some(help))
        }),
        None => walk.say(code, span, &rule, Some(help)),
    });
}

pub(super) fn undeclared(manifest: &Node, walk: &mut Walk<'_>) {
    let mut declared: HashSet<CapabilityId> = entries(manifest.get("capabilities"))
        .map(|(_, _, id)| id)
        .collect();
    let mut need = |name: &str, node: &Node, id: CapabilityId, what: &str| {
        if declared.insert(id) {
            let rule = format!("{what}, for which the capability {id} is not declared");
            let help = Some(format!("add {:?} to \"capabilities\"", id.as_str()));
            walk.at(name, |walk| {
                walk.say(Code::UndeclaredCapability, node.span.clone(), &rule, help)
            });
        }
    };
    let filled = |name: &str| {
        manifest
            .get(name)
            .filter(|node| node.as_list().is_some_and(|items| !items.is_empty()))
    };
    for event in filled("events")
        .into_iter()
        .filter_map(Node::as_list)
        .flatten()
    {
        let id = if event.text_at("direction") == Some("p2pHint") {
            CapabilityId::EventsP2pPublish
        } else {
            CapabilityId::EventsServerPublish
        };
        need("events", event, id, "defines plugin events");
    }
    for value in filled("data")
        .into_iter()
        .filter_map(Node::as_list)
        .flatten()
    {
        let server = value.text_at("storage") == Some("serverData");
        let id = if server {
            CapabilityId::StorageServerDataWrite
        } else {
            CapabilityId::StorageLocal
        };
        need("data", value, id, "keeps data");
    }
    for (name, id, what) in [
        ("tools", CapabilityId::ToolsRegister, "offers tools"),
        ("hooks", CapabilityId::HooksSubscribe, "takes part in hooks"),
    ] {
        if let Some(node) = filled(name) {
            need(name, node, id, what);
        }
    }
    if let Some(node) = manifest.get("route") {
        need("route", node, CapabilityId::HttpServe, "answers requests");
    }
}
