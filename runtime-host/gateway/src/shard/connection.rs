//! One connection: its socket, the bytes not yet read or written, and its session.
//!
//! An idle connection holds no buffer, and everything that only an identified client needs is behind one pointer.

use crate::{
    directory::JoinQuestion,
    hub::ConnRef,
    plugins::decisions::PendingDecision,
    rate::Bucket,
    room::{Profile, Room},
    session::undecided::Undecided,
    shard::{assembly::Assembly, queue::Queue},
};
use envelope::verdict::{Access, Identify, Status};
use mio::net::TcpStream;
use std::{collections::VecDeque, net::IpAddr, sync::Arc};

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
    /// The tick at which the shard's timer looks at its deadlines.
    pub due_tick: Option<u32>,
    /// The kernel may have bytes for us.
    pub readable: bool,
    /// On the list of connections with something to write.
    pub dirty: bool,
    /// On the list of connections with something to read.
    pub ready: bool,
    /// The peer's end is closed: reading goes on until the kernel says so.
    pub hung_up: bool,
    /// In which flush of rooms it last sent to one: it does not get its own frames back.
    pub spoke: u32,
}

/// What an open WebSocket has beside its socket.
#[derive(Debug)]
pub(crate) struct Session {
    pub connection_id: Arc<str>,
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
    /// The connection of each signalling partner, oldest first.
    pub peers: VecDeque<(Arc<str>, ConnRef)>,
}

/// The user of a connection.
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
    /// Its index among the shard's joined connections of that room, when joined.
    pub at: u32,
}

/// What a paused connection waits for; nothing is read from it meanwhile.
#[derive(Debug)]
pub(crate) enum Pending {
    /// The directory's view of the user.
    Identify {
        wish: Identify,
        user_id: Arc<str>,
        proven: Option<Proven>,
        request_id: Option<String>,
    },
    /// The binding of a key.
    Bind {
        wish: Identify,
        user_id: Arc<str>,
        verified: bool,
        request_id: Option<String>,
    },
    /// The server's view.
    Server {
        access: Access,
        look: bool,
        request_id: Option<String>,
    },
    /// The decision of the directory about a guarded server.
    Join {
        question: JoinQuestion,
        access: Access,
        request_id: Option<String>,
    },
    /// The decision of plugins about an envelope.
    Plugins(PendingDecision),
    /// The decision of a validator that answered `later`.
    Judges(Undecided),
}

impl Pending {
    /// Whether the directory has to answer.
    pub(crate) fn waits_for_directory(&self) -> bool {
        !matches!(self, Self::Plugins(_) | Self::Judges(_))
    }
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
        self.rooms
            .iter()
            .find(|place| *place.room.server_id == *server_id)
    }

    /// The server of an envelope without `serverId`: the only joined one, else the only viewed one.
    pub(crate) fn implied(&self) -> Option<&Place> {
        let sole = |joined: bool| {
            let mut places = self
                .rooms
                .iter()
                .filter(move |place| place.joined == joined);
            places.next().filter(|_| places.next().is_none())
        };
        if self.rooms.iter().any(|place| place.joined) {
            sole(true)
        } else {
            sole(false)
        }
    }

    /// How many servers are joined, or viewed.
    pub(crate) fn count(&self, joined: bool) -> usize {
        self.rooms
            .iter()
            .filter(|place| place.joined == joined)
            .count()
    }
}
