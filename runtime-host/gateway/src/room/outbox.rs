//! The frames of a room in one turn of the shard: collected, then written to every receiver once.
//!
//! A receiver that keeps up gets all of a turn's frames in one write of bytes that all receivers share. A receiver that is
//! behind, has just joined or is a sender itself is served frame by frame. A connection gets a room's frames in order,
//! and before all frames that are sent to it alone later.

use crate::shard::{
    coalesce::CoalesceKey,
    message::{Delivery, Receivers},
};
use bytes::{Bytes, BytesMut};

/// A joined connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receiver {
    pub slot: u32,
    /// The last presence event that was part of the roster it got.
    pub since: u64,
    /// The first frame of the outbox that it may get and has not got.
    pub from: u32,
    /// It gets a large roster in pages.
    pub pages: bool,
}

impl Receiver {
    /// A receiver that gets every frame for those that page a large roster, or for those that do not.
    pub(crate) const fn any(pages: bool) -> Self {
        Self {
            slot: u32::MAX,
            since: 0,
            from: 0,
            pages,
        }
    }
}

/// Frames for all receivers, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: Vec<Entry>,
    bytes: usize,
    /// The oldest presence event among the entries.
    oldest: Option<u64>,
    /// An entry is not for all receivers.
    is_divided: bool,
}

/// One frame and the connection that does not get it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub frame: Bytes,
    /// A queued frame with the same key is replaced.
    pub coalesce: Option<CoalesceKey>,
    /// The sending connection's slot, when it is on this shard.
    skip: Option<u32>,
    /// Place in the room's order of presence events.
    sequence: Option<u64>,
    /// The receivers that get it: those that page a large roster, or those that do not.
    paging: Option<bool>,
}

impl Entry {
    /// Whether receivers that page, or do not, get it.
    fn is_for(&self, pages: bool) -> bool {
        self.paging.is_none_or(|paging| paging == pages)
    }
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Bytes that wait here.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, delivery: Delivery, skip: Option<u32>, sequence: Option<u64>) {
        self.bytes += delivery.frame.len();
        self.oldest = self.oldest.or(sequence);
        let paging = match delivery.receivers {
            Receivers::Paging(paging) => Some(paging),
            _ => None,
        };
        self.is_divided |= paging.is_some();
        self.entries.push(Entry {
            frame: delivery.frame,
            coalesce: delivery.coalesce,
            skip,
            sequence,
            paging,
        });
    }

    /// The entries that `receiver` may get and has not got.
    pub(crate) fn due(&self, receiver: Receiver) -> impl Iterator<Item = &Entry> {
        let due = self
            .entries
            .get(receiver.from as usize..)
            .unwrap_or_default();
        due.iter().filter(move |entry| {
            entry.is_for(receiver.pages)
                && entry.skip != Some(receiver.slot)
                && entry
                    .sequence
                    .is_none_or(|sequence| sequence > receiver.since)
        })
    }

    /// Whether `receiver`, unless it is a sender, gets every entry that is for its kind.
    pub(crate) fn all_due(&self, receiver: Receiver) -> bool {
        receiver.from == 0 && self.oldest.is_none_or(|oldest| oldest > receiver.since)
    }

    /// All frames as they go over the wire, for receivers that do not page and for those that do, each with the number
    /// of the frames.
    pub(crate) fn wires(&self) -> [(u32, Bytes); 2] {
        if !self.is_divided {
            let wire = (self.len(), self.wire(false));
            return [wire.clone(), wire];
        }
        [false, true].map(|pages| {
            let entries = self.entries.iter().filter(|entry| entry.is_for(pages));
            (entries.count() as u32, self.wire(pages))
        })
    }

    fn wire(&self, pages: bool) -> Bytes {
        if let [only] = &self.entries[..]
            && only.is_for(pages)
        {
            return only.frame.clone();
        }
        let mut wire = BytesMut::with_capacity(self.bytes);
        let entries = self.entries.iter().filter(|entry| entry.is_for(pages));
        entries.for_each(|entry| wire.extend_from_slice(&entry.frame));
        wire.freeze()
    }

    /// Drops all frames and keeps the memory for the next turn.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        (self.bytes, self.oldest, self.is_divided) = (0, None, false);
    }
}

#[cfg(test)]
mod tests {
    use super::{Outbox, Receiver};
    use crate::shard::message::{Delivery, Receivers};
    use bytes::Bytes;

    #[test]
    fn receivers_get_what_is_due_to_them() {
        let mut outbox = Outbox::default();
        let delivery = |text: &'static str| Delivery {
            frame: Bytes::from_static(text.as_bytes()),
            skip: None,
            receivers: Receivers::All,
            coalesce: None,
        };
        outbox.push(delivery("a"), Some(1), None);
        outbox.push(delivery("b"), None, Some(5));
        outbox.push(delivery("c"), None, Some(6));
        let due = |slot, since, from| -> String {
            outbox
                .due(Receiver {
                    slot,
                    since,
                    from,
                    pages: false,
                })
                .map(|entry| std::str::from_utf8(&entry.frame).expect("text"))
                .collect()
        };
        assert_eq!(due(0, 4, 0), "abc");
        assert_eq!(due(1, 4, 0), "bc", "the sender does not hear itself");
        assert_eq!(
            due(0, 5, 0),
            "ac",
            "what the roster said already is not told again"
        );
        assert_eq!(
            due(0, 0, 2),
            "c",
            "what was given already is not given again"
        );
        assert_eq!(due(0, 0, 9), "");
        let since = |since| Receiver {
            slot: 0,
            since,
            ..Receiver::any(false)
        };
        assert!(outbox.all_due(since(4)) && !outbox.all_due(since(5)));
        let wire = (3, Bytes::from_static(b"abc"));
        assert_eq!(outbox.wires(), [wire.clone(), wire]);
        assert_eq!((outbox.bytes(), outbox.len()), (3, 3));
        outbox.clear();
        assert!(outbox.is_empty() && outbox.all_due(since(9)));
    }

    #[test]
    fn a_frame_may_be_for_the_receivers_that_page_a_roster_or_for_the_others() {
        let mut outbox = Outbox::default();
        for (text, receivers) in [
            ("a", Receivers::All),
            ("b", Receivers::Paging(false)),
            ("c", Receivers::Paging(true)),
            ("d", Receivers::All),
        ] {
            let delivery = Delivery {
                frame: Bytes::from_static(text.as_bytes()),
                skip: None,
                receivers,
                coalesce: None,
            };
            outbox.push(delivery, None, None);
        }
        let wire = |text: &'static str| (3, Bytes::from_static(text.as_bytes()));
        assert_eq!(outbox.wires(), [wire("abd"), wire("acd")]);
        assert_eq!(outbox.due(Receiver::any(true)).count(), 3);
        outbox.clear();
        outbox.push(
            Delivery {
                frame: Bytes::from_static(b"e"),
                skip: None,
                receivers: Receivers::Paging(true),
                coalesce: None,
            },
            None,
            None,
        );
        let wires = [(0, Bytes::new()), (1, Bytes::from_static(b"e"))];
        assert_eq!(outbox.wires(), wires);
    }
}
