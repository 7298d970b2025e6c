//! The host's cheap look at an envelope before any judge is asked: what chooses limits, rate class and context.
//!
//! What it is: a walk along the top-level members that stops as soon as it knows enough and builds nothing.
//! What it is not: a reading. It trusts the shape of what it passes over; the judge's own reading decides, and refuses a duplicate
//! member or a server that the host understood differently (decision: the judge).

use crate::{
    catalogue::{self, EnvelopeType},
    json::{self, space},
};
use std::borrow::Cow;

/// What the host knows of an envelope by looking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hint<'a> {
    /// `type`
    pub kind: Option<Cow<'a, str>>,
    /// `serverId`
    pub server_id: Option<Cow<'a, str>>,
    bytes: &'a [u8],
}

impl<'a> Hint<'a> {
    /// Looks at `bytes`; what cannot be read is simply not there.
    #[must_use]
    pub fn scan(bytes: &'a [u8]) -> Self {
        let mut hint = Self {
            bytes,
            ..Self::default()
        };
        for member in Walk::new(bytes) {
            match &*member.key {
                b"type" if hint.kind.is_none() => hint.kind = member.text(bytes),
                b"serverId" if hint.server_id.is_none() => hint.server_id = member.text(bytes),
                _ => continue,
            }
            if hint.kind.is_some() && hint.server_id.is_some() {
                break;
            }
        }
        hint
    }

    /// The type alone, for what has to be known before anything else is done with the bytes. It is usually the first member, so this
    /// costs nanoseconds; `None` when it cannot be read or is not in the catalogue.
    #[must_use]
    pub fn kind_only(bytes: &'a [u8]) -> Option<&'static EnvelopeType> {
        let kind = Walk::new(bytes)
            .find(|member| *member.key == *b"type")?
            .text(bytes)?;
        catalogue::find(&kind)
    }

    /// `requestId`, for answers. It is looked for when it is asked for.
    #[must_use]
    pub fn request_id(&self) -> Option<Cow<'a, str>> {
        self.text("requestId")
    }

    /// The text of any member, looked for when it is asked for; `None` when it is absent or no text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        Walk::new(self.bytes)
            .find(|member| *member.key == *key.as_bytes())?
            .text(self.bytes)
    }
}

/// The top-level members of what looks like an object.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// `at` is at a value that was not passed over yet.
    at_value: bool,
}

struct Seen<'a> {
    key: Cow<'a, [u8]>,
    /// Where the value begins.
    value: usize,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let at = space(bytes, 0);
        let at = if bytes.get(at) == Some(&b'{') {
            space(bytes, at + 1)
        } else {
            bytes.len()
        };
        Self {
            bytes,
            at,
            at_value: false,
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Seen<'a>;

    fn next(&mut self) -> Option<Seen<'a>> {
        let bytes = self.bytes;
        if self.at_value {
            let comma = space(bytes, pass(bytes, self.at)?);
            self.at = (bytes.get(comma) == Some(&b',')).then(|| space(bytes, comma + 1))?;
            self.at_value = false;
        }
        let text = Text::at(bytes, self.at)?;
        let colon = space(bytes, text.end);
        let value = (bytes.get(colon) == Some(&b':')).then(|| space(bytes, colon + 1))?;
        (self.at, self.at_value) = (value, true);
        let key = if text.escaped {
            Cow::Owned(text.decoded()?.into_bytes())
        } else {
            Cow::Borrowed(text.plain())
        };
        Some(Seen { key, value })
    }
}

impl Seen<'_> {
    fn text<'a>(&self, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
        let text = Text::at(bytes, self.value)?;
        if text.escaped {
            text.decoded().map(Cow::Owned)
        } else {
            std::str::from_utf8(text.plain()).ok().map(Cow::Borrowed)
        }
    }
}

/// A string, quotes included.
struct Text<'a> {
    quoted: &'a [u8],
    escaped: bool,
    /// Position behind it.
    end: usize,
}

impl<'a> Text<'a> {
    fn at(bytes: &'a [u8], at: usize) -> Option<Self> {
        (bytes.get(at) == Some(&b'"')).then_some(())?;
        let (quote, escaped) = json::string(bytes, at + 1).ok()?;
        Some(Self {
            quoted: &bytes[at..=quote],
            escaped,
            end: quote + 1,
        })
    }

    fn plain(&self) -> &'a [u8] {
        &self.quoted[1..self.quoted.len() - 1]
    }

    fn decoded(&self) -> Option<String> {
        serde_json::from_slice(self.quoted).ok()
    }
}

/// The position behind a value that is believed to be one: brackets are counted and not told apart.
fn pass(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0usize);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = Text::at(bytes, at)?.end;
                if depth == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return Some(at + depth),
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::Hint;

    fn scan(text: &str) -> (Option<String>, Option<String>, Option<String>) {
        let hint = Hint::scan(text.as_bytes());
        let request_id = hint.request_id().map(String::from);
        (
            hint.kind.map(String::from),
            hint.server_id.map(String::from),
            request_id,
        )
    }

    #[test]
    fn a_hint_reads_what_chooses_the_limits() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            scan(r#"{"type":"typing","serverId":"s1","requestId":7}"#),
            (some("typing"), some("s1"), None)
        );
        let behind = r#" { "payload" : {"type":"no", "x":["}",{"serverId":"\""}]} , "n":-1.5e3 , "t\u0079pe":"typ\u0069ng" ,"b":true,"requestId":"r" } "#;
        assert_eq!(scan(behind), (some("typing"), None, some("r")));
        for nonsense in [
            "nonsense",
            "",
            "{",
            "[\"type\"]",
            r#"{"type"}"#,
            r#"{"type":"#,
            r#"{"a":{{,"type":"x"}"#,
            "{\"type\":\"\u{1}\"}",
        ] {
            assert_eq!(scan(nonsense), (None, None, None), "{nonsense}");
        }
    }

    #[test]
    fn any_member_that_is_a_text() {
        let text = |key: &str| {
            Hint::scan(br#"{"type":"plugin_event","payload":{"eventName":"no"},"eventName":"v\u006fte","n":1}"#).text(key)
        };
        assert_eq!(text("eventName").as_deref(), Some("vote"));
        assert_eq!(
            (text("n"), text("payload"), text("absent")),
            (None, None, None)
        );
    }

    #[test]
    fn the_type_alone() {
        let kind = |text: &str| Hint::kind_only(text.as_bytes()).map(|kind| kind.name);
        assert_eq!(kind(r#"{"type":"typing","serverId":"s1"}"#), Some("typing"));
        assert_eq!(
            kind(r#"{"serverId":{"type":"x"},"type":"chat_message""#),
            Some("chat_message"),
            "the rest is not looked at"
        );
        for none in [
            r#"{"type":{"type":"typing"}}"#,
            r#"{"type":"absent"}"#,
            r#"{"serverId":"typing"}"#,
            "typing",
        ] {
            assert_eq!(kind(none), None, "{none}");
        }
    }
}
