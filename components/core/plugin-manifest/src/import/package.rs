//! `package.json`: the section that describes a plugin, and what the package says around it.
//!
//! The section `jackfield` holds canonical fields, unless it looks like the older sections; `jcode` and `pi` are read
//! by `jcode`. What the section does not say is taken from the package.

use super::{
    build::{Object, list, one, origin, plugin_id},
    jcode,
};
use crate::{
    node::{Kind, Node, Span},
    tables,
    violation::{Code, Report},
};

pub(super) fn canonical(package: &Node, report: &mut Report) -> Option<Node> {
    let found = ["jackfield", "jcode", "pi"]
        .into_iter()
        .find_map(|name| Some((name, package.get(name)?)));
    let Some((name, section)) = found else {
        let help =
            "a section \"jackfield\" with the fields of a manifest will do as well".to_owned();
        let brace = package.span.start..package.span.start;
        report.push(
            Code::MissingSection,
            "",
            brace,
            "missing 'jcode' or 'pi' field",
            Some(help),
        );
        return None;
    };
    if !section.is_object() {
        report.error(
            Code::BadType,
            &format!("/{name}"),
            section.span.clone(),
            &format!("{name} must be an object, not {}", section.kind_name()),
        );
        return None;
    }
    Some(match name {
        "jackfield" if !jcode::looks_like(section) => overlay(package, section),
        _ => jcode::canonical(package, name, section, report),
    })
}

/// A section of canonical fields over what the package says.
fn overlay(package: &Node, section: &Node) -> Node {
    let mut manifest = Object::at(section);
    let opening = manifest.opening();
    if section.get("schemaVersion").is_none() {
        manifest.put("schemaVersion", one(&opening));
    }
    for field in tables::MANIFEST.fields {
        manifest.carry(field.name, section, field.name);
    }
    if !manifest.has("id")
        && let Some(name) = package.get("name")
    {
        manifest.put("id", id_of(name));
    }
    if !manifest.has("title") {
        manifest.carry("title", package, "name");
    }
    around(package, &mut manifest, &opening);
    if !manifest.has("origin") {
        manifest.put("origin", npm_origin(&opening, package.get("name")));
    }
    for member in section.members().iter().filter(|member| {
        tables::MANIFEST
            .fields
            .iter()
            .all(|field| field.name != member.key)
    }) {
        manifest.put(&member.key, member.value.clone());
    }
    manifest.done()
}

/// The canonical id of an npm name; anything but a text is left for the checker to refuse.
pub(super) fn id_of(name: &Node) -> Node {
    match name.as_text() {
        Some(text) => Node::text(&name.span, plugin_id(text, "npm")),
        None => name.clone(),
    }
}

pub(super) fn npm_origin(span: &Span, name: Option<&Node>) -> Node {
    origin(span, "jcode", name, |name| format!("npm:{name}"))
}

/// Fields that a package and a manifest share; those already there stay.
pub(super) fn around(package: &Node, manifest: &mut Object, opening: &Span) {
    for field in ["version", "description", "license"] {
        if !manifest.has(field) {
            manifest.carry(field, package, field);
        }
    }
    if !manifest.has("description") {
        manifest.make("description", "");
    }
    for field in ["homepage", "bugs", "repository"] {
        let link = package.get(field).and_then(link);
        if let Some(link) = link.filter(|_| !manifest.has(field)) {
            manifest.put(field, link);
        }
    }
    if let Some(keywords) = package.get("keywords").filter(|_| !manifest.has("tags")) {
        manifest.put("tags", keywords.clone());
    }
    if let Some(author) = package.get("author").filter(|_| !manifest.has("authors")) {
        manifest.put("authors", list(opening, vec![person(author)]));
    }
}

/// `"url"`, or `{"url": …}`; npm's short forms of repositories become URLs.
fn link(node: &Node) -> Option<Node> {
    let node = if node.is_object() {
        node.get("url")?
    } else {
        node
    };
    let text = node.as_text()?;
    let bare = text.strip_prefix("git+").unwrap_or(text);
    let full = match bare
        .strip_prefix("github:")
        .or_else(|| (!bare.contains(':') && bare.split('/').count() == 2).then_some(bare))
    {
        Some(short) => format!("https://github.com/{short}"),
        None => bare.replacen("git://", "https://", 1),
    };
    Some(Node::text(&node.span, full))
}

/// `"Name <mail> (url)"` taken apart.
fn person(node: &Node) -> Node {
    let Kind::Text(text) = &node.kind else {
        return node.clone();
    };
    let cut = |open: char, close: char| {
        text.split_once(open)
            .and_then(|(_, rest)| rest.split_once(close))
            .map(|(inner, _)| inner.trim())
    };
    let name = text.split(['<', '(']).next().unwrap_or_default().trim();
    let mut author = Object::at(node);
    author.put("name", Node::text(&node.span, name));
    if let Some(mail) = cut('<', '>') {
        author.put("email", Node::text(&node.span, mail));
    }
    if let Some(url) = cut('(', ')') {
        author.put("url", Node::text(&node.span, url));
    }
    author.done()
}
