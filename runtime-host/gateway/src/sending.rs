//! From frames to sockets: queued while a turn lasts, flushed with one vectored write at its end.

use crate::{
    conn::{Phase, Pushed},
    frame::{self, close},
    metrics::Metrics,
    shard::{Delivery, Filter, Shard},
};
use bytes::Bytes;
use std::net::Shutdown;

impl Shard {
    /// Queues a frame for a connection; flushed at the end of this turn.
    pub(crate) fn push(&mut self, slot: u32, frame: Bytes, coalesce: u64) {
        let bytes_max = self.hub.config.socket.queue_bytes_max;
        let Some(conn) = self.slots.get_mut(slot as usize).and_then(|slot| slot.conn.as_mut()) else { return };
        if conn.phase != Phase::Open {
            return;
        }
        match conn.queue.get_or_insert_default().push(frame, coalesce, bytes_max) {
            Pushed::Added => {
                self.hub.metrics.delivered.inc();
                if !conn.dirty {
                    conn.dirty = true;
                    self.dirty.push(slot);
                }
            }
            Pushed::Replaced => {
                self.hub.metrics.coalesced.inc();
            }
            Pushed::Overflow => self.close(slot, close::SLOW, "slow: too much was waiting for this connection"),
        }
    }

    /// Sends one envelope to one connection.
    pub(crate) fn reply(&mut self, slot: u32, envelope: &[u8]) {
        self.push(slot, frame::text(envelope), 0);
    }

    pub(crate) fn flush_dirty(&mut self) {
        while !self.dirty.is_empty() {
            for slot in std::mem::take(&mut self.dirty) {
                self.flush(slot);
            }
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
                    // RFC 6455 section 7.1.1: the server closes first.
                    let _ = conn.stream.shutdown(Shutdown::Both);
                    self.drop_conn(slot);
                }
            }
            Ok(false) => {}
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
        if !answered {
            queue.clear();
        }
        let _ = queue.push(frame::closing(code, reason), 0, usize::MAX);
        conn.phase = Phase::Closing { answered };
        conn.since_ms = now_ms;
        conn.assembly = None;
        if !conn.dirty {
            conn.dirty = true;
            self.dirty.push(slot);
        }
        Metrics::count(&self.hub.metrics.closed, code.to_string());
    }

    /// Delivers to the joined connections of a room on this shard.
    pub(crate) fn deliver(&mut self, room: u64, delivery: &Delivery, sequence: Option<u64>) {
        let Some(local) = self.rooms.get(&room) else { return };
        let skip = delivery.skip.filter(|skip| skip.shard == self.index).map(|skip| skip.slot);
        let receivers: Vec<u32> = local
            .joined
            .iter()
            .filter(|(slot, since)| Some(*slot) != skip && sequence.is_none_or(|sequence| sequence > *since))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in receivers {
            if self.accepts(slot, &delivery.filter) {
                self.push(slot, delivery.frame.clone(), delivery.coalesce);
            }
        }
    }

    pub(crate) fn accepts(&mut self, slot: u32, filter: &Filter) -> bool {
        if *filter == Filter::All {
            return true;
        }
        let person = self.conn(slot).and_then(|conn| conn.session.as_ref()).and_then(|session| session.person.as_ref());
        person.is_some_and(|person| match filter {
            Filter::All => true,
            Filter::User(user) => person.profile.user_id == *user,
            Filter::Plugin(plugin) => person.plugins.as_ref().is_some_and(|plugins| plugins.iter().any(|id| **id == **plugin)),
        })
    }
}
