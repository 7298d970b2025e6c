//! The sockets of a shard: connections, their queues and deadlines, and the frames that wait for the members of rooms.
//! They own the connections with their sessions but never act on an envelope; the sessions act through [`Sockets`].
//!
//! A connection that ends here (it is too slow, its deadline has passed, its socket failed) is entered in a list, from
//! which the [sessions](crate::session) take it out of its rooms.

mod closing;
pub(in crate::shard) mod connection;
mod connections;
mod deadlines;
mod heads;
mod rooms;
mod wheel;
mod writing;

use crate::{
    address::AddressKey,
    frame::{self, close},
    hub::{ConnRef, Hub, Place},
    metrics::Metrics,
    room::local::LocalRooms,
    session::Session,
    shard::{coalesce::CoalesceKey, queue::Pushed},
};
use bytes::Bytes;
use connection::{Conn, Phase};
use connections::Connections;
use deadlines::Deadlines;
use heads::RequestHeads;
use limits::socket::DIRECT_QUEUE_SHARE;
use mio::{Interest, Registry, Token, net::TcpStream};
use std::{net::IpAddr, sync::Arc};

const TOO_MUCH: &str = "slow: too much was waiting for this connection";

/// A shard's sockets.
pub(crate) struct Sockets {
    hub: Arc<Hub>,
    registry: Registry,
    index: u16,
    connections: Connections,
    rooms: LocalRooms,
    heads: RequestHeads,
    deadlines: Deadlines,
    /// Slots with something to read.
    ready: Vec<u32>,
    /// Slots with something to write.
    dirty: Vec<u32>,
    /// Connections that ended by themselves and are still in their rooms.
    ended: Vec<ConnRef>,
    tally: Tally,
    /// Milliseconds of the hub's clock at the beginning of this turn.
    now_ms: u32,
}

impl Sockets {
    pub(in crate::shard) fn new(index: u16, hub: Arc<Hub>, registry: Registry) -> Self {
        let now_ms = hub.monotonic_ms();
        Self {
            registry,
            index,
            connections: Connections::new(index),
            rooms: LocalRooms::default(),
            heads: RequestHeads::default(),
            deadlines: Deadlines::new(&hub.config, now_ms),
            ready: Vec::new(),
            dirty: Vec::new(),
            ended: Vec::new(),
            tally: Tally::default(),
            now_ms,
            hub,
        }
    }

    /// Milliseconds of the hub's clock at the beginning of this turn.
    pub(crate) fn now_ms(&self) -> u32 {
        self.now_ms
    }

    pub(in crate::shard) fn set_now(&mut self, now_ms: u32) {
        self.now_ms = now_ms;
    }

    /// The shard that owns these sockets.
    pub(crate) fn shard(&self) -> u16 {
        self.index
    }

    /// The rooms of these connections.
    pub(crate) fn rooms(&mut self) -> &mut LocalRooms {
        &mut self.rooms
    }

    // ---- connections

    pub(in crate::shard) fn conn(&mut self, slot: u32) -> Option<&mut Conn> {
        self.connections.get_mut(slot)
    }

    /// The session of an open connection.
    pub(crate) fn session(&self, slot: u32) -> Option<&Session> {
        self.connections.session(slot)
    }

    /// The session of an open connection.
    pub(crate) fn session_mut(&mut self, slot: u32) -> Option<&mut Session> {
        self.connections.session_mut(slot)
    }

    /// The address by which limits count a connection.
    pub(crate) fn address(&self, slot: u32) -> Option<AddressKey> {
        self.connections.get(slot)?.address()
    }

    /// The reference by which other threads name the connection in a slot.
    pub(crate) fn reference(&self, slot: u32) -> ConnRef {
        self.connections.reference(slot)
    }

    /// The slot that a reference names, while it still does.
    pub(crate) fn resolve(&self, reference: ConnRef) -> Option<u32> {
        self.connections.resolve(reference)
    }

    pub(in crate::shard) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// The slots of the connections in a phase.
    pub(in crate::shard) fn in_phase(&self, phase: Phase) -> impl Iterator<Item = u32> {
        self.connections.select(move |conn| conn.phase == phase)
    }

    /// Takes a new socket. Too many without a place cost the oldest of them.
    pub(in crate::shard) fn accept(&mut self, stream: TcpStream, peer: IpAddr) {
        let Some(slot) = self.insert(Conn::new(stream, peer, self.now_ms)) else {
            return self.hub.admission.remove_placeless();
        };
        let newest = self.reference(slot);
        self.heads.push(newest);
        self.drop_oldest_heads(newest);
    }

    /// Takes a socket that has its place already, to be opened at once. `None` if the system refuses it.
    pub(in crate::shard) fn adopt(&mut self, stream: TcpStream, place: Place) -> Option<u32> {
        self.insert(Conn::placed(stream, place, self.now_ms))
    }

    fn insert(&mut self, mut conn: Conn) -> Option<u32> {
        let slot = self.connections.next_slot();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(slot as usize);
        if let Err(error) = self.registry.register(&mut conn.stream, token, interest) {
            tracing::warn!(%error, "a socket could not be registered");
            return None;
        }
        self.connections.insert(conn);
        self.schedule(slot);
        Some(slot)
    }

    /// Ends the request head: the connection is open from now on, or closing.
    pub(in crate::shard) fn end_head(&mut self, slot: u32, phase: Phase) {
        let Some(conn) = self.connections.get_mut(slot) else {
            return;
        };
        conn.phase = phase;
        conn.since_ms = self.now_ms;
        self.schedule(slot);
    }

    /// Gives a connection its place.
    pub(in crate::shard) fn admit(&mut self, slot: u32, place: Place) {
        if let Some(conn) = self.connections.get_mut(slot) {
            conn.set_place(place);
            self.hub.admission.remove_placeless();
        }
    }

    /// Opens the WebSocket of a connection whose request head was answered.
    pub(crate) fn open(&mut self, slot: u32, session: Session) {
        if let Some(conn) = self.connections.get_mut(slot) {
            (conn.seen_ms, conn.pinged_ms) = (self.now_ms, self.now_ms);
            conn.session = Some(Box::new(session));
            self.end_head(slot, Phase::Open);
        }
    }

    /// Removes a connection that is in no room any more. Returns its socket.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<TcpStream> {
        let mut conn = self.connections.remove(slot)?;
        if !conn.has_place() {
            self.hub.admission.remove_placeless();
        }
        if conn.phase == Phase::Open {
            Metrics::count(&self.hub.metrics.closed, "1006");
        }
        if let Err(error) = self.registry.deregister(&mut conn.stream) {
            tracing::debug!(%error, "a socket could not be deregistered");
        }
        Some(conn.stream)
    }

    // ---- reading

    /// Notes readiness that the kernel reported.
    pub(in crate::shard) fn on_event(&mut self, event: &mio::event::Event) {
        let slot = event.token().0 as u32;
        let Some(conn) = self.connections.get_mut(slot) else {
            return;
        };
        let hung_up = event.is_read_closed() || event.is_error();
        let is_behind = conn.queue.is_some();
        if event.is_readable() || hung_up {
            conn.set_readable(hung_up);
            self.make_ready(slot);
        }
        if event.is_writable() && is_behind {
            self.flush(slot);
        }
    }

    /// Enters a connection in the list of those to read from: the kernel has bytes, or it is paused no longer.
    pub(crate) fn make_ready(&mut self, slot: u32) {
        if let Some(conn) = self.connections.get_mut(slot)
            && !conn.ready
        {
            conn.ready = true;
            self.ready.push(slot);
        }
    }

    /// Takes the list of connections to read from.
    pub(in crate::shard) fn take_ready(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.ready)
    }

    pub(in crate::shard) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    // ---- sending to one connection

    /// Queues a frame for one connection; it is written at the end of this turn. A queued frame with the same key is
    /// replaced.
    pub(crate) fn push(&mut self, slot: u32, frame: Bytes, coalesce: Option<CoalesceKey>) {
        self.collect_room_frames(slot);
        let bytes_max = self.hub.config.socket.queue_bytes_max;
        let Some(conn) = self.connections.get_mut(slot) else {
            return;
        };
        if conn.phase != Phase::Open {
            return;
        }
        let queue = conn.queue.get_or_insert_default();
        self.tally.count(queue.push(frame, coalesce));
        let is_full = queue.bytes > bytes_max;
        mark_dirty(&mut self.dirty, conn, slot);
        if is_full {
            self.relieve(slot);
        }
    }

    /// Writes the queue of a connection in which more than it may have waits, and closes the connection if it is slow.
    fn relieve(&mut self, slot: u32) {
        self.flush(slot);
        let bytes_max = self.hub.config.socket.queue_bytes_max;
        let queue = self
            .connections
            .get_mut(slot)
            .and_then(|conn| conn.queue.as_ref());
        if queue.is_some_and(|queue| queue.is_slow(bytes_max, self.now_ms)) {
            self.close(slot, close::SLOW, TOO_MUCH);
        }
    }

    /// Whether an envelope of another user still fits the part of a connection's queue that such envelopes may fill.
    pub(crate) fn has_room_for_direct(&mut self, slot: u32, bytes: usize) -> bool {
        let bytes_max = self.hub.config.socket.queue_bytes_max / DIRECT_QUEUE_SHARE;
        let fits = |sockets: &mut Self| {
            let conn = sockets.connections.get_mut(slot);
            let queue = conn.and_then(|conn| conn.queue.as_ref());
            queue.is_none_or(|queue| queue.bytes + bytes <= bytes_max)
        };
        if fits(self) {
            return true;
        }
        self.flush(slot);
        fits(self)
    }

    /// Sends one envelope to one connection.
    pub(crate) fn send_envelope(&mut self, slot: u32, envelope: &[u8]) {
        self.push(slot, frame::text(envelope), None);
    }

    /// Sends the answer to a request head, and closes the connection once it is written.
    pub(in crate::shard) fn end_with(&mut self, slot: u32, response: Bytes) {
        if let Some(conn) = self.connections.get_mut(slot) {
            let queue = conn.queue.get_or_insert_default();
            let _ = queue.push(response, None);
            mark_dirty(&mut self.dirty, conn, slot);
            self.end_head(slot, Phase::Closing { answered: true });
        }
    }
}

/// Enters a connection in the list of those to write to.
fn mark_dirty(dirty: &mut Vec<u32>, conn: &mut Conn, slot: u32) {
    if !conn.dirty {
        conn.dirty = true;
        dirty.push(slot);
    }
}

/// Frames of a turn, added to the counters at its end: threads share the counters, and a delivery is a short thing.
#[derive(Debug, Default)]
struct Tally {
    delivered: u64,
    coalesced: u64,
}

impl Tally {
    /// Counts a frame.
    fn count(&mut self, pushed: Pushed) {
        match pushed {
            Pushed::Added => self.delivered += 1,
            Pushed::Replaced => self.coalesced += 1,
        }
    }

    fn add_to(&mut self, metrics: &Metrics) {
        if self.delivered > 0 {
            let delivered = std::mem::take(&mut self.delivered);
            metrics.delivered.inc_by(delivered);
        }
        if self.coalesced > 0 {
            let coalesced = std::mem::take(&mut self.coalesced);
            metrics.coalesced.inc_by(coalesced);
        }
    }
}
