//! `plugin.toml`: components by role, with a network policy.
//!
//! Its capabilities become roles. Kebab case and snake case are both accepted.

use super::build::{Object, list, name_the_rest, one, origin, plugin_id};
use crate::{
    node::{Kind, Node, Span},
    violation::Report,
};

/// The file of a component in its package.
const COMPONENT: &str = "plugin.wasm";

const FIELDS: &[&str] = &[
    "id",
    "name",
    "version",
    "description",
    "author",
    "authors",
    "homepage",
    "repository",
    "license",
    "icon",
    "capabilities",
    "file-loader",
    "file_loader",
    "data-source",
    "data_source",
    "exporter",
    "theme",
    "network",
    "plugin",
];

pub(super) fn canonical(source: &Node, report: &mut Report) -> Node {
    // The general fields stand at the top or in a table of their own.
    let head = source
        .get("plugin")
        .filter(|node| node.is_object())
        .unwrap_or(source);
    let mut manifest = Object::at(source);
    let opening = manifest.opening();
    manifest.put("schemaVersion", one(&opening));
    if let Some(id) = head.get("id") {
        let canonical = id
            .as_text()
            .map(|text| Node::text(&id.span, plugin_id(text, "thoth")));
        manifest.put("id", canonical.unwrap_or_else(|| id.clone()));
    }
    manifest.carry("title", head, "name");
    match head.get("description") {
        Some(description) => manifest.put("description", description.clone()),
        None => manifest.make("description", ""),
    }
    manifest.carry("version", head, "version");
    manifest.make("apiVersion", "1.0.0");
    let roles = head.get("capabilities");
    let role_list = roles.and_then(Node::as_list).unwrap_or_default();
    let has = |role: &str| role_list.iter().any(|node| node.as_text() == Some(role));
    let theme_alone = has("theme") && role_list.len() == 1;
    manifest.make("kind", if theme_alone { "theme" } else { "component" });
    let mut compatibility = Object::at(&Node::text(&opening, ""));
    compatibility.make("minimumHostVersion", "0.0.0");
    manifest.put("compatibility", compatibility.done());
    if let Some(roles) = roles {
        manifest.put("roles", roles.clone());
    }
    if !theme_alone {
        manifest.make("entrypoint", COMPONENT);
    }
    manifest.carry("icon", head, "icon");
    network(source, has("data-source"), &opening, &mut manifest);
    described(source, &mut manifest);
    people(head, &mut manifest);
    for field in ["homepage", "repository", "license"] {
        manifest.carry(field, head, field);
    }
    manifest.put(
        "origin",
        origin(&opening, "thoth", head.get("id"), str::to_owned),
    );
    name_the_rest(source, "", FIELDS, report);
    if !std::ptr::eq(head, source) {
        name_the_rest(head, "/plugin", FIELDS, report);
    }
    manifest.done()
}

/// A table by either spelling of its name.
fn either<'n>(node: &'n Node, kebab: &str) -> Option<&'n Node> {
    node.get(kebab)
        .or_else(|| node.get(&kebab.replace('-', "_")))
}

/// `[network]`: the policy itself, and the capabilities that its presence asks for. Data sources also open connections
/// of their own.
fn network(source: &Node, connects: bool, opening: &Span, manifest: &mut Object) {
    let Some(network) = source.get("network") else {
        return;
    };
    let domains = either(network, "allowed-domains");
    let request = |id: &str| match domains
        .filter(|domains| domains.as_list().is_some_and(|domains| !domains.is_empty()))
    {
        None => Node::text(opening, id),
        Some(domains) => {
            let mut request = Object::at(domains);
            request.make("id", id);
            request.put("hosts", domains.clone());
            request.done()
        }
    };
    let mut requests = vec![request("http.fetch")];
    if connects {
        requests.push(request("tcp.connect"));
    }
    manifest.put("capabilities", list(&network.span, requests));
    let Kind::Object(members) = &network.kind else {
        return manifest.put("network", network.clone());
    };
    let mut policy = Object::at(network);
    members
        .iter()
        .for_each(|member| policy.put(&member.key.replace('-', "_"), member.value.clone()));
    manifest.put("network", policy.done());
}

/// `[[file-loader]]`, `[data-source]`, `[exporter]`, `[theme]` under canonical keys.
fn described(source: &Node, manifest: &mut Object) {
    const KEYS: [(&str, &str); 4] = [
        ("file-type", "fileType"),
        ("supported-extensions", "supportedExtensions"),
        ("display-name", "displayName"),
        ("output-extension", "outputExtension"),
    ];
    let renamed = |node: &Node| {
        let Kind::Object(members) = &node.kind else {
            return node.clone();
        };
        let mut object = Object::at(node);
        for member in members {
            let kebab = member.key.replace('_', "-");
            let key = KEYS
                .iter()
                .find(|(foreign, _)| *foreign == kebab)
                .map_or(member.key.as_str(), |(_, key)| key);
            object.put(key, member.value.clone());
        }
        object.done()
    };
    if let Some(loaders) = either(source, "file-loader") {
        let items = match &loaders.kind {
            Kind::List(items) => items.iter().map(renamed).collect(),
            _ => vec![renamed(loaders)],
        };
        manifest.put("fileLoaders", list(&loaders.span, items));
    }
    for (foreign, key) in [
        ("data-source", "dataSource"),
        ("exporter", "exporter"),
        ("theme", "theme"),
    ] {
        if let Some(node) = either(source, foreign) {
            manifest.put(key, renamed(node));
        }
    }
}

fn people(head: &Node, manifest: &mut Object) {
    if let Some(authors) = head.get("authors") {
        manifest.put("authors", authors.clone());
    } else if let Some(author) = head
        .get("author")
        .filter(|author| author.as_text() != Some(""))
    {
        manifest.put("authors", list(&author.span, vec![author.clone()]));
    }
}
