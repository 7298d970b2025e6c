//! Rules between fields of one manifest, and rules of settings. Each rule skips values that the tables have refused
//! already.

mod capabilities;
mod relations;
mod settings;

pub(crate) use settings::setting;

use crate::{
    choices::HOOKS,
    node::{Kind, Node},
    text::short,
    validate::Walk,
    version,
    violation::Code,
};
use std::collections::HashSet;

/// Segments that the REST paths below `/api/plugins` take for themselves.
const RESERVED_IDS: [&str; 3] = ["route", "check", "kill-switch"];

/// All rules, in the order of the fields.
pub(crate) fn between_fields(manifest: &Node, walk: &mut Walk<'_>) {
    id(manifest, walk);
    code_to_load(manifest, walk);
    roles(manifest, walk);
    host_versions(manifest, walk);
    capabilities::scopes(manifest, walk);
    capabilities::undeclared(manifest, walk);
    unique(manifest, "events", &["eventName"], walk);
    unique(manifest, "tools", &["name"], walk);
    unique(manifest, "data", &["key", "scope"], walk);
    hooks(manifest, walk);
    theme(manifest, walk);
    relations::relations(manifest, walk);
}

fn id(manifest: &Node, walk: &mut Walk<'_>) {
    let Some((node, text)) = manifest
        .get("id")
        .and_then(|node| Some((node, node.as_text()?)))
    else {
        return;
    };
    walk.at("id", |walk| {
        if RESERVED_IDS.contains(&text) {
            walk.say(
                Code::ReservedId,
                node.span.clone(),
                &format!("must not be {text:?}, which is part of the REST paths"),
                None,
            );
        } else if text.contains("..") && identifiers::PluginId::new(text).is_ok() {
            walk.say(
                Code::OddId,
                node.span.clone(),
                "has an empty segment between two dots",
                Some("write one dot".to_owned()),
            );
        }
    });
}

fn code_to_load(manifest: &Node, walk: &mut Walk<'_>) {
    let Some(kind) = manifest.text_at("kind") else {
        return;
    };
    let has = |name: &str| manifest.get(name).is_some();
    let loads = has("entrypoint")
        || has("bundle")
        || manifest
            .get("entry")
            .is_some_and(|entry| !entry.members().is_empty());
    let brace = manifest.span.start..manifest.span.start;
    match kind {
        // A process plugin is described by its own program, which is the entrypoint.
        "process"
            if manifest
                .get("origin")
                .and_then(|origin| origin.text_at("form"))
                == Some("toru") => {}
        "component" | "script" | "process" if !loads => {
            let help = Some("\"entry\" or \"bundle\" will do as well".to_owned());
            walk.at("entrypoint", |walk| {
                walk.say(
                    Code::MissingField,
                    brace,
                    &format!("is missing; a plugin of kind {kind:?} needs it"),
                    help,
                )
            });
        }
        "client" | "library" if !loads => {
            walk.at("entrypoint", |walk| {
                walk.say(
                    Code::NothingToLoad,
                    brace,
                    "is missing, and so is \"bundle\": there is nothing to load",
                    None,
                )
            });
        }
        "theme" if !has("theme") => walk.at("theme", |walk| {
            walk.say(
                Code::MissingField,
                brace,
                "is missing; a plugin of kind \"theme\" needs it",
                None,
            )
        }),
        _ => {}
    }
}

fn roles(manifest: &Node, walk: &mut Walk<'_>) {
    const NEEDS: [(&str, &str); 4] = [
        ("service", "route"),
        ("file-loader", "fileLoaders"),
        ("data-source", "dataSource"),
        ("exporter", "exporter"),
    ];
    let Some(list) = manifest.get("roles") else {
        return;
    };
    let roles = list.as_list().unwrap_or_default();
    let has = |role: &str| roles.iter().any(|node| node.as_text() == Some(role));
    for (role, field) in NEEDS {
        if has(role) && manifest.get(field).is_none() {
            let rule = format!("is missing; the role {role:?} needs it");
            walk.at(field, |walk| {
                walk.say(Code::MissingField, list.span.clone(), &rule, None)
            });
        }
    }
    if has("file-viewer") && !has("file-loader") {
        walk.at("roles", |walk| {
            walk.say(
                Code::Contradiction,
                list.span.clone(),
                "names \"file-viewer\" without \"file-loader\"",
                None,
            )
        });
    }
    repeated(
        roles
            .iter()
            .map(|node| (node, node.as_text().map(str::to_owned))),
        "roles",
        walk,
    );
}

fn host_versions(manifest: &Node, walk: &mut Walk<'_>) {
    let Some(compatibility) = manifest.get("compatibility") else {
        return;
    };
    let read = |host: &'static str, toju: &'static str| {
        let (name, node) = [host, toju]
            .into_iter()
            .find_map(|name| Some((name, compatibility.get(name)?)))?;
        Some((
            name,
            node.span.clone(),
            version::parse_version(node.as_text()?).ok()?,
        ))
    };
    let minimum = read("minimumHostVersion", "minimumTojuVersion");
    let maximum = read("maximumHostVersion", "maximumTojuVersion");
    let verified = read("verifiedHostVersion", "verifiedTojuVersion");
    walk.at("compatibility", |walk| {
        if let (Some((_, _, low)), Some((name, span, high))) = (&minimum, &maximum)
            && high.cmp_precedence(low).is_lt()
        {
            walk.at(name, |walk| {
                walk.say(
                    Code::Contradiction,
                    span.clone(),
                    &format!("is {high}, below the minimum {low}"),
                    None,
                )
            });
        }
        if let (Some((_, _, low)), Some((name, span, tried))) = (&minimum, &verified)
            && tried.cmp_precedence(low).is_lt()
        {
            walk.at(name, |walk| {
                walk.say(
                    Code::Contradiction,
                    span.clone(),
                    &format!("is {tried}, below the minimum {low}"),
                    None,
                )
            });
        }
    });
}

/// Entries of a list of objects that agree in all of `keys`.
fn unique(manifest: &Node, list: &str, keys: &[&str], walk: &mut Walk<'_>) {
    let entries = manifest
        .get(list)
        .and_then(Node::as_list)
        .unwrap_or_default();
    let named = entries.iter().map(|node| {
        let parts: Option<Vec<&str>> = keys.iter().map(|key| node.text_at(key)).collect();
        (node, parts.map(|parts| parts.join(", ")))
    });
    repeated(named, list, walk);
}

fn repeated<'n>(
    entries: impl Iterator<Item = (&'n Node, Option<String>)>,
    list: &str,
    walk: &mut Walk<'_>,
) {
    let mut seen = HashSet::new();
    for (index, (node, name)) in entries.enumerate() {
        let Some(name) = name else { continue };
        let rule = format!("names {:?} for the second time", short(&name));
        if !seen.insert(name) {
            walk.at(list, |walk| {
                walk.at(&index.to_string(), |walk| {
                    walk.say(Code::DuplicateEntry, node.span.clone(), &rule, None)
                })
            });
        }
    }
}

fn hooks(manifest: &Node, walk: &mut Walk<'_>) {
    let items = manifest
        .get("hooks")
        .and_then(Node::as_list)
        .unwrap_or_default();
    for (index, node) in items.iter().enumerate() {
        let Some(name) = node.as_text().filter(|name| !HOOKS.contains(name)) else {
            continue;
        };
        let help = walk
            .nearest(name, HOOKS.iter().copied())
            .map(|name| format!("did you mean {name:?}?"));
        let rule = format!("is {:?}, a hook that the host does not fire", short(name));
        walk.at("hooks", |walk| {
            walk.at(&index.to_string(), |walk| {
                walk.say(Code::UnknownHook, node.span.clone(), &rule, help)
            })
        });
    }
    repeated(
        items
            .iter()
            .map(|node| (node, node.as_text().map(str::to_owned))),
        "hooks",
        walk,
    );
}

fn theme(manifest: &Node, walk: &mut Walk<'_>) {
    let catalog = manifest
        .get("theme")
        .and_then(|theme| theme.get("catalog"))
        .and_then(Node::as_list)
        .unwrap_or_default();
    for (index, node) in catalog.iter().enumerate() {
        let pair = node.as_list().unwrap_or_default();
        if !matches!(pair, [name, dark] if name.as_text().is_some() && matches!(dark.kind, Kind::Bool(_)))
        {
            let rule = "must be a pair of a name and true (dark) or false (light)";
            walk.at("theme", |walk| {
                walk.at("catalog", |walk| {
                    walk.at(&index.to_string(), |walk| {
                        walk.say(Code::BadType, node.span.clone(), rule, None)
                    })
                });
            });
        }
    }
}
