//! The one table of envelope types (requirements 6.E). JSON Schemas, TypeScript types, the AsyncAPI document and the docs page are
//! generated from it; the gateway takes sizes and rates from it; the judge takes routing from it.
//!
//! To change the wire: change this table, run `cargo xtask gen`, and write the change into CHANGELOG.md. Within protocol version 1 only
//! additions are allowed: new types, new optional members.

use limits::{
    envelope::{
        CHAT_BYTES_MAX, DIRECT_BYTES_MAX, ICON_BYTES_MAX, IDENTIFY_BYTES_MAX,
        PLUGIN_EVENT_WRAPPER_BYTES_MAX, SIGNAL_BYTES_MAX, SIGNALLING_BYTES_MAX,
    },
    plugin_event::PAYLOAD_BYTES_MAX,
    rate::{self, Rate},
};

/// Version of the envelope contract that this server speaks.
pub const PROTOCOL_VERSION: &str = "1.1";
/// Oldest version of the envelope contract that this server understands.
pub const PROTOCOL_VERSION_MIN: &str = "1.0";
/// What a client may count on beyond version 1.0.
pub const FEATURES: &[&str] = &[
    "errors",
    "identity",
    "limits",
    "plugin-events",
    "roster-paging",
    "server-icons",
];

/// One type of envelope.
#[derive(Debug)]
pub struct EnvelopeType {
    /// `type` on the wire.
    pub name: &'static str,
    /// Who sends it.
    pub direction: Direction,
    /// Where the server takes it.
    pub routing: Routing,
    /// Largest envelope of this type, in bytes.
    pub bytes_max: usize,
    /// Which bucket pays for it.
    pub rate: RateClass,
    /// Whether a waiting older one from the same sender is replaced when the receiver is slow.
    pub coalesce: bool,
    /// One sentence for the documents.
    pub summary: &'static str,
    /// Rows of the requirements it comes from.
    pub rows: &'static str,
    /// Members besides `type`.
    pub fields: &'static [Field],
}

/// Who sends a type.
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
    /// Whether a client may send it.
    #[must_use]
    pub fn from_client(self) -> bool {
        self != Self::ToClient
    }
}

/// Where the server takes an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// It concerns the sender's connection alone.
    Connection,
    /// It changes or asks for membership of a server.
    Membership,
    /// To every joined server of the sender.
    Presence,
    /// To the joined members of `serverId`.
    Server,
    /// To `targetUserId`, under the forwarding rule named.
    Target(super::verdict::ForwardClass),
    /// The server says it.
    Answer,
}

/// Which token bucket of a connection pays.
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
    /// All classes; the position is the bucket's index.
    pub const ALL: [Self; 7] = [
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
    /// Who sets it.
    pub side: Side,
    /// Whether it is always there on that side.
    pub required: bool,
    /// One sentence for the documents.
    pub summary: &'static str,
}

/// Who sets a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client; passed on as it is.
    Client,
    /// The client may send it, the server overwrites it with what it knows.
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
    /// A time as number or ISO 8601 text, passed on as given (D1).
    Time,
    /// A chat server's id.
    ServerId,
    /// A person's identity.
    UserId,
    /// A plugin's id.
    PluginId,
    /// A plugin event's name.
    EventName,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Text or object (D1).
    TextOrObject,
    /// Any JSON, not looked into.
    Any,
    /// An object with at least these members.
    Object(&'static [Field]),
    /// A list of objects with at least these members.
    ListOf(&'static [Field]),
    /// A list of texts.
    Texts,
}

const fn field(
    name: &'static str,
    kind: Kind,
    side: Side,
    required: bool,
    summary: &'static str,
) -> Field {
    Field {
        name,
        kind,
        side,
        required,
        summary,
    }
}

const SERVER_ID: Field = field(
    "serverId",
    Kind::ServerId,
    Side::Client,
    true,
    "The chat server.",
);
/// Old clients leave it out; the sole joined (else sole viewed) server is meant, and its id is added (D1).
const SERVER_ID_IMPLIED: Field = field(
    "serverId",
    Kind::ServerId,
    Side::Client,
    false,
    "The chat server; when missing, the sole joined (else viewed) one.",
);
const SERVER_ID_SAID: Field = field(
    "serverId",
    Kind::ServerId,
    Side::Server,
    true,
    "The chat server.",
);
const REQUEST_ID: Field = field(
    "requestId",
    Kind::TextMax(128),
    Side::Client,
    false,
    "Chosen by the client; comes back in a refusal of this envelope.",
);
const REQUEST_ID_SAID: Field = field(
    "requestId",
    Kind::TextMax(128),
    Side::Server,
    false,
    "The refused envelope's `requestId`.",
);
const CODE: Field = field(
    "code",
    Kind::Text,
    Side::Server,
    true,
    "A code for programs.",
);
const MESSAGE: Field = field(
    "message",
    Kind::Text,
    Side::Server,
    true,
    "A sentence for people, naming the member and the limit.",
);
const TARGET: Field = field(
    "targetUserId",
    Kind::UserId,
    Side::Client,
    true,
    "The identity it is for.",
);
const FROM: Field = field(
    "fromUserId",
    Kind::UserId,
    Side::Stamped,
    true,
    "The sender's identity.",
);

const USER: &[Field] = &[
    field("oderId", Kind::UserId, Side::Server, true, "The identity."),
    field(
        "displayName",
        Kind::Text,
        Side::Server,
        true,
        "Its display name.",
    ),
    field(
        "description",
        Kind::Text,
        Side::Server,
        false,
        "Its profile text.",
    ),
    field(
        "status",
        Kind::OneOf(STATUSES),
        Side::Server,
        true,
        "Its presence; the most available of its devices.",
    ),
    field(
        "profileUpdatedAt",
        Kind::Time,
        Side::Server,
        false,
        "Version of its profile, as it was given.",
    ),
    field(
        "verified",
        Kind::Boolean,
        Side::Server,
        true,
        "Whether it proved to be who it says.",
    ),
];
const STATUSES: &[&str] = &["online", "away", "busy", "offline"];

const REQUIREMENT: &[Field] = &[
    field(
        "pluginId",
        Kind::PluginId,
        Side::Server,
        true,
        "The plugin.",
    ),
    field(
        "status",
        Kind::OneOf(&[
            "required",
            "optional",
            "recommended",
            "blocked",
            "incompatible",
        ]),
        Side::Server,
        true,
        "Its standing.",
    ),
    field(
        "installUrl",
        Kind::Any,
        Side::Server,
        true,
        "Where to install it from, or null.",
    ),
    field(
        "sourceUrl",
        Kind::Any,
        Side::Server,
        true,
        "Where its source is, or null.",
    ),
    field(
        "manifest",
        Kind::Any,
        Side::Server,
        true,
        "Its manifest as stored, or null.",
    ),
    field(
        "versionRange",
        Kind::Any,
        Side::Server,
        true,
        "Which versions will do, or null.",
    ),
];
const DEFINITION: &[Field] = &[
    field(
        "pluginId",
        Kind::PluginId,
        Side::Server,
        true,
        "The plugin.",
    ),
    field(
        "eventName",
        Kind::EventName,
        Side::Server,
        true,
        "The event.",
    ),
    field(
        "direction",
        Kind::OneOf(&["clientToServer", "serverRelay", "p2pHint"]),
        Side::Server,
        true,
        "Who may send it.",
    ),
    field(
        "scope",
        Kind::OneOf(&["server", "channel", "user", "plugin"]),
        Side::Server,
        true,
        "Whom it reaches.",
    ),
    field(
        "schema",
        Kind::Any,
        Side::Server,
        true,
        "JSON Schema of the payload, or null.",
    ),
    field(
        "maxPayloadBytes",
        Kind::Count,
        Side::Server,
        true,
        "Largest payload in bytes of compact JSON.",
    ),
];
const SNAPSHOT: &[Field] = &[
    SERVER_ID_SAID,
    field(
        "revision",
        Kind::Count,
        Side::Server,
        true,
        "Grows with every change of the server.",
    ),
    field(
        "requirements",
        Kind::ListOf(REQUIREMENT),
        Side::Server,
        true,
        "Required, optional and blocked plugins.",
    ),
    field(
        "eventDefinitions",
        Kind::ListOf(DEFINITION),
        Side::Server,
        true,
        "Registered plugin events.",
    ),
];

macro_rules! forwarded {
    ($name:literal, $class:ident, $bytes:expr, $rate:ident, $summary:literal, $rows:literal) => {
        EnvelopeType {
            name: $name,
            direction: Direction::Both,
            routing: Routing::Target(super::verdict::ForwardClass::$class),
            bytes_max: $bytes,
            rate: RateClass::$rate,
            coalesce: false,
            summary: $summary,
            rows: $rows,
            fields: &[TARGET, FROM, REQUEST_ID],
        }
    };
}

macro_rules! envelope {
    ($name:literal, $direction:ident, $routing:ident, $bytes:expr, $rate:ident, $coalesce:literal, $summary:literal, $rows:literal, $fields:expr) => {
        EnvelopeType {
            name: $name,
            direction: Direction::$direction,
            routing: Routing::$routing,
            bytes_max: $bytes,
            rate: RateClass::$rate,
            coalesce: $coalesce,
            summary: $summary,
            rows: $rows,
            fields: $fields,
        }
    };
}

/// Every envelope type.
pub const CATALOGUE: &[EnvelopeType] = &[
    envelope!(
        "connected",
        ToClient,
        Answer,
        SIGNAL_BYTES_MAX,
        Other,
        false,
        "The first frame on every connection.",
        "W1",
        &[
            field(
                "connectionId",
                Kind::Text,
                Side::Server,
                true,
                "This connection's id, a UUID."
            ),
            field(
                "serverTime",
                Kind::Millis,
                Side::Server,
                true,
                "The server's clock."
            ),
            field(
                "protocol",
                Kind::Object(&[
                    field(
                        "version",
                        Kind::Text,
                        Side::Server,
                        true,
                        "Version of the envelope contract."
                    ),
                    field(
                        "min",
                        Kind::Text,
                        Side::Server,
                        true,
                        "Oldest version that is understood."
                    ),
                    field(
                        "features",
                        Kind::Texts,
                        Side::Server,
                        true,
                        "What the server offers beyond version 1.0."
                    ),
                    field(
                        "limits",
                        Kind::Any,
                        Side::Server,
                        true,
                        "Sizes, rates and times that a client should know, units in the names."
                    ),
                ]),
                Side::Server,
                true,
                "What this server speaks."
            ),
        ]
    ),
    envelope!(
        "identify",
        ToServer,
        Connection,
        IDENTIFY_BYTES_MAX,
        Other,
        false,
        "Says who is there; comes before everything else.",
        "W3 W4 W21 W31",
        &[
            field(
                "oderId",
                Kind::UserId,
                Side::Client,
                false,
                "The identity; a UUID is made when it is missing."
            ),
            field(
                "displayName",
                Kind::TextMax(limits::envelope::DISPLAY_NAME_CHARS_MAX),
                Side::Client,
                false,
                "Display name."
            ),
            field(
                "connectionScope",
                Kind::TextMax(limits::envelope::CONNECTION_SCOPE_CHARS_MAX),
                Side::Client,
                false,
                "Usually the signalling URL."
            ),
            field(
                "description",
                Kind::TextMax(limits::envelope::DESCRIPTION_CHARS_MAX),
                Side::Client,
                false,
                "Profile text."
            ),
            field(
                "profileUpdatedAt",
                Kind::Time,
                Side::Client,
                false,
                "Version of the profile."
            ),
            field(
                "token",
                Kind::Text,
                Side::Client,
                false,
                "JSON Web Token whose subject is `oderId`."
            ),
            field(
                "key",
                Kind::Text,
                Side::Client,
                false,
                "Ed25519 public key, base64url."
            ),
            field(
                "proof",
                Kind::Text,
                Side::Client,
                false,
                "Ed25519 signature that proves the key, base64url."
            ),
            field(
                "lock",
                Kind::Boolean,
                Side::Client,
                false,
                "Bind `key` to `oderId` from now on."
            ),
            field(
                "plugins",
                Kind::ListOf(&[
                    field(
                        "id",
                        Kind::PluginId,
                        Side::Client,
                        true,
                        "A plugin that the client has."
                    ),
                    field("version", Kind::Text, Side::Client, false, "Its version."),
                ]),
                Side::Client,
                false,
                "Declared plugins."
            ),
            field(
                "features",
                Kind::Texts,
                Side::Client,
                false,
                "Features of `connected.protocol` that the client understands."
            ),
            field(
                "protocol",
                Kind::Text,
                Side::Client,
                false,
                "Version of the contract the client speaks; 1.0 when missing."
            ),
            REQUEST_ID,
        ]
    ),
    envelope!(
        "keepalive",
        Both,
        Connection,
        SIGNAL_BYTES_MAX,
        Other,
        true,
        "A sign of life, answered at most once per ping interval.",
        "W9",
        &[]
    ),
    envelope!(
        "status_update",
        Both,
        Presence,
        SIGNAL_BYTES_MAX,
        Typing,
        true,
        "Presence of an identity.",
        "W20",
        &[
            field(
                "status",
                Kind::OneOf(STATUSES),
                Side::Client,
                true,
                "The new presence."
            ),
            field("oderId", Kind::UserId, Side::Stamped, true, "Whose it is."),
            field(
                "serverId",
                Kind::ServerId,
                Side::Server,
                true,
                "Where it is told."
            ),
            REQUEST_ID,
        ]
    ),
    envelope!(
        "access_denied",
        ToClient,
        Answer,
        SIGNAL_BYTES_MAX,
        Other,
        false,
        "A join or view was refused; the connection stays open.",
        "W13 W14",
        &[
            SERVER_ID_SAID,
            field(
                "reason",
                Kind::Text,
                Side::Server,
                true,
                "A sentence for people."
            ),
            CODE,
            field(
                "retryAfterMs",
                Kind::Count,
                Side::Server,
                false,
                "When trying again makes sense."
            ),
            REQUEST_ID_SAID,
        ]
    ),
    envelope!(
        "join_server",
        ToServer,
        Membership,
        SIGNAL_BYTES_MAX,
        Membership,
        false,
        "Joins a server; answered by `server_users` and `plugin_requirements`, or by `access_denied`.",
        "W14 W15",
        &[
            SERVER_ID,
            field(
                "password",
                Kind::Text,
                Side::Client,
                false,
                "For a server with a password."
            ),
            field(
                "inviteToken",
                Kind::Text,
                Side::Client,
                false,
                "For a server that asks for an invite."
            ),
            field(
                "rosterOffset",
                Kind::Count,
                Side::Client,
                false,
                "First roster entry wanted, for clients that page rosters."
            ),
            REQUEST_ID,
        ]
    ),
    envelope!(
        "view_server",
        ToServer,
        Membership,
        SIGNAL_BYTES_MAX,
        Membership,
        false,
        "As `join_server`, without becoming present.",
        "W16",
        &[
            SERVER_ID,
            field(
                "password",
                Kind::Text,
                Side::Client,
                false,
                "For a server with a password."
            ),
            field(
                "inviteToken",
                Kind::Text,
                Side::Client,
                false,
                "For a server that asks for an invite."
            ),
            field(
                "rosterOffset",
                Kind::Count,
                Side::Client,
                false,
                "First roster entry wanted, for clients that page rosters."
            ),
            REQUEST_ID,
        ]
    ),
    envelope!(
        "leave_server",
        ToServer,
        Membership,
        SIGNAL_BYTES_MAX,
        Membership,
        false,
        "Leaves a server, or ends viewing it.",
        "W17",
        &[SERVER_ID_IMPLIED, REQUEST_ID]
    ),
    envelope!(
        "server_users",
        ToClient,
        Answer,
        super::MESSAGE_BYTES,
        Other,
        false,
        "The roster, without the receiver's own identity.",
        "W15 W19",
        &[
            SERVER_ID_SAID,
            field(
                "users",
                Kind::ListOf(USER),
                Side::Server,
                true,
                "The others."
            ),
            field(
                "total",
                Kind::Count,
                Side::Server,
                false,
                "How many there are, when the list is cut."
            ),
            field(
                "offset",
                Kind::Count,
                Side::Server,
                false,
                "Position of the first entry, when the list is paged."
            ),
        ]
    ),
    envelope!(
        "plugin_requirements",
        ToClient,
        Answer,
        super::MESSAGE_BYTES,
        Other,
        true,
        "A server's plugins and plugin events; after a join or view, and after each change.",
        "T41 T48 T49 W15",
        &[
            SERVER_ID_SAID,
            field(
                "revision",
                Kind::Count,
                Side::Server,
                true,
                "Grows with every change of the server."
            ),
            field(
                "requirements",
                Kind::ListOf(REQUIREMENT),
                Side::Server,
                true,
                "Required, optional and blocked plugins."
            ),
            field(
                "eventDefinitions",
                Kind::ListOf(DEFINITION),
                Side::Server,
                true,
                "Registered plugin events."
            ),
            field(
                "snapshot",
                Kind::Object(SNAPSHOT),
                Side::Server,
                true,
                "The same once more, for clients that expect it there."
            ),
        ]
    ),
    envelope!(
        "user_joined",
        ToClient,
        Answer,
        SIGNAL_BYTES_MAX,
        Other,
        false,
        "An identity became present; once per identity, whatever its devices.",
        "W18",
        &[
            SERVER_ID_SAID,
            field("oderId", Kind::UserId, Side::Server, true, "The identity."),
            field(
                "displayName",
                Kind::Text,
                Side::Server,
                true,
                "Its display name."
            ),
            field(
                "description",
                Kind::Text,
                Side::Server,
                false,
                "Its profile text."
            ),
            field(
                "status",
                Kind::OneOf(STATUSES),
                Side::Server,
                true,
                "Its presence."
            ),
            field(
                "profileUpdatedAt",
                Kind::Time,
                Side::Server,
                false,
                "Version of its profile."
            ),
            field(
                "verified",
                Kind::Boolean,
                Side::Server,
                true,
                "Whether it proved to be who it says."
            ),
        ]
    ),
    envelope!(
        "user_left",
        ToClient,
        Answer,
        SIGNAL_BYTES_MAX,
        Other,
        false,
        "An identity is gone: its last connection left or closed.",
        "W10 W11 W17",
        &[
            SERVER_ID_SAID,
            field("oderId", Kind::UserId, Side::Server, true, "The identity."),
            field(
                "displayName",
                Kind::Text,
                Side::Server,
                true,
                "Its display name."
            ),
        ]
    ),
    envelope!(
        "chat_message",
        Both,
        Server,
        CHAT_BYTES_MAX,
        Chat,
        false,
        "A message to a server. Not stored.",
        "W22",
        &[
            SERVER_ID_IMPLIED,
            field(
                "message",
                Kind::TextOrObject,
                Side::Client,
                true,
                "The message."
            ),
            field(
                "senderId",
                Kind::UserId,
                Side::Stamped,
                true,
                "The sender's identity, or that of a known plugin."
            ),
            field(
                "senderName",
                Kind::Text,
                Side::Stamped,
                true,
                "The sender's display name."
            ),
            field(
                "timestamp",
                Kind::Time,
                Side::Client,
                false,
                "The sender's clock."
            ),
            REQUEST_ID,
        ]
    ),
    envelope!(
        "typing",
        Both,
        Server,
        SIGNAL_BYTES_MAX,
        Typing,
        true,
        "Somebody types, or stops.",
        "W23",
        &[
            SERVER_ID_IMPLIED,
            field(
                "isTyping",
                Kind::Boolean,
                Side::Client,
                true,
                "Begin or end."
            ),
            field("channelId", Kind::Text, Side::Client, false, "The channel."),
            field("oderId", Kind::UserId, Side::Stamped, true, "Who types."),
            field(
                "displayName",
                Kind::Text,
                Side::Stamped,
                true,
                "The display name."
            ),
            REQUEST_ID,
        ]
    ),
    envelope!(
        "voice_state",
        Both,
        Server,
        SIGNAL_BYTES_MAX,
        Typing,
        true,
        "Voice presence of one connection, passed on and not stored.",
        "W24",
        &[
            SERVER_ID_IMPLIED,
            field(
                "voiceState",
                Kind::Any,
                Side::Client,
                false,
                "Muted, deafened, room; flat members do as well (D1)."
            ),
            field("oderId", Kind::UserId, Side::Stamped, true, "Whose it is."),
            field(
                "displayName",
                Kind::Text,
                Side::Stamped,
                true,
                "The display name."
            ),
            field(
                "connectionId",
                Kind::Text,
                Side::Stamped,
                true,
                "Which device."
            ),
            REQUEST_ID,
        ]
    ),
    forwarded!(
        "offer",
        Offer,
        SIGNALLING_BYTES_MAX,
        Signalling,
        "WebRTC session offer.",
        "W25 W28"
    ),
    forwarded!(
        "answer",
        Reply,
        SIGNALLING_BYTES_MAX,
        Signalling,
        "WebRTC session answer.",
        "W25 W28"
    ),
    forwarded!(
        "ice_candidate",
        Reply,
        SIGNALLING_BYTES_MAX,
        Signalling,
        "WebRTC candidate.",
        "W25 W28"
    ),
    forwarded!(
        "direct-call",
        Direct,
        SIGNALLING_BYTES_MAX,
        Direct,
        "A call between two people.",
        "W26"
    ),
    forwarded!(
        "direct-message",
        Direct,
        DIRECT_BYTES_MAX,
        Direct,
        "A message to one person.",
        "W27"
    ),
    forwarded!(
        "direct-message-status",
        Direct,
        DIRECT_BYTES_MAX,
        Direct,
        "Delivery and reading of a direct message.",
        "W27"
    ),
    forwarded!(
        "direct-message-mutation",
        Direct,
        DIRECT_BYTES_MAX,
        Direct,
        "Edit or deletion of a direct message.",
        "W27"
    ),
    forwarded!(
        "direct-message-sync",
        Direct,
        DIRECT_BYTES_MAX,
        Direct,
        "A conversation's history from a peer.",
        "W27"
    ),
    forwarded!(
        "direct-message-sync-request",
        Direct,
        DIRECT_BYTES_MAX,
        Direct,
        "Asks a peer for a conversation's history.",
        "W27"
    ),
    envelope!(
        "server_icon_available",
        ToServer,
        Membership,
        SIGNAL_BYTES_MAX,
        Membership,
        false,
        "The sender has the server's icon in this version.",
        "W29",
        &[
            SERVER_ID_IMPLIED,
            field(
                "iconUpdatedAt",
                Kind::Time,
                Side::Client,
                true,
                "The version."
            ),
            REQUEST_ID,
        ]
    ),
    envelope!(
        "server_icon_sync_request",
        ToServer,
        Membership,
        SIGNAL_BYTES_MAX,
        Membership,
        false,
        "Asks who has a newer icon; answered by `server_icon_sync_peers`.",
        "W29",
        &[
            SERVER_ID_IMPLIED,
            field(
                "iconUpdatedAt",
                Kind::Time,
                Side::Client,
                false,
                "The version the sender has."
            ),
            REQUEST_ID,
        ]
    ),
    envelope!(
        "server_icon_sync_peers",
        ToClient,
        Answer,
        SIGNALLING_BYTES_MAX,
        Other,
        false,
        "Who has a newer icon.",
        "W29",
        &[
            SERVER_ID_SAID,
            field(
                "peers",
                Kind::ListOf(&[
                    field("oderId", Kind::UserId, Side::Server, true, "The identity."),
                    field(
                        "iconUpdatedAt",
                        Kind::Millis,
                        Side::Server,
                        true,
                        "The version it has."
                    ),
                ]),
                Side::Server,
                true,
                "Newest first."
            ),
        ]
    ),
    forwarded!(
        "server_icon_peer_request",
        Icon,
        SIGNAL_BYTES_MAX,
        Direct,
        "Asks a peer for the icon.",
        "W29"
    ),
    forwarded!(
        "server_icon_peer_data",
        Icon,
        ICON_BYTES_MAX,
        Direct,
        "The icon.",
        "W29"
    ),
    envelope!(
        "plugin_event",
        Both,
        Server,
        PAYLOAD_BYTES_MAX + PLUGIN_EVENT_WRAPPER_BYTES_MAX,
        PluginEvent,
        false,
        "A registered event of a plugin, validated and then relayed.",
        "W30 T52-T57",
        &[
            SERVER_ID,
            field(
                "pluginId",
                Kind::PluginId,
                Side::Client,
                true,
                "The plugin."
            ),
            field(
                "eventName",
                Kind::EventName,
                Side::Client,
                true,
                "The event."
            ),
            field(
                "payload",
                Kind::Any,
                Side::Client,
                false,
                "What the event's schema allows."
            ),
            field(
                "channelId",
                Kind::Text,
                Side::Client,
                false,
                "Required by scope `channel`."
            ),
            field(
                "targetUserId",
                Kind::UserId,
                Side::Client,
                false,
                "The receiver, for scope `user`."
            ),
            field(
                "sourcePluginUserId",
                Kind::Text,
                Side::Client,
                false,
                "The plugin's own identity, when the plugin is known here."
            ),
            field(
                "sourceUserId",
                Kind::UserId,
                Side::Stamped,
                true,
                "The sender's identity."
            ),
            field(
                "emittedAt",
                Kind::Millis,
                Side::Stamped,
                true,
                "The server's clock."
            ),
            REQUEST_ID,
        ]
    ),
    envelope!(
        "plugin_error",
        ToClient,
        Answer,
        SIGNALLING_BYTES_MAX,
        Other,
        false,
        "A plugin event was refused; the connection stays open.",
        "T52-T55",
        &[
            CODE,
            MESSAGE,
            field(
                "serverId",
                Kind::ServerId,
                Side::Server,
                false,
                "As in the refused event."
            ),
            field(
                "pluginId",
                Kind::Text,
                Side::Server,
                false,
                "As in the refused event."
            ),
            field(
                "eventName",
                Kind::Text,
                Side::Server,
                false,
                "As in the refused event."
            ),
            field(
                "violations",
                Kind::ListOf(&[
                    field(
                        "pointer",
                        Kind::Text,
                        Side::Server,
                        true,
                        "JSON pointer into the payload."
                    ),
                    field(
                        "keyword",
                        Kind::Text,
                        Side::Server,
                        true,
                        "The schema keyword that failed."
                    ),
                    field(
                        "message",
                        Kind::Text,
                        Side::Server,
                        true,
                        "A sentence for people."
                    ),
                ]),
                Side::Server,
                false,
                "What the schema says against the payload."
            ),
            field(
                "retryAfterMs",
                Kind::Count,
                Side::Server,
                false,
                "When trying again makes sense."
            ),
            REQUEST_ID_SAID,
        ]
    ),
    envelope!(
        "error",
        ToClient,
        Answer,
        SIGNAL_BYTES_MAX,
        Other,
        false,
        "An envelope was refused; the connection stays open.",
        "W2 W4 W39",
        &[
            CODE,
            MESSAGE,
            field(
                "ref",
                Kind::Text,
                Side::Server,
                false,
                "`type` of the refused envelope."
            ),
            field(
                "retryAfterMs",
                Kind::Count,
                Side::Server,
                false,
                "When trying again makes sense."
            ),
            REQUEST_ID_SAID,
        ]
    ),
];

/// The type named `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static EnvelopeType> {
    CATALOGUE.iter().find(|envelope| envelope.name == name)
}

#[cfg(test)]
mod tests {
    use super::{CATALOGUE, find};

    #[test]
    fn the_catalogue_holds_the_29_seed_types_and_three_more() {
        assert_eq!(
            CATALOGUE.len(),
            32,
            "29 of the seed, plugin_requirements, plugin_error, error"
        );
        for (at, envelope) in CATALOGUE.iter().enumerate() {
            assert!(
                CATALOGUE[..at]
                    .iter()
                    .all(|other| other.name != envelope.name),
                "{} stands twice",
                envelope.name
            );
            assert!(
                envelope.bytes_max <= limits::socket::MESSAGE_BYTES_MAX,
                "{}",
                envelope.name
            );
        }
        assert!(find("chat_message").is_some() && find("nonsense").is_none());
    }
}
