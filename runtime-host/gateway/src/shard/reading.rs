//! Reads sockets and finds complete request heads and frames. Incomplete ones stay with their connection.

use crate::{
    frame::{self, Header, Opcode, close},
    http_handoff::UpgradedSocket,
    metrics::Metrics,
    shard::{
        Shard,
        assembly::{Arriving, Assembly, NOT_UTF8, misplaced},
        handshake::{self, Refusal},
        sockets::connection::{Conn, Phase},
    },
};
use limits::socket::READ_BYTES_PER_TURN;
use rest::Answer;
use std::io;

impl Shard {
    fn conn(&mut self, slot: u32) -> Option<&mut Conn> {
        self.sessions.sockets.conn(slot)
    }

    /// Reads and handles up to a turn's share of one connection's bytes.
    pub(super) fn read_turn(&mut self, slot: u32) {
        let Some(conn) = self.conn(slot) else { return };
        conn.begin_turn();
        if !conn.is_paused()
            && let Some(unread) = conn.take_unread()
        {
            self.consume(slot, unread);
        }
        let mut budget = READ_BYTES_PER_TURN;
        while self.conn(slot).is_some_and(|conn| conn.may_read()) {
            if budget == 0 {
                self.sessions.sockets.make_ready(slot);
                break;
            }
            let mut buffer = std::mem::take(&mut self.buffer);
            let read = self.conn(slot).map(|conn| conn.read(&mut buffer));
            if let Some(read) = read {
                budget = budget.saturating_sub(self.on_read(slot, &mut buffer, read));
            }
            self.buffer = buffer;
            self.sessions.remove_ended();
        }
        self.sessions.remove_ended();
    }

    /// Handles the result of one read into `buffer`; how many bytes were read.
    fn on_read(&mut self, slot: u32, buffer: &mut [u8], read: io::Result<usize>) -> usize {
        let Some(conn) = self.conn(slot) else {
            return 0;
        };
        match read {
            Ok(0) => {
                if !conn.is_finishing() {
                    self.sessions.sockets.lose(slot);
                }
                0
            }
            Ok(length) => {
                match conn.take_unread() {
                    None => self.consume_from(slot, &mut buffer[..length]),
                    Some(mut unread) => {
                        unread.extend_from_slice(&buffer[..length]);
                        self.consume(slot, unread);
                    }
                }
                length
            }
            Err(error) => {
                match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    _ => self.sessions.sockets.lose(slot),
                }
                0
            }
        }
    }

    /// Handles bytes in the shared buffer; what is left over becomes the connection's own.
    fn consume_from(&mut self, slot: u32, bytes: &mut [u8]) {
        let used = self.consume_slice(slot, bytes);
        if used < bytes.len()
            && let Some(conn) = self.conn(slot)
        {
            conn.keep_unread(bytes[used..].to_vec());
        }
    }

    /// Handles a connection's own bytes; what is left over stays its own.
    fn consume(&mut self, slot: u32, mut bytes: Vec<u8>) {
        let used = self.consume_slice(slot, &mut bytes);
        if used < bytes.len()
            && let Some(conn) = self.conn(slot)
        {
            bytes.drain(..used);
            conn.keep_unread(bytes);
        }
    }

    /// Handles all whole heads and frames in `bytes`; how many bytes they took.
    fn consume_slice(&mut self, slot: u32, bytes: &mut [u8]) -> usize {
        let mut used = 0;
        loop {
            let Some(conn) = self.conn(slot).filter(|conn| !conn.is_lost()) else {
                return bytes.len();
            };
            if conn.is_paused() {
                return used;
            }
            let step = match conn.phase() {
                Phase::Head => self.read_head(slot, &bytes[used..]),
                Phase::Open => self.read_frame(slot, &mut bytes[used..]),
                Phase::Closing { answered: true } => return bytes.len(),
                Phase::Closing { answered: false } => self.read_frame(slot, &mut bytes[used..]),
            };
            self.sessions.remove_ended();
            match step {
                Some(taken) => used += taken,
                None => return used,
            }
        }
    }

    // ---- frames

    /// Handles one frame at the start of `bytes`, or the part of it that has come; how many bytes it took, `None` when
    /// more are needed.
    ///
    /// A whole text message is read where it lies. Everything else is collected as it comes, and text is checked as it
    /// comes.
    fn read_frame(&mut self, slot: u32, bytes: &mut [u8]) -> Option<usize> {
        let bytes_max = self.hub.config.socket.message_bytes_max;
        let now_ms = self.sessions.sockets.now_ms();
        let conn = self.conn(slot)?;
        let assembly = conn.assembly.as_deref();
        if assembly.is_some_and(|assembly| assembly.arriving.is_some()) {
            return (!bytes.is_empty()).then(|| self.read_payload(slot, bytes));
        }
        let collected = assembly.map_or(0, |assembly| assembly.bytes.len());
        let header = match Header::read(bytes, bytes_max.saturating_sub(collected)) {
            Ok(header) => header?,
            Err(violation) => {
                self.sessions.sockets.violated(slot, violation);
                return Some(bytes.len());
            }
        };
        let whole = header.header_bytes + header.payload_bytes;
        if header.opcode.is_control() {
            let payload = bytes.get_mut(header.header_bytes..whole)?;
            frame::unmask(payload, header.mask);
            if !conn.take_control(header.opcode, now_ms) {
                self.on_control(slot, header.opcode, payload);
            }
            return Some(whole);
        }
        if conn.phase() == Phase::Open
            && let Some(violation) = misplaced(header.opcode, assembly)
        {
            self.sessions.sockets.violated(slot, violation);
            return Some(bytes.len());
        }
        if header.opcode == Opcode::Binary {
            self.sessions.sockets.close(
                slot,
                close::UNSUPPORTED,
                "binary messages are not part of the contract",
            );
        }
        let conn = self.conn(slot)?;
        if header.opcode == Opcode::Text
            && header.fin
            && conn.phase() == Phase::Open
            && let Some(payload) = bytes.get_mut(header.header_bytes..whole)
        {
            self.sessions.sockets.note_message(slot);
            frame::unmask(payload, header.mask);
            match std::str::from_utf8(payload) {
                Ok(_) => self.sessions.on_message(slot, payload),
                Err(_) => self.sessions.sockets.violated(slot, NOT_UTF8),
            }
            return Some(whole);
        }
        let conn = self.sessions.sockets.conn(slot)?;
        let is_new = conn.assembly.is_none();
        let begin = || Box::new(Assembly::begin(&self.hub.unfinished, now_ms));
        let assembly = conn.assembly.get_or_insert_with(begin);
        assembly.fragments += 1;
        assembly.arriving = Some(Arriving {
            fin: header.fin,
            mask: header.mask,
            missing: header.payload_bytes,
        });
        if is_new {
            self.sessions.sockets.schedule(slot);
        }
        Some(header.header_bytes + self.read_payload(slot, &mut bytes[header.header_bytes..]))
    }

    /// Handles a control frame other than the answer to a ping.
    fn on_control(&mut self, slot: u32, opcode: Opcode, payload: &[u8]) {
        let is_open = self
            .conn(slot)
            .is_some_and(|conn| conn.phase() == Phase::Open);
        match opcode {
            Opcode::Close => self.sessions.sockets.on_close(slot, payload),
            Opcode::Ping if is_open => self.sessions.on_ping(slot, payload),
            Opcode::Pong if is_open => self.sessions.on_pong(slot),
            _ => {}
        }
    }

    /// Takes the part of the arriving frame's payload that has come.
    fn read_payload(&mut self, slot: u32, bytes: &mut [u8]) -> usize {
        self.sessions.sockets.note_message(slot);
        let Some(conn) = self.conn(slot) else {
            return bytes.len();
        };
        let is_open = conn.phase() == Phase::Open;
        let Some(assembly) = &mut conn.assembly else {
            return bytes.len();
        };
        let taken = match assembly.take(bytes, is_open) {
            Ok(taken) => taken,
            Err(violation) => {
                self.sessions.sockets.violated(slot, violation);
                return bytes.len();
            }
        };
        let finished = assembly.finish();
        if !is_open {
            if finished.is_some() {
                conn.assembly = None;
            }
        } else if !assembly.check(finished == Some(true)) {
            self.sessions.sockets.violated(slot, NOT_UTF8);
        } else if finished == Some(true)
            && let Some(assembly) = conn.assembly.take()
        {
            self.sessions.on_message(slot, &assembly.bytes);
        }
        taken
    }

    // ---- the request head

    fn read_head(&mut self, slot: u32, bytes: &[u8]) -> Option<usize> {
        let hub = self.hub.clone();
        let conn = self.conn(slot)?;
        let peer = conn.peer()?;
        match handshake::read(bytes, peer, &hub.config.socket) {
            handshake::Request::Partial => {}
            handshake::Request::Http(client) => match hub.admission.http(&client) {
                Ok(place) => {
                    if let Some(stream) = self.sessions.sockets.remove(slot) {
                        self.http_handoff.send(stream, bytes.to_vec(), place);
                    }
                }
                Err(error) => {
                    hub.note_refusal(&client);
                    Metrics::count(&hub.metrics.http_refused, error.reason());
                    self.end_with(slot, error.answer().answer());
                }
            },
            handshake::Request::Refused(refusal) => self.refuse_upgrade(slot, refusal),
            handshake::Request::Upgrade {
                accepted,
                client,
                head_bytes,
            } => match hub.admission.web_socket(client.key, hub.monotonic_ms()) {
                Ok(place) => {
                    self.sessions.sockets.admit(slot, place);
                    self.sessions.open(slot, Some(accepted.text()));
                    return Some(head_bytes);
                }
                Err(error) => {
                    hub.note_refusal(&client);
                    self.refuse_upgrade(slot, error.into());
                }
            },
        }
        None
    }

    /// Opens a WebSocket whose upgrade the HTTP server has answered.
    pub(super) fn adopt(&mut self, socket: UpgradedSocket) {
        let UpgradedSocket {
            stream,
            place,
            read,
        } = socket;
        if let Some(slot) = self.sessions.sockets.adopt(stream, place) {
            self.sessions.open(slot, None);
            self.consume(slot, read);
        }
    }

    fn refuse_upgrade(&mut self, slot: u32, refusal: Refusal) {
        Metrics::count(&self.hub.metrics.handshakes_refused, refusal.reason);
        self.end_with(slot, *refusal.answer);
    }

    fn end_with(&mut self, slot: u32, answer: Answer) {
        let bytes = handshake::last_answer(answer);
        self.sessions.sockets.end_with(slot, bytes);
    }
}
