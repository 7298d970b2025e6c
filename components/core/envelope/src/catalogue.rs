//! The table of envelope types. The gateway takes sizes and rates from it, the validator routing; the JSON Schemas,
//! TypeScript types, the AsyncAPI document and the reference page are generated from it.
//!
//! To change the wire: change this table, run `cargo xtask gen`, and write the change into CHANGELOG.md. Within
//! protocol version 1 only additions are allowed: new types, new optional members.

mod types;

pub use types::{Direction, EnvelopeType, Field, Kind, RateClass, Routing, Side};

use crate::verdict::ForwardClass;
use limits::{
    envelope::{
        CHAT_BYTES_MAX, CONNECTION_SCOPE_CHARS_MAX, DESCRIPTION_CHARS_MAX, DIRECT_BYTES_MAX,
        DISPLAY_NAME_CHARS_MAX, ICON_BYTES_MAX, IDENTIFY_BYTES_MAX, PLUGIN_EVENT_WRAPPER_BYTES_MAX,
        REQUEST_ID_CHARS_MAX, SIGNAL_BYTES_MAX, SIGNALLING_BYTES_MAX,
    },
    plugin_event::PAYLOAD_BYTES_MAX,
    socket::MESSAGE_BYTES_MAX,
};

/// Version of the envelope contract that this server speaks.
pub const PROTOCOL_VERSION: &str = "1.1";
/// Oldest version of the envelope contract that this server accepts.
pub const PROTOCOL_VERSION_MIN: &str = "1.0";
/// Features beyond version 1.0 that a client may rely on.
pub const FEATURES: &[&str] = &[
    "errors",
    "identity",
    "limits",
    "plugin-events",
    "roster-paging",
    "server-icons",
];

/// A member: the side that sets it, whether that side always does, its name, its JSON, one sentence.
macro_rules! field {
    ($side:ident required $name:literal: $kind:ident $(($($argument:tt)*))?, $summary:literal) => {
        Field {
            name: $name,
            kind: Kind::$kind $(($($argument)*))?,
            side: Side::$side,
            required: true,
            summary: $summary,
        }
    };
    ($side:ident optional $name:literal: $kind:ident $(($($argument:tt)*))?, $summary:literal) => {
        Field {
            required: false,
            ..field!($side required $name: $kind $(($($argument)*))?, $summary)
        }
    };
}

/// A type: its direction and routing, its size, its rate class, whether a newer one replaces a queued one, one
/// sentence, its members.
macro_rules! envelope {
    ($name:literal $direction:ident $routing:ident, $bytes_max:expr, $rate:ident $queueing:ident, $summary:literal, $fields:expr) => {
        EnvelopeType {
            name: $name,
            direction: Direction::$direction,
            routing: Routing::$routing,
            bytes_max: $bytes_max,
            rate: RateClass::$rate,
            coalesce: envelope!($queueing),
            summary: $summary,
            fields: $fields,
        }
    };
    (queued) => {
        false
    };
    (coalesced) => {
        true
    };
}

/// A type that is sent to one identity, under a forwarding rule.
macro_rules! forwarded {
    ($name:literal $class:ident, $bytes_max:expr, $rate:ident, $summary:literal) => {
        EnvelopeType {
            name: $name,
            direction: Direction::Both,
            routing: Routing::Target(ForwardClass::$class),
            bytes_max: $bytes_max,
            rate: RateClass::$rate,
            coalesce: false,
            summary: $summary,
            fields: &[TARGET, FROM, REQUEST_ID],
        }
    };
}

const SERVER_ID: Field = field!(Client required "serverId": ServerId, "The chat server.");

/// Clients of version 1.0 omit it. The sole joined (else sole viewed) server is meant, and its id is added.
const SERVER_ID_IMPLIED: Field = field!(Client optional "serverId": ServerId,
    "The chat server; when missing, the sole joined (else viewed) one.");

const SERVER_ID_FROM_SERVER: Field =
    field!(Server required "serverId": ServerId, "The chat server.");

const REQUEST_ID: Field = field!(Client optional "requestId": TextMax(REQUEST_ID_CHARS_MAX),
    "Chosen by the client; repeated in a refusal of this envelope.");

const REQUEST_ID_SAID: Field = field!(Server optional "requestId": TextMax(REQUEST_ID_CHARS_MAX),
    "The refused envelope's `requestId`.");

/// What a client sends to join a server or to view it.
const ENTER: &[Field] = &[
    SERVER_ID,
    field!(Client optional "password": Text, "For a server with a password."),
    field!(Client optional "inviteToken": Text, "For a server that requires an invite."),
    field!(Client optional "rosterOffset": Count,
        "First roster entry wanted, for clients that page rosters."),
    REQUEST_ID,
];

const CODE: Field = field!(Server required "code": Text, "A code for programs.");

const MESSAGE: Field = field!(Server required "message": Text,
    "A sentence for people, naming the member and the limit.");

const TARGET: Field = field!(Client required "targetUserId": UserId, "The receiving identity.");

const FROM: Field = field!(Stamped required "fromUserId": UserId, "The sender's identity.");

const USER: &[Field] = &[
    field!(Server required "oderId": UserId, "The identity."),
    field!(Server required "displayName": Text, "Its display name."),
    field!(Server optional "description": Text, "Its profile text."),
    field!(Server required "status": OneOf(STATUSES),
        "Its presence; the most available of its devices."),
    field!(Server optional "profileUpdatedAt": Time,
        "Version of its profile, as the client sent it."),
    field!(Server required "verified": Boolean, "Whether the identity is proven."),
];

const STATUSES: &[&str] = &["online", "away", "busy", "offline"];

const REQUIREMENT: &[Field] = &[
    field!(Server required "pluginId": PluginId, "The plugin."),
    field!(Server required "status": OneOf(&["required", "optional", "recommended", "blocked", "incompatible"]),
        "How the server treats it."),
    field!(Server required "installUrl": Any, "URL to install it from, or null."),
    field!(Server required "sourceUrl": Any, "URL of its source, or null."),
    field!(Server required "manifest": Any, "Its manifest as stored, or null."),
    field!(Server required "versionRange": Any, "Accepted versions, or null."),
];

const DEFINITION: &[Field] = &[
    field!(Server required "pluginId": PluginId, "The plugin."),
    field!(Server required "eventName": EventName, "The event."),
    field!(Server required "direction": OneOf(&["clientToServer", "serverRelay", "p2pHint"]),
        "Which side may send it."),
    field!(Server required "scope": OneOf(&["server", "channel", "user", "plugin"]),
        "Its receivers."),
    field!(Server required "schema": Any, "JSON Schema of the payload, or null."),
    field!(Server required "maxPayloadBytes": Count, "Largest payload in bytes of compact JSON."),
];

const SNAPSHOT: &[Field] = &[
    SERVER_ID_FROM_SERVER,
    field!(Server required "revision": Count, "Grows with every change of the server."),
    field!(Server required "requirements": ListOf(REQUIREMENT),
        "Required, optional and blocked plugins."),
    field!(Server required "eventDefinitions": ListOf(DEFINITION), "Registered plugin events."),
];

/// Every envelope type.
pub const CATALOGUE: &[EnvelopeType] = &[
    envelope!("connected" ToClient Answer, SIGNAL_BYTES_MAX, Other queued,
        "The first frame on every connection.", &[
        field!(Server required "connectionId": Text, "This connection's id, a UUID."),
        field!(Server required "serverTime": Millis, "The server's clock."),
        field!(Server required "protocol": Object(&[
            field!(Server required "version": Text, "Version of the envelope contract."),
            field!(Server required "min": Text, "Oldest version that the server accepts."),
            field!(Server required "features": Texts, "Features beyond version 1.0."),
            field!(Server required "limits": Any,
                "Sizes, rates and times that concern clients, with units in their names."),
        ]), "The envelope contract of this server."),
    ]),
    envelope!("identify" ToServer Connection, IDENTIFY_BYTES_MAX, Other queued,
        "Introduces the client; required before any other type but `keepalive`.", &[
        field!(Client optional "oderId": UserId,
            "The identity; the server makes a UUID when it is missing."),
        field!(Client optional "displayName": TextMax(DISPLAY_NAME_CHARS_MAX), "Display name."),
        field!(Client optional "connectionScope": TextMax(CONNECTION_SCOPE_CHARS_MAX),
            "Usually the signalling URL."),
        field!(Client optional "description": TextMax(DESCRIPTION_CHARS_MAX), "Profile text."),
        field!(Client optional "profileUpdatedAt": Time, "Version of the profile."),
        field!(Client optional "token": Text, "JSON Web Token whose subject is `oderId`."),
        field!(Client optional "key": Text, "Ed25519 public key, base64url."),
        field!(Client optional "proof": Text, "Ed25519 signature that proves the key, base64url."),
        field!(Client optional "lock": Boolean,
            "Binds `key` to `oderId`, which needs proof from then on."),
        field!(Client optional "plugins": ListOf(&[
            field!(Client required "id": PluginId, "A plugin that the client runs."),
            field!(Client optional "version": Text, "Its version."),
        ]), "Declared plugins."),
        field!(Client optional "features": Texts,
            "Features of `connected.protocol` that the client understands."),
        field!(Client optional "protocol": Text,
            "Version of the contract that the client uses; 1.0 when missing."),
        REQUEST_ID,
    ]),
    envelope!("keepalive" Both Connection, SIGNAL_BYTES_MAX, Other coalesced,
        "Keeps the connection alive; answered at most once per ping interval.", &[]),
    envelope!("status_update" Both Presence, SIGNAL_BYTES_MAX, Typing coalesced,
        "Presence of an identity.", &[
        field!(Client required "status": OneOf(STATUSES), "The new presence."),
        field!(Stamped required "oderId": UserId, "The identity."),
        field!(Server required "serverId": ServerId, "The server to whose members it is sent."),
        REQUEST_ID,
    ]),
    envelope!("access_denied" ToClient Answer, SIGNAL_BYTES_MAX, Other queued,
        "A join or view was refused; the connection stays open.", &[
        SERVER_ID_FROM_SERVER,
        field!(Server required "reason": Text, "A sentence for people."),
        CODE,
        field!(Server optional "retryAfterMs": Count, "Wait before a retry, in milliseconds."),
        REQUEST_ID_SAID,
    ]),
    envelope!("join_server" ToServer Membership, SIGNAL_BYTES_MAX, Membership queued,
        "Joins a server; answered by `server_users` and `plugin_requirements`, or by `access_denied`.", ENTER),
    envelope!("view_server" ToServer Membership, SIGNAL_BYTES_MAX, Membership queued,
        "Like `join_server`, without becoming present: roster and plugin requirements, no content.", ENTER),
    envelope!("leave_server" ToServer Membership, SIGNAL_BYTES_MAX, Membership queued,
        "Leaves a server, or ends viewing it.", &[
        SERVER_ID_IMPLIED,
        REQUEST_ID,
    ]),
    envelope!("server_users" ToClient Answer, MESSAGE_BYTES_MAX, Other queued,
        "The roster of a server, without the receiver's own identity.", &[
        SERVER_ID_FROM_SERVER,
        field!(Server required "users": ListOf(USER), "The other users."),
        field!(Server optional "total": Count, "Number of all other users, when the list is cut or paged."),
        field!(Server optional "offset": Count,
            "Position of the first entry, when the list is paged."),
    ]),
    envelope!("plugin_requirements" ToClient Answer, MESSAGE_BYTES_MAX, Other coalesced,
        "A server's plugins and plugin events; sent after a join or view, and after each change.", &[
        SERVER_ID_FROM_SERVER,
        field!(Server required "revision": Count, "Grows with every change of the server."),
        field!(Server required "requirements": ListOf(REQUIREMENT),
            "Required, optional and blocked plugins."),
        field!(Server required "eventDefinitions": ListOf(DEFINITION), "Registered plugin events."),
        field!(Server required "snapshot": Object(SNAPSHOT),
            "The same data again, for clients of version 1.0."),
    ]),
    envelope!("user_joined" ToClient Answer, SIGNAL_BYTES_MAX, Other queued,
        "An identity became present; sent once per identity, whatever its number of devices.", &[
        SERVER_ID_FROM_SERVER,
        field!(Server required "oderId": UserId, "The identity."),
        field!(Server required "displayName": Text, "Its display name."),
        field!(Server optional "description": Text, "Its profile text."),
        field!(Server required "status": OneOf(STATUSES), "Its presence."),
        field!(Server optional "profileUpdatedAt": Time, "Version of its profile."),
        field!(Server required "verified": Boolean, "Whether the identity is proven."),
    ]),
    envelope!("user_left" ToClient Answer, SIGNAL_BYTES_MAX, Other queued,
        "The last connection of an identity left or closed.", &[
        SERVER_ID_FROM_SERVER,
        field!(Server required "oderId": UserId, "The identity."),
        field!(Server required "displayName": Text, "Its display name."),
    ]),
    envelope!("server_users_changed" ToClient Answer, SIGNAL_BYTES_MAX, Other coalesced,
        "Users joined or left a server with many users; for clients with the feature `roster-paging`.", &[
        SERVER_ID_FROM_SERVER,
        field!(Server required "total": Count, "Number of other users now."),
    ]),
    envelope!("chat_message" Both Server, CHAT_BYTES_MAX, Chat queued,
        "A chat message to a server. It is not stored.", &[
        SERVER_ID_IMPLIED,
        field!(Client required "message": TextOrObject, "The message."),
        field!(Stamped required "senderId": UserId,
            "The sender's identity, or that of a known plugin."),
        field!(Stamped required "senderName": Text, "The sender's display name."),
        field!(Client optional "timestamp": Time, "The sender's clock."),
        REQUEST_ID,
    ]),
    envelope!("typing" Both Server, SIGNAL_BYTES_MAX, Typing coalesced,
        "An identity starts or stops typing.", &[
        SERVER_ID_IMPLIED,
        field!(Client required "isTyping": Boolean, "Whether it types."),
        field!(Client optional "channelId": Text, "The channel."),
        field!(Stamped required "oderId": UserId, "The identity that types."),
        field!(Stamped required "displayName": Text, "The display name."),
        REQUEST_ID,
    ]),
    envelope!("voice_state" Both Server, SIGNAL_BYTES_MAX, Typing coalesced,
        "Voice state of one connection; relayed, not stored.", &[
        SERVER_ID_IMPLIED,
        field!(Client optional "voiceState": Any,
            "Muted, deafened, room; these may also be top-level members."),
        field!(Stamped required "oderId": UserId, "The identity."),
        field!(Stamped required "displayName": Text, "The display name."),
        field!(Stamped required "connectionId": Text,
            "The sender's connection, which tells its devices apart."),
        REQUEST_ID,
    ]),
    forwarded!("offer" Offer, SIGNALLING_BYTES_MAX, Signalling, "WebRTC session offer."),
    forwarded!("answer" Reply, SIGNALLING_BYTES_MAX, Signalling, "WebRTC session answer."),
    forwarded!("ice_candidate" Reply, SIGNALLING_BYTES_MAX, Signalling, "WebRTC candidate."),
    forwarded!("direct-call" Direct, SIGNALLING_BYTES_MAX, Direct,
        "A call between two identities."),
    forwarded!("direct-message" Direct, DIRECT_BYTES_MAX, Direct, "A message to one identity."),
    forwarded!("direct-message-status" Direct, DIRECT_BYTES_MAX, Direct,
        "Delivery or read state of a direct message."),
    forwarded!("direct-message-mutation" Direct, DIRECT_BYTES_MAX, Direct,
        "Edit or deletion of a direct message."),
    forwarded!("direct-message-sync" Direct, DIRECT_BYTES_MAX, Direct,
        "A conversation's history from a peer."),
    forwarded!("direct-message-sync-request" Direct, DIRECT_BYTES_MAX, Direct,
        "Asks a peer for a conversation's history."),
    envelope!("server_icon_available" ToServer Membership, SIGNAL_BYTES_MAX, Membership queued,
        "The sender has the server's icon in this version.", &[
        SERVER_ID_IMPLIED,
        field!(Client required "iconUpdatedAt": Time, "The version."),
        REQUEST_ID,
    ]),
    envelope!("server_icon_sync_request" ToServer Membership, SIGNAL_BYTES_MAX, Membership queued,
        "Asks for members with a newer icon; answered by `server_icon_sync_peers`.", &[
        SERVER_ID_IMPLIED,
        field!(Client optional "iconUpdatedAt": Time, "The sender's version."),
        REQUEST_ID,
    ]),
    envelope!("server_icon_sync_peers" ToClient Answer, SIGNALLING_BYTES_MAX, Other queued,
        "Members with a newer icon.", &[
        SERVER_ID_FROM_SERVER,
        field!(Server required "peers": ListOf(&[
            field!(Server required "oderId": UserId, "The identity."),
            field!(Server required "iconUpdatedAt": Millis, "The version it has."),
        ]), "Newest first."),
    ]),
    forwarded!("server_icon_peer_request" Icon, SIGNAL_BYTES_MAX, Direct,
        "Asks a peer for the icon."),
    forwarded!("server_icon_peer_data" Icon, ICON_BYTES_MAX, Direct, "The icon."),
    envelope!("plugin_event" Both Server, PAYLOAD_BYTES_MAX + PLUGIN_EVENT_WRAPPER_BYTES_MAX, PluginEvent queued,
        "A registered event of a plugin, validated and then relayed.", &[
        SERVER_ID,
        field!(Client required "pluginId": PluginId, "The plugin."),
        field!(Client required "eventName": EventName, "The event."),
        field!(Client optional "payload": Any, "JSON that the event's schema allows."),
        field!(Client optional "channelId": Text, "Required by scope `channel`."),
        field!(Client optional "targetUserId": UserId, "The receiver, for scope `user`."),
        field!(Client optional "sourcePluginUserId": Text,
            "The plugin's own identity, if the server knows the plugin."),
        field!(Stamped required "sourceUserId": UserId, "The sender's identity."),
        field!(Stamped required "emittedAt": Millis, "The server's clock."),
        REQUEST_ID,
    ]),
    envelope!("plugin_error" ToClient Answer, SIGNALLING_BYTES_MAX, Other queued,
        "A plugin event was refused; the connection stays open.", &[
        CODE,
        MESSAGE,
        field!(Server optional "serverId": ServerId, "As in the refused event."),
        field!(Server optional "pluginId": Text, "As in the refused event."),
        field!(Server optional "eventName": Text, "As in the refused event."),
        field!(Server optional "violations": ListOf(&[
            field!(Server required "pointer": Text, "JSON pointer into the payload."),
            field!(Server required "keyword": Text, "The schema keyword that failed."),
            field!(Server required "message": Text, "A sentence for people."),
        ]), "Where the payload violates the schema."),
        field!(Server optional "retryAfterMs": Count, "Wait before a retry, in milliseconds."),
        REQUEST_ID_SAID,
    ]),
    envelope!("error" ToClient Answer, SIGNAL_BYTES_MAX, Other queued,
        "An envelope was refused; the connection stays open.", &[
        CODE,
        MESSAGE,
        field!(Server optional "ref": Text, "`type` of the refused envelope."),
        field!(Server optional "retryAfterMs": Count, "Wait before a retry, in milliseconds."),
        REQUEST_ID_SAID,
    ]),
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
    fn each_type_stands_in_the_catalogue_once() {
        assert_eq!(
            CATALOGUE.len(),
            33,
            "a new type is an addition to the contract"
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
