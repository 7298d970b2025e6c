//! Writes the queues of connections. Frames are collected during a turn of the shard and written at its end.

use crate::{
    frame,
    shard::{
        queue::Queue,
        sockets::{Sockets, connection::Phase, rooms::is_temporary},
    },
};
use bytes::Bytes;
use std::{io::Write as _, iter, net::Shutdown};

impl Sockets {
    /// Writes everything that was collected; rooms wait for the time that the operator set.
    pub(in crate::shard) fn flush_dirty(&mut self) {
        let lingers = self.rooms_linger_ms().is_some_and(|left_ms| left_ms > 0);
        loop {
            if !lingers {
                self.flush_rooms();
            }
            if self.dirty.is_empty() {
                break;
            }
            for slot in std::mem::take(&mut self.dirty) {
                self.flush(slot);
            }
        }
        self.tally.add_to(&self.hub.metrics);
    }

    /// Sends a ping: at once, because most connections that are pinged have nothing else to write.
    pub(super) fn ping(&mut self, slot: u32) {
        let Some(conn) = self.connections.get_mut(slot) else {
            return;
        };
        conn.pinged_ms = self.now_ms;
        if conn.queue.is_some() {
            return self.push(slot, Bytes::from_static(&frame::PING), None);
        }
        let written = match conn.stream.write(&frame::PING) {
            Ok(written) => written,
            Err(error) if is_temporary(&error) => 0,
            Err(_) => return self.lose(slot),
        };
        if written < frame::PING.len() {
            let rest = iter::once((Bytes::from_static(&frame::PING), None));
            conn.queue = Some(Box::new(Queue::behind(rest, written, self.now_ms)));
        }
    }

    /// Writes the queue of one connection.
    pub(super) fn flush(&mut self, slot: u32) {
        let Some(conn) = self.connections.get_mut(slot) else {
            return;
        };
        conn.dirty = false;
        let done = match &mut conn.queue {
            Some(queue) => queue.flush(&mut conn.stream, self.now_ms),
            None => Ok(true),
        };
        match done {
            Ok(true) => {
                conn.queue = None;
                if conn.phase == (Phase::Closing { answered: true }) {
                    // RFC 6455 section 7.1.1: the server closes first. The socket goes when the peer's end is read, or
                    // at the deadline: closed with bytes unread, it would be reset, and the reset may overtake the
                    // close frame.
                    let _ = conn.stream.shutdown(Shutdown::Write);
                    conn.readable = true;
                    self.make_ready(slot);
                }
            }
            // The socket is behind: from now on its writer can stall.
            Ok(false) => self.schedule(slot),
            Err(_) => self.lose(slot),
        }
    }
}
