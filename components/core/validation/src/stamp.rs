//! Stamping by byte patches: server-set members replace the client's; all other bytes stay unchanged.

use envelope::{Envelope, verdict::Patch};
use std::borrow::Cow;

/// The patches of one envelope.
pub(crate) struct Stamp<'e, 'b> {
    envelope: &'e Envelope<'b>,
    replaced: Vec<Patch>,
    /// Members that are missing, as `,"key":value` each.
    added: String,
}

impl<'e, 'b> Stamp<'e, 'b> {
    pub(crate) fn new(envelope: &'e Envelope<'b>) -> Self {
        Self {
            envelope,
            replaced: Vec::new(),
            added: String::new(),
        }
    }

    /// Sets a member to a text.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.json(key, &quoted(value));
    }

    /// Sets a member to JSON.
    pub(crate) fn json(&mut self, key: &str, value: &str) {
        match self.envelope.member(key) {
            Some(member) if member.raw == value => {}
            Some(member) => self.replaced.push(Patch {
                offset: member.span.start as u32,
                remove: member.span.len() as u32,
                insert: value.as_bytes().to_vec(),
            }),
            None => {
                self.added.push_str(",\"");
                self.added.push_str(key);
                self.added.push_str("\":");
                self.added.push_str(value);
            }
        }
    }

    /// The patches in order. Added members begin with a comma, since an envelope has at least the member `type`.
    pub(crate) fn patches(mut self) -> Vec<Patch> {
        self.replaced.sort_unstable_by_key(|patch| patch.offset);
        if !self.added.is_empty() {
            self.replaced.push(Patch {
                offset: self.envelope.end() as u32,
                remove: 0,
                insert: self.added.into_bytes(),
            });
        }
        self.replaced
    }
}

/// JSON of a text; the usual text needs no escapes.
fn quoted(text: &str) -> Cow<'_, str> {
    let plain = text
        .bytes()
        .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        return Cow::Owned(["\"", text, "\""].concat());
    }
    serde_json::to_string(text).map_or(Cow::Borrowed("\"\""), Cow::Owned)
}
