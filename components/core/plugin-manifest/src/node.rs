//! A document as an ordered tree whose values have their byte range in the source. JSON and TOML are read into it by
//! `json` and `import`.
//!
//! No object has a key twice, and nesting is at most [`limits::manifest::DEPTH_MAX`].

use serde_json::{Map, Number, Value};
use std::ops::Range;

/// A byte range of the source.
pub(crate) type Span = Range<usize>;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn new(span: Span, kind: Kind) -> Self {
        Self { span, kind }
    }

    pub(crate) fn text(span: &Span, text: impl Into<String>) -> Self {
        Self::new(span.clone(), Kind::Text(text.into()))
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Kind::Text(text) = &self.kind {
            Some(text)
        } else {
            None
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        if let Kind::List(items) = &self.kind {
            Some(items)
        } else {
            None
        }
    }

    pub(crate) fn members(&self) -> &[Member] {
        if let Kind::Object(members) = &self.kind {
            members
        } else {
            &[]
        }
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.kind, Kind::Object(_))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.members()
            .iter()
            .find(|member| member.key == key)
            .map(|member| &member.value)
    }

    /// The text of the member `key`, when it is one.
    pub(crate) fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Node::as_text)
    }

    /// What it is, with its article, for messages.
    pub(crate) fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Object(_) => "an object",
        }
    }

    /// The same value without places.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            Kind::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|member| (member.key.clone(), member.value.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// The value at a JSON pointer.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Node> {
        pointer
            .split('/')
            .skip(1)
            .try_fold(self, |node, token| match &node.kind {
                Kind::List(items) => items.get(token.parse::<usize>().ok()?),
                _ => node.get(&token.replace("~1", "/").replace("~0", "~")),
            })
    }

    /// The pointer of the smallest value or key that holds the byte `offset`. All are looked at: the place of a TOML
    /// table is its header alone.
    pub(crate) fn pointer_at(&self, offset: usize) -> String {
        let mut best = (usize::MAX, String::new());
        self.search(offset, &mut String::new(), &mut best);
        best.1
    }

    fn search(&self, offset: usize, pointer: &mut String, best: &mut (usize, String)) {
        let mut consider = |span: &Span, pointer: &str| {
            if span.contains(&offset) && span.len() <= best.0 {
                *best = (span.len(), pointer.to_owned());
            }
        };
        consider(&self.span, pointer);
        let base = pointer.len();
        match &self.kind {
            Kind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    push(pointer, &index.to_string());
                    item.search(offset, pointer, best);
                    pointer.truncate(base);
                }
            }
            Kind::Object(members) => {
                for member in members {
                    push(pointer, &member.key);
                    if member.key_span.contains(&offset) && member.key_span.len() <= best.0 {
                        *best = (member.key_span.len(), pointer.clone());
                    }
                    member.value.search(offset, pointer, best);
                    pointer.truncate(base);
                }
            }
            _ => {}
        }
    }

    /// The value as indented JSON, order kept, with a final line feed.
    pub(crate) fn print(&self) -> String {
        let mut out = String::new();
        print(self, 0, &mut out);
        out.push('\n');
        out
    }
}

/// Appends one reference token to a JSON pointer (RFC 6901).
pub(crate) fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    for letter in token.chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            _ => pointer.push(letter),
        }
    }
}

fn print(node: &Node, indent: usize, out: &mut String) {
    let line = |out: &mut String, indent: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", indent));
    };
    match &node.kind {
        Kind::List(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                line(out, indent + 1);
                print(item, indent + 1, out);
            }
            line(out, indent);
            out.push(']');
        }
        Kind::Object(members) if !members.is_empty() => {
            out.push('{');
            for (index, member) in members.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                line(out, indent + 1);
                out.push_str(&Value::from(member.key.as_str()).to_string());
                out.push_str(": ");
                print(&member.value, indent + 1, out);
            }
            line(out, indent);
            out.push('}');
        }
        _ => out.push_str(&node.to_value().to_string()),
    }
}
