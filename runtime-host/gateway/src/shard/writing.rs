//! Writes frames to sockets: collected during a turn of the shard, written at its end.

use crate::{
    frame::{self, close},
    metrics::Metrics,
    room::outbox::{LocalRoom, Member, Outbox},
    shard::{
        Delivery, Filter, Shard,
        assembly::Assembly,
        conn_at,
        connection::{Conn, Phase},
        queue::{Pushed, Queue},
    },
};
use bytes::Bytes;
use limits::socket::OUTBOX_BYTES_MAX;
use std::{
    io::{self, Write},
    net::Shutdown,
};

const TOO_MUCH: &str = "slow: too much was waiting for this connection";

impl Shard {
    /// Queues a frame for one connection; flushed at the end of this turn.
    pub(crate) fn push(&mut self, slot: u32, frame: Bytes, coalesce: u64) {
        if !self.dirty_rooms.is_empty() {
            self.settle(slot);
        }
        let bytes_max = self.hub.config.socket.queue_bytes_max;
        let Some(conn) = conn_at(&mut self.slots, slot) else {
            return;
        };
        if conn.phase != Phase::Open {
            return;
        }
        let pushed = conn
            .queue
            .get_or_insert_default()
            .push(frame, coalesce, bytes_max);
        mark(&mut self.dirty, conn, slot);
        if self.tally.count(pushed) {
            self.close(slot, close::SLOW, TOO_MUCH);
        }
    }

    /// Sends one envelope to one connection.
    pub(crate) fn reply(&mut self, slot: u32, envelope: &[u8]) {
        self.push(slot, frame::text(envelope), 0);
    }

    /// Delivers to the joined connections of a room on this shard.
    pub(crate) fn deliver(&mut self, room: u64, delivery: Delivery, sequence: Option<u64>) {
        let index = self.index;
        let Some(local) = self.rooms.get_mut(&room) else {
            return;
        };
        let skip = delivery
            .skip
            .filter(|skip| skip.shard == index)
            .map(|skip| skip.slot);
        if delivery.filter == Filter::All {
            if local.outbox.is_empty() {
                self.dirty_rooms.push(room);
                self.rooms_dirty_ms.get_or_insert(self.now_ms);
            }
            local.outbox.push(delivery, skip, sequence);
            if let Some(conn) = skip.and_then(|skip| conn_at(&mut self.slots, skip)) {
                conn.spoke = self.flushes;
            }
            if local.outbox.bytes() > OUTBOX_BYTES_MAX {
                self.flush_room(room);
            }
            return;
        }
        let receivers: Vec<u32> = local
            .joined
            .iter()
            .map(|member| member.slot)
            .filter(|slot| Some(*slot) != skip)
            .collect();
        for slot in receivers {
            if self.accepts(slot, &delivery.filter) {
                self.push(slot, delivery.frame.clone(), delivery.coalesce);
            }
        }
    }

    /// Moves what its rooms have for a connection into its own queue, so that what is sent to it alone comes after.
    pub(crate) fn settle(&mut self, slot: u32) {
        let bytes_max = self.hub.config.socket.queue_bytes_max;
        let Some(conn) = conn_at(&mut self.slots, slot) else {
            return;
        };
        let (Phase::Open, Some(session)) = (conn.phase, conn.session.as_ref()) else {
            return;
        };
        let mut overflow = false;
        for place in session.rooms.iter().filter(|place| place.joined) {
            let Some(local) = self
                .rooms
                .get_mut(&place.room.index)
                .filter(|local| !local.outbox.is_empty())
            else {
                continue;
            };
            let LocalRoom { joined, outbox, .. } = local;
            let Some(member) = joined.get_mut(place.at as usize) else {
                continue;
            };
            overflow |= queue_due(&mut conn.queue, outbox, *member, bytes_max, &mut self.tally);
            member.from = outbox.len();
        }
        if conn.queue.is_some() {
            mark(&mut self.dirty, conn, slot);
        }
        if overflow {
            self.close(slot, close::SLOW, TOO_MUCH);
        }
    }

    /// Writes everything that was gathered; rooms wait for the linger that the operator grants them.
    pub(crate) fn flush_dirty(&mut self) {
        let lingers = self.rooms_linger_ms().is_some_and(|left_ms| left_ms > 0);
        while !self.dirty.is_empty() || !(lingers || self.dirty_rooms.is_empty()) {
            if !lingers {
                self.rooms_dirty_ms = None;
                for room in std::mem::take(&mut self.dirty_rooms) {
                    self.flush_room(room);
                }
                self.flushes = self.flushes.wrapping_add(1);
            }
            for slot in std::mem::take(&mut self.dirty) {
                self.flush(slot);
            }
        }
        self.tally.settle(&self.hub.metrics);
    }

    /// How long the rooms' frames may still wait; `None` when none wait.
    pub(crate) fn rooms_linger_ms(&self) -> Option<u32> {
        let waited_ms = self.now_ms.wrapping_sub(self.rooms_dirty_ms?);
        Some((self.hub.config.socket.linger_ms as u32).saturating_sub(waited_ms))
    }

    /// Writes a room's frames to its members: one write of shared memory for each member that keeps up.
    fn flush_room(&mut self, room: u64) {
        let (now_ms, flushes, bytes_max) = (
            self.now_ms,
            self.flushes,
            self.hub.config.socket.queue_bytes_max,
        );
        let Some(local) = self
            .rooms
            .get_mut(&room)
            .filter(|local| !local.outbox.is_empty())
        else {
            return;
        };
        let LocalRoom { joined, outbox, .. } = local;
        let wire = outbox.wire();
        let (mut slow, mut gone, mut behind) = (Vec::new(), Vec::new(), Vec::new());
        for member in joined.iter_mut() {
            let mine = *member;
            member.from = 0;
            let Some(conn) = conn_at(&mut self.slots, mine.slot) else {
                continue;
            };
            if conn.queue.is_none() && conn.spoke != flushes && outbox.all_due(mine) {
                self.tally.delivered += u64::from(outbox.len());
                match conn.stream.write(&wire) {
                    Ok(written) if written == wire.len() => continue,
                    Ok(written) => conn.queue = Some(rest(outbox, written, now_ms)),
                    Err(error)
                        if matches!(
                            error.kind(),
                            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                        ) =>
                    {
                        conn.queue = Some(rest(outbox, 0, now_ms));
                    }
                    Err(_) => {
                        gone.push(mine.slot);
                        continue;
                    }
                }
                behind.push(mine.slot);
                if conn
                    .queue
                    .as_ref()
                    .is_some_and(|queue| queue.bytes > bytes_max)
                {
                    slow.push(mine.slot);
                }
                continue;
            }
            if queue_due(&mut conn.queue, outbox, mine, bytes_max, &mut self.tally) {
                slow.push(mine.slot);
            }
            if conn.queue.is_some() {
                mark(&mut self.dirty, conn, mine.slot);
            }
        }
        outbox.clear();
        for slot in behind {
            self.schedule(slot);
        }
        for slot in slow {
            self.close(slot, close::SLOW, TOO_MUCH);
        }
        for slot in gone {
            self.drop_conn(slot);
        }
    }

    /// Puts a connection on the list of those with something to write.
    pub(crate) fn mark_dirty(&mut self, slot: u32) {
        if let Some(conn) = conn_at(&mut self.slots, slot) {
            mark(&mut self.dirty, conn, slot);
        }
    }

    pub(crate) fn flush(&mut self, slot: u32) {
        let now_ms = self.now_ms;
        let Some(conn) = self.conn(slot) else { return };
        conn.dirty = false;
        let done = match &mut conn.queue {
            Some(queue) => queue.flush(&mut conn.stream, now_ms),
            None => Ok(true),
        };
        match done {
            Ok(true) => {
                conn.queue = None;
                if conn.phase == (Phase::Closing { answered: true }) {
                    // RFC 6455 section 7.1.1: the server closes first. The socket goes when the peer's end is read, or at the deadline:
                    // closed with bytes unread, it would be reset, and the reset may overtake the close frame.
                    let _ = conn.stream.shutdown(Shutdown::Write);
                    conn.readable = true;
                    self.make_ready(slot);
                }
            }
            // The socket is behind: from now on its writer can stall.
            Ok(false) => self.schedule(slot),
            Err(_) => {
                self.drop_conn(slot);
            }
        }
    }

    /// Ends a connection with a close frame; it is part of nothing from now on.
    pub(crate) fn close(&mut self, slot: u32, code: u16, reason: &str) {
        self.start_closing(slot, code, reason, false);
    }

    pub(crate) fn start_closing(&mut self, slot: u32, code: u16, reason: &str, answered: bool) {
        self.part(slot);
        let now_ms = self.now_ms;
        let Some(conn) = self.conn(slot) else { return };
        if conn.phase != Phase::Open {
            return;
        }
        let queue = conn.queue.get_or_insert_default();
        if code == close::SLOW {
            // It did not read what waits; only a frame that is begun has to be ended before the close frame.
            queue.clear();
        }
        let _ = queue.push(frame::closing(code, reason), 0, usize::MAX);
        conn.phase = Phase::Closing { answered };
        conn.since_ms = now_ms;
        Assembly::forget(&mut conn.assembly);
        self.schedule(slot);
        self.mark_dirty(slot);
        Metrics::count(&self.hub.metrics.closed, code.to_string());
    }

    pub(crate) fn accepts(&mut self, slot: u32, filter: &Filter) -> bool {
        if *filter == Filter::All {
            return true;
        }
        let person = self
            .conn(slot)
            .and_then(|conn| conn.session.as_ref())
            .and_then(|session| session.person.as_ref());
        person.is_some_and(|person| match filter {
            Filter::All => true,
            Filter::User(user) => person.profile.user_id == *user,
            Filter::Plugin(plugin) => person
                .plugins
                .as_ref()
                .is_some_and(|plugins| plugins.iter().any(|id| **id == **plugin)),
        })
    }
}

fn mark(dirty: &mut Vec<u32>, conn: &mut Conn, slot: u32) {
    if !conn.dirty {
        conn.dirty = true;
        dirty.push(slot);
    }
}

/// Moves what is due to `member` into its connection's queue; whether that has overflown.
fn queue_due(
    queue: &mut Option<Box<Queue>>,
    outbox: &Outbox,
    member: Member,
    bytes_max: usize,
    tally: &mut Tally,
) -> bool {
    let mut overflow = false;
    for entry in outbox.due(member) {
        overflow |= tally.count(queue.get_or_insert_default().push(
            entry.frame.clone(),
            entry.coalesce,
            bytes_max,
        ));
    }
    overflow
}

/// The frames of a room's outbox that a socket did not take, `written` bytes of them being gone.
fn rest(outbox: &Outbox, written: usize, now_ms: u32) -> Box<Queue> {
    let frames = outbox.due(Member {
        slot: u32::MAX,
        since: 0,
        from: 0,
    });
    Box::new(Queue::behind(
        frames.map(|entry| (entry.frame.clone(), entry.coalesce)),
        written,
        now_ms,
    ))
}

/// What a turn did, added to the counters at its end: threads share the counters, and a delivery is a short thing.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub delivered: u64,
    pub coalesced: u64,
}

impl Tally {
    /// Counts a frame; whether its queue has overflown.
    fn count(&mut self, pushed: Pushed) -> bool {
        self.delivered += u64::from(pushed == Pushed::Added);
        self.coalesced += u64::from(pushed == Pushed::Replaced);
        pushed == Pushed::Overflow
    }

    fn settle(&mut self, metrics: &Metrics) {
        if self.delivered > 0 {
            metrics
                .delivered
                .inc_by(std::mem::take(&mut self.delivered));
        }
        if self.coalesced > 0 {
            metrics
                .coalesced
                .inc_by(std::mem::take(&mut self.coalesced));
        }
    }
}
