//! One connection: its socket, what it has not yet read or written, and who is behind it.
//!
//! Small on purpose: an idle connection holds no buffer, and everything that only an identified client needs is behind one pointer.

use crate::{
    edge::JoinQuestion,
    frame::unmask,
    hub::ConnRef,
    queue::Queue,
    rate::Bucket,
    room::{Profile, Room},
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

/// A text message on its way in: in fragments, or in a frame that is not whole yet.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    pub bytes: Vec<u8>,
    /// Frames so far.
    pub fragments: usize,
    /// How far the text is known to be UTF-8.
    checked: usize,
    /// The frame whose payload is still arriving.
    pub arriving: Option<Arriving>,
}

/// What is missing of a data frame whose header has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arriving {
    /// Last frame of its message.
    pub fin: bool,
    /// Masking key, turned so that its first byte is for the next byte.
    pub mask: [u8; 4],
    /// Bytes still to come.
    pub missing: usize,
}

impl Assembly {
    /// Takes what `bytes` holds of the arriving frame's payload, unmasked in place; how many bytes that were. Nothing is collected of a
    /// message that nobody will read (`keep`).
    pub(crate) fn take(&mut self, bytes: &mut [u8], keep: bool) -> usize {
        let Some(arriving) = &mut self.arriving else { return 0 };
        let taken = arriving.missing.min(bytes.len());
        if keep {
            let payload = &mut bytes[..taken];
            unmask(payload, arriving.mask);
            // A header is only a claim: room is made for what came, doubled, and never for more than was claimed.
            let room = self.bytes.len().max(taken).min(arriving.missing);
            if self.bytes.capacity() - self.bytes.len() < taken {
                self.bytes.reserve_exact(room);
            }
            self.bytes.extend_from_slice(payload);
        }
        arriving.mask.rotate_left(taken % 4);
        arriving.missing -= taken;
        taken
    }

    /// Whether the arriving frame is whole; it is over then. `Some(true)` when its message is over as well.
    pub(crate) fn finish(&mut self) -> Option<bool> {
        let fin = self.arriving.filter(|arriving| arriving.missing == 0)?.fin;
        self.arriving = None;
        Some(fin)
    }

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

    /// Forgets the message, and only knows where the arriving frame ends: what follows is still understood.
    pub(crate) fn forget(assembly: &mut Option<Box<Self>>) {
        let arriving = assembly.take().and_then(|assembly| assembly.arriving);
        *assembly = arriving.map(|arriving| Box::new(Self { arriving: Some(arriving), ..Self::default() }));
    }
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
    /// Its index among the shard's joined connections of that room, when joined.
    pub at: u32,
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
    use super::{Arriving, Assembly};

    #[test]
    fn text_is_checked_as_it_arrives() {
        let with = |bytes: &[u8]| Assembly { bytes: bytes.to_vec(), ..Assembly::default() };
        let half = &"ä".as_bytes()[..1];
        assert!(with(half).check(false), "half a character may be completed");
        assert!(!with(half).check(true), "but not at the end");
        let mut assembly = with(half);
        assert!(assembly.check(false));
        assembly.bytes.push(0xff);
        assert!(!assembly.check(false), "what can never be UTF-8 is refused at once");
    }

    #[test]
    fn a_payload_may_arrive_in_any_pieces() {
        let plain: Vec<u8> = (0..50).collect();
        let mask = [7, 200, 3, 99];
        for piece in 1..=plain.len() {
            let mut masked = plain.clone();
            crate::frame::unmask(&mut masked, mask);
            masked.extend_from_slice(b"next frame");
            let arriving = Some(Arriving { fin: true, mask, missing: plain.len() });
            let mut assembly = Assembly { arriving, ..Assembly::default() };
            let mut at = 0;
            while assembly.finish().is_none() {
                let end = (at + piece).min(masked.len());
                at += assembly.take(&mut masked[at..end], true);
            }
            assert_eq!((at, assembly.bytes.as_slice()), (plain.len(), plain.as_slice()), "pieces of {piece}");
            assert!(assembly.bytes.capacity() <= plain.len(), "no room for more than was claimed");
        }
    }

    #[test]
    fn what_nobody_reads_is_counted_and_not_kept() {
        let arriving = Some(Arriving { fin: false, mask: [1; 4], missing: 10 });
        let mut assembly = Some(Box::new(Assembly { bytes: vec![0; 100], fragments: 3, arriving, ..Assembly::default() }));
        Assembly::forget(&mut assembly);
        let mut assembly = assembly.expect("a frame is still arriving");
        assert_eq!((assembly.take(&mut [0; 64], false), assembly.bytes.capacity()), (10, 0));
        assert_eq!(assembly.finish(), Some(false));
        let mut whole = Some(Box::new(Assembly { bytes: vec![0; 100], ..Assembly::default() }));
        Assembly::forget(&mut whole);
        assert!(whole.is_none());
    }
}
