//! The gateway's one pass over an envelope, before the validator reads it: the members that choose limits, context and
//! subscribers.
//!
//! The pass stops at the member that is asked for and goes on from there when another one is asked for, so that no byte
//! is passed twice and a message over its rate is not read beyond its `type`. It does not check what it passes over;
//! the validator does, and refuses an envelope whose `serverId` it reads differently.

use crate::{
    catalogue::{self, EnvelopeType},
    json::{self, space},
};
use std::{borrow::Cow, cell::Cell, fmt};

/// The members that a host needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Type,
    ServerId,
    RequestId,
    PluginId,
    EventName,
    ChannelId,
}

impl Known {
    const COUNT: usize = 6;

    fn from_key(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"type" => Self::Type,
            b"serverId" => Self::ServerId,
            b"requestId" => Self::RequestId,
            b"pluginId" => Self::PluginId,
            b"eventName" => Self::EventName,
            b"channelId" => Self::ChannelId,
            _ => return None,
        })
    }
}

/// Top-level members of an envelope, found on demand in a single pass over its bytes.
///
/// Where a member occurs twice, the first one counts. A member that is no text reads as absent.
pub struct Scan<'a> {
    bytes: &'a [u8],
    /// Where the pass goes on.
    cursor: Cell<Cursor>,
    /// The values found so far, by [`Known`].
    found: [Cell<Option<Text>>; Known::COUNT],
    /// Bit set of the members seen so far, texts or not.
    seen: Cell<u8>,
}

impl<'a> Scan<'a> {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            cursor: Cell::new(Cursor::start(bytes)),
            found: [const { Cell::new(None) }; Known::COUNT],
            seen: Cell::new(0),
        }
    }

    /// The envelope's bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The type as the catalogue knows it; `None` where `type` is absent or unknown.
    #[must_use]
    pub fn envelope_type(&self) -> Option<&'static EnvelopeType> {
        catalogue::find(&self.type_name()?)
    }

    /// `type`
    #[must_use]
    pub fn type_name(&self) -> Option<Cow<'a, str>> {
        self.text(Known::Type)
    }

    /// `serverId`
    #[must_use]
    pub fn server_id(&self) -> Option<Cow<'a, str>> {
        self.text(Known::ServerId)
    }

    /// `requestId`
    #[must_use]
    pub fn request_id(&self) -> Option<Cow<'a, str>> {
        self.text(Known::RequestId)
    }

    /// `pluginId`
    #[must_use]
    pub fn plugin_id(&self) -> Option<Cow<'a, str>> {
        self.text(Known::PluginId)
    }

    /// `eventName`
    #[must_use]
    pub fn event_name(&self) -> Option<Cow<'a, str>> {
        self.text(Known::EventName)
    }

    /// `channelId`
    #[must_use]
    pub fn channel_id(&self) -> Option<Cow<'a, str>> {
        self.text(Known::ChannelId)
    }

    fn text(&self, wanted: Known) -> Option<Cow<'a, str>> {
        let bit = 1 << wanted as u8;
        let mut cursor = self.cursor.get();
        while self.seen.get() & bit == 0 {
            let next = cursor.next_member(self.bytes);
            self.cursor.set(cursor);
            let (key, value) = next?;
            let Some(known) = Known::from_key(&key) else {
                continue;
            };
            let seen = self.seen.get();
            if seen & (1 << known as u8) == 0 {
                self.seen.set(seen | 1 << known as u8);
                self.found[known as usize].set(Text::at(self.bytes, value));
            }
        }
        self.found[wanted as usize].get()?.read(self.bytes)
    }
}

impl fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("bytes", &self.bytes.len())
            .field("type", &self.type_name())
            .finish_non_exhaustive()
    }
}

/// A position among the members of what looks like an object.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    at: usize,
    /// `at` is at a value that was not passed yet.
    at_value: bool,
}

impl Cursor {
    fn start(bytes: &[u8]) -> Self {
        let at = space(bytes, 0);
        let at = if bytes.get(at) == Some(&b'{') {
            space(bytes, at + 1)
        } else {
            bytes.len()
        };
        Self {
            at,
            at_value: false,
        }
    }

    /// The next member's key and the position of its value; `None` for good at the end and where the bytes are no
    /// object.
    fn next_member<'a>(&mut self, bytes: &'a [u8]) -> Option<(Cow<'a, [u8]>, usize)> {
        let member = self.step(bytes);
        if member.is_none() {
            *self = Self {
                at: bytes.len(),
                at_value: false,
            };
        }
        member
    }

    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<(Cow<'a, [u8]>, usize)> {
        if self.at_value {
            let comma = space(bytes, pass_value(bytes, self.at)?);
            self.at = (bytes.get(comma) == Some(&b',')).then(|| space(bytes, comma + 1))?;
        }
        let key = Text::at(bytes, self.at)?;
        let colon = space(bytes, key.quote + 1);
        let value = (bytes.get(colon) == Some(&b':')).then(|| space(bytes, colon + 1))?;
        (self.at, self.at_value) = (value, true);
        let key = if key.escaped {
            Cow::Owned(key.decoded(bytes)?.into_bytes())
        } else {
            Cow::Borrowed(&bytes[key.start..key.quote])
        };
        Some((key, value))
    }
}

/// A string between its quotes.
#[derive(Debug, Clone, Copy)]
struct Text {
    start: usize,
    /// Position of the closing quote.
    quote: usize,
    escaped: bool,
}

impl Text {
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        (bytes.get(at) == Some(&b'"')).then_some(())?;
        let (quote, escaped) = json::string(bytes, at + 1).ok()?;
        Some(Self {
            start: at + 1,
            quote,
            escaped,
        })
    }

    fn read(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        if self.escaped {
            return self.decoded(bytes).map(Cow::Owned);
        }
        std::str::from_utf8(&bytes[self.start..self.quote])
            .ok()
            .map(Cow::Borrowed)
    }

    fn decoded(self, bytes: &[u8]) -> Option<String> {
        serde_json::from_slice(&bytes[self.start - 1..=self.quote]).ok()
    }
}

/// The position behind a value that is believed to be one: brackets are counted and not told apart.
fn pass_value(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0usize);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = Text::at(bytes, at)?.quote + 1;
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
    use super::Scan;

    fn members(text: &str) -> [Option<String>; 3] {
        let scan = Scan::new(text.as_bytes());
        [scan.type_name(), scan.server_id(), scan.request_id()].map(|found| found.map(String::from))
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn members_are_found_wherever_they_stand() {
        assert_eq!(
            members(r#"{"type":"typing","serverId":"s1","requestId":7}"#),
            [some("typing"), some("s1"), None]
        );
        let behind = r#" { "payload" : {"type":"no", "x":["}",{"serverId":"\""}]} , "n":-1.5e3 , "t\u0079pe":"typ\u0069ng" ,"b":true,"requestId":"r" } "#;
        assert_eq!(members(behind), [some("typing"), None, some("r")]);
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
            assert_eq!(members(nonsense), [None, None, None], "{nonsense}");
        }
    }

    #[test]
    fn members_are_found_in_whatever_order_they_are_asked_for() {
        let envelope = br#"{"requestId":"r","type":"plugin_event","payload":{"eventName":"no"},"eventName":"v\u006fte","serverId":"s","pluginId":1,"channelId":"c","type":"typing"}"#;
        let scan = Scan::new(envelope);
        assert_eq!(scan.channel_id().as_deref(), Some("c"));
        assert_eq!(scan.event_name().as_deref(), Some("vote"));
        assert_eq!(scan.plugin_id(), None, "it is no text");
        assert_eq!(
            scan.type_name().as_deref(),
            Some("plugin_event"),
            "the first one counts"
        );
        assert_eq!(scan.server_id().as_deref(), Some("s"));
        assert_eq!(scan.request_id().as_deref(), Some("r"));
    }

    #[test]
    fn the_type_is_known_before_the_rest_is_read() {
        let name = |text: &str| {
            Scan::new(text.as_bytes())
                .envelope_type()
                .map(|kind| kind.name)
        };
        assert_eq!(name(r#"{"type":"typing","serverId":"s1"}"#), Some("typing"));
        assert_eq!(
            name(r#"{"serverId":{"type":"x"},"type":"chat_message""#),
            Some("chat_message")
        );
        for none in [
            r#"{"type":{"type":"typing"}}"#,
            r#"{"type":"absent"}"#,
            r#"{"serverId":"typing"}"#,
            "typing",
        ] {
            assert_eq!(name(none), None, "{none}");
        }
    }
}
