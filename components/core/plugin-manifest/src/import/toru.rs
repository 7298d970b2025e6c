//! What a process plugin prints for `--metadata`: id, name, version, author, icon, route.
//!
//! Its ids (letters, digits and hyphens, upper case allowed, one character upwards) are never refused for being outside
//! the canonical pattern: the canonical id is made from them, and the original stays as alias.

use super::build::{Object, list, name_the_rest, one, origin, plugin_id};
use crate::{
    node::{Kind, Node},
    text::short,
    violation::{Code, Report},
};
use limits::manifest::{IMPORTED_NAME_CHARS_MAX, IMPORTED_RESPONSE_TIMEOUT_MS};

/// What such metadata may hold.
const FIELDS: [&str; 7] = [
    "id",
    "name",
    "description",
    "version",
    "author",
    "icon",
    "route",
];

/// Whether a JSON document is such metadata rather than a manifest: it has a name and a route, and nothing that only
/// manifests have.
pub(super) fn is_metadata(node: &Node) -> bool {
    let has = |key: &str| node.get(key).is_some();
    has("name")
        && has("route")
        && ![
            "schemaVersion",
            "title",
            "apiVersion",
            "kind",
            "compatibility",
        ]
        .into_iter()
        .any(has)
}

pub(super) fn canonical(source: &Node, report: &mut Report) -> Node {
    let mut manifest = Object::at(source);
    let opening = manifest.opening();
    manifest.put("schemaVersion", one(&opening));
    if let Some(id) = source.get("id") {
        manifest.put("id", id_of(id, report));
    }
    manifest.carry("title", source, "name");
    match source.get("description").filter(|node| !is_null(node)) {
        Some(description) => manifest.put("description", description.clone()),
        None => manifest.make("description", ""),
    }
    manifest.carry("version", source, "version");
    manifest.make("apiVersion", "1.0.0");
    manifest.make("kind", "process");
    let mut compatibility = Object::at(&Node::text(&opening, ""));
    compatibility.make("minimumHostVersion", "0.0.0");
    manifest.put("compatibility", compatibility.done());
    manifest.put(
        "roles",
        list(&opening, vec![Node::text(&opening, "service")]),
    );
    manifest.carry("route", source, "route");
    if source.get("icon").is_some_and(|icon| !is_null(icon)) {
        manifest.carry("icon", source, "icon");
    }
    // The two interfaces that such a plugin knows; only what is declared can be granted.
    let capabilities = ["http.serve", "storage.kv"].map(|id| Node::text(&opening, id));
    manifest.put("capabilities", list(&opening, capabilities.to_vec()));
    let mut limits = Object::at(&Node::text(&opening, ""));
    limits.put(
        "responseTimeoutMs",
        Node::new(
            opening.clone(),
            Kind::Number(IMPORTED_RESPONSE_TIMEOUT_MS.into()),
        ),
    );
    manifest.put("limits", limits.done());
    if let Some(author) = source
        .get("author")
        .filter(|author| !is_null(author) && author.as_text() != Some(""))
    {
        manifest.put("authors", list(&author.span, vec![author.clone()]));
    }
    manifest.put(
        "origin",
        origin(&opening, "toru", source.get("id"), str::to_owned),
    );
    under_a_hundred(source, report);
    name_the_rest(source, "", &FIELDS, report);
    manifest.done()
}

fn is_null(node: &Node) -> bool {
    node.kind == Kind::Null
}

fn id_of(node: &Node, report: &mut Report) -> Node {
    let Some(text) = node.as_text() else {
        return node.clone();
    };
    let sound = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !sound {
        let message = format!(
            "id must be letters, digits and hyphens, not {:?}",
            short(text)
        );
        report.push(Code::BadId, "/id", node.span.clone(), message, None);
        return Node::text(&node.span, "toru.unnamed");
    }
    Node::text(&node.span, plugin_id(text, "toru"))
}

fn under_a_hundred(source: &Node, report: &mut Report) {
    let Some((name, text)) = source
        .get("name")
        .and_then(|node| Some((node, node.as_text()?)))
    else {
        return;
    };
    // A hundred exactly is the one length that the table of titles lets through; more is its own business.
    if text.chars().count() == IMPORTED_NAME_CHARS_MAX + 1 {
        report.error(
            Code::TooLong,
            "/name",
            name.span.clone(),
            &format!("name has 100 characters, at most {IMPORTED_NAME_CHARS_MAX} are allowed"),
        );
    }
}
