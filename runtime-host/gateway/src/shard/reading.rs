//! Reads sockets and finds complete request heads and frames. Incomplete ones stay with their connection.

use crate::{
    frame::{self, Header, Opcode, close},
    metrics::Metrics,
    shard::{
        Shard,
        assembly::{Arriving, NOT_UTF8, misplaced},
        connection::{Conn, Phase},
        handshake::{self, Refusal},
    },
};
use bytes::Bytes;
use envelope::{Scan, catalogue::RateClass};
use limits::socket::READ_BYTES_PER_TURN;
use std::io::{self, Read};

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
        conn.session
            .as_ref()
            .is_some_and(|session| session.pending.is_some())
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
            let Some(conn) = self
                .conn(slot)
                .filter(|conn| conn.readable && !Self::paused(conn))
            else {
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
                    let wants_the_rest =
                        conn.phase == (Phase::Closing { answered: true }) && conn.queue.is_some();
                    // It has ended its side and may still read; the end is read again once everything is written.
                    conn.readable = !wants_the_rest;
                    self.buffer = buffer;
                    if !wants_the_rest {
                        self.drop_conn(slot);
                    }
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
                        io::ErrorKind::WouldBlock => {
                            if let Some(conn) = self.conn(slot) {
                                conn.readable = false;
                            }
                        }
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
    pub(crate) fn consume_from(
        &mut self,
        slot: u32,
        mut buffer: Vec<u8>,
        length: usize,
    ) -> Vec<u8> {
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
            let Some(conn) = self.conn(slot) else {
                return bytes.len();
            };
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

    // ---- frames

    /// Handles one frame at the start of `bytes`, or what has come of one; how many bytes it took, `None` when more are needed.
    ///
    /// A whole text message is read where it lies. Everything else is collected as it comes, and text is checked as it comes.
    fn read_frame(&mut self, slot: u32, bytes: &mut [u8]) -> Option<usize> {
        let (bytes_max, now_ms) = (self.hub.config.socket.message_bytes_max, self.now_ms);
        let conn = self.conn(slot)?;
        if conn
            .assembly
            .as_ref()
            .is_some_and(|assembly| assembly.arriving.is_some())
        {
            return (!bytes.is_empty()).then(|| self.read_payload(slot, bytes));
        }
        let collected = conn
            .assembly
            .as_ref()
            .map_or(0, |assembly| assembly.bytes.len());
        let header = match Header::read(bytes, bytes_max.saturating_sub(collected)) {
            Ok(header) => header?,
            Err(violation) => {
                self.violated(slot, violation);
                return Some(bytes.len());
            }
        };
        let whole = header.header_bytes + header.payload_bytes;
        let payload = bytes.get_mut(header.header_bytes..whole);
        if header.opcode.is_control() {
            let payload = payload?;
            frame::unmask(payload, header.mask);
            conn.seen_ms = now_ms;
            let open = conn.phase == Phase::Open;
            match header.opcode {
                Opcode::Close => self.on_close(slot, payload),
                Opcode::Ping if open => self.on_ping(slot, payload),
                Opcode::Pong if open => {
                    self.charge(slot, RateClass::Other, &Scan::new(b""));
                }
                _ => {}
            }
            return Some(whole);
        }
        if conn.phase == Phase::Open
            && let Some(violation) = misplaced(header.opcode, conn.assembly.as_deref())
        {
            self.violated(slot, violation);
            return Some(bytes.len());
        }
        if header.opcode == Opcode::Binary {
            self.close(
                slot,
                close::UNSUPPORTED,
                "binary messages are not part of the contract",
            );
        }
        let conn = self.conn(slot)?;
        if let Some(payload) = payload
            && header.opcode == Opcode::Text
            && header.fin
            && conn.phase == Phase::Open
        {
            conn.seen_ms = now_ms;
            frame::unmask(payload, header.mask);
            match std::str::from_utf8(payload) {
                Ok(_) => self.on_message(slot, payload),
                Err(_) => self.violated(slot, NOT_UTF8),
            }
            return Some(whole);
        }
        let assembly = conn.assembly.get_or_insert_default();
        assembly.fragments += 1;
        assembly.arriving = Some(Arriving {
            fin: header.fin,
            mask: header.mask,
            missing: header.payload_bytes,
        });
        Some(header.header_bytes + self.read_payload(slot, &mut bytes[header.header_bytes..]))
    }

    /// Takes what has come of the arriving frame's payload.
    fn read_payload(&mut self, slot: u32, bytes: &mut [u8]) -> usize {
        let now_ms = self.now_ms;
        let Some(conn) = self.conn(slot) else {
            return bytes.len();
        };
        conn.seen_ms = now_ms;
        let open = conn.phase == Phase::Open;
        let Some(assembly) = &mut conn.assembly else {
            return bytes.len();
        };
        let taken = assembly.take(bytes, open);
        let finished = assembly.finish();
        if !open {
            if finished.is_some() {
                conn.assembly = None;
            }
        } else if !assembly.check(finished == Some(true)) {
            self.violated(slot, NOT_UTF8);
        } else if finished == Some(true)
            && let Some(assembly) = conn.assembly.take()
        {
            self.on_message(slot, &assembly.bytes);
        }
        taken
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
                    self.http_handoff.send(stream, bytes, address);
                }
                None
            }
            handshake::Request::Refused(refusal) => {
                self.refuse_head(slot, &refusal);
                None
            }
            handshake::Request::Upgrade {
                answer,
                address,
                head_bytes,
            } => {
                if let Err(error) = hub.admit(address) {
                    self.refuse_head(slot, &error.into());
                    return None;
                }
                conn.admitted = true;
                conn.address = address;
                self.open(slot, answer);
                Some(head_bytes)
            }
        }
    }

    pub(crate) fn refuse_head(&mut self, slot: u32, refusal: &Refusal) {
        Metrics::count(&self.hub.metrics.handshakes_refused, refusal.reason);
        let Some(conn) = self.conn(slot) else { return };
        let _ = conn.queue.get_or_insert_default().push(
            Bytes::copy_from_slice(refusal.response.as_bytes()),
            0,
            usize::MAX,
        );
        self.mark_dirty(slot);
        self.end_head(slot, Phase::Closing { answered: true });
    }
}
