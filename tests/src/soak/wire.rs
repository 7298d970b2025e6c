//! Many WebSocket clients in one thread, with the features that a soak needs.
//!
//! A frame that a server must not send (masked, fragmented, with reserved bits) is a panic.

use crate::raw::masked;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use socket2::{Domain, Socket, Type};
use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    time::Duration,
};

/// Bytes read from one connection before the others get their turn.
const READ_BYTES: usize = 256 * limits::KIB;
/// Receive buffer of a connection that will stall.
const DEAF_BYTES: usize = 4 * limits::KIB;

/// What a connection has received.
#[derive(Debug)]
pub enum Heard {
    /// The handshake is done.
    Open,
    /// A text.
    Text(String),
    /// It has ended: the close code, 1006 without a close frame. The slot is free.
    Closed(u16),
}

struct Conn {
    stream: TcpStream,
    upgraded: bool,
    stalled: bool,
    /// The server's close code, if it has arrived.
    code: Option<u16>,
    unread: Vec<u8>,
    unsent: Vec<u8>,
}

/// The connections, by slot.
pub struct Wire {
    poll: Poll,
    events: Events,
    conns: Vec<Option<Conn>>,
    /// Slots whose socket may have more to read; readiness is reported only once.
    again: Vec<usize>,
    /// Slots with bytes that their socket did not accept.
    late: Vec<usize>,
    address: SocketAddr,
    buffer: Vec<u8>,
}

impl Wire {
    /// `places` free slots.
    ///
    /// # Errors
    /// The system has no more handles.
    pub fn new(address: SocketAddr, places: usize) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            conns: (0..places).map(|_| None).collect(),
            again: Vec::new(),
            late: Vec::new(),
            address,
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Opens a connection in a free slot.
    ///
    /// # Errors
    /// The server does not accept.
    pub fn open(&mut self, at: usize, deaf: bool) -> io::Result<()> {
        assert!(self.conns[at].is_none(), "place {at} is taken");
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if deaf {
            socket.set_recv_buffer_size(DEAF_BYTES)?;
        }
        // Thousands of sockets in TIME_WAIT would use up the ports.
        socket.set_linger(Some(Duration::ZERO))?;
        socket.connect(&self.address.into())?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(socket.into());
        self.poll
            .registry()
            .register(&mut stream, Token(at), Interest::READABLE)?;
        self.conns[at] = Some(Conn {
            stream,
            upgraded: false,
            stalled: false,
            code: None,
            unread: Vec::new(),
            unsent: Vec::new(),
        });
        let head = format!(
            "GET /ws HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.address
        );
        self.write(at, head.as_bytes());
        Ok(())
    }

    /// Sends a text.
    pub fn send(&mut self, at: usize, text: &str) {
        self.write(at, &masked(0x81, text.as_bytes()));
    }

    /// Sends a close frame; [`Heard::Closed`] follows.
    pub fn close(&mut self, at: usize) {
        self.write(at, &masked(0x88, &1000_u16.to_be_bytes()));
    }

    /// Resets a connection, so that frames in transit are lost.
    pub fn cut(&mut self, at: usize) {
        self.conns[at] = None;
    }

    /// Stops or resumes reading.
    pub fn stall(&mut self, at: usize, stalled: bool) {
        if let Some(conn) = &mut self.conns[at] {
            conn.stalled = stalled;
            if !stalled {
                self.again.push(at);
            }
        }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        let Some(conn) = &mut self.conns[at] else {
            return;
        };
        let mut taken = 0;
        if conn.unsent.is_empty() {
            taken = conn.stream.write(bytes).unwrap_or(0);
        }
        if taken < bytes.len() {
            if conn.unsent.is_empty() {
                self.late.push(at);
            }
            conn.unsent.extend_from_slice(&bytes[taken..]);
        }
    }

    /// Waits at most `patience` and appends what has arrived, in order for each slot.
    ///
    /// # Errors
    /// An error of the system.
    pub fn turn(&mut self, patience: Duration, heard: &mut Vec<(usize, Heard)>) -> io::Result<()> {
        for at in std::mem::take(&mut self.late) {
            if let Some(conn) = &mut self.conns[at] {
                let bytes = std::mem::take(&mut conn.unsent);
                self.write(at, &bytes);
            }
        }
        let again = std::mem::take(&mut self.again);
        let patience = if again.is_empty() && self.late.is_empty() {
            patience
        } else {
            Duration::ZERO
        };
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let mut ready: Vec<usize> = self
            .events
            .iter()
            .map(|event| event.token().0)
            .chain(again)
            .collect();
        ready.sort_unstable();
        ready.dedup();
        for at in ready {
            self.read(at, heard);
        }
        Ok(())
    }

    fn read(&mut self, at: usize, heard: &mut Vec<(usize, Heard)>) {
        let Some(conn) = self.conns[at].as_mut().filter(|conn| !conn.stalled) else {
            return;
        };
        let over = match conn.stream.read(&mut self.buffer) {
            Ok(0) => true,
            Ok(count) => {
                conn.unread.extend_from_slice(&self.buffer[..count]);
                // Readiness is reported once, so the slot is read again.
                self.again.push(at);
                false
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return;
            }
            Err(_) => true,
        };
        conn.take(at, heard);
        if over || conn.code.is_some() {
            heard.push((at, Heard::Closed(conn.code.unwrap_or(1006))));
            self.conns[at] = None;
        }
    }
}

impl Conn {
    /// Appends the complete frames.
    fn take(&mut self, at: usize, heard: &mut Vec<(usize, Heard)>) {
        let mut taken = 0;
        if !self.upgraded {
            let Some(end) = self
                .unread
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            else {
                return;
            };
            let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
            assert!(head.starts_with("HTTP/1.1 101"), "no WebSocket: {head}");
            (self.upgraded, taken) = (true, end + 4);
            heard.push((at, Heard::Open));
        }
        while let Some((opcode, from, to)) = frame(&self.unread[taken..]) {
            let payload = &self.unread[taken + from..taken + to];
            match opcode {
                1 => heard.push((
                    at,
                    Heard::Text(
                        String::from_utf8(payload.to_vec()).expect("a server's text is UTF-8"),
                    ),
                )),
                8 => {
                    self.code = Some(
                        payload
                            .first_chunk()
                            .map_or(1005, |code| u16::from_be_bytes(*code)),
                    )
                }
                9 => {
                    let pong = masked(0x8a, payload);
                    // A socket that accepts no pong will be closed as slow.
                    if self.unsent.is_empty() {
                        let _ = self.stream.write(&pong);
                    }
                }
                10 => {}
                other => panic!("a server sent a frame with opcode {other}"),
            }
            taken += to;
        }
        self.unread.drain(..taken);
    }
}

/// Opcode, begin and end of the payload of a whole frame at the start of `bytes`.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(first & 0xf0, 0x80, "a whole frame without extensions");
    let (from, length) = match second {
        0..126 => (2, usize::from(second)),
        126 => (
            4,
            usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        ),
        127 => (
            10,
            u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize,
        ),
        _ => panic!("a server must not mask"),
    };
    (bytes.len() >= from + length).then_some((first & 0x0f, from, from + length))
}
