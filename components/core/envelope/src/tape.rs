//! A JSON value as a flat list of slots that refer to the text it was read from.
//!
//! It replaces a tree of owned values, which would be most of the cost of checking a payload; a reused tape allocates
//! nothing. [`Tape::read`] reads the structure. [`Tape::prove`] then refuses values that two readers could understand
//! differently; it must succeed before a value is used. Neither recurses.

use crate::json::{self, Fault, Sink};
use limits::envelope::{LINEAR_MEMBERS_MAX, SLOTS_KEPT_MAX};

/// Marks a container without a sorted list.
const UNSORTED: u32 = u32::MAX;
/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number that is certainly finite.
    Number,
    /// A number that [`Tape::prove`] has to check.
    Wide,
    /// A text or key without escapes.
    Text,
    /// A text or key with escapes, not decoded yet.
    Escaped,
    /// A text or key that was written with escapes, decoded.
    Decoded,
    /// Its elements follow.
    Array,
    /// Its members follow, a key and a value each.
    Object,
}

/// One value or key.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// What it is.
    pub kind: Kind,
    /// First byte of a text or number; of an object the offset into the list of sorted members.
    start: u32,
    /// Byte behind a text or number; of a container the slot behind its last element.
    end: u32,
    /// Elements or members of a container.
    pub count: u32,
}

/// Why a value that is legal JSON is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Beyond 64-bit floating point.
    #[error("has a number that is out of range")]
    Number,
    /// An object with a member twice.
    #[error("has an object with a member twice")]
    Duplicate,
    /// A lone surrogate.
    #[error("has a string with a lone surrogate")]
    Surrogate,
}

/// The slots of one value; slot 0 is its root. It does not hold the text.
#[derive(Debug, Default)]
pub struct Tape {
    slots: Vec<Slot>,
    /// Texts that were written with escapes, without them.
    decoded: String,
    /// Key slots of large objects in the order of their names.
    sorted: Vec<u32>,
    /// The innermost open container; its `end` holds the index of the enclosing one until it is closed.
    open: u32,
}

impl Sink for Tape {
    fn text(&mut self, start: usize, end: usize, escaped: bool) {
        self.push(if escaped { Kind::Escaped } else { Kind::Text }, start, end);
    }

    fn number(&mut self, start: usize, end: usize, wide: bool) {
        self.push(if wide { Kind::Wide } else { Kind::Number }, start, end);
    }

    fn word(&mut self, letter: u8) {
        let kind = match letter {
            b't' => Kind::True,
            b'f' => Kind::False,
            _ => Kind::Null,
        };
        self.push(kind, 0, 0);
    }

    fn open(&mut self, is_object: bool) {
        let outside = self.open as usize;
        self.open = self.slots.len() as u32;
        self.push(
            if is_object { Kind::Object } else { Kind::Array },
            UNSORTED as usize,
            outside,
        );
    }

    fn element(&mut self) {
        self.slots[self.open as usize].count += 1;
    }

    fn close(&mut self) {
        let end = self.slots.len() as u32;
        let slot = &mut self.slots[self.open as usize];
        self.open = slot.end;
        slot.end = end;
    }
}

impl Tape {
    /// An empty tape with room for a value of so many bytes.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        Self {
            slots: Vec::with_capacity(bytes / 8 + 4),
            ..Self::default()
        }
    }

    /// Empties the tape. Storage of usual size is kept.
    pub fn clear(&mut self) {
        if self.slots.capacity() > SLOTS_KEPT_MAX {
            *self = Self::default();
        }
        self.slots.clear();
        self.decoded.clear();
        self.sorted.clear();
        self.open = 0;
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Reads the value at `at` of `text`, which lies within `depth` containers. Returns the position behind it.
    ///
    /// # Errors
    /// See [`Fault`]; the tape is empty then.
    pub fn read(&mut self, text: &str, at: usize, depth: usize) -> Result<usize, Fault> {
        self.clear();
        if u32::try_from(text.len()).is_err() {
            return Err(Fault::Syntax(u32::MAX as usize));
        }
        let end = json::read(text, at, depth, self);
        if end.is_err() {
            self.clear();
        }
        end
    }

    /// Decodes escapes, and refuses values that two readers could understand differently. `text` is the text that was
    /// read.
    ///
    /// # Errors
    /// See [`Flaw`].
    pub fn prove(&mut self, text: &str) -> Result<(), Flaw> {
        // Backwards, so that the keys of an object are decoded before they are compared.
        for at in (0..self.slots.len()).rev() {
            let slot = self.slots[at];
            match slot.kind {
                Kind::Object if slot.count > 1 => self.distinct(text, at)?,
                Kind::Escaped => self.decode(text, at)?,
                Kind::Wide => {
                    let number = &text[slot.start as usize..slot.end as usize];
                    if !number.parse::<f64>().is_ok_and(f64::is_finite) {
                        return Err(Flaw::Number);
                    }
                    self.slots[at].kind = Kind::Number;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A view of the tape with the text it was read from.
    #[must_use]
    pub fn view<'a>(&'a self, text: &'a str) -> View<'a> {
        View {
            text,
            decoded: &self.decoded,
            slots: &self.slots,
            sorted: &self.sorted,
            is_ascii: text.is_ascii(),
        }
    }

    /// Replaces the content by one text.
    pub fn become_text(&mut self, text: &str) {
        self.clear();
        self.decoded.push_str(text);
        self.push(Kind::Decoded, 0, text.len());
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        self.slots.push(Slot {
            kind,
            start: start as u32,
            end: end as u32,
            count: 0,
        });
    }

    /// Decodes an escaped text, surrogate pairs included.
    fn decode(&mut self, text: &str, at: usize) -> Result<(), Flaw> {
        let slot = self.slots[at];
        let quoted = text
            .get(slot.start as usize - 1..=slot.end as usize)
            .ok_or(Flaw::Surrogate)?;
        let decoded: String = serde_json::from_str(quoted).map_err(|_| Flaw::Surrogate)?;
        let start = self.decoded.len();
        self.decoded.push_str(&decoded);
        self.slots[at] = Slot {
            kind: Kind::Decoded,
            start: start as u32,
            end: self.decoded.len() as u32,
            count: 0,
        };
        Ok(())
    }

    /// Refuses duplicate members; sorts the members of a large object.
    fn distinct(&mut self, text: &str, at: usize) -> Result<(), Flaw> {
        let Self {
            slots,
            decoded,
            sorted,
            ..
        } = self;
        let (text, decoded) = (text.as_bytes(), decoded.as_bytes());
        let name = |key: u32| {
            let slot = slots[key as usize];
            let source = if slot.kind == Kind::Decoded {
                decoded
            } else {
                text
            };
            &source[slot.start as usize..slot.end as usize]
        };
        let object = slots[at];
        let mut members = Members {
            slots: &*slots,
            at: at as u32 + 1,
            end: object.end,
        };
        if object.count as usize <= LINEAR_MEMBERS_MAX {
            // Length and last byte differ for most names.
            let mut seen = [(0u32, 0u32); LINEAR_MEMBERS_MAX];
            for count in 0.. {
                let Some(key) = members.next() else {
                    return Ok(());
                };
                let own = name(key);
                let mark =
                    (own.len() as u32) << 8 | u32::from(own.last().copied().unwrap_or_default());
                if seen[..count]
                    .iter()
                    .any(|(other_mark, other)| *other_mark == mark && name(*other) == own)
                {
                    return Err(Flaw::Duplicate);
                }
                seen[count] = (mark, key);
            }
            return Ok(());
        }
        let start = sorted.len();
        sorted.extend(members);
        let keys = &mut sorted[start..];
        keys.sort_unstable_by(|left, right| name(*left).cmp(name(*right)));
        if keys.windows(2).any(|pair| name(pair[0]) == name(pair[1])) {
            return Err(Flaw::Duplicate);
        }
        slots[at].start = start as u32;
        Ok(())
    }
}

/// Key slots of one object.
struct Members<'a> {
    slots: &'a [Slot],
    at: u32,
    end: u32,
}

impl Iterator for Members<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let key = self.at;
        (key < self.end).then(|| {
            self.at = after(self.slots, key + 1);
            key
        })
    }
}

/// The slot behind the value at `at`.
fn after(slots: &[Slot], at: u32) -> u32 {
    let slot = slots[at as usize];
    if matches!(slot.kind, Kind::Array | Kind::Object) {
        slot.end
    } else {
        at + 1
    }
}

/// A tape that was proven, with its text.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    text: &'a str,
    decoded: &'a str,
    slots: &'a [Slot],
    sorted: &'a [u32],
    is_ascii: bool,
}

impl<'a> View<'a> {
    /// The slot at `at`.
    #[must_use]
    pub fn slot(&self, at: u32) -> Slot {
        self.slots[at as usize]
    }

    /// The slot behind the value at `at`.
    #[must_use]
    pub fn after(&self, at: u32) -> u32 {
        after(self.slots, at)
    }

    /// The slot behind the last one of the container at `at`.
    #[must_use]
    pub fn end(&self, at: u32) -> u32 {
        self.slot(at).end
    }

    /// The characters of a text, key or number.
    #[must_use]
    pub fn text(&self, slot: Slot) -> &'a str {
        let source = if slot.kind == Kind::Decoded {
            self.decoded
        } else {
            self.text
        };
        &source[slot.start as usize..slot.end as usize]
    }

    /// How many characters a text has.
    #[must_use]
    pub fn chars(&self, slot: Slot) -> u64 {
        if self.is_ascii && slot.kind == Kind::Text {
            return u64::from(slot.end - slot.start);
        }
        // Continuation bytes are not counted.
        self.text(slot)
            .bytes()
            .filter(|byte| byte & 0xc0 != 0x80)
            .count() as u64
    }

    /// The value slot of the member `key` in the object at `at`.
    #[must_use]
    pub fn member(&self, at: u32, key: &str) -> Option<u32> {
        let object = self.slot(at);
        if object.start != UNSORTED {
            let sorted = &self.sorted[object.start as usize..][..object.count as usize];
            let found =
                sorted.binary_search_by(|candidate| self.text(self.slot(*candidate)).cmp(key));
            return found.ok().map(|index| sorted[index] + 1);
        }
        let mut members = Members {
            slots: self.slots,
            at: at + 1,
            end: object.end,
        };
        members
            .find(|slot| self.text(self.slot(*slot)) == key)
            .map(|slot| slot + 1)
    }
}
