//! Sending to the members of rooms: the frames of a room are collected in its outbox and written to each member once.

use crate::{
    room::{
        local::LocalRoom,
        outbox::{Outbox, Receiver},
    },
    shard::{
        coalesce::CoalesceKey,
        message::{Delivery, Receivers},
        queue::Queue,
        sockets::{Sockets, Tally, connection::Phase, mark_dirty},
    },
};
use limits::socket::OUTBOX_BYTES_MAX;
use std::io::{self, Write};

impl Sockets {
    /// Delivers to the joined connections of a room on this shard.
    pub(crate) fn deliver(&mut self, room: u64, delivery: Delivery, sequence: Option<u64>) {
        let skip = delivery
            .skip
            .filter(|skip| skip.shard == self.index)
            .map(|skip| skip.slot);
        if let Receivers::User(_) | Receivers::Plugin(_) = delivery.receivers {
            return self.deliver_to_selected(room, &delivery, skip);
        }
        let Some(waiting_bytes) = self.rooms.push(room, delivery, skip, sequence, self.now_ms)
        else {
            return;
        };
        if let Some(conn) = skip.and_then(|skip| self.connections.get_mut(skip)) {
            conn.sent_in_flush = self.rooms.flushes();
        }
        if waiting_bytes > OUTBOX_BYTES_MAX {
            self.flush_room(room);
        }
    }

    /// Whether connections wait for the number of a room's users.
    pub(in crate::shard) fn counts_are_due(&self) -> bool {
        self.rooms.has_uncounted()
    }

    /// Tells the connections that page large rosters how many users there are now, as far as they are due to hear it.
    pub(in crate::shard) fn tell_counts(&mut self) {
        for room in self.rooms.take_uncounted(self.now_ms) {
            let delivery = Delivery {
                frame: room.count(),
                skip: None,
                receivers: Receivers::Paging(true),
                coalesce: Some(CoalesceKey::count(room.index)),
            };
            self.deliver(room.index, delivery, None);
        }
    }

    fn deliver_to_selected(&mut self, room: u64, delivery: &Delivery, skip: Option<u32>) {
        for slot in self.rooms.joined(room) {
            let wanted = |user| delivery.receivers.selects(user);
            let user = self.session(slot).and_then(|session| session.user());
            if Some(slot) != skip && user.is_some_and(wanted) {
                self.push(slot, delivery.frame.clone(), delivery.coalesce);
            }
        }
    }

    /// Moves the frames that its rooms have for a connection into its own queue, so that frames for it alone come after
    /// them.
    pub(crate) fn collect_room_frames(&mut self, slot: u32) {
        if !self.rooms.has_waiting() {
            return;
        }
        let bytes_max = self.hub.config.socket.queue_bytes_max;
        let Some(conn) = self.connections.get_mut(slot) else {
            return;
        };
        let (Phase::Open, Some(session)) = (conn.phase, conn.session.as_ref()) else {
            return;
        };
        let bytes_before = conn.queue.as_ref().map_or(0, |queue| queue.bytes);
        for membership in session.memberships().iter().filter(|room| room.joined) {
            if let Some((receiver, outbox)) = self.rooms.waiting(membership) {
                queue_due(&mut conn.queue, outbox, *receiver, &mut self.tally);
                receiver.from = outbox.len();
            }
        }
        let Some(queue) = &conn.queue else {
            return;
        };
        let is_full = queue.bytes > bytes_max && queue.bytes > bytes_before;
        mark_dirty(&mut self.dirty, conn, slot);
        if is_full {
            self.relieve(slot);
        }
    }

    /// Milliseconds for which the frames of rooms may still wait; `None` if none wait.
    pub(in crate::shard) fn rooms_linger_ms(&self) -> Option<u32> {
        let waited_ms = self.now_ms.wrapping_sub(self.rooms.waiting_since_ms()?);
        Some((self.hub.config.socket.linger_ms as u32).saturating_sub(waited_ms))
    }

    /// Writes the frames of all rooms.
    pub(super) fn flush_rooms(&mut self) {
        while self.rooms.has_waiting() {
            for room in self.rooms.take_waiting() {
                self.flush_room(room);
            }
            self.rooms.end_flush();
        }
    }

    /// Writes a room's frames to its members: one write of shared memory for each member that keeps up.
    fn flush_room(&mut self, room: u64) {
        let (flushes, bytes_max) = (self.rooms.flushes(), self.hub.config.socket.queue_bytes_max);
        let Some(local) = self.rooms.get_mut(room) else {
            return;
        };
        let LocalRoom { joined, outbox, .. } = local;
        if outbox.is_empty() {
            return;
        }
        let wires = outbox.wires();
        let (mut full, mut gone, mut behind) = (Vec::new(), Vec::new(), Vec::new());
        for receiver in joined.iter_mut() {
            let (mine, slot) = (*receiver, receiver.slot);
            receiver.from = 0;
            let (frames, wire) = &wires[usize::from(mine.pages)];
            if *frames == 0 {
                continue;
            }
            let Some(conn) = self.connections.get_mut(slot) else {
                continue;
            };
            if conn.phase != Phase::Open || conn.lost {
                continue;
            }
            if conn.queue.is_some() || conn.sent_in_flush == flushes || !outbox.all_due(mine) {
                queue_due(&mut conn.queue, outbox, mine, &mut self.tally);
                if let Some(queue) = &conn.queue {
                    if queue.bytes > bytes_max {
                        full.push(slot);
                    }
                    mark_dirty(&mut self.dirty, conn, slot);
                }
                continue;
            }
            self.tally.delivered += u64::from(*frames);
            let written = match conn.stream.write(wire) {
                Ok(written) if written == wire.len() => continue,
                Ok(written) => written,
                Err(error) if is_temporary(&error) => 0,
                Err(_) => {
                    gone.push(slot);
                    continue;
                }
            };
            let rest = rest(outbox, mine.pages, written, self.now_ms);
            let queue = conn.queue.insert(rest);
            behind.push(slot);
            if queue.bytes > bytes_max {
                full.push(slot);
            }
        }
        outbox.clear();
        for slot in behind {
            self.schedule(slot);
        }
        for slot in full {
            self.relieve(slot);
        }
        for slot in gone {
            self.lose(slot);
        }
    }
}

pub(super) fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Moves the frames that are due to `receiver` into its connection's queue.
fn queue_due(
    queue: &mut Option<Box<Queue>>,
    outbox: &Outbox,
    receiver: Receiver,
    tally: &mut Tally,
) {
    for entry in outbox.due(receiver) {
        let queue = queue.get_or_insert_default();
        tally.count(queue.push(entry.frame.clone(), entry.coalesce));
    }
}

/// The frames of a room's outbox that the socket of a receiver did not take; it took `written` bytes.
fn rest(outbox: &Outbox, pages: bool, written: usize, now_ms: u32) -> Box<Queue> {
    let frames = outbox.due(Receiver::any(pages));
    let frames = frames.map(|entry| (entry.frame.clone(), entry.coalesce));
    Box::new(Queue::behind(frames, written, now_ms))
}
