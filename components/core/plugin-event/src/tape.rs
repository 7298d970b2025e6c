//! A payload, parsed once into a flat list of slots that borrow the text.
//!
//! Building a tree of owned values is most of what checking a payload costs; this is the reader that spares it. It is a full and strict
//! JSON parser: what is not legal JSON, nests deeper than [`limits::envelope::JSON_DEPTH_MAX`], holds a number beyond 64-bit floating
//! point or a member twice is refused, so that no receiver can understand a checked payload differently. It does not recurse.

use envelope::decode::skip_plain;
use limits::envelope::JSON_DEPTH_MAX;

/// Objects with more members than this carry a sorted list of their members, so that lookups in them do not walk.
const LINEAR_MEMBERS_MAX: u32 = 8;
/// Stands where a container has no sorted list.
const UNSORTED: u32 = u32::MAX;

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    /// `start..end` in the text.
    Number,
    /// `start..end` in the text, between the quotes, without escapes.
    Text,
    /// `start..end` in [`Tape::decoded`].
    Decoded,
    /// `start` is unused, `end` the slot behind the last element, `count` elements.
    Array,
    /// As `Array`; members are a key slot and a value each. `start` is the offset into [`Tape::sorted`] or [`UNSORTED`].
    Object,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) kind: Kind,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) count: u32,
}

/// A parsed document. Slot 0 is its root.
#[derive(Debug, Default)]
pub(crate) struct Tape<'t> {
    text: &'t str,
    /// Texts that were written with escapes, without them.
    decoded: String,
    slots: Vec<Slot>,
    /// Key slots of large objects in the order of their names.
    sorted: Vec<u32>,
}

/// Why a text is no payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the payload is not JSON at byte {0}")]
    Json(usize),
    #[error("the payload is nested deeper than {JSON_DEPTH_MAX} levels")]
    Depth,
    #[error("the payload has a number that is out of range")]
    Number,
    #[error("the payload has an object with a member twice")]
    Duplicate,
}

impl<'t> Tape<'t> {
    /// Parses `text`.
    pub(crate) fn parse(text: &'t str) -> Result<Self, Malformed> {
        if u32::try_from(text.len()).is_err() {
            return Err(Malformed::Json(u32::MAX as usize));
        }
        let tape = Self { text, decoded: String::new(), slots: Vec::with_capacity(text.len() / 8 + 4), sorted: Vec::new() };
        let mut reader = Reader { bytes: text.as_bytes(), at: 0, tape, open: Vec::with_capacity(16) };
        reader.document()?;
        Ok(reader.tape)
    }

    /// Makes this a document that is one text, keeping its storage.
    pub(crate) fn become_text(&mut self, text: &str) {
        self.decoded.clear();
        self.decoded.push_str(text);
        self.slots.clear();
        self.slots.push(Slot { kind: Kind::Decoded, start: 0, end: self.decoded.len() as u32, count: 0 });
    }

    pub(crate) fn slot(&self, at: u32) -> Slot {
        self.slots[at as usize]
    }

    /// The slot behind the value at `at`.
    pub(crate) fn after(&self, at: u32) -> u32 {
        let slot = self.slot(at);
        if matches!(slot.kind, Kind::Array | Kind::Object) { slot.end } else { at + 1 }
    }

    /// The characters of a text, key or number.
    pub(crate) fn text(&self, slot: Slot) -> &str {
        let source = if slot.kind == Kind::Decoded { self.decoded.as_str() } else { self.text };
        &source[slot.start as usize..slot.end as usize]
    }

    /// The value slot of the member `key` in the object at `at`.
    pub(crate) fn member(&self, at: u32, key: &str) -> Option<u32> {
        let object = self.slot(at);
        if object.start != UNSORTED {
            let sorted = &self.sorted[object.start as usize..][..object.count as usize];
            let found = sorted.binary_search_by(|candidate| self.text(self.slot(*candidate)).cmp(key));
            return found.ok().map(|index| sorted[index] + 1);
        }
        let mut slot = at + 1;
        while slot < object.end {
            if self.text(self.slot(slot)) == key {
                return Some(slot + 1);
            }
            slot = self.after(slot + 1);
        }
        None
    }

    /// Refuses a member that stands twice in the finished object at `at`; sorts the members of a large one.
    fn finish_object(&mut self, at: u32) -> Result<(), Malformed> {
        let object = self.slot(at);
        let start = self.sorted.len();
        let mut slot = at + 1;
        while slot < object.end {
            self.sorted.push(slot);
            slot = self.after(slot + 1);
        }
        let Self { text, decoded, slots, sorted } = self;
        let (text, decoded) = (text.as_bytes(), decoded.as_bytes());
        let name = |key: &u32| {
            let slot = slots[*key as usize];
            let source = if slot.kind == Kind::Decoded { decoded } else { text };
            &source[slot.start as usize..slot.end as usize]
        };
        let keys = &mut sorted[start..];
        if object.count <= LINEAR_MEMBERS_MAX {
            let twice = keys.iter().enumerate().any(|(index, key)| keys[..index].iter().any(|other| name(other) == name(key)));
            sorted.truncate(start);
            return if twice { Err(Malformed::Duplicate) } else { Ok(()) };
        }
        keys.sort_unstable_by(|left, right| name(left).cmp(name(right)));
        if keys.windows(2).any(|pair| name(&pair[0]) == name(&pair[1])) {
            return Err(Malformed::Duplicate);
        }
        slots[at as usize].start = start as u32;
        Ok(())
    }
}

struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
    tape: Tape<'t>,
    /// Containers that are not closed yet.
    open: Vec<u32>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), Malformed> {
        loop {
            let opened = self.value()?;
            if opened {
                continue;
            }
            if self.close_and_continue()? {
                break;
            }
        }
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.wrong()) }
    }

    fn wrong(&self) -> Malformed {
        Malformed::Json(self.at)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        self.tape.slots.push(Slot { kind, start: start as u32, end: end as u32, count: 0 });
    }

    /// Reads a value, or the opening of a container that is not empty; then the next value to read is its first, and `true` is returned.
    fn value(&mut self) -> Result<bool, Malformed> {
        self.space();
        match self.bytes.get(self.at) {
            Some(b'"') => self.text()?,
            Some(b'{') => return self.opening(Kind::Object, b'}'),
            Some(b'[') => return self.opening(Kind::Array, b']'),
            Some(b't') => self.word(b"true", Kind::True)?,
            Some(b'f') => self.word(b"false", Kind::False)?,
            Some(b'n') => self.word(b"null", Kind::Null)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return Err(self.wrong()),
        }
        Ok(false)
    }

    fn opening(&mut self, kind: Kind, closing: u8) -> Result<bool, Malformed> {
        if self.open.len() >= JSON_DEPTH_MAX {
            return Err(Malformed::Depth);
        }
        self.at += 1;
        let slot = self.tape.slots.len();
        self.push(kind, UNSORTED as usize, slot + 1);
        self.space();
        if self.bytes.get(self.at) == Some(&closing) {
            self.at += 1;
            return Ok(false);
        }
        self.open.push(slot as u32);
        if kind == Kind::Object {
            self.key()?;
        }
        Ok(true)
    }

    /// After a value: goes on to the next one of its container, closing containers on the way. `true` at the end of the document.
    fn close_and_continue(&mut self) -> Result<bool, Malformed> {
        while let Some(container) = self.open.last().copied() {
            let slot = &mut self.tape.slots[container as usize];
            slot.count += 1;
            let is_object = slot.kind == Kind::Object;
            self.space();
            let byte = self.bytes.get(self.at).copied();
            self.at += 1;
            match byte {
                Some(b',') => {
                    if is_object {
                        self.space();
                        self.key()?;
                    }
                    return Ok(false);
                }
                Some(b'}') if is_object => {
                    self.open.pop();
                    self.tape.slots[container as usize].end = self.tape.slots.len() as u32;
                    self.tape.finish_object(container)?;
                }
                Some(b']') if !is_object => {
                    self.open.pop();
                    self.tape.slots[container as usize].end = self.tape.slots.len() as u32;
                }
                _ => return Err(Malformed::Json(self.at - 1)),
            }
        }
        Ok(true)
    }

    fn key(&mut self) -> Result<(), Malformed> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.wrong());
        }
        self.text()?;
        self.space();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err(self.wrong());
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<(), Malformed> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.wrong());
        }
        self.at += word.len();
        self.push(kind, 0, 0);
        Ok(())
    }

    fn text(&mut self) -> Result<(), Malformed> {
        let start = self.at + 1;
        let mut end = skip_plain(self.bytes, start);
        match self.bytes.get(end) {
            Some(b'"') => {
                self.at = end + 1;
                self.push(Kind::Text, start, end);
                return Ok(());
            }
            Some(b'\\') => {}
            _ => return Err(Malformed::Json(end)),
        }
        while let Some(b'\\') = self.bytes.get(end) {
            end = skip_plain(self.bytes, end + 2);
        }
        if self.bytes.get(end) != Some(&b'"') {
            return Err(Malformed::Json(end.min(self.bytes.len())));
        }
        // Escapes are rare and intricate: serde_json decodes them, surrogates included.
        let quoted = self.tape.text.get(self.at..=end).ok_or(Malformed::Json(end))?;
        let decoded: String = serde_json::from_str(quoted).map_err(|_| Malformed::Json(start))?;
        let from = self.tape.decoded.len();
        self.tape.decoded.push_str(&decoded);
        self.push(Kind::Decoded, from, from + decoded.len());
        self.at = end + 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut is_wide = self.at - start > 300;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            is_wide = true;
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        if is_wide && !self.tape.text[start..self.at].parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(Malformed::Number);
        }
        self.push(Kind::Number, start, self.at);
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        if self.at == start { Err(self.wrong()) } else { Ok(()) }
    }
}
