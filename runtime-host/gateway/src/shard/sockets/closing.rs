//! How connections end: with a close frame and the peer's answer, or at once because the socket failed.

use crate::{
    frame::{self, Violation, close},
    hub::ConnRef,
    metrics::Metrics,
    shard::{
        assembly::Assembly,
        sockets::{Sockets, connection::Phase, mark_dirty},
    },
};

impl Sockets {
    /// Whether the connection in a slot has to be removed.
    pub(crate) fn is_lost(&self, slot: u32) -> bool {
        self.connections.get(slot).is_some_and(|conn| conn.lost)
    }

    /// The connections that ended by themselves since the last call.
    pub(crate) fn take_ended(&mut self) -> Vec<ConnRef> {
        std::mem::take(&mut self.ended)
    }

    /// Gives up a connection without a close frame.
    pub(in crate::shard) fn lose(&mut self, slot: u32) {
        if let Some(conn) = self.connections.get_mut(slot) {
            conn.lost = true;
            let reference = self.reference(slot);
            self.ended.push(reference);
        }
    }

    /// Ends a connection with a close frame.
    pub(crate) fn close(&mut self, slot: u32, code: u16, reason: &str) {
        self.start_closing(slot, code, reason, false);
    }

    /// Ends a connection with a close frame; `answered`: the peer's close frame has come already.
    pub(in crate::shard) fn start_closing(
        &mut self,
        slot: u32,
        code: u16,
        reason: &str,
        answered: bool,
    ) {
        // A slow connection gets none of them.
        if code != close::SLOW {
            self.collect_room_frames(slot);
        }
        let Some(conn) = self.connections.get_mut(slot) else {
            return;
        };
        if conn.phase != Phase::Open {
            return;
        }
        let queue = conn.queue.get_or_insert_default();
        if code == close::SLOW {
            // It did not read what waits; only a frame that is begun has to be completed before the close frame.
            queue.clear();
        }
        let _ = queue.push(frame::closing(code, reason), None);
        conn.phase = Phase::Closing { answered };
        conn.since_ms = self.now_ms;
        Assembly::forget(&mut conn.assembly);
        mark_dirty(&mut self.dirty, conn, slot);
        let reference = self.reference(slot);
        self.ended.push(reference);
        self.schedule(slot);
        Metrics::count(&self.hub.metrics.closed, code.to_string());
    }

    /// Ends a connection whose frames break the RFC or a limit.
    pub(in crate::shard) fn violated(&mut self, slot: u32, violation: Violation) {
        match self.conn(slot).map(|conn| conn.phase) {
            Some(Phase::Open) => {
                self.close(slot, violation.code, violation.reason);
                // The stream cannot be understood any more: nothing further is read, the peer's answer is not awaited.
                if let Some(conn) = self.conn(slot) {
                    conn.phase = Phase::Closing { answered: true };
                }
            }
            Some(_) => self.lose(slot),
            None => {}
        }
    }

    /// The peer's close frame has come.
    pub(in crate::shard) fn on_close(&mut self, slot: u32, payload: &[u8]) {
        match self.conn(slot).map(|conn| conn.phase) {
            Some(Phase::Open) => match frame::close_answer(payload) {
                Ok(code) => self.start_closing(slot, code, "", true),
                Err(violation) => self.start_closing(slot, violation.code, violation.reason, true),
            },
            Some(_) => self.lose(slot),
            None => {}
        }
    }
}
