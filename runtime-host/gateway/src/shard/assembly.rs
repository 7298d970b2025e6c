//! Fragmented messages and frames that arrive in pieces: pieces are joined, and text is checked as UTF-8 while it
//! arrives.
//!
//! No memory is reserved for bytes that a header only announces. Headers are read by [`crate::frame`].

use crate::frame::{Opcode, Violation, close, unmask};
use limits::socket::{FRAGMENTS_MAX, UNFINISHED_BYTES_MAX};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A text message on its way in: in fragments, or in a frame that is not whole yet.
#[derive(Debug, Default)]
pub struct Assembly {
    /// The bytes that have arrived, unmasked.
    pub bytes: Vec<u8>,
    /// Frames so far.
    pub fragments: usize,
    /// The number of bytes that are known to be UTF-8.
    checked: usize,
    /// The frame whose payload is still arriving.
    pub arriving: Option<Arriving>,
    /// When it began, milliseconds of the shard's clock.
    pub since_ms: u32,
    /// The bytes that it takes of those that all unfinished messages share.
    reserved: Reserved,
}

/// Bytes of unfinished messages of all connections.
#[derive(Debug, Clone, Default)]
pub struct UnfinishedBytes(Arc<AtomicUsize>);

/// A part of [`UnfinishedBytes`], given back when it is dropped.
#[derive(Debug, Default)]
struct Reserved {
    of: UnfinishedBytes,
    bytes: usize,
}

impl Reserved {
    /// Takes more; false if there is not enough.
    fn grow(&mut self, bytes: usize) -> bool {
        let shared = &self.of.0;
        if shared.fetch_add(bytes, Ordering::Relaxed) + bytes > UNFINISHED_BYTES_MAX {
            shared.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The missing part of a data frame whose header has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arriving {
    /// Last frame of its message.
    pub fin: bool,
    /// Masking key, turned so that its first byte is for the next byte.
    pub mask: [u8; 4],
    /// Bytes still to come.
    pub missing: usize,
}

impl Assembly {
    /// A message that begins at `now_ms`, whose bytes are of `shared`.
    #[must_use]
    pub fn begin(shared: &UnfinishedBytes, now_ms: u32) -> Self {
        Self {
            since_ms: now_ms,
            reserved: Reserved {
                of: shared.clone(),
                bytes: 0,
            },
            ..Self::default()
        }
    }

    /// Takes the part of the arriving frame's payload that is in `bytes`, unmasked in place; returns its length. Without
    /// `keep` nothing is collected.
    ///
    /// # Errors
    /// The unfinished messages of all connections have [`UNFINISHED_BYTES_MAX`].
    pub fn take(&mut self, bytes: &mut [u8], keep: bool) -> Result<usize, Violation> {
        let Some(arriving) = &mut self.arriving else {
            return Ok(0);
        };
        let taken = arriving.missing.min(bytes.len());
        if keep {
            if !self.reserved.grow(taken) {
                return Err(TOO_MUCH_UNFINISHED);
            }
            let payload = &mut bytes[..taken];
            unmask(payload, arriving.mask);
            // A header is only a claim: memory grows with the bytes that arrive, and never beyond the claim.
            let room = self.bytes.len().max(taken).min(arriving.missing);
            if self.bytes.capacity() - self.bytes.len() < taken {
                self.bytes.reserve_exact(room);
            }
            self.bytes.extend_from_slice(payload);
        }
        arriving.mask.rotate_left(taken % 4);
        arriving.missing -= taken;
        Ok(taken)
    }

    /// Ends the arriving frame if it is whole: `Some(true)` if it is the last one of its message.
    #[must_use]
    pub fn finish(&mut self) -> Option<bool> {
        let fin = self.arriving.filter(|arriving| arriving.missing == 0)?.fin;
        self.arriving = None;
        Some(fin)
    }

    /// Checks the text that has arrived so far (RFC 6455 section 8.1); false if it can never become UTF-8.
    #[must_use]
    pub fn check(&mut self, last: bool) -> bool {
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => {
                self.checked = self.bytes.len();
                true
            }
            Err(error) => {
                self.checked += error.valid_up_to();
                !last && error.error_len().is_none()
            }
        }
    }

    /// Drops the message; only the end of the arriving frame is remembered, so that the frames after it can be read.
    pub(crate) fn forget(assembly: &mut Option<Box<Self>>) {
        let arriving = assembly.take().and_then(|assembly| assembly.arriving);
        *assembly = arriving.map(|arriving| {
            Box::new(Self {
                arriving: Some(arriving),
                ..Self::default()
            })
        });
    }
}

/// A message that is not, or can no longer become, UTF-8 (RFC 6455 section 8.1).
pub const NOT_UTF8: Violation = Violation {
    code: close::INVALID_UTF8,
    reason: "text is not UTF-8",
};

/// Too much of messages that are not finished.
const TOO_MUCH_UNFINISHED: Violation = Violation {
    code: close::TRY_LATER,
    reason: "overloaded: too many messages are arriving at once",
};

/// What is wrong with a data frame at this place of a message (RFC 6455 section 5.4).
#[must_use]
pub fn misplaced(opcode: Opcode, assembly: Option<&Assembly>) -> Option<Violation> {
    let (code, reason) = match (opcode, assembly) {
        (Opcode::Continuation, None) => (close::PROTOCOL, "continuation of nothing"),
        (Opcode::Text | Opcode::Binary, Some(_)) => {
            (close::PROTOCOL, "a message began inside another")
        }
        (_, Some(assembly)) if assembly.fragments >= FRAGMENTS_MAX => {
            (close::TOO_BIG, "too many fragments")
        }
        _ => return None,
    };
    Some(Violation { code, reason })
}

#[cfg(test)]
mod tests {
    use super::{Arriving, Assembly, UnfinishedBytes};
    use limits::socket::UNFINISHED_BYTES_MAX;
    use std::sync::atomic::Ordering;

    #[test]
    fn text_is_checked_as_it_arrives() {
        let with = |bytes: &[u8]| Assembly {
            bytes: bytes.to_vec(),
            ..Assembly::default()
        };
        let half = &"ä".as_bytes()[..1];
        assert!(with(half).check(false), "half a character may be completed");
        assert!(!with(half).check(true), "but not at the end");
        let mut assembly = with(half);
        assert!(assembly.check(false));
        assembly.bytes.push(0xff);
        assert!(
            !assembly.check(false),
            "what can never be UTF-8 is refused at once"
        );
    }

    #[test]
    fn a_payload_may_arrive_in_any_pieces() {
        let plain: Vec<u8> = (0..50).collect();
        let mask = [7, 200, 3, 99];
        for piece in 1..=plain.len() {
            let mut masked = plain.clone();
            crate::frame::unmask(&mut masked, mask);
            masked.extend_from_slice(b"next frame");
            let arriving = Some(Arriving {
                fin: true,
                mask,
                missing: plain.len(),
            });
            let mut assembly = Assembly {
                arriving,
                ..Assembly::default()
            };
            let mut at = 0;
            while assembly.finish().is_none() {
                let end = (at + piece).min(masked.len());
                at += assembly.take(&mut masked[at..end], true).expect("room");
            }
            assert_eq!(
                (at, assembly.bytes.as_slice()),
                (plain.len(), plain.as_slice()),
                "pieces of {piece}"
            );
            assert!(
                assembly.bytes.capacity() <= plain.len(),
                "no room for more than was claimed"
            );
        }
    }

    #[test]
    fn a_dropped_message_is_counted_and_not_kept() {
        let arriving = Some(Arriving {
            fin: false,
            mask: [1; 4],
            missing: 10,
        });
        let mut assembly = Some(Box::new(Assembly {
            bytes: vec![0; 100],
            fragments: 3,
            arriving,
            ..Assembly::default()
        }));
        Assembly::forget(&mut assembly);
        let mut assembly = assembly.expect("a frame is still arriving");
        assert_eq!(
            (
                assembly.take(&mut [0; 64], false).ok(),
                assembly.bytes.capacity()
            ),
            (Some(10), 0)
        );
        assert_eq!(assembly.finish(), Some(false));
        let mut whole = Some(Box::new(Assembly {
            bytes: vec![0; 100],
            ..Assembly::default()
        }));
        Assembly::forget(&mut whole);
        assert!(whole.is_none());
    }

    #[test]
    fn unfinished_messages_share_a_bound() {
        let shared = UnfinishedBytes::default();
        shared.0.store(UNFINISHED_BYTES_MAX - 60, Ordering::Relaxed);
        let begin = || {
            let mut assembly = Assembly::begin(&shared, 0);
            assembly.arriving = Some(Arriving {
                fin: false,
                mask: [0; 4],
                missing: 100,
            });
            assembly
        };
        let (mut first, mut second) = (begin(), begin());
        assert_eq!(first.take(&mut [0; 50], true).ok(), Some(50));
        assert!(second.take(&mut [0; 50], true).is_err());
        drop(first);
        assert_eq!(second.take(&mut [0; 50], true).ok(), Some(50));
        drop(second);
        assert_eq!(shared.0.load(Ordering::Relaxed), UNFINISHED_BYTES_MAX - 60);
    }
}
