//! The inbox of a shard, filled by other shards, the async runtime and the acceptor. Beyond its bound content is
//! dropped, and the receivers are closed so that they notice.

use crate::{hub::ConnRef, metrics::Metrics, shard::message::Message};
use limits::socket::{SHARD_INBOX_BYTES_MAX, SHARD_INBOX_MAX};
use parking_lot::Mutex;
use std::{collections::HashSet, sync::Arc};

/// A shard's inbox: many writers, one reader, one wake per batch.
#[derive(Debug, Clone)]
pub(crate) struct ShardHandle {
    inbox: Arc<Mutex<Inbox>>,
    waker: Arc<mio::Waker>,
    dropped: prometheus_client::metrics::counter::Counter,
}

/// The messages that wait for a shard.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub messages: Vec<Message>,
    /// Bytes of content among them.
    pub bytes: usize,
    /// Receivers whose content was dropped.
    pub lost: HashSet<Lost>,
}

/// Connections whose content was dropped because the inbox was full; they are closed, so that their clients come back
/// to the present state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lost {
    /// The joined connections of a room.
    Room(u64),
    /// One connection.
    Conn(ConnRef),
}

impl ShardHandle {
    /// A handle whose reader is woken by `waker`.
    pub(crate) fn new(waker: Arc<mio::Waker>, metrics: &Metrics) -> Self {
        Self {
            inbox: Arc::default(),
            waker,
            dropped: metrics.inbox_dropped.clone(),
        }
    }

    /// Enqueues a message that must arrive: presence, answers, control. Their number is bounded by connections and
    /// rooms.
    pub(crate) fn send(&self, message: Message) {
        let mut inbox = self.inbox.lock();
        inbox.messages.push(message);
        if inbox.messages.len() == 1 {
            drop(inbox);
            if let Err(error) = self.waker.wake() {
                tracing::error!(%error, "a shard could not be woken");
            }
        }
    }

    /// Enqueues content for the shard. If its inbox is full, the message is dropped and counted, and its receivers are
    /// recorded in `lost`.
    pub(crate) fn send_content(&self, message: Message) {
        let bytes = message.content_bytes();
        {
            let mut inbox = self.inbox.lock();
            if inbox.messages.len() >= SHARD_INBOX_MAX
                || inbox.bytes + bytes > SHARD_INBOX_BYTES_MAX
            {
                self.dropped.inc();
                match message {
                    Message::Room { room, .. } => inbox.lost.insert(Lost::Room(room.index)),
                    Message::Direct { to, .. } => inbox.lost.insert(Lost::Conn(to)),
                    _ => false,
                };
                return;
            }
            inbox.bytes += bytes;
        }
        self.send(message);
    }

    /// Swaps everything that waits with `into`, which is empty.
    pub(crate) fn take(&self, into: &mut Inbox) {
        std::mem::swap(&mut *self.inbox.lock(), into);
    }
}

#[cfg(test)]
mod tests {
    use super::{Inbox, Lost, ShardHandle};
    use crate::{hub::ConnRef, metrics::Metrics, shard::message::Message};
    use bytes::Bytes;
    use limits::socket::{MESSAGE_BYTES_MAX, SHARD_INBOX_BYTES_MAX, SHARD_INBOX_MAX};

    #[test]
    fn content_is_bounded_in_bytes() {
        let poll = mio::Poll::new().expect("a poll");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        let handle = ShardHandle::new(waker.into(), &Metrics::default());
        let to = ConnRef {
            shard: 0,
            slot: 1,
            generation: 0,
        };
        let frame = Bytes::from(vec![b'x'; MESSAGE_BYTES_MAX]);
        let send = || {
            handle.send_content(Message::Direct {
                to,
                frame: frame.clone(),
                sender: to,
                peer: None,
            });
        };
        let fits = SHARD_INBOX_BYTES_MAX / MESSAGE_BYTES_MAX;
        (0..=fits).for_each(|_| send());
        let mut inbox = Inbox::default();
        handle.take(&mut inbox);
        let lost: Vec<_> = inbox.lost.drain().collect();
        assert_eq!((inbox.messages.len(), lost), (fits, vec![Lost::Conn(to)]));
        send();
        let mut inbox = Inbox::default();
        handle.take(&mut inbox);
        assert_eq!(inbox.messages.len(), 1, "there is room again");
    }

    #[test]
    fn a_full_inbox_records_the_receivers_of_dropped_content() {
        let poll = mio::Poll::new().expect("a poll");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        let handle = ShardHandle::new(waker.into(), &Metrics::default());
        let [kept, missed] = [1, 2].map(|slot| ConnRef {
            shard: 0,
            slot,
            generation: 0,
        });
        let direct = |to| Message::Direct {
            to,
            frame: Bytes::new(),
            sender: kept,
            peer: None,
        };
        (0..SHARD_INBOX_MAX).for_each(|_| handle.send_content(direct(kept)));
        handle.send_content(direct(missed));
        handle.send(Message::Drain);
        let mut inbox = Inbox::default();
        handle.take(&mut inbox);
        assert_eq!(
            inbox.messages.len(),
            SHARD_INBOX_MAX + 1,
            "a control message is never dropped"
        );
        assert_eq!(
            inbox.lost.into_iter().collect::<Vec<_>>(),
            [Lost::Conn(missed)]
        );
        assert_eq!(handle.dropped.get(), 1);
    }
}
