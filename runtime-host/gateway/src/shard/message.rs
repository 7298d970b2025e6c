//! What arrives in a shard's inbox.

use crate::{
    directory::views::{ServerView, UserView},
    http_handoff::UpgradedSocket,
    hub::ConnRef,
    plugins::publish::Publication,
    room::Room,
    session::{
        User,
        authority::KnownMembers,
        pending::{Reply, Unavailable},
    },
    shard::coalesce::CoalesceKey,
};
use bytes::Bytes;
use mio::net::TcpStream;
use plugin_bus::Ticket;
use std::{net::IpAddr, sync::Arc};

/// A message for a shard.
#[derive(Debug)]
pub(crate) enum Message {
    /// A new socket and its peer.
    Accept(TcpStream, IpAddr),
    /// A socket whose upgrade the HTTP server has answered.
    Adopt(UpgradedSocket),
    /// A frame for one connection.
    Direct {
        /// The receiver.
        to: ConnRef,
        /// The frame.
        frame: Bytes,
        /// The sending connection.
        sender: ConnRef,
        /// The sending user if this is signalling: the receiver's answers go to the connection.
        peer: Option<Arc<str>>,
    },
    /// A [`Message::Direct`] of this connection was not delivered: too much waits for its receiver.
    Undelivered(ConnRef),
    /// A frame for the joined connections of a room.
    Room {
        /// The room.
        room: Arc<Room>,
        /// The frame and its receivers.
        delivery: Delivery,
        /// Place in the room's order of presence events; connections that joined later do not get it.
        sequence: Option<u64>,
    },
    /// A server's rules or plugins changed.
    Revised {
        /// The room.
        room: Arc<Room>,
        /// The new view.
        view: Arc<ServerView>,
        /// The view may be older than the one before: the directory was restored from a backup.
        is_restated: bool,
    },
    /// The directory has said which users of a room are members of its server.
    MembersKnown {
        /// The room.
        room: Arc<Room>,
        /// The users.
        known: Arc<KnownMembers>,
    },
    /// The directory's view of the user of a connection changed.
    UserChanged {
        /// The connection.
        to: ConnRef,
        /// Its user when the message was sent.
        user_id: Arc<str>,
        /// The new view.
        view: Arc<UserView>,
    },
    /// The reply that a paused connection waits for, or why there is none.
    Reply(Ticket, Result<Reply, Unavailable>),
    /// An envelope of a plugin.
    Publish(Box<Publication>),
    /// The process ends.
    Drain,
}

impl Message {
    /// Bytes of the content that it carries.
    pub(crate) fn content_bytes(&self) -> usize {
        match self {
            Self::Direct { frame, .. } => frame.len(),
            Self::Room { delivery, .. } => delivery.frame.len(),
            _ => 0,
        }
    }
}

/// A frame and its receivers among the joined connections of a room.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// The encoded frame, shared by all receivers.
    pub frame: Bytes,
    /// The sending connection, which does not get it.
    pub skip: Option<ConnRef>,
    /// The joined connections that get it.
    pub receivers: Receivers,
    /// A queued frame with the same key is replaced.
    pub coalesce: Option<CoalesceKey>,
}

/// Selects joined connections of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Receivers {
    /// All.
    All,
    /// Those of one user.
    User(Arc<str>),
    /// Those that declared a plugin.
    Plugin(Arc<str>),
    /// Those that get a large roster in pages, or those that do not.
    Paging(bool),
}

impl Receivers {
    /// Whether the connection of a user gets the frame.
    pub(crate) fn selects(&self, user: &User) -> bool {
        match self {
            Self::All => true,
            Self::User(user_id) => user.profile.user_id == *user_id,
            Self::Plugin(plugin_id) => user.has_plugin(plugin_id),
            // Known for a membership, not for a user: the outbox selects them.
            Self::Paging(_) => false,
        }
    }
}
