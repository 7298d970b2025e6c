//! Thousands of WebSocket clients in one thread that never sleeps: it asks for readiness again and again, so that no server pays for waking it.

use crate::frame::{self, CLOSE, Head, PING, PONG, TEXT};
use anyhow::{Context as _, Result, bail, ensure};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use socket2::{Domain, Socket, Type};
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Bytes of one read.
const READ_BYTES: usize = 256 * 1024;
/// Time without any progress after which a run is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Handshakes at once: less than any server's accept queue.
pub(crate) const ENTERING_MAX: usize = 64;
/// `sec-websocket-accept` for the key below, from RFC 6455 section 1.3.
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The user of a connection, and the server that it joins.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// Identity.
    pub user: String,
    /// The server to join; without one the connection only identifies.
    pub room: Option<String>,
    /// What the client announces in `identify.features`, as JSON.
    pub features: &'static str,
    /// Receive buffer of the socket, bytes; the system's own choice when missing.
    pub receive_bytes: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    Entering,
    In,
    Closed(u16),
}

struct Conn {
    stream: TcpStream,
    phase: Phase,
    reading: bool,
    client: Client,
    unread: Vec<u8>,
    unsent: Vec<u8>,
}

/// The clients of one server.
pub(crate) struct Swarm {
    poll: Poll,
    events: Events,
    conns: Vec<Conn>,
    buffer: Vec<u8>,
    address: SocketAddr,
    /// Connections with bytes that the socket did not take.
    late: Vec<usize>,
    entering: usize,
}

impl Swarm {
    /// No connections yet.
    pub(crate) fn new(address: SocketAddr) -> Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            conns: Vec::new(),
            buffer: vec![0; READ_BYTES],
            address,
            late: Vec::new(),
            entering: 0,
        })
    }

    /// Connects clients, at most `at_once` at a time, and returns when the last one has joined its server, or has identified.
    pub(crate) fn enter(
        &mut self,
        clients: impl IntoIterator<Item = Client>,
        at_once: usize,
    ) -> Result<()> {
        let mut clients = clients.into_iter();
        let mut last = (Instant::now(), 0);
        loop {
            while self.entering < at_once
                && let Some(client) = clients.next()
            {
                self.open(client)?;
            }
            if self.entering == 0 {
                return Ok(());
            }
            self.turn(|_, _| ())?;
            let inside = self.conns.len() - self.entering;
            if inside != last.1 {
                last = (Instant::now(), inside);
            }
            if last.0.elapsed() > PATIENCE {
                bail!("{} clients are not let in", self.entering);
            }
        }
    }

    fn open(&mut self, client: Client) -> Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if let Some(bytes) = client.receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        // Thousands of sockets in TIME_WAIT would use up the ports.
        socket.set_linger(Some(Duration::ZERO))?;
        socket
            .connect(&self.address.into())
            .context("the server does not accept")?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(socket.into());
        let at = self.conns.len();
        self.poll
            .registry()
            .register(&mut stream, Token(at), Interest::READABLE)?;
        let conn = Conn {
            stream,
            phase: Phase::Head,
            reading: true,
            client,
            unread: Vec::new(),
            unsent: Vec::new(),
        };
        self.conns.push(conn);
        self.entering += 1;
        let head = format!(
            "GET /ws HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.address
        );
        self.send(at, head.as_bytes());
        Ok(())
    }

    /// Close code of a connection that is over: 1005 for a close frame without one, 1006 without a close frame.
    pub(crate) fn closed(&self, at: usize) -> Option<u16> {
        match self.conns[at].phase {
            Phase::Closed(code) => Some(code),
            _ => None,
        }
    }

    /// Stops reading from a connection.
    pub(crate) fn stall(&mut self, at: usize) {
        self.conns[at].reading = false;
    }

    /// Goes on reading from a connection.
    pub(crate) fn resume(&mut self, at: usize) -> Result<()> {
        let conn = &mut self.conns[at];
        conn.reading = true;
        // Readiness is told on change only; a new registration tells it anew.
        self.poll
            .registry()
            .reregister(&mut conn.stream, Token(at), Interest::READABLE)?;
        Ok(())
    }

    /// Writes whole frames to a connection.
    pub(crate) fn send(&mut self, at: usize, bytes: &[u8]) {
        let conn = &mut self.conns[at];
        if conn.unsent.is_empty() {
            let count = conn.stream.write(bytes).unwrap_or(0);
            if count == bytes.len() {
                return;
            }
            conn.unsent.extend_from_slice(&bytes[count..]);
            self.late.push(at);
        } else {
            conn.unsent.extend_from_slice(bytes);
        }
    }

    fn send_late(&mut self) {
        for at in std::mem::take(&mut self.late) {
            let bytes = std::mem::take(&mut self.conns[at].unsent);
            if self.closed(at).is_none() {
                self.send(at, &bytes);
            }
        }
    }

    /// Reads once from each connection that is readable, and calls `on_text` with the connection and each text, once the client has joined.
    pub(crate) fn turn(&mut self, mut on_text: impl FnMut(usize, &[u8])) -> Result<()> {
        self.send_late();
        match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let ready: Vec<(usize, bool)> = self
            .events
            .iter()
            .map(|event| (event.token().0, event.is_read_closed()))
            .collect();
        for (at, ends) in ready {
            while self.read(at, ends, &mut on_text)? {}
        }
        Ok(())
    }

    /// Turns until nothing has arrived for `quiet`.
    pub(crate) fn settle(&mut self, quiet: Duration) -> Result<()> {
        let begin = Instant::now();
        let mut last = Instant::now();
        while last.elapsed() < quiet {
            self.turn(|_, _| last = Instant::now())?;
            ensure!(
                begin.elapsed() < PATIENCE * 4,
                "the server never comes to rest"
            );
        }
        Ok(())
    }

    /// One read. Whether there may be more.
    fn read(
        &mut self,
        at: usize,
        ends: bool,
        on_text: &mut impl FnMut(usize, &[u8]),
    ) -> Result<bool> {
        let conn = &mut self.conns[at];
        if !conn.reading || matches!(conn.phase, Phase::Closed(_)) {
            return Ok(false);
        }
        let count = match conn.stream.read(&mut self.buffer) {
            Ok(0) => {
                self.end(at, 1006);
                return Ok(false);
            }
            Ok(count) => count,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return Ok(false);
            }
            Err(_) => {
                self.end(at, 1006);
                return Ok(false);
            }
        };
        // Nearly always whole frames, which are looked at where they are.
        let buffer = std::mem::take(&mut self.buffer);
        if self.conns[at].unread.is_empty() {
            let taken = self.take(at, &buffer[..count], on_text)?;
            self.conns[at]
                .unread
                .extend_from_slice(&buffer[taken..count]);
        } else {
            let mut bytes = std::mem::take(&mut self.conns[at].unread);
            bytes.extend_from_slice(&buffer[..count]);
            let taken = self.take(at, &bytes, on_text)?;
            bytes.drain(..taken);
            self.conns[at].unread = bytes;
        }
        self.buffer = buffer;
        // A read that does not fill the buffer has emptied a stream socket, see epoll(7); the end is read all the same.
        Ok(ends || count == self.buffer.len())
    }

    /// Handles the whole frames at the start of `bytes`; how many bytes those are.
    fn take(
        &mut self,
        at: usize,
        bytes: &[u8],
        on_text: &mut impl FnMut(usize, &[u8]),
    ) -> Result<usize> {
        let mut taken = 0;
        if self.conns[at].phase == Phase::Head {
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                return Ok(0);
            };
            let head = &bytes[..end];
            let accepted = head.starts_with(b"HTTP/1.1 101")
                && head.windows(ACCEPT.len()).any(|window| window == ACCEPT);
            ensure!(accepted, "no WebSocket: {}", String::from_utf8_lossy(head));
            taken = end + 4;
            self.conns[at].phase = Phase::Entering;
            let words = introduction(&self.conns[at].client);
            self.send(at, &words);
        }
        while let Some(head) = Head::read(&bytes[taken..]) {
            let Some(payload) = bytes.get(taken + head.bytes..taken + head.bytes + head.payload)
            else {
                break;
            };
            taken += head.bytes + head.payload;
            match (head.first, self.conns[at].phase) {
                (TEXT, Phase::In) => on_text(at, payload),
                (TEXT, Phase::Entering) => self.on_entering(at, payload)?,
                (PING, _) => {
                    let mut pong = Vec::new();
                    frame::put_masked(&mut pong, PONG, payload);
                    self.send(at, &pong);
                }
                (CLOSE, _) => {
                    self.end(
                        at,
                        payload
                            .first_chunk()
                            .map_or(1005, |code| u16::from_be_bytes(*code)),
                    );
                    return Ok(bytes.len());
                }
                _ => {}
            }
        }
        Ok(taken)
    }

    fn on_entering(&mut self, at: usize, payload: &[u8]) -> Result<()> {
        let sign: &[u8] = if self.conns[at].client.room.is_some() {
            br#"{"type":"server_users""#
        } else {
            br#"{"type":"keepalive""#
        };
        if payload.starts_with(sign) {
            self.conns[at].phase = Phase::In;
            self.entering -= 1;
        }
        for refusal in [&br#"{"type":"error""#[..], br#"{"type":"access_denied""#] {
            ensure!(
                !payload.starts_with(refusal),
                "a client was refused: {}",
                String::from_utf8_lossy(payload)
            );
        }
        Ok(())
    }

    fn end(&mut self, at: usize, code: u16) {
        if matches!(self.conns[at].phase, Phase::Head | Phase::Entering) {
            self.entering -= 1;
        }
        self.conns[at].phase = Phase::Closed(code);
    }
}

/// The first frames of a client: `identify`, then `join_server`; without a room `keepalive`, whose answer shows that `identify` was read.
fn introduction(client: &Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Client { user, features, .. } = client;
    let identify = format!(
        r#"{{"type":"identify","oderId":"{user}","displayName":"{user}","connectionScope":"ws://bench.example","features":{features}}}"#
    );
    frame::put_masked(&mut bytes, TEXT, identify.as_bytes());
    let next = match &client.room {
        Some(room) => format!(r#"{{"type":"join_server","serverId":"{room}"}}"#),
        None => r#"{"type":"keepalive"}"#.to_owned(),
    };
    frame::put_masked(&mut bytes, TEXT, next.as_bytes());
    bytes
}
