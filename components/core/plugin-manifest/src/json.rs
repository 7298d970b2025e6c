//! Reads JSON (RFC 8259) into a tree with source positions.
//!
//! `serde_json` reports one error only, accepts duplicate keys and has no positions. This reader accepts the same texts
//! (a property test compares them), except that a duplicate key is an error at every level and nesting ends at
//! [`DEPTH_MAX`], which also bounds the recursion.

use crate::{
    node::{Kind, Member, Node, push},
    violation::{Code, Report},
};
use limits::manifest::DEPTH_MAX;
use std::collections::HashSet;

/// A syntax error: nothing after it was read.
pub(crate) struct Syntax {
    at: usize,
    message: String,
    help: Option<&'static str>,
    code: Code,
}

/// Reads the whole of `bytes`; syntax errors end in `None`, repeated keys are reported and the first one kept.
pub(crate) fn read(bytes: &[u8], report: &mut Report) -> Option<Node> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            report.error(
                Code::BadJson,
                "",
                at..at + 1,
                "not UTF-8: this byte cannot be part of a text",
            );
            return None;
        }
    };
    let mut reader = Reader {
        text,
        bytes,
        at: 0,
        depth: 0,
        pointer: String::new(),
        report,
    };
    let whole = reader.document();
    match whole {
        Ok(node) => Some(node),
        Err(Syntax {
            at,
            message,
            help,
            code,
        }) => {
            let end = text
                .get(at..)
                .and_then(|rest| rest.chars().next())
                .map_or(at, |letter| at + letter.len_utf8());
            let pointer = std::mem::take(&mut reader.pointer);
            report.push(code, &pointer, at..end, message, help.map(str::to_owned));
            None
        }
    }
}

struct Reader<'a, 'r> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    pointer: String,
    report: &'r mut Report,
}

type Read<T> = Result<T, Syntax>;

impl Reader<'_, '_> {
    fn document(&mut self) -> Read<Node> {
        if self.text.starts_with('\u{feff}') {
            return self.fail_with(
                "starts with a byte order mark",
                Some("save the file as UTF-8 without a byte order mark"),
            );
        }
        self.space();
        let node = self.value()?;
        self.space();
        if self.at < self.bytes.len() {
            return self.fail("expected the end after the manifest's closing brace");
        }
        Ok(node)
    }

    fn value(&mut self) -> Read<Node> {
        let start = self.at;
        let kind = match self.bytes.get(self.at) {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"') => Kind::Text(self.string()?),
            Some(b't') => self.word("true", Kind::Bool(true))?,
            Some(b'f') => self.word("false", Kind::Bool(false))?,
            Some(b'n') => self.word("null", Kind::Null)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'\'') => {
                return self.fail_with(
                    "expected a value",
                    Some("JSON texts stand in double quotes"),
                );
            }
            Some(b'/') => return self.fail_with("expected a value", Some("JSON has no comments")),
            Some(b']' | b'}') => {
                return self.fail_with(
                    "expected a value",
                    Some("JSON allows no comma after the last entry"),
                );
            }
            Some(_) => return self.fail("expected a value"),
            None => return self.fail("the file ends where a value is expected"),
        };
        Ok(Node::new(start..self.at, kind))
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Read<Kind>) -> Read<Kind> {
        if self.depth == DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(Syntax {
                at: self.at,
                message,
                help: None,
                code: Code::TooDeep,
            });
        }
        self.depth += 1;
        self.at += 1;
        let kind = inner(self)?;
        self.depth -= 1;
        Ok(kind)
    }

    fn list(&mut self) -> Read<Kind> {
        let mut items = Vec::new();
        let base = self.pointer.len();
        self.space();
        if self.take(b']') {
            return Ok(Kind::List(items));
        }
        loop {
            self.space();
            push(&mut self.pointer, &items.len().to_string());
            items.push(self.value()?);
            self.pointer.truncate(base);
            self.space();
            if self.take(b']') {
                return Ok(Kind::List(items));
            }
            if !self.take(b',') {
                return self.fail("expected ',' or ']'");
            }
        }
    }

    fn object(&mut self) -> Read<Kind> {
        let mut members: Vec<Member> = Vec::new();
        let mut seen = HashSet::new();
        let base = self.pointer.len();
        self.space();
        if self.take(b'}') {
            return Ok(Kind::Object(members));
        }
        loop {
            self.space();
            let start = self.at;
            match self.bytes.get(self.at) {
                Some(b'"') => {}
                Some(b'}') => {
                    return self.fail_with(
                        "expected a key",
                        Some("JSON allows no comma after the last entry"),
                    );
                }
                _ => {
                    return self
                        .fail_with("expected a key", Some("JSON keys stand in double quotes"));
                }
            }
            let key = self.string()?;
            let key_span = start..self.at;
            self.space();
            if !self.take(b':') {
                return self.fail("expected ':' after the key");
            }
            self.space();
            push(&mut self.pointer, &key);
            let value = self.value()?;
            if seen.insert(key.clone()) {
                members.push(Member {
                    key,
                    key_span,
                    value,
                });
            } else {
                let message = format!(
                    "the key {:?} stands here for the second time",
                    crate::text::short(&key)
                );
                self.report
                    .push(Code::DuplicateKey, &self.pointer, key_span, message, None);
            }
            self.pointer.truncate(base);
            self.space();
            if self.take(b'}') {
                return Ok(Kind::Object(members));
            }
            if !self.take(b',') {
                return self.fail("expected ',' or '}'");
            }
        }
    }

    /// Finds the closing quote and leaves escapes, surrogates and control characters to `serde_json`.
    fn string(&mut self) -> Read<String> {
        let start = self.at;
        let mut at = start + 1;
        loop {
            match self.bytes.get(at) {
                None => return self.fail("this text has no closing quote"),
                Some(b'"') => break,
                Some(b'\\') => at += 2,
                Some(byte) if *byte < 0x20 => {
                    self.at = at;
                    return self.fail_with(
                        "a text holds a raw control character",
                        Some("write line breaks as \\n, other control characters as \\u00XX"),
                    );
                }
                Some(_) => at += 1,
            }
        }
        let raw = self.text.get(start..=at).unwrap_or_default();
        match serde_json::from_str(raw) {
            Ok(text) => {
                self.at = at + 1;
                Ok(text)
            }
            Err(error) => {
                let help = error
                    .to_string()
                    .contains("surrogate")
                    .then_some("a \\uD800..\\uDFFF escape needs its other half beside it");
                self.fail_with("a text holds an escape that names no character", help)
            }
        }
    }

    fn number(&mut self) -> Read<Kind> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
            .count();
        let raw = self.text.get(self.at..self.at + length).unwrap_or_default();
        match serde_json::from_str(raw) {
            Ok(number) => {
                self.at += length;
                Ok(Kind::Number(number))
            }
            Err(error) if error.to_string().contains("out of range") => {
                self.fail("this number is too large for a 64-bit float")
            }
            Err(_) => self.fail("this is not a JSON number"),
        }
    }

    fn word(&mut self, word: &str, kind: Kind) -> Read<Kind> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.fail("expected a value");
        }
        self.at += word.len();
        Ok(kind)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let here = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(here);
        here
    }

    fn fail<T>(&self, message: &str) -> Read<T> {
        self.fail_with(message, None)
    }

    fn fail_with<T>(&self, message: &str, help: Option<&'static str>) -> Read<T> {
        Err(Syntax {
            at: self.at,
            message: message.to_owned(),
            help,
            code: Code::BadJson,
        })
    }
}
