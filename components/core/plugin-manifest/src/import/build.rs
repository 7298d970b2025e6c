//! Builds canonical trees from imported values and keeps their source positions.

use crate::{
    node::{Kind, Member, Node, Span, push},
    text::short,
    violation::{Code, Report},
};

/// An object under construction; keys come out in the order they were put in.
pub(super) struct Object {
    span: Span,
    members: Vec<Member>,
}

impl Object {
    /// An object that stands where `source` stands.
    pub(super) fn at(source: &Node) -> Self {
        Self {
            span: source.span.clone(),
            members: Vec::new(),
        }
    }

    /// Puts a value; the key's place is the value's.
    pub(super) fn put(&mut self, key: &str, value: Node) {
        self.members.push(Member {
            key: key.to_owned(),
            key_span: value.span.clone(),
            value,
        });
    }

    /// Puts the foreign value named `from`, when there is one.
    pub(super) fn carry(&mut self, key: &str, source: &Node, from: &str) {
        if let Some(value) = source.get(from) {
            self.put(key, value.clone());
        }
    }

    /// Puts a text that the importer makes up; its place is the opening of the document.
    pub(super) fn make(&mut self, key: &str, text: &str) {
        let span = self.opening();
        self.put(key, Node::text(&span, text));
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.members.iter().any(|member| member.key == key)
    }

    /// The empty place before the source: that of whatever the importer makes up.
    pub(super) fn opening(&self) -> Span {
        self.span.start..self.span.start
    }

    pub(super) fn done(self) -> Node {
        Node::new(self.span, Kind::Object(self.members))
    }
}

/// The number 1 of `schemaVersion`.
pub(super) fn one(span: &Span) -> Node {
    Node::new(span.clone(), Kind::Number(1.into()))
}

pub(super) fn truth(node: Option<&Node>) -> Option<bool> {
    if let Some(Kind::Bool(truth)) = node.map(|node| &node.kind) {
        Some(*truth)
    } else {
        None
    }
}

pub(super) fn list(span: &Span, items: Vec<Node>) -> Node {
    Node::new(span.clone(), Kind::List(items))
}

/// Makes a canonical plugin id of a foreign name: lower case, `@scope/name` as `scope.name`, what is not admitted as
/// `-`. A name too short or with ends that are not admitted gets `prefix` or a final `x`, so that none is refused for
/// its form.
pub(super) fn plugin_id(foreign: &str, prefix: &str) -> String {
    let plain = foreign
        .trim()
        .trim_start_matches('@')
        .to_ascii_lowercase()
        .replace('/', ".");
    let mut id: String = plain
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || ".-".contains(letter) {
                letter
            } else {
                '-'
            }
        })
        .collect();
    let sound_end = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    if id.len() < limits::identity::NAME_CHARS_MIN || !id.starts_with(sound_end) {
        id = format!("{prefix}.{id}");
    }
    if !id.ends_with(sound_end) {
        id.push('x');
    }
    id
}

/// Canonical `origin`.
pub(super) fn origin(
    span: &Span,
    form: &str,
    id: Option<&Node>,
    original: impl Fn(&str) -> String,
) -> Node {
    let mut origin = Object {
        span: span.clone(),
        members: Vec::new(),
    };
    origin.make("form", form);
    if let Some((node, text)) =
        id.and_then(|node| Some((node, node.as_text().filter(|text| !text.is_empty())?)))
    {
        origin.put("id", Node::text(&node.span, original(text)));
    }
    origin.done()
}

/// Warns about every member of `source` that is not among `known` and does not start with `x-`.
pub(super) fn name_the_rest(source: &Node, under: &str, known: &[&str], report: &mut Report) {
    for member in source
        .members()
        .iter()
        .filter(|member| !known.contains(&member.key.as_str()))
    {
        let mut pointer = under.to_owned();
        push(&mut pointer, &member.key);
        let message = format!(
            "{:?} has no place in the manifest and is left out",
            short(&member.key)
        );
        report.push(
            Code::NotCarriedOver,
            &pointer,
            member.key_span.clone(),
            message,
            None,
        );
    }
}
