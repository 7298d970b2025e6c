//! A shard: one thread that owns sockets in a readiness loop and has its own instances of the validator chain.
//!
//! One turn of the loop: take the inbox, read readable sockets, validate and perform, then write to each connection
//! with pending output once. Nothing here blocks; requests to the directory and to plugins are answered through the
//! inbox.

pub mod assembly;
pub(crate) mod coalesce;
pub(crate) mod handshake;
pub(crate) mod inbox;
pub(crate) mod message;
mod queue;
mod reading;
pub(crate) mod sockets;

use crate::{
    frame::close,
    http_handoff::HttpHandoff,
    hub::Hub,
    session::Sessions,
    shard::{
        inbox::{Inbox, Lost, ShardHandle},
        message::{Message, Receivers},
        sockets::{Sockets, connection::Phase},
    },
};
use envelope::Validator;
use limits::socket::{
    DRAIN_BATCH_MAX, DRAIN_TIMEOUT_MS, HEAD_BYTES_MAX, READ_BYTES_PER_TURN, RECONNECT_SPREAD_MS,
    TIMER_TICK_MS,
};
use mio::{Events, Poll, Token};
use std::{io, sync::Arc, time::Duration};

/// The token of the event that announces messages in the inbox.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// One thread's sockets, with the sessions on top of them.
pub(crate) struct Shard {
    hub: Arc<Hub>,
    poll: Poll,
    handle: ShardHandle,
    inbox: Inbox,
    sessions: Sessions,
    http_handoff: HttpHandoff,
    /// Bytes are read into this one, whichever socket they come from.
    buffer: Vec<u8>,
    ticked_ms: u32,
    draining_since_ms: Option<u32>,
}

impl Shard {
    /// Shard `index` of `shards`, whose inbox wakes `poll`.
    ///
    /// # Errors
    /// The system refuses another handle of the poll.
    pub(crate) fn new(
        index: u16,
        hub: Arc<Hub>,
        shards: Arc<[ShardHandle]>,
        validator: Box<dyn Validator>,
        http_handoff: HttpHandoff,
        poll: Poll,
    ) -> io::Result<Self> {
        let sockets = Sockets::new(index, hub.clone(), poll.registry().try_clone()?);
        Ok(Self {
            ticked_ms: sockets.now_ms(),
            handle: shards[usize::from(index)].clone(),
            sessions: Sessions::new(hub.clone(), shards, sockets, validator),
            hub,
            poll,
            inbox: Inbox::default(),
            http_handoff,
            buffer: vec![0; READ_BYTES_PER_TURN],
            draining_since_ms: None,
        })
    }

    /// Runs until the process drains and the last connection is gone.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !self.is_drained() {
            let wait = self.idle_ms().map(Duration::from_millis);
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            self.sessions.sockets.set_now(self.hub.monotonic_ms());
            for event in &events {
                if event.token() != WAKER {
                    self.sessions.sockets.on_event(event);
                }
            }
            self.sessions.remove_ended();
            self.take_inbox();
            for slot in self.sessions.sockets.take_ready() {
                self.read_turn(slot);
            }
            self.flush();
            self.keep_time();
        }
        Ok(())
    }

    /// Writes everything that was collected, and removes the connections that end by it.
    fn flush(&mut self) {
        self.sessions.sockets.flush_dirty();
        self.sessions.remove_ended();
    }

    /// Milliseconds until the shard has something to do by itself, if it ever has.
    fn idle_ms(&self) -> Option<u64> {
        let sockets = &self.sessions.sockets;
        if sockets.has_ready() {
            return Some(0);
        }
        let needs_ticks = self.draining_since_ms.is_some()
            || self.sessions.is_waiting()
            || sockets.counts_are_due();
        let candidates = [
            sockets.rooms_linger_ms(),
            sockets.next_deadline_ms(),
            self.sessions.next_expiry_ms(),
            needs_ticks.then_some(TIMER_TICK_MS as u32),
        ];
        candidates.into_iter().flatten().min().map(u64::from)
    }

    /// Does what is due by the clock.
    fn keep_time(&mut self) {
        let now_ms = self.sessions.sockets.now_ms();
        if now_ms.wrapping_sub(self.ticked_ms) >= TIMER_TICK_MS as u32 {
            self.ticked_ms = now_ms;
            if self.draining_since_ms.is_some() {
                self.drain_batch();
            }
            self.sessions.tick();
            self.sessions.sockets.tell_counts();
        }
        self.sessions.end_expired();
        self.sessions.sockets.check_deadlines();
        self.sessions.remove_ended();
        self.flush();
    }

    // ---- inbox

    fn take_inbox(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox);
        self.handle.take(&mut inbox);
        inbox.bytes = 0;
        for message in inbox.messages.drain(..) {
            self.on_inbox(message);
        }
        for lost in inbox.lost.drain() {
            let sockets = &mut self.sessions.sockets;
            let slots = match lost {
                Lost::Room(room) => sockets.rooms().joined(room),
                Lost::Conn(to) => sockets.resolve(to).into_iter().collect(),
            };
            for slot in slots {
                sockets.close(
                    slot,
                    close::TRY_LATER,
                    "overloaded: something that was meant for this connection was lost",
                );
            }
        }
        self.sessions.remove_ended();
        self.inbox = inbox;
    }

    fn on_inbox(&mut self, message: Message) {
        match message {
            Message::Accept(stream, address) => self.sessions.sockets.accept(stream, address),
            Message::Adopt(socket) => self.adopt(socket),
            Message::Direct {
                to,
                frame,
                sender,
                peer,
            } => self.sessions.receive_direct(to, frame, sender, peer),
            Message::Undelivered(sender) => self.sessions.direct_undelivered(sender),
            Message::Room {
                room,
                delivery,
                sequence,
            } => {
                let sockets = &mut self.sessions.sockets;
                if let Receivers::Paging(false) = delivery.receivers {
                    sockets.rooms().roster_changed(&room);
                }
                sockets.deliver(room.index, delivery, sequence);
            }
            Message::Revised {
                room,
                view,
                is_restated,
            } => self.sessions.revised(&room, &view, is_restated),
            Message::MembersKnown { room, known } => self.sessions.members_known(&room, &known),
            Message::UserChanged { to, user_id, view } => {
                if let Some(slot) = self.sessions.sockets.resolve(to) {
                    self.sessions.user_changed(slot, &user_id, &view);
                }
            }
            Message::Reply(ticket, reply) => self.sessions.resolve(ticket, reply),
            Message::Publish(publication) => self.sessions.publish(*publication),
            Message::Drain => self.draining_since_ms = Some(self.sessions.sockets.now_ms()),
        }
        self.sessions.remove_ended();
    }

    // ---- the end of the process

    /// Closes a share of the connections with 1001 and advice when to come back, spread so that they do not come at
    /// once.
    fn drain_batch(&mut self) {
        let sockets = &mut self.sessions.sockets;
        let open: Vec<u32> = sockets
            .in_phase(Phase::Open)
            .take(DRAIN_BATCH_MAX)
            .collect();
        for slot in open {
            let spread_ms = u64::from(slot.wrapping_mul(2_654_435_761)) % RECONNECT_SPREAD_MS;
            let reason = format!("{{\"reconnectAfterMs\":{spread_ms}}}");
            sockets.close(slot, close::GOING_AWAY, &reason);
        }
        let heads: Vec<u32> = sockets.in_phase(Phase::Head).collect();
        for slot in heads {
            sockets.remove(slot);
        }
        self.sessions.remove_ended();
    }

    /// Whether the process ends, and the last connection is gone or the time for that is over.
    fn is_drained(&self) -> bool {
        let sockets = &self.sessions.sockets;
        self.draining_since_ms.is_some_and(|since_ms| {
            let passed_ms = sockets.now_ms().wrapping_sub(since_ms);
            sockets.is_empty() || passed_ms >= DRAIN_TIMEOUT_MS as u32
        })
    }
}

const _: () = assert!(
    HEAD_BYTES_MAX <= READ_BYTES_PER_TURN,
    "a request head fits one read"
);
