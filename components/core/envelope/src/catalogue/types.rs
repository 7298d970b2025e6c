//! The types of the catalogue: what is said about an envelope type and its members.

use limits::rate::{self, Rate};

/// One type of envelope.
#[derive(Debug)]
pub struct EnvelopeType {
    /// `type` on the wire.
    pub name: &'static str,
    /// Which side sends it.
    pub direction: Direction,
    /// Where the server sends it.
    pub routing: Routing,
    /// Largest envelope of this type, in bytes.
    pub bytes_max: usize,
    /// Token bucket that it is charged to.
    pub rate: RateClass,
    /// Whether a newer one replaces an older one of the same sender that is queued for a slow receiver.
    pub coalesce: bool,
    /// One sentence for the documents.
    pub summary: &'static str,
    /// Members besides `type`.
    pub fields: &'static [Field],
}

/// Which side sends a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Client to server.
    ToServer,
    /// Server to client.
    ToClient,
    /// Both ways.
    Both,
}

impl Direction {
    /// Whether clients may send it.
    #[must_use]
    pub fn from_client(self) -> bool {
        self != Self::ToClient
    }
}

/// Where the server sends an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// Nowhere: it concerns only the sender's connection.
    Connection,
    /// Nowhere: it changes or queries a server's membership.
    Membership,
    /// To every joined server of the sender.
    Presence,
    /// To the joined members of `serverId`.
    Server,
    /// To `targetUserId`, under the forwarding rule named.
    Target(crate::verdict::ForwardClass),
    /// Sent by the server itself.
    Answer,
}

/// The token bucket of a connection that an envelope is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateClass {
    /// The overall bucket alone.
    Other,
    /// Typing, voice state, presence.
    Typing,
    /// Chat.
    Chat,
    /// Joins, views, leaves.
    Membership,
    /// WebRTC signalling.
    Signalling,
    /// Direct messages and calls, icons.
    Direct,
    /// Plugin events.
    PluginEvent,
}

impl RateClass {
    /// The number of classes.
    pub const COUNT: usize = 7;
    /// All classes; the position is the bucket's index.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Other,
        Self::Typing,
        Self::Chat,
        Self::Membership,
        Self::Signalling,
        Self::Direct,
        Self::PluginEvent,
    ];

    /// The default rate.
    #[must_use]
    pub fn rate(self) -> Rate {
        match self {
            Self::Other => rate::ALL,
            Self::Typing => rate::TYPING,
            Self::Chat => rate::CHAT,
            Self::Membership => rate::MEMBERSHIP,
            Self::Signalling => rate::SIGNALLING,
            Self::Direct => rate::DIRECT,
            Self::PluginEvent => rate::PLUGIN_EVENT,
        }
    }

    /// Its name in configuration, metrics and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Other => "all",
            Self::Typing => "typing",
            Self::Chat => "chat",
            Self::Membership => "membership",
            Self::Signalling => "signalling",
            Self::Direct => "direct",
            Self::PluginEvent => "plugin_event",
        }
    }
}

/// One member of an envelope.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// The value.
    pub kind: Kind,
    /// Which side sets it.
    pub side: Side,
    /// Whether that side always sets it.
    pub required: bool,
    /// One sentence for the documents.
    pub summary: &'static str,
}

/// Which side sets a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client; relayed unchanged.
    Client,
    /// The server, which overwrites what the client sends.
    Stamped,
    /// The server; a client never sends it.
    Server,
}

/// The JSON of a member.
#[derive(Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// Text with at most so many characters.
    TextMax(usize),
    /// True or false.
    Boolean,
    /// A whole number from 0.
    Count,
    /// Milliseconds since 1970.
    Millis,
    /// A time as number or ISO 8601 text, relayed unchanged.
    Time,
    /// A chat server's id.
    ServerId,
    /// A user's identity.
    UserId,
    /// A plugin's id.
    PluginId,
    /// A plugin event's name.
    EventName,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Text or object.
    TextOrObject,
    /// Any JSON, not checked.
    Any,
    /// An object with at least these members.
    Object(&'static [Field]),
    /// A list of objects with at least these members.
    ListOf(&'static [Field]),
    /// A list of texts.
    Texts,
}
