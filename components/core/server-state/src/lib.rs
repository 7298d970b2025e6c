//! The state of a chat server and of an identity as the directory tells it to gateways: one type from the store to the
//! shard.
//!
//! The directory writes these types, gateways read them. A member that a newer directory adds is ignored by an older
//! gateway.
#![forbid(unsafe_code)]

use identifiers::{EventName, PluginId, ServerId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident $text:literal $doc:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = $doc] #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// The words on the wire.
            pub const NAMES: &[&str] = &[$($text),+];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads what [`Self::as_str`] writes.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// What a server asks of a plugin.
    Status {
        Required "required" "Clients must have the plugin.",
        Optional "optional" "Clients may have the plugin.",
        Recommended "recommended" "Clients should have the plugin.",
        Blocked "blocked" "The server does not want the plugin.",
        Incompatible "incompatible" "The plugin does not work on this server.",
    }
}

words! {
    /// The way of a plugin event (`docs/concepts/envelopes.md`, "Plugin events").
    EventDirection {
        ClientToServer "clientToServer" "From clients; a plugin on this host decides about it first.",
        ServerRelay "serverRelay" "Relayed between clients.",
        P2pHint "p2pHint" "Peer to peer only: refused over the WebSocket.",
    }
}

words! {
    /// The receivers of a plugin event (`docs/concepts/envelopes.md`, "Plugin events").
    EventScope {
        Server "server" "All joined members.",
        Channel "channel" "All joined members; `channelId` is required.",
        User "user" "The connections of `targetUserId`, where it is named.",
        Plugin "plugin" "Connections that declared the plugin, or all.",
    }
}

/// A plugin requirement, as stored and on the wire. Clients do not see the last two members.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// The plugin.
    pub plugin_id: PluginId,
    /// The server.
    pub server_id: ServerId,
    /// What the server asks of the plugin.
    pub status: Status,
    /// Where clients get it.
    pub install_url: Option<String>,
    /// Where its source is.
    pub source_url: Option<String>,
    /// Its manifest, as it was sent.
    pub manifest: Option<Box<RawValue>>,
    /// Range of versions, as npm reads it.
    pub version_range: Option<String>,
    /// Time of the last change, milliseconds since 1970.
    pub updated_at: u64,
    /// The identity that made the last change.
    pub updated_by: String,
    /// Whether the manifest declares `events.server.publish`; none without a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishes: Option<bool>,
    /// The id of the manifest's `pluginUser`, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_user_id: Option<String>,
}

impl Requirement {
    /// The requirement as clients see it.
    #[must_use]
    pub fn without_internal(&self) -> Self {
        Self {
            publishes: None,
            plugin_user_id: None,
            ..self.clone()
        }
    }
}

/// An event definition, as stored and on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventDefinition {
    /// The plugin.
    pub plugin_id: PluginId,
    /// The event.
    pub event_name: EventName,
    /// The way of the event.
    pub direction: EventDirection,
    /// The receivers of the event.
    pub scope: EventScope,
    /// JSON Schema of the payload as it was sent; a schema sent as JSON text stands here as the value it holds. None:
    /// any payload.
    pub schema: Option<Box<RawValue>>,
    /// Limit of the payload's compact JSON, bytes.
    pub max_payload_bytes: u64,
}

/// A server's plugins at one revision, as clients see them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The server.
    pub server_id: ServerId,
    /// Its revision.
    pub revision: u64,
    /// All requirements, by plugin id.
    pub requirements: Vec<Requirement>,
    /// All event definitions, by plugin id and event name.
    pub event_definitions: Vec<EventDefinition>,
}

/// Everything that gateways decide on, at one revision: the answer of `GET /api/internal/servers/{serverId}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerState {
    /// The server.
    pub server_id: ServerId,
    /// Its name.
    pub name: String,
    /// Its revision; grows with every change.
    pub revision: u64,
    /// Revision at which requirements or event definitions changed last: clients need a new snapshot only when this one
    /// grows.
    pub plugins_revision: u64,
    /// Joining needs more than an identity.
    pub private: bool,
    /// There is a password.
    pub password: bool,
    /// Grows when `private` or the password changes: users that came in before may stay only as members.
    #[serde(default)]
    pub access: u64,
    /// How many members are admitted, where the server says.
    pub max_members: Option<u64>,
    /// The owner.
    pub owner_id: String,
    /// Banned identities.
    pub bans: Vec<String>,
    /// The gateway has requirements and event definitions as of `plugins_revision`; they are left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub plugins_known: bool,
    /// All requirements, with the members that clients do not see.
    pub requirements: Vec<Requirement>,
    /// All event definitions.
    pub event_definitions: Vec<EventDefinition>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !value
}

impl ServerState {
    /// The server's plugins as clients see them.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            server_id: self.server_id.clone(),
            revision: self.revision,
            requirements: self
                .requirements
                .iter()
                .map(Requirement::without_internal)
                .collect(),
            event_definitions: self.event_definitions.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EventDirection, ServerState, Status};
    use serde_json::{Value, json};

    fn state() -> Value {
        json!({
            "serverId": "s", "name": "S", "revision": 7, "pluginsRevision": 5, "private": false, "password": true, "access": 3,
            "maxMembers": null, "ownerId": "olga", "bans": ["eve"],
            "requirements": [{
                "pluginId": "x.y", "serverId": "s", "status": "required", "installUrl": null, "sourceUrl": null,
                "manifest": {"b": 1.0, "a": 2}, "versionRange": null, "updatedAt": 1, "updatedBy": "olga",
                "publishes": true, "pluginUserId": "bot",
            }],
            "eventDefinitions": [{
                "pluginId": "x.y", "eventName": "ping", "direction": "serverRelay", "scope": "server",
                "schema": {"type": "object"}, "maxPayloadBytes": 100,
            }],
        })
    }

    #[test]
    fn what_is_written_is_read() {
        let read: ServerState = serde_json::from_value(state()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), state());
        let snapshot = serde_json::to_value(read.snapshot()).unwrap();
        let requirement = snapshot["requirements"][0].as_object().unwrap();
        assert!(
            !requirement.contains_key("publishes") && !requirement.contains_key("pluginUserId")
        );
        assert_eq!(requirement["manifest"], json!({"b": 1.0, "a": 2}));
    }

    #[test]
    fn unknown_words_are_refused_and_unknown_members_ignored() {
        let mut more = state();
        more["later"] = json!(1);
        assert!(serde_json::from_value::<ServerState>(more).is_ok());
        let mut bad = state();
        bad["eventDefinitions"][0]["direction"] = json!("sideways");
        assert!(serde_json::from_value::<ServerState>(bad).is_err());
        assert_eq!(Status::parse("blocked"), Some(Status::Blocked));
        assert_eq!(EventDirection::P2pHint.as_str(), "p2pHint");
        assert_eq!(Status::NAMES.len(), 5);
    }
}
