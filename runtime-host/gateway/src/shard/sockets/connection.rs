//! One connection: its socket, the bytes not yet read or written, and its session. An idle connection holds no buffer.

use crate::{
    session::Session,
    shard::{assembly::Assembly, queue::Queue},
};
use mio::net::TcpStream;
use std::net::IpAddr;

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

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(in crate::shard) stream: TcpStream,
    pub(in crate::shard) phase: Phase,
    /// The client's address as far as trusted proxies tell; the peer's until the head is read.
    pub(in crate::shard) address: IpAddr,
    /// It is counted by [`Admission`](crate::hub::Admission).
    pub(in crate::shard) admitted: bool,
    /// Bytes read that are not a whole head or frame yet.
    pub(in crate::shard) unread: Vec<u8>,
    pub(in crate::shard) assembly: Option<Box<Assembly>>,
    /// Exists only while frames wait for the socket.
    pub(in crate::shard) queue: Option<Box<Queue>>,
    pub(in crate::shard) session: Option<Box<Session>>,
    /// Start of the present phase. This and the times below are milliseconds of the shard's clock.
    pub(in crate::shard) since_ms: u32,
    /// The last frame from the peer.
    pub(in crate::shard) seen_ms: u32,
    pub(in crate::shard) pinged_ms: u32,
    /// The tick at which its deadlines are checked.
    pub(in crate::shard) due_tick: Option<u32>,
    /// The kernel may have bytes to read.
    pub(in crate::shard) readable: bool,
    /// On the list of connections to write to.
    pub(in crate::shard) dirty: bool,
    /// On the list of connections to read from.
    pub(in crate::shard) ready: bool,
    /// The peer has closed its side: reading goes on until the kernel reports the end.
    pub(in crate::shard) hung_up: bool,
    /// The socket failed: the connection is dropped as soon as it has left its rooms.
    pub(in crate::shard) lost: bool,
    /// The flush of rooms in which it last sent to one: it does not get its own frames back.
    pub(in crate::shard) sent_in_flush: u32,
}

impl Conn {
    /// A connection whose request head is awaited.
    pub(in crate::shard) fn new(stream: TcpStream, address: IpAddr, now_ms: u32) -> Self {
        Self {
            stream,
            phase: Phase::Head,
            address,
            admitted: false,
            unread: Vec::new(),
            assembly: None,
            queue: None,
            session: None,
            since_ms: now_ms,
            seen_ms: now_ms,
            pinged_ms: now_ms,
            due_tick: None,
            readable: false,
            dirty: false,
            ready: false,
            hung_up: false,
            lost: false,
            sent_in_flush: 0,
        }
    }

    /// Whether nothing may be read because an envelope waits for a reply.
    pub(in crate::shard) fn is_paused(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.is_paused())
    }

    /// Whether the client has not identified.
    pub(in crate::shard) fn is_anonymous(&self) -> bool {
        let session = self.session.as_ref();
        session.is_none_or(|session| session.user().is_none())
    }
}

// An idle connection costs these, its profile and its entries in users and rooms: about 2 KB altogether.
const _: () = assert!(size_of::<Conn>() <= 112 && size_of::<Session>() <= 112);
