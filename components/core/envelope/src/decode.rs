//! The strict reader of envelopes: the top-level members of a JSON object with their byte ranges.
//!
//! Its reading is the one that counts. Duplicate members, trailing bytes, invalid UTF-8 and nesting beyond
//! [`limits::envelope::JSON_DEPTH_MAX`] are errors, so that no two readers can understand an envelope differently.

use crate::{
    json::{self, Skip, space},
    tape::Tape,
};
use limits::envelope::{JSON_DEPTH_MAX, MEMBERS_MAX, QUOTED_CHARS_MAX};
use std::{borrow::Cow, ops::Range};

/// Why bytes are not an envelope. Each is `BAD_JSON` on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not UTF-8, not JSON, not an object, or a duplicate member.
    #[error("not a JSON object: {0}")]
    Json(String),
    /// Nested too deeply.
    #[error("nested deeper than {JSON_DEPTH_MAX} levels")]
    Depth,
    /// Too many members.
    #[error("more than {MEMBERS_MAX} members")]
    Members,
}

/// One top-level member.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// The name, without escapes.
    pub key: Cow<'a, str>,
    /// The value's JSON text, without surrounding white space.
    pub raw: &'a str,
    /// Where `raw` lies in the envelope.
    pub span: Range<usize>,
}

/// A decoded envelope. It borrows the bytes and keeps the order of the members.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    text: &'a str,
    members: Vec<Member<'a>>,
}

impl<'a> Envelope<'a> {
    /// Reads `bytes`.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::read(bytes, |_, _, text, at| json::read(text, at, 1, &mut Skip))
    }

    /// Reads `bytes`, and in the same pass puts the value of the member `key` on `tape` if the envelope has the type
    /// `kind`. Afterwards the tape is empty if the envelope has another type or no such member.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode_taping(
        bytes: &'a [u8],
        tape: &mut Tape,
        kind: &str,
        key: &str,
    ) -> Result<Self, DecodeError> {
        tape.clear();
        let envelope = Self::read(bytes, |members, name, text, at| {
            // Where the type stands behind the member, it is not known yet, and the tape is cleared afterwards if it is
            // another one.
            let may_be_kind = || {
                members
                    .iter()
                    .find(|member| member.key == "type")
                    .is_none_or(|member| member.plain().is_none_or(|found| found == kind))
            };
            if name == key && may_be_kind() {
                tape.read(text, at, 1)
            } else {
                json::read(text, at, 1, &mut Skip)
            }
        })?;
        if !tape.is_empty() && envelope.text("type").as_deref() != Some(kind) {
            tape.clear();
        }
        Ok(envelope)
    }

    /// Reads all members; `value` reads the value at a position and returns the position behind it.
    fn read(
        bytes: &'a [u8],
        mut value: impl FnMut(&[Member<'a>], &str, &'a str, usize) -> Result<usize, json::Fault>,
    ) -> Result<Self, DecodeError> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| DecodeError::Json(error.to_string()))?;
        let wrong = |at: usize| DecodeError::from(json::Fault::Syntax(at));
        let mut members: Vec<Member<'a>> = Vec::with_capacity(8);
        let mut at = space(bytes, 0);
        if bytes.get(at) != Some(&b'{') {
            return Err(wrong(at));
        }
        at = space(bytes, at + 1);
        let mut is_open = bytes.get(at) != Some(&b'}');
        while is_open {
            if bytes.get(at) != Some(&b'"') {
                return Err(wrong(at));
            }
            let (quote, escaped) = json::string(bytes, at + 1)?;
            let key = if escaped {
                unescape(&text[at..=quote]).ok_or_else(|| wrong(at))?
            } else {
                Cow::Borrowed(&text[at + 1..quote])
            };
            at = space(bytes, quote + 1);
            if bytes.get(at) != Some(&b':') {
                return Err(wrong(at));
            }
            if members.len() >= MEMBERS_MAX {
                return Err(DecodeError::Members);
            }
            if members.iter().any(|member| member.key == key) {
                return Err(DecodeError::Json(format!(
                    "duplicate member \"{}\"",
                    shorten(&key)
                )));
            }
            let start = space(bytes, at + 1);
            let end = value(&members, &key, text, start)?;
            members.push(Member {
                key,
                raw: &text[start..end],
                span: start..end,
            });
            at = space(bytes, end);
            is_open = match bytes.get(at) {
                Some(b',') => true,
                Some(b'}') => false,
                _ => return Err(wrong(at)),
            };
            if is_open {
                at = space(bytes, at + 1);
            }
        }
        match space(bytes, at + 1) {
            end if end == bytes.len() => Ok(Self { text, members }),
            end => Err(wrong(end)),
        }
    }

    /// The envelope's bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The envelope's text.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// All members in order.
    #[must_use]
    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// The member named `key`.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<&Member<'a>> {
        self.members.iter().find(|member| member.key == key)
    }

    /// The member's value as text; `None` when it is absent or no string.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        let member = self.member(key)?;
        match member.plain() {
            Some(plain) => Some(Cow::Borrowed(plain)),
            None if member.raw.starts_with('"') => unescape(member.raw),
            None => None,
        }
    }

    /// Whether the member is absent or `null`; clients of version 1.0 send both.
    #[must_use]
    pub fn is_nothing(&self, key: &str) -> bool {
        self.member(key).is_none_or(|member| member.raw == "null")
    }

    /// Offset of the closing brace, where new members are inserted.
    #[must_use]
    pub fn end(&self) -> usize {
        self.text.rfind('}').unwrap_or(self.text.len())
    }
}

impl<'a> Member<'a> {
    /// The value, if it is a text without escapes.
    fn plain(&self) -> Option<&'a str> {
        let plain = self.raw.strip_prefix('"')?.strip_suffix('"')?;
        (!plain.contains('\\')).then_some(plain)
    }
}

impl From<json::Fault> for DecodeError {
    fn from(fault: json::Fault) -> Self {
        match fault {
            json::Fault::Depth => Self::Depth,
            json::Fault::Syntax(_) => Self::Json(fault.to_string()),
        }
    }
}

/// A quoted text without its escapes; `None` where an escape is no character.
fn unescape<'a>(quoted: &str) -> Option<Cow<'a, str>> {
    serde_json::from_str(quoted).ok().map(Cow::Owned)
}

/// A client's text, cut to a length that fits a message.
#[must_use]
pub fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, Envelope};

    #[test]
    fn members_keep_order_and_spans() {
        let bytes = br#" { "type" : "chat_message", "a\u0062": [1, {"x": "}"}] , "n":null } "#;
        let envelope = Envelope::decode(bytes).expect("legal");
        let keys: Vec<_> = envelope
            .members()
            .iter()
            .map(|member| member.key.as_ref())
            .collect();
        assert_eq!(keys, ["type", "ab", "n"]);
        let list = envelope.member("ab").expect("present");
        assert_eq!(&bytes[list.span.clone()], br#"[1, {"x": "}"}]"#);
        assert_eq!(envelope.text("type").as_deref(), Some("chat_message"));
        assert!(
            envelope.is_nothing("n") && envelope.is_nothing("absent") && !envelope.is_nothing("ab")
        );
        assert_eq!(bytes[envelope.end()], b'}');
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        for bad in [
            &br#"{"type":"a","type":"b"}"#[..],
            br#"{"type":"a","t\u0079pe":"b"}"#,
            b"[]",
            b"null",
            b"{",
            br#"{"a":1} x"#,
            b"\xff",
            b"\xef\xbb\xbf{}",
        ] {
            assert!(
                matches!(Envelope::decode(bad), Err(DecodeError::Json(_))),
                "{:?}",
                String::from_utf8_lossy(bad)
            );
        }
        let deep = format!(
            r#"{{"type":"a","p":{}{}}}"#,
            "[".repeat(128),
            "]".repeat(128)
        );
        assert_eq!(
            Envelope::decode(deep.as_bytes()).err(),
            Some(DecodeError::Depth)
        );
        let wide = format!(
            "{{{}}}",
            (0..300)
                .map(|n| format!("\"k{n}\":0"))
                .collect::<Vec<_>>()
                .join(",")
        );
        assert_eq!(
            Envelope::decode(wide.as_bytes()).err(),
            Some(DecodeError::Members)
        );
    }
}
