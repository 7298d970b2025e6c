//! Rules between fields of one manifest, and rules of settings. Each rule skips values that the tables have refused already.

use crate::{
    choices::HOOKS,
    node::{Kind, Node},
    tables,
    text::short,
    validate::Walk,
    version,
    violation::Code,
};
use capability::{BadScope, CapabilityId, Request};
use std::collections::HashSet;

/// Segments that the REST paths below `/api/plugins` take for themselves.
const RESERVED_IDS: [&str; 3] = ["route", "check", "kill-switch"];

/// All rules, in the order of the fields.
pub(crate) fn between_fields(manifest: &Node, walk: &mut Walk<'_>) {
    id(manifest, walk);
    code_to_load(manifest, walk);
    roles(manifest, walk);
    host_versions(manifest, walk);
    scopes(manifest, walk);
    undeclared(manifest, walk);
    unique(manifest, "events", &["eventName"], walk);
    unique(manifest, "tools", &["name"], walk);
    unique(manifest, "data", &["key", "scope"], walk);
    hooks(manifest, walk);
    theme(manifest, walk);
    relations(manifest, walk);
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

/// The requests of a list of capabilities that are well formed, with their places.
fn requests(list: Option<&Node>) -> impl Iterator<Item = (usize, &Node, Request)> {
    let items = list.and_then(Node::as_list).unwrap_or_default();
    items
        .iter()
        .enumerate()
        .take(limits::manifest::LIST_ENTRIES_MAX)
        .filter_map(|(index, node)| {
            node.as_text()
                .or_else(|| node.text_at("id"))
                .and_then(CapabilityId::find)?;
            let request = serde_json::from_value(node.to_value()).ok()?;
            Some((index, node, request))
        })
}

fn scopes(manifest: &Node, walk: &mut Walk<'_>) {
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
        for fault in request.check() {
            let BadScope::Key { capability, key } = fault else {
                continue;
            };
            let taken = capability
                .entry()
                .scope
                .iter()
                .map(|key| key.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            let help = if taken.is_empty() {
                "it cannot be narrowed".to_owned()
            } else {
                format!("it takes {taken}")
            };
            let span = node
                .get(key.as_str())
                .map_or(node.span.clone(), |value| value.span.clone());
            let rule = format!("does not narrow {capability}");
            walk.at(&index.to_string(), |walk| {
                walk.at(key.as_str(), |walk| {
                    walk.say(Code::BadScope, span, &rule, Some(help))
                })
            });
        }
    }
}

fn undeclared(manifest: &Node, walk: &mut Walk<'_>) {
    let mut declared: HashSet<CapabilityId> = requests(manifest.get("capabilities"))
        .map(|(_, _, request)| request.id)
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

fn relations(manifest: &Node, walk: &mut Walk<'_>) {
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

/// One setting: forms we cannot show are warned about, contradictions in those we can are errors.
pub(crate) fn setting(node: &Node, walk: &mut Walk<'_>) {
    if !node.is_object() || node.get("type").is_none() {
        return walk.say(
            Code::OddSetting,
            node.span.clone(),
            "has no \"type\" and cannot be shown in a form",
            None,
        );
    }
    walk.record(node, &tables::SETTING);
    let number = |key: &str| node.get(key).and_then(|value| value.to_value().as_f64());
    for (low, high) in [("min", "max"), ("minLength", "maxLength")] {
        if let (Some(low_value), Some(high_value)) = (number(low), number(high))
            && low_value > high_value
        {
            walk.say(
                Code::BadSetting,
                node.span.clone(),
                &format!("has \"{low}\" above \"{high}\""),
                None,
            );
        }
    }
    let kind = node.text_at("type").unwrap_or_default();
    let values = node
        .get("values")
        .and_then(Node::as_list)
        .unwrap_or_default();
    if kind == "enum" && values.is_empty() {
        walk.say(
            Code::BadSetting,
            node.span.clone(),
            "is an enum without \"values\"",
            None,
        );
    }
    let Some(default) = node.get("default") else {
        return;
    };
    let fits = match (&default.kind, kind) {
        (Kind::Null, _) => true,
        (Kind::Text(text), "enum") => values.iter().any(|value| value.as_text() == Some(text)),
        (Kind::Number(value), "integer") => {
            value.as_f64().is_some_and(|value| value.fract() == 0.0) && within(node, value.as_f64())
        }
        (Kind::Number(value), "number") => within(node, value.as_f64()),
        (Kind::Text(_), "string")
        | (Kind::Bool(_), "boolean")
        | (Kind::List(_), "array")
        | (Kind::Object(_), "object") => true,
        _ => crate::choices::SettingType::NAMES
            .iter()
            .all(|name| *name != kind),
    };
    if !fits {
        walk.at("default", |walk| {
            walk.say(
                Code::BadSetting,
                default.span.clone(),
                &format!("does not fit a setting of type {kind:?}"),
                None,
            )
        });
    }
    let secret = node
        .get("secret")
        .is_some_and(|secret| secret.kind == Kind::Bool(true));
    if secret && !matches!(&default.kind, Kind::Null) && default.as_text() != Some("") {
        walk.at("default", |walk| {
            walk.say(
                Code::SecretDefault,
                default.span.clone(),
                "is readable by everyone, though the setting is secret",
                None,
            )
        });
    }
}

fn within(setting: &Node, value: Option<f64>) -> bool {
    let bound = |key: &str| setting.get(key).and_then(|bound| bound.to_value().as_f64());
    value.is_some_and(|value| {
        bound("min").is_none_or(|min| value >= min) && bound("max").is_none_or(|max| value <= max)
    })
}
