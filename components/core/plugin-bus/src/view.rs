//! The parts of an envelope that plugins see. What a plugin does not change stays as it was, byte by byte.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Number, value::RawValue};

/// A chat message as plugins see it.
#[derive(Debug)]
pub struct ChatView<'a> {
    envelope: &'a [u8],
    /// The channel, as the client names it.
    pub channel_id: Option<String>,
    /// The text; empty if the message has none.
    pub text: String,
    /// The text as it stands in the envelope.
    raw_text: Option<&'a RawValue>,
}

impl<'a> ChatView<'a> {
    /// Reads a `chat_message` envelope; `None` if it is not one. A message is a text, or an object with `content` or
    /// `text`.
    #[must_use]
    pub fn read(envelope: &'a [u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Chat<'a> {
            channel_id: Option<String>,
            #[serde(borrow)]
            message: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Parts<'a> {
            #[serde(borrow)]
            content: Option<&'a RawValue>,
            #[serde(borrow)]
            text: Option<&'a RawValue>,
        }
        let chat: Chat<'a> = serde_json::from_slice(envelope).ok()?;
        let raw_text = match serde_json::from_str::<Parts<'a>>(chat.message.get()) {
            Ok(parts) => parts.content.or(parts.text),
            Err(_) => Some(chat.message),
        };
        let text = raw_text.and_then(|raw| serde_json::from_str(raw.get()).ok());
        Some(Self {
            envelope,
            channel_id: chat.channel_id,
            text: text.unwrap_or_default(),
            raw_text,
        })
    }

    /// The envelope with another text and nothing else changed; `None` if the message has no text to replace.
    #[must_use]
    pub fn with_text(&self, text: &str) -> Option<Bytes> {
        let raw = self.raw_text?.get();
        // The text is a part of the envelope, so the difference of their addresses is its offset.
        let start = (raw.as_ptr() as usize).checked_sub(self.envelope.as_ptr() as usize)?;
        let before = self.envelope.get(..start)?;
        let after = self.envelope.get(start + raw.len()..)?;
        let text = serde_json::to_vec(text).ok()?;
        Some([before, &text, after].concat().into())
    }
}

/// A plugin event as plugins see it. The event's names come with the [`Offer`](crate::Offer).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventView<'a> {
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    /// The user that sent the event.
    pub source_user_id: Option<String>,
    /// The plugin's own user, if a plugin sent the event.
    pub source_plugin_user_id: Option<String>,
    emitted_at: Option<Number>,
}

impl<'a> EventView<'a> {
    /// Reads a `plugin_event` envelope; `None` if it is not JSON.
    #[must_use]
    pub fn read(envelope: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(envelope).ok()
    }

    /// The payload as JSON text.
    #[must_use]
    pub fn payload(&self) -> &'a str {
        self.payload.map_or("null", RawValue::get)
    }

    /// When the server stamped the event, milliseconds since 1970; 0 if it did not.
    #[must_use]
    pub fn emitted_at_ms(&self) -> u64 {
        self.emitted_at
            .as_ref()
            .and_then(Number::as_u64)
            .unwrap_or_default()
    }
}
