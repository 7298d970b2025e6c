//! The reference "floor": the smallest readiness loop that passes envelopes on. One `send` for each delivery, rooms as plain lists.
//!
//! It checks nothing, has no limits, and reads only the first bytes of an envelope. It speaks just enough for the same clients:
//! `connected`, a roster on each join, `user_joined` to the others. When a socket is full, the delivery is dropped.

use crate::frame::{self, Head, TEXT};
use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use sha1::{Digest as _, Sha1};
use std::{
    collections::HashMap,
    io::{ErrorKind, Read as _, Write as _},
    net::TcpListener,
};

const LISTENER: Token = Token(usize::MAX);
/// One read; a 16 kB message fits several times.
const READ_BYTES: usize = 64 * 1024;

struct Conn {
    stream: TcpStream,
    open: bool,
    /// Bytes of a frame that is not whole yet; empty without memory otherwise.
    unread: Vec<u8>,
    /// The rest of a frame of which the socket took a part.
    unsent: Vec<u8>,
    /// Roster entry, with braces.
    entry: Box<str>,
    room: Option<usize>,
}

#[derive(Default)]
struct Floor {
    conns: Vec<Option<Conn>>,
    free: Vec<usize>,
    rooms: Vec<Vec<usize>>,
    names: HashMap<Box<[u8]>, usize>,
    outgoing: Vec<u8>,
}

/// Serves until it is killed.
pub(crate) fn run() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // The standard library's backlog of 128 is too short for a storm.
    rustix::net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    let mut listener = mio::net::TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("ready http://{}", listener.local_addr()?);
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; READ_BYTES];
    let mut floor = Floor::default();
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return Err(error).context("poll");
            }
            _ => {}
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(&listener, &poll)?,
                Token(at) => {
                    if event.is_writable() {
                        floor.finish(at);
                    }
                    if event.is_readable() {
                        floor.read(at, event.is_read_closed(), &mut buffer);
                    }
                }
            }
        }
    }
}

impl Floor {
    fn accept(&mut self, listener: &mio::net::TcpListener, poll: &Poll) -> Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("accept"),
            };
            stream.set_nodelay(true)?;
            let at = self.free.pop().unwrap_or_else(|| {
                self.conns.push(None);
                self.conns.len() - 1
            });
            poll.registry().register(
                &mut stream,
                Token(at),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            self.conns[at] = Some(Conn {
                stream,
                open: false,
                unread: Vec::new(),
                unsent: Vec::new(),
                entry: "".into(),
                room: None,
            });
        }
    }

    fn read(&mut self, at: usize, ends: bool, buffer: &mut [u8]) {
        loop {
            let Some(conn) = self.conns.get_mut(at).and_then(Option::as_mut) else {
                return;
            };
            let kept = conn.unread.len();
            let count = match conn.stream.read(&mut buffer[kept..]) {
                Ok(0) => return self.end(at),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.end(at),
            };
            buffer[..kept].copy_from_slice(&std::mem::take(&mut conn.unread));
            let whole = kept + count;
            let mut taken = 0;
            while let Some(used) = self.take(at, &mut buffer[taken..whole]) {
                taken += used;
            }
            if let Some(conn) = self.conns[at].as_mut()
                && taken < whole
            {
                conn.unread = buffer[taken..whole].to_vec();
            }
            if !ends && whole < buffer.len() {
                return;
            }
        }
    }

    /// Handles what stands first in `bytes`; how many bytes that was, `None` when it is not whole.
    fn take(&mut self, at: usize, bytes: &mut [u8]) -> Option<usize> {
        let conn = self.conns[at].as_mut()?;
        if !conn.open {
            let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
            let key = header(&bytes[..end], b"sec-websocket-key: ")?;
            let digest = Sha1::new()
                .chain_update(key)
                .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
                .finalize();
            let accept = STANDARD.encode(digest);
            conn.open = true;
            self.outgoing.clear();
            write!(
                self.outgoing,
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
            )
            .expect("memory takes bytes");
            frame::put(
                &mut self.outgoing,
                TEXT,
                br#"{"type":"connected","connectionId":"floor","serverTime":0}"#,
            );
            send(conn, &self.outgoing);
            return Some(end);
        }
        let head = Head::read(bytes)?;
        let end = head.bytes + head.payload;
        let payload = bytes.get_mut(head.bytes..end)?;
        if let Some(mask) = head.mask {
            frame::unmask(payload, mask);
        }
        if head.first == TEXT {
            self.envelope(at, payload);
        }
        Some(end)
    }

    fn envelope(&mut self, at: usize, payload: &[u8]) {
        if payload.starts_with(br#"{"type":"identify""#) {
            let name = String::from_utf8_lossy(text(payload, br#""oderId":""#).unwrap_or_default());
            let entry =
                format!(r#"{{"oderId":"{name}","displayName":"{name}","status":"online"}}"#);
            if let Some(conn) = self.conns[at].as_mut() {
                conn.entry = entry.into();
            }
        } else if payload.starts_with(br#"{"type":"join_server""#) {
            self.join(at, text(payload, br#""serverId":""#).unwrap_or_default());
        } else if payload.starts_with(br#"{"type":"keepalive""#) {
            self.outgoing.clear();
            frame::put(&mut self.outgoing, TEXT, payload);
            if let Some(conn) = self.conns[at].as_mut() {
                send(conn, &self.outgoing);
            }
        } else if let Some(room) = self.conns[at].as_ref().and_then(|conn| conn.room) {
            self.outgoing.clear();
            frame::put(&mut self.outgoing, TEXT, payload);
            self.broadcast(room, at);
        }
    }

    fn join(&mut self, at: usize, server: &[u8]) {
        let room = *self.names.entry(server.into()).or_insert_with(|| {
            self.rooms.push(Vec::new());
            self.rooms.len() - 1
        });
        let server = String::from_utf8_lossy(server);
        let mut roster = format!(r#"{{"type":"server_users","serverId":"{server}","users":["#);
        for (place, member) in self.rooms[room]
            .iter()
            .filter_map(|member| self.conns[*member].as_ref())
            .enumerate()
        {
            roster.push_str(if place == 0 { "" } else { "," });
            roster.push_str(&member.entry);
        }
        roster.push_str("]}");
        let Some(conn) = self.conns[at].as_mut() else {
            return;
        };
        conn.room = Some(room);
        self.outgoing.clear();
        frame::put(&mut self.outgoing, TEXT, roster.as_bytes());
        send(conn, &self.outgoing);
        let joined = format!(
            r#"{{"type":"user_joined","serverId":"{server}",{}"#,
            conn.entry.get(1..).unwrap_or_default()
        );
        self.outgoing.clear();
        frame::put(&mut self.outgoing, TEXT, joined.as_bytes());
        self.broadcast(room, at);
        self.rooms[room].push(at);
    }

    fn broadcast(&mut self, room: usize, from: usize) {
        for &member in &self.rooms[room] {
            if member != from
                && let Some(conn) = self.conns[member].as_mut()
            {
                send(conn, &self.outgoing);
            }
        }
    }

    fn finish(&mut self, at: usize) {
        if let Some(conn) = self.conns.get_mut(at).and_then(Option::as_mut)
            && !conn.unsent.is_empty()
        {
            let bytes = std::mem::take(&mut conn.unsent);
            send(conn, &bytes);
        }
    }

    fn end(&mut self, at: usize) {
        if let Some(conn) = self.conns[at].take() {
            self.free.push(at);
            if let Some(room) = conn.room {
                self.rooms[room].retain(|member| *member != at);
            }
        }
    }
}

/// One `send`. What a full socket does not take is lost, unless a part of the frame has gone already.
fn send(conn: &mut Conn, bytes: &[u8]) {
    if !conn.unsent.is_empty() {
        return;
    }
    if let Ok(count) = conn.stream.write(bytes)
        && count < bytes.len()
    {
        conn.unsent = bytes[count..].to_vec();
    }
}

/// The text after `key` up to the next quotation mark.
fn text<'a>(payload: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let start = payload
        .windows(key.len())
        .position(|window| window == key)?
        + key.len();
    let length = payload[start..].iter().position(|byte| *byte == b'"')?;
    Some(&payload[start..start + length])
}

/// The value of a header that this bench's client writes in lower case.
fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let start = head.windows(name.len()).position(|window| window == name)? + name.len();
    let length = head[start..].iter().position(|byte| *byte == b'\r')?;
    Some(&head[start..start + length])
}
