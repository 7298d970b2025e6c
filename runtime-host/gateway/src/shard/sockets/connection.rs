//! One connection: its socket, the bytes not yet read or written, and its session. An idle connection holds no buffer.

use crate::{
    address::AddressKey,
    frame::Opcode,
    hub::Place,
    session::Session,
    shard::{assembly::Assembly, queue::Queue},
};
use mio::net::TcpStream;
use std::{
    io::{self, Read},
    net::IpAddr,
};

/// The phase of a connection's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The request head is not complete.
    Head,
    /// Open.
    Open,
    /// A close frame was sent or is on its way. The socket is closed when the peer has answered, or at the deadline.
    Closing {
        /// The peer has sent its close frame as well: nothing more is awaited.
        answered: bool,
    },
}

/// Where a connection comes from.
#[derive(Debug)]
enum Origin {
    /// The address of the peer; the request head may tell of another client.
    Peer(IpAddr),
    /// It has a place.
    Placed(Box<Place>),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(super) stream: TcpStream,
    pub(super) phase: Phase,
    origin: Origin,
    /// Bytes read that are not a whole head or frame yet.
    unread: Vec<u8>,
    pub(in crate::shard) assembly: Option<Box<Assembly>>,
    /// Exists only while frames wait for the socket.
    pub(super) queue: Option<Box<Queue>>,
    pub(super) session: Option<Box<Session>>,
    /// Start of the present phase. This and the times below are milliseconds of the shard's clock.
    pub(super) since_ms: u32,
    /// The last frame from the peer.
    pub(super) seen_ms: u32,
    pub(super) pinged_ms: u32,
    /// It has answered a ping and sent no message since then.
    pub(super) idle: bool,
    /// The tick at which its deadlines are checked.
    pub(super) due_tick: Option<u32>,
    /// The kernel may have bytes to read.
    pub(super) readable: bool,
    /// On the list of connections to write to.
    pub(super) dirty: bool,
    /// On the list of connections to read from.
    pub(super) ready: bool,
    /// The peer has closed its side: reading goes on until the kernel reports the end.
    hung_up: bool,
    /// The socket failed: the connection is dropped as soon as it has left its rooms.
    pub(super) lost: bool,
    /// The flush of rooms in which it last sent to one: it does not get its own frames back.
    pub(super) sent_in_flush: u32,
}

impl Conn {
    /// A connection whose request head is awaited.
    pub(super) fn new(stream: TcpStream, peer: IpAddr, now_ms: u32) -> Self {
        Self::from(stream, Origin::Peer(peer), now_ms)
    }

    /// A connection that has its place already.
    pub(super) fn placed(stream: TcpStream, place: Place, now_ms: u32) -> Self {
        Self::from(stream, Origin::Placed(Box::new(place)), now_ms)
    }

    fn from(stream: TcpStream, origin: Origin, now_ms: u32) -> Self {
        Self {
            stream,
            phase: Phase::Head,
            origin,
            unread: Vec::new(),
            assembly: None,
            queue: None,
            session: None,
            since_ms: now_ms,
            seen_ms: now_ms,
            pinged_ms: now_ms,
            idle: false,
            due_tick: None,
            readable: false,
            dirty: false,
            ready: false,
            hung_up: false,
            lost: false,
            sent_in_flush: 0,
        }
    }

    pub(in crate::shard) fn phase(&self) -> Phase {
        self.phase
    }

    /// The address of the peer, until the connection has a place.
    pub(in crate::shard) fn peer(&self) -> Option<IpAddr> {
        match self.origin {
            Origin::Peer(peer) => Some(peer),
            Origin::Placed(_) => None,
        }
    }

    /// The address by which limits count it, as soon as it has its place.
    pub(super) fn address(&self) -> Option<AddressKey> {
        match &self.origin {
            Origin::Placed(place) => place.address(),
            Origin::Peer(_) => None,
        }
    }

    /// Whether it has a place.
    pub(super) fn has_place(&self) -> bool {
        self.peer().is_none()
    }

    /// Gives it its place, which it keeps until it is dropped.
    pub(super) fn set_place(&mut self, place: Place) {
        self.origin = Origin::Placed(Box::new(place));
    }

    // ---- reading

    /// Takes it from the list of connections to read from.
    pub(in crate::shard) fn begin_turn(&mut self) {
        self.ready = false;
    }

    /// The kernel may have bytes; `hung_up`: the peer has closed its side.
    pub(super) fn set_readable(&mut self, hung_up: bool) {
        self.readable = true;
        self.hung_up |= hung_up;
    }

    /// Whether its socket may be read now.
    pub(in crate::shard) fn may_read(&self) -> bool {
        self.readable && !self.lost && !self.is_paused()
    }

    /// Reads from the socket.
    ///
    /// # Errors
    /// The socket failed; or it has no bytes, and is not readable until the kernel says so.
    pub(in crate::shard) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer);
        match &read {
            // It may still read what is queued: the end is read again once everything is written.
            Ok(0) => self.readable = !self.is_finishing(),
            // A short read has emptied the socket: what comes later raises a new event (epoll(7), edge-triggered).
            Ok(length) => self.readable = *length == buffer.len() || self.hung_up,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
            Err(_) => {}
        }
        read
    }

    /// Whether the peer has ended its side and may still read what is queued.
    pub(in crate::shard) fn is_finishing(&self) -> bool {
        self.phase == (Phase::Closing { answered: true }) && self.queue.is_some()
    }

    /// Takes the bytes that are no whole head or frame yet, if there are any.
    pub(in crate::shard) fn take_unread(&mut self) -> Option<Vec<u8>> {
        (!self.unread.is_empty()).then(|| std::mem::take(&mut self.unread))
    }

    /// Keeps bytes for which more are needed.
    pub(in crate::shard) fn keep_unread(&mut self, bytes: Vec<u8>) {
        self.unread = bytes;
    }

    /// Records a control frame; whether it is a pong, and the first frame since the last ping.
    pub(in crate::shard) fn take_control(&mut self, opcode: Opcode, now_ms: u32) -> bool {
        let since = |then_ms: u32| now_ms.wrapping_sub(then_ms);
        let answers = opcode == Opcode::Pong && since(self.seen_ms) > since(self.pinged_ms);
        self.idle |= answers;
        self.seen_ms = now_ms;
        answers
    }

    /// Records a part of a message; whether the connection was idle, so that its deadlines are closer now.
    pub(super) fn take_message(&mut self, now_ms: u32) -> bool {
        self.seen_ms = now_ms;
        std::mem::take(&mut self.idle)
    }

    /// Whether the socket failed.
    pub(in crate::shard) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether nothing may be read because an envelope waits for a reply.
    pub(in crate::shard) fn is_paused(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.is_paused())
    }

    /// Whether the client has not identified.
    pub(super) fn is_anonymous(&self) -> bool {
        let session = self.session.as_ref();
        session.is_none_or(|session| session.user().is_none())
    }
}

// An idle connection costs these, its profile and its entries in users and rooms: about 2 KB altogether.
const _: () = assert!(size_of::<Conn>() <= 120 && size_of::<Session>() <= 120);
