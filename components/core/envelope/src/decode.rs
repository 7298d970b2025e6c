//! Reads an envelope once: a JSON object's top-level members with their byte spans, nothing deeper.
//!
//! This reader is authoritative (decision: the judge): duplicate keys, trailing bytes, wrong UTF-8 and nesting beyond
//! [`limits::envelope::JSON_DEPTH_MAX`] are refused here, so that no two readers can understand one envelope differently.

use limits::envelope::{JSON_DEPTH_MAX, MEMBERS_MAX};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, ops::Range};

/// Why bytes are not an envelope. All of them are `BAD_JSON` on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not UTF-8, not JSON, not an object, or a key twice.
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
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// The value's JSON text, without surrounding white space.
    pub raw: &'a str,
    /// Where `raw` lies in the envelope.
    pub span: Range<usize>,
}

/// A decoded envelope: borrowed, order kept.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    bytes: &'a [u8],
    members: Vec<Member<'a>>,
}

impl<'a> Envelope<'a> {
    /// Reads `bytes`.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(bytes).map_err(|error| DecodeError::Json(error.to_string()))?;
        if depth_exceeds(bytes, JSON_DEPTH_MAX) {
            return Err(DecodeError::Depth);
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let members = reader
            .deserialize_map(Members { text })
            .and_then(|members| reader.end().map(|()| members))
            .map_err(|error| DecodeError::Json(error.to_string()))?;
        if members.len() > MEMBERS_MAX {
            return Err(DecodeError::Members);
        }
        Ok(Self { bytes, members })
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
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
        let raw = self.member(key)?.raw;
        let inner = raw.strip_prefix('"')?;
        match inner.strip_suffix('"') {
            Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
            _ => serde_json::from_str(raw).ok().map(Cow::Owned),
        }
    }

    /// Whether the member is absent or `null`: old clients send both for "nothing".
    #[must_use]
    pub fn is_nothing(&self, key: &str) -> bool {
        self.member(key).is_none_or(|member| member.raw == "null")
    }

    /// Offset of the closing brace, where new members are inserted.
    #[must_use]
    pub fn end(&self) -> usize {
        self.bytes.iter().rposition(|byte| *byte == b'}').unwrap_or(self.bytes.len())
    }
}

struct Members<'a> {
    text: &'a str,
}

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the member \"type\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<Member<'de>> = Vec::with_capacity(8);
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if members.len() > MEMBERS_MAX {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if members.iter().any(|member| member.key == key.0) {
                return Err(serde::de::Error::custom(format_args!("duplicate member \"{}\"", shorten(&key.0))));
            }
            let raw = map.next_value::<&'de RawValue>()?.get();
            let start = raw.as_ptr() as usize - self.text.as_ptr() as usize;
            members.push(Member { key: key.0, raw, span: start..start + raw.len() });
        }
        Ok(members)
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        reader.deserialize_str(Text)
    }
}

/// The host's cheap look at an envelope before any judge is asked: what chooses limits, rate class and context.
///
/// It is a hint; the judge's own reading decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hint<'a> {
    /// `type`
    pub kind: Option<Cow<'a, str>>,
    /// `serverId`
    pub server_id: Option<Cow<'a, str>>,
    /// `requestId`, for answers.
    pub request_id: Option<Cow<'a, str>>,
}

impl<'a> Hint<'a> {
    /// Looks at `bytes`; what cannot be read is simply not there.
    #[must_use]
    pub fn scan(bytes: &'a [u8]) -> Self {
        let Ok(envelope) = Envelope::decode(bytes) else { return Self::default() };
        Self { kind: envelope.text("type"), server_id: envelope.text("serverId"), request_id: envelope.text("requestId") }
    }
}

/// Whether brackets nest deeper than `depth_max`, strings skipped. No recursion; most envelopes have fewer brackets than levels are
/// allowed, which is counted eight bytes at a time.
#[must_use]
pub fn depth_exceeds(json: &[u8], depth_max: usize) -> bool {
    openings(json) > depth_max && nests_deeper(json, depth_max)
}

/// How many bytes are `{` or `[`, in strings or not.
fn openings(json: &[u8]) -> usize {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const CASE: u64 = 0x2020_2020_2020_2020;
    const BRACE: u64 = 0x7b7b_7b7b_7b7b_7b7b;
    let (chunks, rest) = json.as_chunks::<8>();
    let whole: u32 = chunks
        .iter()
        .map(|chunk| {
            // `[` and `{` differ in one bit. A byte of `other` is zero for both, and only then is its high bit set in the last step.
            let other = (u64::from_le_bytes(*chunk) | CASE) ^ BRACE;
            (!(((other & LOW) + LOW) | other | LOW)).count_ones()
        })
        .sum();
    whole as usize + rest.iter().filter(|byte| *byte | 0x20 == b'{').count()
}

fn nests_deeper(json: &[u8], depth_max: usize) -> bool {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                at = skip_plain(json, at + 1);
                while json.get(at).is_some_and(|byte| *byte != b'"') {
                    let escaped = json[at] == b'\\';
                    at = skip_plain(json, at + 1 + usize::from(escaped));
                }
            }
            _ => {}
        }
        at += 1;
    }
    false
}

/// Position of the next quote, backslash or control character at or behind `at`: where a JSON text stops being plain. Eight bytes at a
/// time.
#[must_use]
pub fn skip_plain(json: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The lowest high bit that is set stands at the first zero byte; those above it may be false.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    while let Some(chunk) = json.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = zeros(word ^ (ONES * u64::from(b'"')));
        let backslash = zeros(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = quote | backslash | control;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while json.get(at).is_some_and(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\') {
        at += 1;
    }
    at
}

/// A foreign text cut for a message.
#[must_use]
pub fn shorten(text: &str) -> Cow<'_, str> {
    const CHARS_MAX: usize = 64;
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, Envelope, Hint, depth_exceeds};

    #[test]
    fn members_keep_order_and_spans() {
        let bytes = br#" { "type" : "chat_message", "a\u0062": [1, {"x": "}"}] , "n":null } "#;
        let envelope = Envelope::decode(bytes).expect("legal");
        let keys: Vec<_> = envelope.members().iter().map(|member| member.key.as_ref()).collect();
        assert_eq!(keys, ["type", "ab", "n"]);
        let list = envelope.member("ab").expect("present");
        assert_eq!(&bytes[list.span.clone()], br#"[1, {"x": "}"}]"#);
        assert_eq!(envelope.text("type").as_deref(), Some("chat_message"));
        assert!(envelope.is_nothing("n") && envelope.is_nothing("absent") && !envelope.is_nothing("ab"));
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
            assert!(matches!(Envelope::decode(bad), Err(DecodeError::Json(_))), "{:?}", String::from_utf8_lossy(bad));
        }
        let deep = format!(r#"{{"type":"a","p":{}{}}}"#, "[".repeat(128), "]".repeat(128));
        assert_eq!(Envelope::decode(deep.as_bytes()).err(), Some(DecodeError::Depth));
        let wide = format!("{{{}}}", (0..300).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(","));
        assert_eq!(Envelope::decode(wide.as_bytes()).err(), Some(DecodeError::Members));
    }

    #[test]
    fn depth_ignores_brackets_in_strings() {
        assert!(!depth_exceeds(br#"{"a":"[[[[\"[["}"#, 1));
        assert!(depth_exceeds(b"[[]]", 1));
        assert!(!depth_exceeds(br#"["[[", "{{{{ long enough for several words \\\" [[ ", {"\"": "]]"}]"#, 2));
        for depth in 1..40 {
            let text = format!("{}\"[{{\"{}", "[".repeat(depth), "]".repeat(depth));
            assert!(!depth_exceeds(text.as_bytes(), depth) && depth_exceeds(text.as_bytes(), depth - 1), "{text}");
        }
    }

    #[test]
    fn a_hint_reads_what_chooses_the_limits() {
        let hint = Hint::scan(br#"{"type":"typing","serverId":"s1","requestId":7}"#);
        assert_eq!((hint.kind.as_deref(), hint.server_id.as_deref(), hint.request_id), (Some("typing"), Some("s1"), None));
        assert_eq!(Hint::scan(b"nonsense"), Hint::default());
    }
}
