//! A shard: one thread that owns sockets in a readiness loop and has its own validator instances.
//!
//! One turn of the loop: take the inbox, read readable sockets, validate and perform, then flush every connection with pending output in one
//! vectored write. Nothing here blocks; requests to the directory are answered through the inbox.

pub mod assembly;
pub(crate) mod connection;
pub(crate) mod handshake;
pub(crate) mod inbox;
pub(crate) mod liveness;
pub(crate) mod queue;
pub(crate) mod reading;
pub(crate) mod timer;
pub(crate) mod writing;

use crate::{
    directory::{Answer, state::ServerView},
    frame::close,
    http_handoff::HttpHandoff,
    hub::{ConnRef, Hub},
    metrics::Metrics,
    plugins::{
        decisions::{Deadline, first_ticket},
        publish::Publication,
    },
    room::{Room, outbox::LocalRoom},
    shard::{
        connection::{Conn, Phase},
        inbox::{Inbox, Lost, ShardHandle},
        liveness::Timeouts,
        timer::Wheel,
        writing::Tally,
    },
};
use bytes::Bytes;
use envelope::Validator;
use limits::socket::{
    DRAIN_TIMEOUT_MS, HEAD_BYTES_MAX, READ_BYTES_PER_TURN, RECONNECT_SPREAD_MS, TIMER_TICK_MS,
};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use plugin_bus::{Outcome, Ticket};
use std::{
    collections::{HashMap, VecDeque},
    io,
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// What arrives in a shard's inbox.
#[derive(Debug)]
pub(crate) enum Message {
    /// A new socket.
    Accept(TcpStream, IpAddr),
    /// A frame for one connection; `from` is recorded for signalling answers.
    Direct {
        /// The receiver.
        to: ConnRef,
        /// The frame.
        frame: Bytes,
        /// Sender and its connection.
        from: (Arc<str>, ConnRef),
    },
    /// A frame for the joined connections of a room.
    Room {
        /// The room.
        room: Arc<Room>,
        /// What and to whom.
        delivery: Delivery,
        /// Place in the room's order of presence events; connections that joined later do not get it.
        sequence: Option<u64>,
    },
    /// A server's rules or plugins changed.
    Revised {
        /// The room.
        room: Arc<Room>,
        /// The new view.
        view: Arc<ServerView>,
    },
    /// The directory's answer to this connection's request.
    Answer {
        /// The connection that asked.
        to: ConnRef,
        /// The answer.
        answer: Answer,
    },
    /// What plugins decided about the envelope that waits under this ticket.
    Decided {
        /// Names the envelope.
        ticket: Ticket,
        /// The decision.
        outcome: Outcome,
    },
    /// An envelope of a plugin.
    Publish(Box<Publication>),
    /// The process ends.
    Drain,
}

/// A frame and to whom it goes.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// The encoded frame, shared by all receivers.
    pub frame: Bytes,
    /// The sending connection.
    pub skip: Option<ConnRef>,
    /// Which of the joined connections get it.
    pub filter: Filter,
    /// Coalescing key: a queued frame with the same key is replaced. 0 means never.
    pub coalesce: u64,
}

/// Which of a room's joined connections get a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    /// All.
    All,
    /// Those of one identity.
    User(Arc<str>),
    /// Those that declared a plugin.
    Plugin(Arc<str>),
}

#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub generation: u32,
    pub conn: Option<Conn>,
}

/// The connection in a slot, where other parts of the shard are borrowed as well; see [`Shard::conn`].
pub(crate) fn conn_at(slots: &mut [Slot], slot: u32) -> Option<&mut Conn> {
    slots.get_mut(slot as usize)?.conn.as_mut()
}

/// One thread's sockets.
pub(crate) struct Shard {
    pub index: u16,
    pub hub: Arc<Hub>,
    pub shards: Arc<[ShardHandle]>,
    pub judge: Box<dyn Validator>,
    pub slots: Vec<Slot>,
    pub rooms: HashMap<u64, LocalRoom>,
    pub now_ms: u32,
    pub(crate) free: Vec<u32>,
    /// Connections whose request head was awaited, oldest first; those at the front still are.
    pub(crate) heads: VecDeque<ConnRef>,
    pub(crate) http_handoff: HttpHandoff,
    pub(crate) poll: Poll,
    pub(crate) inbox: Inbox,
    pub(crate) ready: Vec<u32>,
    pub(crate) dirty: Vec<u32>,
    /// Rooms whose outbox holds something, and since when the first of them.
    pub(crate) dirty_rooms: Vec<u64>,
    pub(crate) rooms_dirty_ms: Option<u32>,
    /// Counts the flushes of rooms; see [`Conn::spoke`].
    pub(crate) flushes: u32,
    pub(crate) tally: Tally,
    /// Counts validator calls, of which some are timed.
    pub(crate) judgements: u32,
    /// Connections whose validator answered `later`, to be asked again at the next tick; at most one entry for each.
    pub(crate) undecided: Vec<ConnRef>,
    /// Pending decisions of plugins by ticket; at most one for each connection.
    pub(crate) waiting: HashMap<Ticket, Deadline>,
    pub(crate) next_ticket: Ticket,
    pub(crate) ticked_ms: u32,
    pub(crate) wheel: Wheel,
    pub(crate) timeouts: Timeouts,
    pub(crate) draining_ms: Option<u32>,
    pub(crate) buffer: Vec<u8>,
}

pub(crate) const WAKER: Token = Token(usize::MAX);

impl Shard {
    pub(crate) fn new(
        index: u16,
        hub: Arc<Hub>,
        shards: Arc<[ShardHandle]>,
        judge: Box<dyn Validator>,
        http_handoff: HttpHandoff,
        poll: Poll,
    ) -> Self {
        let now_ms = hub.monotonic_ms();
        let timeouts = Timeouts::new(&hub.config);
        Self {
            index,
            hub,
            shards,
            judge,
            slots: Vec::new(),
            rooms: HashMap::new(),
            now_ms,
            free: Vec::new(),
            heads: VecDeque::new(),
            http_handoff,
            poll,
            inbox: Inbox::default(),
            ready: Vec::new(),
            dirty: Vec::new(),
            dirty_rooms: Vec::new(),
            rooms_dirty_ms: None,
            flushes: 1,
            tally: Tally::default(),
            judgements: 0,
            undecided: Vec::new(),
            waiting: HashMap::new(),
            next_ticket: first_ticket(index),
            ticked_ms: now_ms,
            wheel: Wheel::new(now_ms),
            timeouts,
            draining_ms: None,
            buffer: vec![0; READ_BYTES_PER_TURN],
        }
    }

    /// Runs until the process drains and the last connection is gone.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            let wait_ms = if self.ready.is_empty() {
                self.idle_ms()
            } else {
                Some(0)
            };
            match self
                .poll
                .poll(&mut events, wait_ms.map(Duration::from_millis))
            {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            self.now_ms = self.hub.monotonic_ms();
            for event in &events {
                if event.token() != WAKER {
                    self.on_event(event);
                }
            }
            self.take_inbox();
            for slot in std::mem::take(&mut self.ready) {
                self.read_turn(slot);
            }
            self.flush_dirty();
            self.keep_time();
            if let Some(since) = self.draining_ms {
                let open = self.slots.iter().any(|slot| slot.conn.is_some());
                if !open || self.now_ms.wrapping_sub(since) >= DRAIN_TIMEOUT_MS as u32 {
                    return Ok(());
                }
            }
        }
    }

    // ---- slots

    pub(crate) fn reference(&self, slot: u32) -> ConnRef {
        ConnRef {
            shard: self.index,
            slot,
            generation: self.slots[slot as usize].generation,
        }
    }

    pub(crate) fn conn(&mut self, slot: u32) -> Option<&mut Conn> {
        conn_at(&mut self.slots, slot)
    }

    /// The slot a reference names, while it still does.
    pub(crate) fn resolve(&self, reference: ConnRef) -> Option<u32> {
        let slot = self.slots.get(reference.slot as usize)?;
        (slot.generation == reference.generation && slot.conn.is_some()).then_some(reference.slot)
    }

    /// The request head is over, one way or the other.
    pub(crate) fn end_head(&mut self, slot: u32, phase: Phase) {
        let now_ms = self.now_ms;
        let Some(conn) = self.conn(slot) else { return };
        let was = std::mem::replace(&mut conn.phase, phase);
        conn.since_ms = now_ms;
        if was == Phase::Head {
            self.hub.half_open.fetch_sub(1, Ordering::AcqRel);
        }
        self.schedule(slot);
    }

    pub(crate) fn accept(&mut self, mut stream: TcpStream, address: IpAddr) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        if let Err(error) = self.poll.registry().register(
            &mut stream,
            Token(slot as usize),
            Interest::READABLE | Interest::WRITABLE,
        ) {
            tracing::warn!(%error, "a socket could not be registered");
            self.hub.half_open.fetch_sub(1, Ordering::AcqRel);
            self.free.push(slot);
            return;
        }
        let now = self.now_ms;
        let place = &mut self.slots[slot as usize];
        place.conn = Some(Conn {
            stream,
            phase: Phase::Head,
            address,
            admitted: false,
            unread: Vec::new(),
            assembly: None,
            queue: None,
            session: None,
            since_ms: now,
            seen_ms: now,
            pinged_ms: now,
            due_tick: None,
            readable: false,
            dirty: false,
            ready: false,
            hung_up: false,
            spoke: 0,
        });
        let newest = self.reference(slot);
        self.schedule(slot);
        self.heads.push_back(newest);
        self.cut_half_open(newest);
    }

    /// Drops the oldest incomplete request heads if there are too many: an honest head takes milliseconds.
    fn cut_half_open(&mut self, newest: ConnRef) {
        while let Some(oldest) = self.heads.front().copied() {
            let slot = self.resolve(oldest).filter(|slot| {
                self.slots[*slot as usize]
                    .conn
                    .as_ref()
                    .is_some_and(|conn| conn.phase == Phase::Head)
            });
            match slot {
                None => {}
                Some(slot)
                    if oldest != newest
                        && self.hub.half_open.load(Ordering::Acquire) > self.hub.half_open_max =>
                {
                    Metrics::count(&self.hub.metrics.handshakes_refused, "half_open");
                    self.drop_conn(slot);
                }
                Some(_) => return,
            }
            self.heads.pop_front();
        }
    }

    /// Removes a connection from the shard, its rooms and its user. Returns its socket.
    pub(crate) fn drop_conn(&mut self, slot: u32) -> Option<TcpStream> {
        self.part(slot);
        let place = self.slots.get_mut(slot as usize)?;
        let mut conn = place.conn.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot);
        if conn.admitted {
            self.hub.release(conn.address);
        }
        match conn.phase {
            Phase::Open => Metrics::count(&self.hub.metrics.closed, "1006"),
            Phase::Head => _ = self.hub.half_open.fetch_sub(1, Ordering::AcqRel),
            Phase::Closing { .. } => {}
        }
        if let Err(error) = self.poll.registry().deregister(&mut conn.stream) {
            tracing::debug!(%error, "a socket could not be deregistered");
        }
        Some(conn.stream)
    }

    // ---- readiness

    fn on_event(&mut self, event: &mio::event::Event) {
        let slot = event.token().0 as u32;
        let Some(conn) = self.conn(slot) else { return };
        let hung_up = event.is_read_closed() || event.is_error();
        if event.is_readable() || hung_up {
            conn.readable = true;
            conn.hung_up |= hung_up;
            if !conn.ready {
                conn.ready = true;
                self.ready.push(slot);
            }
        }
        if event.is_writable() && self.conn(slot).is_some_and(|conn| conn.queue.is_some()) {
            self.flush(slot);
        }
    }

    // ---- inbox and time

    pub(crate) fn take_inbox(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox);
        self.shards[usize::from(self.index)].take(&mut inbox);
        for message in inbox.messages.drain(..) {
            match message {
                Message::Accept(stream, address) => self.accept(stream, address),
                Message::Direct { to, frame, from } => {
                    if let Some(slot) = self.resolve(to) {
                        self.remember_peer(slot, from);
                        self.push(slot, frame, 0);
                    }
                }
                Message::Room {
                    room,
                    delivery,
                    sequence,
                } => self.deliver(room.index, delivery, sequence),
                Message::Revised { room, view } => self.revised(&room, &view),
                Message::Answer { to, answer } => self.answered(to, answer),
                Message::Decided { ticket, outcome } => self.decided(ticket, outcome),
                Message::Publish(publication) => self.publish(*publication),
                Message::Drain => self.draining_ms = Some(self.now_ms),
            }
        }
        for lost in inbox.lost.drain() {
            let slots: Vec<u32> = match lost {
                Lost::Room(room) => self
                    .rooms
                    .get(&room)
                    .map(|local| local.joined.iter().map(|member| member.slot).collect())
                    .unwrap_or_default(),
                Lost::Conn(to) => self.resolve(to).into_iter().collect(),
            };
            for slot in slots {
                self.close(
                    slot,
                    close::TRY_LATER,
                    "overloaded: something that was meant for this connection was lost",
                );
            }
        }
        self.inbox = inbox;
    }

    /// Milliseconds until the shard has something to do by itself, if it ever has.
    fn idle_ms(&self) -> Option<u64> {
        let waits =
            self.draining_ms.is_some() || !self.waiting.is_empty() || !self.undecided.is_empty();
        let candidates = [
            self.rooms_linger_ms(),
            self.wheel.next_ms(self.now_ms),
            waits.then_some(TIMER_TICK_MS as u32),
        ];
        candidates.into_iter().flatten().min().map(u64::from)
    }

    /// Does what is due by the clock.
    fn keep_time(&mut self) {
        if self.now_ms.wrapping_sub(self.ticked_ms) >= TIMER_TICK_MS as u32 {
            self.ticked_ms = self.now_ms;
            if self.draining_ms.is_some() {
                self.drain_batch();
            }
            self.end_overdue_decisions();
            self.ask_judges_again();
        }
        self.check_deadlines();
        self.flush_dirty();
    }

    /// Closes a share of the connections with 1001 and advice when to come back, spread so that they do not come at once.
    pub(crate) fn drain_batch(&mut self) {
        const BATCH: usize = 1_000;
        let open: Vec<u32> = (0..self.slots.len() as u32)
            .filter(|slot| {
                self.slots[*slot as usize]
                    .conn
                    .as_ref()
                    .is_some_and(|conn| conn.phase == Phase::Open)
            })
            .take(BATCH)
            .collect();
        for slot in open {
            let spread = u64::from(slot.wrapping_mul(2_654_435_761)) % RECONNECT_SPREAD_MS;
            self.close(
                slot,
                close::GOING_AWAY,
                &format!("{{\"reconnectAfterMs\":{spread}}}"),
            );
        }
        let heads: Vec<u32> = (0..self.slots.len() as u32)
            .filter(|slot| {
                self.slots[*slot as usize]
                    .conn
                    .as_ref()
                    .is_some_and(|conn| conn.phase == Phase::Head)
            })
            .collect();
        for slot in heads {
            self.drop_conn(slot);
        }
    }
}

const _: () = assert!(
    HEAD_BYTES_MAX <= READ_BYTES_PER_TURN,
    "a request head fits one read"
);
