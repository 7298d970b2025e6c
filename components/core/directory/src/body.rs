//! Reading a request body: one JSON object, its members by name, every violation with its JSON pointer.
//!
//! Unknown members are ignored, but for those that an answer has under another name ([`Body::misnamed`]). A member given as `null` counts as absent, unless it is read with [`Body::nullable`].
//! Values keep their text, so that they are stored and given back as they were sent.

use crate::refusal::{Code, Refusal};
use identifiers::UserId;
use limits::rest::BODY_DEPTH_MAX;
use rest::Violation;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A body under inspection.
#[derive(Debug)]
pub struct Body {
    members: Vec<(String, Box<RawValue>)>,
    violations: Vec<(Code, Violation)>,
}

impl Body {
    /// Reads a JSON object. Empty bytes are an empty object: some bodies have no required member.
    ///
    /// # Errors
    /// [`Code::BadJson`] when the bytes are no JSON object in UTF-8, name a member twice, or nest deeper than
    /// [`BODY_DEPTH_MAX`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.is_empty() {
            return Ok(Self {
                members: Vec::new(),
                violations: Vec::new(),
            });
        }
        let bad = |reason: String| {
            Refusal::new(
                Code::BadJson,
                format!("the body is no JSON object: {reason}"),
            )
        };
        let text = std::str::from_utf8(bytes).map_err(|_| bad("it is not UTF-8".to_owned()))?;
        if depth(text) > BODY_DEPTH_MAX {
            return Err(Refusal::new(
                Code::BadJson,
                format!("the body is nested deeper than {BODY_DEPTH_MAX} levels"),
            ));
        }
        let Members(members) =
            serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        Ok(Self {
            members,
            violations: Vec::new(),
        })
    }

    /// The member's JSON text, `null` included.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&RawValue> {
        self.members
            .iter()
            .find(|(member, _)| member == name)
            .map(|(_, value)| &**value)
    }

    /// The member's JSON text; nothing when absent or `null`.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&RawValue> {
        self.raw(name).filter(|value| value.get() != "null")
    }

    /// Notes a violation at a member.
    pub fn violation(&mut self, code: Code, name: &str, message: impl Into<String>) {
        let pointer = if name.is_empty() {
            String::new()
        } else {
            format!("/{name}")
        };
        self.violations.push((
            code,
            Violation {
                pointer,
                code: code.as_str().to_owned(),
                message: format!("{name} {}", message.into()),
            },
        ));
    }

    /// Refuses a member that has the name under which an answer tells what `right` sets: ignoring it would set less than
    /// was asked for.
    pub fn misnamed(&mut self, name: &str, right: &str) {
        if self.given(name).is_some() {
            let text = format!("is a member of the answer; {right} sets it");
            self.violation(Code::InvalidBody, name, text);
        }
    }

    /// A member of some type; a violation when it is of another.
    fn typed<T: serde::de::DeserializeOwned>(&mut self, name: &str, wanted: &str) -> Option<T> {
        let value = serde_json::from_str(self.given(name)?.get());
        if value.is_err() {
            self.violation(Code::InvalidBody, name, format!("must be {wanted}"));
        }
        value.ok()
    }

    /// An optional text of at most `chars_max` characters.
    pub fn text(&mut self, name: &str, chars_max: usize) -> Option<String> {
        let text: String = self.typed(name, "a text")?;
        if text.chars().count() > chars_max {
            self.violation(
                Code::InvalidBody,
                name,
                format!("must have at most {chars_max} characters"),
            );
            return None;
        }
        if text.contains('\0') {
            // Not every database can keep it.
            self.violation(
                Code::InvalidBody,
                name,
                "must not hold the character U+0000",
            );
            return None;
        }
        Some(text)
    }

    /// A text that must be there and not empty after trimming; control characters are refused.
    pub fn required_title(&mut self, name: &str, chars_max: usize) -> Option<String> {
        if self.given(name).is_none() {
            self.violation(Code::InvalidBody, name, "is required");
            return None;
        }
        self.title(name, chars_max)
    }

    /// As [`Body::required_title`], absent allowed.
    pub fn title(&mut self, name: &str, chars_max: usize) -> Option<String> {
        let text = self.text(name, chars_max)?;
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            self.violation(
                Code::InvalidBody,
                name,
                "must not be empty and must hold no control characters",
            );
            return None;
        }
        Some(text)
    }

    /// An optional boolean.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "true or false")
    }

    /// An optional whole number within a range.
    pub fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let rule = format!(
            "must be a whole number from {} to {}",
            range.start(),
            range.end()
        );
        let number: serde_json::Number = self.typed(name, "a number")?;
        // 5.0 is a whole number too; JSON does not tell them apart.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole and within the exact range"
        )]
        let whole = number.as_u64().or_else(|| {
            number
                .as_f64()
                .filter(|value| {
                    value.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(value)
                })
                .map(|value| value as u64)
        });
        let within = whole.filter(|value| range.contains(value));
        if within.is_none() {
            self.violation(Code::InvalidBody, name, rule);
        }
        within
    }

    /// An optional http or https URL.
    pub fn url(&mut self, name: &str) -> Option<String> {
        let text = self.text(name, limits::directory::URL_CHARS_MAX)?;
        if !is_web_url(&text) {
            self.violation(
                Code::InvalidUrl,
                name,
                "must be an http or https URL with a host and without white space",
            );
            return None;
        }
        Some(text)
    }

    /// An optional list of texts.
    pub fn texts(&mut self, name: &str, entries_max: usize) -> Option<Vec<String>> {
        let texts: Vec<String> = self.typed(name, "a list of texts")?;
        if texts.len() > entries_max {
            self.violation(
                Code::InvalidBody,
                name,
                format!("must have at most {entries_max} entries"),
            );
            return None;
        }
        Some(texts)
    }

    /// A required array of identities, without those that come again.
    pub fn user_ids(&mut self, name: &str, entries_max: usize) -> Vec<UserId> {
        if self.given(name).is_none() {
            self.violation(Code::InvalidBody, name, "is required");
        }
        let mut users = Vec::new();
        for text in self.texts(name, entries_max).unwrap_or_default() {
            match UserId::new(text) {
                Ok(user) if !users.contains(&user) => users.push(user),
                Ok(_) => {}
                Err(error) => self.violation(
                    Code::InvalidUserId,
                    name,
                    format!("names no identity: it {}", error.rule),
                ),
            }
        }
        users
    }

    /// A member where `null` has a meaning of its own: `None` absent, `Some(None)` null, `Some(Some(_))` given.
    pub fn nullable<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.raw(name)?.get() {
            "null" => Some(None),
            _ => read(self).map(Some),
        }
    }

    /// Ends the inspection.
    ///
    /// # Errors
    /// All violations; the code is that of the first.
    pub fn finish(self) -> Result<(), Refusal> {
        let Some((code, first)) = self.violations.first() else {
            return Ok(());
        };
        let message = match self.violations.len() {
            1 => first.message.clone(),
            count => format!("{} (and {} more)", first.message, count - 1),
        };
        let mut refusal = Refusal::new(*code, message);
        refusal.violations = self
            .violations
            .into_iter()
            .map(|(_, violation)| violation)
            .collect();
        Err(refusal)
    }
}

struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if members.len() == limits::envelope::MEMBERS_MAX {
                        return Err(A::Error::custom("too many members"));
                    }
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a member is named twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Deepest nesting of arrays and objects; brackets within texts do not count.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Whether a text is an http or https URL: scheme, a host, printable characters without white space. The host of such a
/// URL is never contacted by this side; it is shown to clients.
fn is_web_url(text: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| {
        let (head, rest) = (text.get(..scheme.len())?, text.get(scheme.len()..)?);
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(|host| {
        !host.is_empty() && !host.contains(['@', '\\']) && host.trim_matches(':') == host
    }) && !text.chars().any(|letter| {
        letter.is_control()
            || letter.is_whitespace()
            || matches!(letter, '<' | '>' | '"' | '\\' | '`')
    })
}

#[cfg(test)]
mod tests {
    use super::{Body, depth, is_web_url};

    #[test]
    fn depth_counts_brackets_outside_texts() {
        assert_eq!(depth(r#"{"a":[1,{"b":2}],"c":"[[[\"[["}"#), 3);
        assert_eq!(depth("7"), 0);
    }

    #[test]
    fn urls_need_scheme_and_host() {
        for good in [
            "https://a.example/x?y#z",
            "http://127.0.0.1:8080",
            "HTTPS://a",
        ] {
            assert!(is_web_url(good), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "ftp://a",
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "https://a b",
            "https://u@h/",
            "http://:80",
            "https://a\n",
        ] {
            assert!(!is_web_url(bad), "{bad:?}");
        }
    }

    #[test]
    fn bodies_are_objects_without_doubles() {
        for bad in [
            &b"[]"[..],
            b"{",
            b"7",
            b"\xff",
            b"{\"a\":1,\"a\":2}",
            b"{} {}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":1e400}x",
        ] {
            assert!(Body::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Body::parse(b"").is_ok() && Body::parse(b" {\"a\": 1} ").is_ok());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(
            Body::parse(deep.as_bytes())
                .unwrap_err()
                .message
                .contains("deeper")
        );
    }

    #[test]
    fn numbers_are_whole_and_within() {
        let mut body = Body::parse(br#"{"a":5.0,"b":1.5,"c":-1,"d":"5","e":9}"#).unwrap();
        assert_eq!(body.number("a", 1..=9), Some(5));
        for name in ["b", "c", "d"] {
            assert_eq!(body.number(name, 1..=9), None);
        }
        assert_eq!(body.number("e", 1..=8), None);
        assert_eq!(body.finish().unwrap_err().violations.len(), 4);
    }
}
