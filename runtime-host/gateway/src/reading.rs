//! From a readable socket to whole things: request heads and frames. What is not whole yet stays with its connection.

use crate::{
    conn::{Conn, Phase},
    handshake,
    metrics::Metrics,
    shard::{Shard, Slot},
};
use limits::socket::READ_BYTES_PER_TURN;
use std::{
    io::{self, Read, Write},
    net::Shutdown,
};

impl Shard {
    /// Puts a connection on the list of those to read from, when it was paused and goes on.
    pub(crate) fn make_ready(&mut self, slot: u32) {
        if let Some(conn) = self.conn(slot)
            && !conn.ready
        {
            conn.ready = true;
            self.ready.push(slot);
        }
    }

    pub(crate) fn paused(conn: &Conn) -> bool {
        conn.session.as_ref().is_some_and(|session| session.pending.is_some())
    }

    /// Reads and handles up to a turn's share of one connection's bytes.
    pub(crate) fn read_turn(&mut self, slot: u32) {
        let Some(conn) = self.conn(slot) else { return };
        conn.ready = false;
        if !conn.unread.is_empty() && !Self::paused(conn) {
            let unread = std::mem::take(&mut conn.unread);
            self.consume(slot, unread);
        }
        let mut budget = READ_BYTES_PER_TURN;
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            let Some(conn) = self.conn(slot).filter(|conn| conn.readable && !Self::paused(conn)) else {
                self.buffer = buffer;
                return;
            };
            if budget == 0 {
                self.buffer = buffer;
                self.make_ready(slot);
                return;
            }
            let read = conn.stream.read(&mut buffer);
            match read {
                Ok(0) => {
                    self.buffer = buffer;
                    self.drop_conn(slot);
                    return;
                }
                Ok(length) => {
                    budget = budget.saturating_sub(length);
                    // A short read has emptied the socket: what comes later raises a new event (epoll(7), edge-triggered).
                    conn.readable = length == buffer.len() || conn.hung_up;
                    if conn.unread.is_empty() {
                        self.buffer = self.consume_from(slot, buffer, length);
                    } else {
                        conn.unread.extend_from_slice(&buffer[..length]);
                        let unread = std::mem::take(&mut conn.unread);
                        self.buffer = buffer;
                        self.consume(slot, unread);
                    }
                }
                Err(error) => {
                    self.buffer = buffer;
                    match error.kind() {
                        io::ErrorKind::WouldBlock => conn_mut(&mut self.slots, slot, |conn| conn.readable = false),
                        io::ErrorKind::Interrupted => {}
                        _ => {
                            self.drop_conn(slot);
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Handles bytes at the start of the shared buffer; what is left over becomes the connection's own.
    pub(crate) fn consume_from(&mut self, slot: u32, mut buffer: Vec<u8>, length: usize) -> Vec<u8> {
        let used = self.consume_slice(slot, &mut buffer[..length]);
        if used < length
            && let Some(conn) = self.conn(slot)
        {
            conn.unread.extend_from_slice(&buffer[used..length]);
        }
        buffer
    }

    /// Handles a connection's own bytes; what is left over stays its own.
    pub(crate) fn consume(&mut self, slot: u32, mut bytes: Vec<u8>) {
        let used = self.consume_slice(slot, &mut bytes);
        if used < bytes.len()
            && let Some(conn) = self.conn(slot)
        {
            bytes.drain(..used);
            conn.unread = bytes;
        }
    }

    /// Handles as many whole things as `bytes` holds; how many bytes they took.
    pub(crate) fn consume_slice(&mut self, slot: u32, bytes: &mut [u8]) -> usize {
        let mut used = 0;
        loop {
            let Some(conn) = self.conn(slot) else { return bytes.len() };
            if Self::paused(conn) {
                return used;
            }
            let step = match conn.phase {
                Phase::Head => self.read_head(slot, &bytes[used..]),
                Phase::Open => self.read_frame(slot, &mut bytes[used..]),
                Phase::Closing { answered: true } => return bytes.len(),
                Phase::Closing { answered: false } => self.read_frame(slot, &mut bytes[used..]),
            };
            match step {
                Some(taken) => used += taken,
                None => return used,
            }
        }
    }

    // ---- the request head

    pub(crate) fn read_head(&mut self, slot: u32, bytes: &[u8]) -> Option<usize> {
        let hub = self.hub.clone();
        let conn = self.conn(slot)?;
        match handshake::read(bytes, conn.address, &hub.config.socket) {
            handshake::Request::Partial => None,
            handshake::Request::Http => {
                let (bytes, address) = (bytes.to_vec(), conn.address);
                if let Some(stream) = self.drop_conn(slot) {
                    self.handover.give(stream, bytes, address);
                }
                None
            }
            handshake::Request::Refused { reason, response } => {
                self.refuse_head(slot, reason, &response);
                None
            }
            handshake::Request::Upgrade { accept, address, head_bytes } => {
                if let Err(why) = hub.admit(address) {
                    if let handshake::Request::Refused { reason, response } = handshake::no_place(why) {
                        self.refuse_head(slot, reason, &response);
                    }
                    return None;
                }
                conn.admitted = true;
                conn.address = address;
                self.open(slot, &accept);
                Some(head_bytes)
            }
        }
    }

    pub(crate) fn refuse_head(&mut self, slot: u32, reason: &'static str, response: &str) {
        Metrics::count(&self.hub.metrics.handshakes_refused, reason);
        if let Some(mut stream) = self.drop_conn(slot) {
            // The answer fits the empty socket buffer; a peer that is gone already has no use for it.
            let _ = stream.write(response.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}

fn conn_mut(slots: &mut [Slot], slot: u32, act: impl FnOnce(&mut Conn)) {
    if let Some(conn) = slots.get_mut(slot as usize).and_then(|slot| slot.conn.as_mut()) {
        act(conn);
    }
}
