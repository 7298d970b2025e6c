//! Frames that wait for one socket; the first may be partly written.

use crate::shard::coalesce::CoalesceKey;
use bytes::{Buf, Bytes};
use limits::socket::{COALESCE_FRAMES_MAX, QUEUE_SLACK, SLICES_MAX, SLOW_GRACE_MS};
use mio::net::TcpStream;
use std::{
    collections::VecDeque,
    io::{self, IoSlice, Write},
};

/// A frame that waits.
#[derive(Debug)]
struct Waiting {
    bytes: Bytes,
    /// A newer frame with the same key replaces this one.
    coalesce: Option<CoalesceKey>,
    begun: bool,
}

/// The frames that wait for a socket. Exists only while there are any.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    frames: VecDeque<Waiting>,
    pub bytes: usize,
    /// When the socket last refused or took bytes; `None` while it takes all of them.
    pub blocked_ms: Option<u32>,
}

/// Outcome of [`Queue::push`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Added,
    Replaced,
}

impl Queue {
    /// A queue for a socket that has just refused bytes: `frames` with their keys, of which `written` bytes were
    /// written.
    pub(crate) fn behind(
        frames: impl Iterator<Item = (Bytes, Option<CoalesceKey>)>,
        written: usize,
        now_ms: u32,
    ) -> Self {
        let frames: VecDeque<_> = frames
            .map(|(bytes, coalesce)| Waiting {
                bytes,
                coalesce,
                begun: false,
            })
            .collect();
        let bytes = frames.iter().map(|waiting| waiting.bytes.len()).sum();
        let mut queue = Self {
            frames,
            bytes,
            blocked_ms: Some(now_ms),
        };
        queue.advance(written);
        queue
    }

    /// Adds a frame; while the socket is behind, an older one with the same key is replaced.
    pub(crate) fn push(&mut self, frame: Bytes, coalesce: Option<CoalesceKey>) -> Pushed {
        if coalesce.is_some() && self.blocked_ms.is_some() {
            let older = self
                .frames
                .iter_mut()
                .rev()
                .take(COALESCE_FRAMES_MAX)
                .find(|waiting| waiting.coalesce == coalesce && !waiting.begun);
            if let Some(older) = older {
                self.bytes = self.bytes - older.bytes.len() + frame.len();
                older.bytes = frame;
                return Pushed::Replaced;
            }
        }
        self.bytes += frame.len();
        self.frames.push_back(Waiting {
            bytes: frame,
            coalesce,
            begun: false,
        });
        Pushed::Added
    }

    /// Whether more waits than may, after the socket has refused it: far more than `bytes_max`, or more without a byte
    /// that was taken lately. A client that reads is not slow for what one frame costs, whatever that is.
    pub(crate) fn is_slow(&self, bytes_max: usize, now_ms: u32) -> bool {
        let stalled = |since_ms| u64::from(now_ms.wrapping_sub(since_ms)) >= SLOW_GRACE_MS;
        self.bytes > bytes_max
            && self.frames.len() > 1
            && (self.blocked_ms.is_some_and(stalled)
                || self.has_more_than(bytes_max.saturating_mul(QUEUE_SLACK)))
    }

    /// Whether more bytes than these wait beside the largest frame.
    fn has_more_than(&self, bytes: usize) -> bool {
        let largest = || self.frames.iter().map(|waiting| waiting.bytes.len()).max();
        self.bytes > bytes && self.bytes - largest().unwrap_or_default() > bytes
    }

    /// Drops everything but a frame that is partly written already.
    pub(crate) fn clear(&mut self) {
        self.frames.retain(|waiting| waiting.begun);
        self.bytes = self.frames.iter().map(|waiting| waiting.bytes.len()).sum();
    }

    /// Writes as much as the socket takes; whether nothing is left.
    pub(crate) fn flush(&mut self, stream: &mut TcpStream, now_ms: u32) -> io::Result<bool> {
        while !self.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            for (slice, waiting) in slices.iter_mut().zip(&self.frames) {
                *slice = IoSlice::new(&waiting.bytes);
                count += 1;
            }
            let written = if count == 1 {
                stream.write(&slices[0])
            } else {
                stream.write_vectored(&slices[..count])
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.advance(written);
                    if self.blocked_ms.is_some() {
                        self.blocked_ms = Some(now_ms);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked_ms.get_or_insert(now_ms);
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.frames.front_mut() {
            if first.bytes.len() > written {
                first.bytes.advance(written);
                first.begun |= written > 0;
                return;
            }
            written -= first.bytes.len();
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pushed, Queue};
    use crate::shard::coalesce::CoalesceKey;
    use bytes::Bytes;

    #[test]
    fn a_queue_replaces_older_frames_while_the_socket_is_behind() {
        let mut queue = Queue::default();
        let key = Some(CoalesceKey::requirements(7));
        assert_eq!(queue.push(Bytes::from_static(b"aaaa"), key), Pushed::Added);
        assert_eq!(
            queue.push(Bytes::from_static(b"bbbb"), key),
            Pushed::Added,
            "nothing is replaced while the socket keeps up"
        );
        queue.blocked_ms = Some(1);
        assert_eq!(queue.push(Bytes::from_static(b"cc"), key), Pushed::Replaced);
        assert_eq!(queue.bytes, 6);
        let _ = queue.push(Bytes::from_static(b"ddddd"), None);
        queue.advance(2);
        queue.clear();
        assert_eq!(queue.bytes, 2, "the begun frame stays");
        assert_eq!(queue.push(Bytes::from_static(b"e"), key), Pushed::Added);
    }

    #[test]
    fn a_queue_is_slow_by_what_the_socket_refuses_and_for_how_long() {
        let mut queue = Queue::default();
        let push = |queue: &mut Queue| queue.push(Bytes::from_static(b"aaaa"), None);
        (0..3).for_each(|_| _ = push(&mut queue));
        assert!(!queue.is_slow(10, 0), "nothing was refused yet");
        queue.blocked_ms = Some(5_000);
        assert!(!queue.is_slow(10, 5_999), "it may just have begun");
        assert!(queue.is_slow(10, 6_000) && !queue.is_slow(12, 6_000));
        (0..8).for_each(|_| _ = push(&mut queue));
        assert!(
            !queue.is_slow(10, 5_000),
            "not more than four times as much beside a frame"
        );
        let _ = push(&mut queue);
        assert!(queue.is_slow(10, 5_000), "more than four times as much");
        let mut large = Queue::behind([(Bytes::from_static(b"a roster"), None)].into_iter(), 1, 0);
        large.push(Bytes::from(vec![b'x'; 1_000]), None);
        assert!(
            !large.is_slow(10, 999),
            "a client that reads gets a large frame"
        );
        assert!(large.is_slow(10, 1_000), "one that does not read is slow");
        let mut one = Queue::default();
        one.push(Bytes::from_static(b"a frame that was made here"), None);
        one.blocked_ms = Some(0);
        assert!(
            !one.is_slow(10, 60_000),
            "a stalled writer has its own deadline"
        );
    }
}
