//! One connection: its socket, what it has not yet read or written, and who is behind it.
//!
//! Small on purpose: an idle connection holds no buffer, and everything that only an identified client needs is behind one pointer.

use crate::{
    edge::JoinQuestion,
    hub::ConnRef,
    rate::Bucket,
    room::{Profile, Room},
};
use bytes::{Buf, Bytes};
use envelope::verdict::{Access, Identify, Status};
use mio::net::TcpStream;
use std::{
    collections::VecDeque,
    io::{self, IoSlice, Write},
    net::IpAddr,
    sync::Arc,
};

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The request head is not complete.
    Head,
    /// Open.
    Open,
    /// A close frame was sent or is on its way; the socket goes at the deadline or when the peer has answered.
    Closing {
        /// The peer has sent its close frame as well: nothing more is awaited.
        answered: bool,
    },
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub stream: TcpStream,
    pub phase: Phase,
    /// The client's address as far as trusted proxies tell; the peer's until the head is read.
    pub address: IpAddr,
    /// The hub has counted it.
    pub admitted: bool,
    /// Bytes read and not yet understood.
    pub unread: Vec<u8>,
    pub assembly: Option<Box<Assembly>>,
    pub queue: Option<Box<Queue>>,
    pub session: Option<Box<Session>>,
    /// Start of the present phase.
    pub since_ms: u32,
    /// Last sign of life.
    pub seen_ms: u32,
    pub pinged_ms: u32,
    /// The kernel may have bytes for us.
    pub readable: bool,
    /// On the list of connections with something to write.
    pub dirty: bool,
    /// On the list of connections with something to read.
    pub ready: bool,
}

/// A fragmented message on its way in.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    pub bytes: Vec<u8>,
    pub fragments: usize,
    /// How far the text is known to be UTF-8.
    pub checked: usize,
}

impl Assembly {
    /// Checks what has arrived so far (RFC 6455 section 8.1); false when it can never become UTF-8.
    pub(crate) fn check(&mut self, last: bool) -> bool {
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => {
                self.checked = self.bytes.len();
                true
            }
            Err(error) => {
                self.checked += error.valid_up_to();
                !last && error.error_len().is_none()
            }
        }
    }
}

/// A frame that waits.
#[derive(Debug)]
struct Waiting {
    bytes: Bytes,
    /// 0, or what it is the latest of.
    coalesce: u64,
    begun: bool,
}

/// What waits for a socket. Exists only while something waits.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    frames: VecDeque<Waiting>,
    pub bytes: usize,
    /// When the socket last refused or took bytes, while it is behind.
    pub blocked_ms: Option<u32>,
}

/// Outcome of [`Queue::push`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Added,
    Replaced,
    Overflow,
}

/// How many waiting frames are looked through for an older one of the same kind.
const COALESCE_WINDOW: usize = 64;
/// Slices of one vectored write.
const SLICES_MAX: usize = 64;

impl Queue {
    /// Adds a frame; while the socket is behind, an older one with the same key is replaced.
    pub(crate) fn push(&mut self, frame: Bytes, coalesce: u64, bytes_max: usize) -> Pushed {
        if coalesce != 0 && self.blocked_ms.is_some() {
            let older = self.frames.iter_mut().rev().take(COALESCE_WINDOW).find(|waiting| waiting.coalesce == coalesce && !waiting.begun);
            if let Some(older) = older {
                self.bytes = self.bytes - older.bytes.len() + frame.len();
                older.bytes = frame;
                return Pushed::Replaced;
            }
        }
        if self.bytes + frame.len() > bytes_max && !self.frames.is_empty() {
            return Pushed::Overflow;
        }
        self.bytes += frame.len();
        self.frames.push_back(Waiting { bytes: frame, coalesce, begun: false });
        Pushed::Added
    }

    /// Drops everything but a frame that is partly written already.
    pub(crate) fn clear(&mut self) {
        self.frames.retain(|waiting| waiting.begun);
        self.bytes = self.frames.iter().map(|waiting| waiting.bytes.len()).sum();
    }

    /// Writes as much as the socket takes; whether nothing is left.
    pub(crate) fn flush(&mut self, stream: &mut TcpStream, now_ms: u32) -> io::Result<bool> {
        while !self.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            for (slice, waiting) in slices.iter_mut().zip(&self.frames) {
                *slice = IoSlice::new(&waiting.bytes);
                count += 1;
            }
            let written = if count == 1 { stream.write(&slices[0]) } else { stream.write_vectored(&slices[..count]) };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.advance(written);
                    if self.blocked_ms.is_some() {
                        self.blocked_ms = Some(now_ms);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked_ms.get_or_insert(now_ms);
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.frames.front_mut() {
            if first.bytes.len() > written {
                first.bytes.advance(written);
                first.begun |= written > 0;
                return;
            }
            written -= first.bytes.len();
            self.frames.pop_front();
        }
    }
}

/// What an open WebSocket has beside its socket.
#[derive(Debug)]
pub(crate) struct Session {
    pub connection_id: Box<str>,
    /// `serverTime` of `connected`: part of what a key proof signs.
    pub server_time_ms: u64,
    pub person: Option<Person>,
    /// Buckets in the order of the rate classes.
    pub buckets: [Bucket; 7],
    /// KiB that may be sent on.
    pub volume: Bucket,
    pub new_targets: Bucket,
    /// Hashes of identities addressed lately, oldest first.
    pub targets: VecDeque<u64>,
    pub strikes: u32,
    pub strike_ms: u32,
    pub unknown_type_ms: Option<u32>,
    pub keepalive_ms: Option<u32>,
    pub pending: Option<Box<Pending>>,
    pub rooms: Vec<Place>,
    /// Which of a person's connections takes part in signalling with this one (D13), oldest first.
    pub peers: VecDeque<(Arc<str>, ConnRef)>,
}

/// Who is behind a connection.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub profile: Arc<Profile>,
    pub status: Status,
    pub plugins: Option<Arc<[Box<str>]>>,
    /// Announced the feature `errors`.
    pub wants_errors: bool,
}

/// A room that the connection joined or views.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub room: Arc<Room>,
    pub joined: bool,
}

/// What a paused connection waits for; nothing is read from it meanwhile.
#[derive(Debug)]
pub(crate) enum Pending {
    /// What the edge knows of the identity.
    Identify { wish: Identify, user_id: Arc<str>, proven: Option<Proven> },
    /// The binding of a key.
    Bind { wish: Identify, user_id: Arc<str> },
    /// The server's view.
    Server { access: Access, look: bool, request_id: Option<String> },
    /// The decision of the edge about a guarded server.
    Join { question: JoinQuestion, access: Access, request_id: Option<String> },
}

/// What a proof has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proven {
    /// A token for this identity.
    Token,
    /// Possession of this key.
    Key(String),
}

impl Session {
    /// The place at the server named `server_id`.
    pub(crate) fn place(&self, server_id: &str) -> Option<&Place> {
        self.rooms.iter().find(|place| *place.room.server_id == *server_id)
    }

    /// The server that an envelope without `serverId` means: the sole joined, else the sole viewed one (D1).
    pub(crate) fn implied(&self) -> Option<&Place> {
        let sole = |joined: bool| {
            let mut places = self.rooms.iter().filter(move |place| place.joined == joined);
            places.next().filter(|_| places.next().is_none())
        };
        if self.rooms.iter().any(|place| place.joined) { sole(true) } else { sole(false) }
    }

    /// How many servers are joined, or viewed.
    pub(crate) fn count(&self, joined: bool) -> usize {
        self.rooms.iter().filter(|place| place.joined == joined).count()
    }
}

#[cfg(test)]
mod tests {
    use super::{Assembly, Pushed, Queue};
    use bytes::Bytes;

    #[test]
    fn a_queue_is_bounded_and_replaces_what_is_outdated() {
        let mut queue = Queue::default();
        assert_eq!(queue.push(Bytes::from_static(b"aaaa"), 7, 10), Pushed::Added);
        assert_eq!(queue.push(Bytes::from_static(b"bbbb"), 7, 10), Pushed::Added, "nothing is replaced while the socket keeps up");
        queue.blocked_ms = Some(1);
        assert_eq!(queue.push(Bytes::from_static(b"cc"), 7, 10), Pushed::Replaced);
        assert_eq!(queue.bytes, 6);
        assert_eq!(queue.push(Bytes::from_static(b"ddddd"), 0, 10), Pushed::Overflow);
        queue.advance(2);
        queue.clear();
        assert_eq!(queue.bytes, 2, "the begun frame stays");
        assert_eq!(queue.push(Bytes::from_static(b"e"), 7, 10), Pushed::Added);
    }

    #[test]
    fn text_is_checked_as_it_arrives() {
        let mut assembly = Assembly::default();
        assembly.bytes.extend_from_slice(&"ä".as_bytes()[..1]);
        assert!(assembly.check(false), "half a character may be completed");
        assert!(!assembly.clone_for_test().check(true), "but not at the end");
        assembly.bytes.push(0xff);
        assert!(!assembly.check(false), "what can never be UTF-8 is refused at once");
    }

    impl Assembly {
        fn clone_for_test(&self) -> Self {
            Self { bytes: self.bytes.clone(), fragments: self.fragments, checked: self.checked }
        }
    }
}
