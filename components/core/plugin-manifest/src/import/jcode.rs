//! The sections `jcode` and `pi` of a `package.json`: scripts with structured capabilities.
//!
//! There a bare host covers its subdomains, so `x.y` becomes `x.y` and `*.x.y`.

use super::{
    build::{Object, list, name_the_rest, one, truth},
    package,
};
use crate::{
    VersionRange,
    node::{Kind, Member, Node},
    text::short,
    version::lower_bound,
    violation::{Code, Report},
};
use capability::{CapabilityId, ScopeKey, nearest};

/// Names of the structured capabilities, each with what it stands for here.
const NAMES: &[(&str, &[CapabilityId])] = &[
    ("fs_read", &[CapabilityId::FsRead]),
    ("read", &[CapabilityId::FsRead]),
    ("fs_write", &[CapabilityId::FsWrite]),
    ("write", &[CapabilityId::FsWrite]),
    ("network", &[CapabilityId::HttpFetch]),
    ("http_hosts", &[CapabilityId::HttpFetch]),
    ("http", &[CapabilityId::HttpFetch]),
    ("shell", &[CapabilityId::ShellExec]),
    ("exec", &[CapabilityId::ShellExec]),
    ("register_tools", &[CapabilityId::ToolsRegister]),
    ("tool", &[CapabilityId::ToolsRegister]),
    ("register_commands", &[CapabilityId::CommandsRegister]),
    ("register_providers", &[CapabilityId::ProvidersRegister]),
    ("read_config", &[CapabilityId::ConfigRead]),
    ("write_config", &[CapabilityId::ConfigWrite]),
    ("env_vars", &[CapabilityId::EnvRead]),
    ("env", &[CapabilityId::EnvRead]),
    ("events", &[CapabilityId::HooksSubscribe]),
    ("llm_access", &[CapabilityId::LlmInvoke]),
    (
        "session_access",
        &[CapabilityId::SessionRead, CapabilityId::SessionWrite],
    ),
    (
        "session",
        &[CapabilityId::SessionRead, CapabilityId::SessionWrite],
    ),
    ("ui", &[CapabilityId::UiDialog]),
    ("log", &[CapabilityId::LogWrite]),
];

const SECTION_FIELDS: &[&str] = &[
    "name",
    "package_name",
    "version",
    "description",
    "kind",
    "entry",
    "capabilities",
    "features",
    "settings",
    "engines",
];

/// Whether a section is of this form, whatever it is called.
pub(super) fn looks_like(section: &Node) -> bool {
    section.get("capabilities").is_some_and(Node::is_object)
        || ["package_name", "engines"]
            .iter()
            .any(|key| section.get(key).is_some())
}

pub(super) fn canonical(package: &Node, name: &str, section: &Node, report: &mut Report) -> Node {
    let mut manifest = Object::at(section);
    let opening = manifest.opening();
    let package_name = section.get("package_name").or_else(|| package.get("name"));
    manifest.put("schemaVersion", one(&opening));
    if let Some(name) = package_name {
        manifest.put("id", package::id_of(name));
    }
    if let Some(title) = section.get("name").or(package_name) {
        manifest.put("title", title.clone());
    }
    manifest.carry("description", section, "description");
    manifest.carry("version", section, "version");
    manifest.make("apiVersion", "1.0.0");
    manifest.make("kind", "script");
    let mut compatibility = Object::at(section);
    compatibility.put(
        "minimumHostVersion",
        minimum(section, report, name).unwrap_or_else(|| Node::text(&opening, "0.0.0")),
    );
    manifest.put("compatibility", compatibility.done());
    entry(section, &mut manifest);
    let requested = Requested::from_node(
        section.get("capabilities"),
        &format!("/{name}/capabilities"),
        report,
    );
    let role = |id: CapabilityId, role: &str| requested.has(id).then(|| Node::text(&opening, role));
    let roles: Vec<Node> = [
        role(CapabilityId::ToolsRegister, "tools"),
        role(CapabilityId::HooksSubscribe, "hooks"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !roles.is_empty() {
        manifest.put("roles", list(&opening, roles));
    }
    if let Some(capabilities) = requested.list {
        manifest.put("capabilities", capabilities);
    }
    if let Some(hooks) = requested.hooks {
        manifest.put("hooks", hooks);
    }
    if let Some(settings) = section.get("settings") {
        manifest.put("settings", each(settings, setting));
    }
    if let Some(features) = section.get("features") {
        manifest.put(
            "features",
            features_of(features, &format!("/{name}/features"), report),
        );
    }
    package::around(package, &mut manifest, &opening);
    manifest.put("origin", package::npm_origin(&opening, package_name));
    name_the_rest(section, &format!("/{name}"), SECTION_FIELDS, report);
    manifest.done()
}

/// The lower bound of the host's engine.
fn minimum(section: &Node, report: &mut Report, name: &str) -> Option<Node> {
    let engines = section.get("engines")?;
    let (key, node) = ["jackfield", "jcode", "pi"]
        .into_iter()
        .find_map(|key| Some((key, engines.get(key)?)))?;
    let text = node.as_text().unwrap_or_default();
    match VersionRange::new(text) {
        Ok(range) if node.as_text().is_some() => {
            lower_bound(&range).map(|version| Node::text(&node.span, version.to_string()))
        }
        _ => {
            let pointer = format!("/{name}/engines/{key}");
            report.error(
                Code::BadRange,
                &pointer,
                node.span.clone(),
                &format!(
                    "engines.{key} must be a version range, not {:?}",
                    short(text)
                ),
            );
            None
        }
    }
}

/// `entry` as a text is the server's half, or both halves where the section's kind says so.
fn entry(section: &Node, manifest: &mut Object) {
    let Some(entry) = section.get("entry") else {
        return;
    };
    if entry.is_object() {
        return manifest.put("entry", entry.clone());
    }
    let place = section
        .text_at("kind")
        .filter(|kind| ["tui", "both"].contains(kind))
        .unwrap_or("server");
    let mut object = Object::at(entry);
    object.put(place, entry.clone());
    manifest.put("entry", object.done());
}

/// Structured capabilities as a canonical list.
struct Requested {
    list: Option<Node>,
    hooks: Option<Node>,
    ids: Vec<CapabilityId>,
}

impl Requested {
    fn from_node(capabilities: Option<&Node>, pointer: &str, report: &mut Report) -> Self {
        let mut requested = Self {
            list: None,
            hooks: None,
            ids: Vec::new(),
        };
        let Some(node) = capabilities else {
            return requested;
        };
        let mut entries = Vec::new();
        match &node.kind {
            Kind::Object(members) => members
                .iter()
                .for_each(|member| requested.structured(member, pointer, &mut entries, report)),
            // The short form of `pi`: names alone.
            Kind::List(names) => names.iter().for_each(|name| match name.as_text() {
                Some(text) => {
                    let known = requested.ids_of(text, pointer, name, report);
                    known
                        .iter()
                        .for_each(|id| entries.push(Node::text(&name.span, id.as_str())));
                }
                None => entries.push(name.clone()),
            }),
            _ => {
                requested.list = Some(node.clone());
                return requested;
            }
        }
        requested.list = Some(list(&node.span, entries));
        requested
    }

    fn has(&self, id: CapabilityId) -> bool {
        self.ids.contains(&id)
    }

    fn ids_of(
        &mut self,
        name: &str,
        pointer: &str,
        at: &Node,
        report: &mut Report,
    ) -> &'static [CapabilityId] {
        let known = NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, ids)| *ids);
        let Some(ids) = known else {
            let help = nearest(name, NAMES.iter().map(|(name, _)| *name))
                .map(|name| format!("did you mean {name:?}?"));
            let message = format!("capabilities has {:?}, which is no capability", short(name));
            report.push(
                Code::UnknownCapability,
                pointer,
                at.span.clone(),
                message,
                help,
            );
            return &[];
        };
        self.ids.extend(ids);
        ids
    }

    fn structured(
        &mut self,
        member: &Member,
        pointer: &str,
        entries: &mut Vec<Node>,
        report: &mut Report,
    ) {
        let value = &member.value;
        let refused = matches!(value.kind, Kind::Null)
            || truth(Some(value)) == Some(false)
            || value.as_list().is_some_and(<[Node]>::is_empty);
        let at = Node::new(member.key_span.clone(), Kind::Null);
        if refused {
            if NAMES.iter().all(|(known, _)| *known != member.key) {
                self.ids_of(&member.key, pointer, &at, report);
            }
            return;
        }
        for id in self.ids_of(&member.key, pointer, &at, report) {
            if truth(Some(value)) == Some(true) {
                entries.push(Node::text(&member.key_span, id.as_str()));
                continue;
            }
            let mut entry = Object::at(value);
            entry.put("id", Node::text(&member.key_span, id.as_str()));
            let (key, scope) = match *id {
                CapabilityId::HttpFetch => (ScopeKey::Hosts, hosts(value)),
                CapabilityId::FsRead | CapabilityId::FsWrite => (ScopeKey::Paths, value.clone()),
                _ => (ScopeKey::Names, value.clone()),
            };
            entry.put(key.as_str(), scope);
            entries.push(entry.done());
            if *id == CapabilityId::HooksSubscribe {
                self.hooks = Some(value.clone());
            }
        }
    }
}

/// Rule 8: a bare host covers its subdomains there, so both spellings are needed here. Addresses and patterns stay.
fn hosts(node: &Node) -> Node {
    let Kind::List(items) = &node.kind else {
        return node.clone();
    };
    let widened = items.iter().flat_map(|item| {
        let bare = item.as_text().filter(|host| {
            !host.contains('*') && host.contains('.') && host.parse::<std::net::IpAddr>().is_err()
        });
        let below = bare.map(|host| Node::text(&item.span, format!("*.{host}")));
        [Some(item.clone()), below].into_iter().flatten()
    });
    list(&node.span, widened.collect())
}

/// The same object with each member's value rewritten.
fn each(node: &Node, rewrite: fn(&Node) -> Node) -> Node {
    let Kind::Object(members) = &node.kind else {
        return node.clone();
    };
    let members = members.iter().map(|member| Member {
        value: rewrite(&member.value),
        ..member.clone()
    });
    Node::new(node.span.clone(), Kind::Object(members.collect()))
}

fn setting(node: &Node) -> Node {
    let Kind::Object(members) = &node.kind else {
        return node.clone();
    };
    let members = members.iter().map(|member| {
        let key = match member.key.as_str() {
            "max_length" => "maxLength",
            "min_length" => "minLength",
            "max_items" => "maxItems",
            "enum" | "options" => "values",
            other => other,
        };
        let value = match key {
            "items" => setting(&member.value),
            "properties" => each(&member.value, setting),
            _ => member.value.clone(),
        };
        Member {
            key: key.to_owned(),
            key_span: member.key_span.clone(),
            value,
        }
    });
    Node::new(node.span.clone(), Kind::Object(members.collect()))
}

fn features_of(node: &Node, pointer: &str, report: &mut Report) -> Node {
    let Kind::Object(features) = &node.kind else {
        return node.clone();
    };
    let mut object = Object::at(node);
    for feature in features {
        let Kind::Object(members) = &feature.value.kind else {
            object.put(&feature.key, feature.value.clone());
            continue;
        };
        let mut canonical = Object::at(&feature.value);
        for member in members {
            if member.key != "additional_capabilities" {
                canonical.put(&member.key, member.value.clone());
                continue;
            }
            let requested = Requested::from_node(
                Some(&member.value),
                &format!("{pointer}/{}/additional_capabilities", feature.key),
                report,
            );
            if let Some(capabilities) = requested.list {
                canonical.put("additionalCapabilities", capabilities);
            }
        }
        object.put(&feature.key, canonical.done());
    }
    object.done()
}
