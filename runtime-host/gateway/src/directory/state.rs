//! A chat server as the directory last described it: access rules, requirements, event definitions.

use bytes::Bytes;
use envelope::verdict::{Definition, EventDirection, EventScope, Requirement, Snapshot};
use identifiers::{EventName, PluginId};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::HashSet, sync::Arc};

/// One server at one revision.
#[derive(Debug)]
pub struct ServerView {
    /// The server.
    pub server_id: Arc<str>,
    /// Grows with every change of the server.
    pub revision: u64,
    /// The server was deleted.
    pub gone: bool,
    /// Joining needs more than wishing to: private, or behind a password.
    pub guarded: bool,
    /// Banned users.
    pub bans: HashSet<Box<str>>,
    /// Plugins with the status `required`.
    pub required: Vec<Box<str>>,
    /// The `plugin_requirements` frame.
    pub requirements: Bytes,
    /// Digest of requirements and definitions: a revision that leaves them alone is not told to clients.
    pub plugins_digest: u64,
    /// What validators get; the definitions are ordered by plugin and event.
    pub judged: Snapshot,
}

/// The edge's answer could not be understood.
#[derive(Debug, thiserror::Error)]
#[error("the edge's snapshot of a server is not understood: {0}")]
pub struct NotUnderstood(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    server_id: String,
    revision: u64,
    private: bool,
    password: bool,
    #[serde(default)]
    bans: HashSet<Box<str>>,
    #[serde(default)]
    requirements: Vec<serde_json::Map<String, Value>>,
    #[serde(default)]
    event_definitions: Vec<serde_json::Map<String, Value>>,
}

impl ServerView {
    /// Reads the answer of `GET /api/internal/servers/:id`.
    ///
    /// # Errors
    /// The answer lacks something or names something unknown.
    pub fn read(json: &[u8]) -> Result<Self, NotUnderstood> {
        let Wire {
            server_id,
            revision,
            private,
            password,
            bans,
            mut requirements,
            event_definitions,
        } = serde_json::from_slice(json).map_err(|error| NotUnderstood(error.to_string()))?;
        let mut definitions = event_definitions
            .iter()
            .map(definition)
            .collect::<Result<Vec<_>, _>>()?;
        definitions.sort_by(|left, right| names(left).cmp(&names(right)));
        let judged = requirements
            .iter()
            .map(requirement)
            .collect::<Result<_, _>>()?;
        let required = requirements
            .iter()
            .filter(|row| row.get("status").and_then(Value::as_str) == Some("required"))
            .filter_map(|row| row.get("pluginId").and_then(Value::as_str).map(Box::from))
            .collect();
        for row in &mut requirements {
            row.remove("publishes");
            row.remove("pluginUserId");
        }
        let snapshot = json!({"serverId": server_id, "revision": revision, "requirements": requirements, "eventDefinitions": event_definitions});
        let mut envelope = snapshot.clone();
        envelope["type"] = "plugin_requirements".into();
        envelope["snapshot"] = snapshot.clone();
        Ok(Self {
            revision,
            plugins_digest: digest(&[
                snapshot_rows(&snapshot, "requirements"),
                snapshot_rows(&snapshot, "eventDefinitions"),
            ]),
            gone: false,
            guarded: private || password,
            bans,
            required,
            requirements: crate::frame::text(&envelope::reply::bytes(&envelope)),
            judged: Snapshot {
                server_id: server_id.clone(),
                revision,
                requirements: judged,
                definitions,
            },
            server_id: server_id.into(),
        })
    }

    /// The direction of an event; `None` where no such event is registered.
    pub(crate) fn direction(&self, plugin_id: &str, event_name: &str) -> Option<EventDirection> {
        let definitions = &self.judged.definitions;
        let found = definitions
            .binary_search_by(|definition| names(definition).cmp(&(plugin_id, event_name)));
        found.ok().map(|at| definitions[at].direction)
    }

    /// The view of a server that is no more.
    #[must_use]
    pub fn gone(server_id: &str) -> Self {
        Self {
            server_id: server_id.into(),
            revision: u64::MAX,
            gone: true,
            guarded: true,
            bans: HashSet::new(),
            required: Vec::new(),
            requirements: Bytes::new(),
            plugins_digest: 0,
            judged: Snapshot::default(),
        }
    }
}

/// What definitions are ordered by.
fn names(definition: &Definition) -> (&str, &str) {
    (
        definition.plugin_id.as_str(),
        definition.event_name.as_str(),
    )
}

fn snapshot_rows(snapshot: &Value, key: &str) -> String {
    snapshot[key].to_string()
}

fn digest(texts: &[String]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish()
}

type Row = serde_json::Map<String, Value>;

fn text<'a>(row: &'a Row, key: &str) -> Result<&'a str, NotUnderstood> {
    row.get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| NotUnderstood(format!("\"{key}\" is missing or no text")))
}

fn plugin_id(row: &Row) -> Result<PluginId, NotUnderstood> {
    PluginId::new(text(row, "pluginId")?).map_err(|error| NotUnderstood(error.to_string()))
}

fn requirement(row: &Row) -> Result<Requirement, NotUnderstood> {
    Ok(Requirement {
        plugin_id: plugin_id(row)?,
        blocked: matches!(text(row, "status")?, "blocked" | "incompatible"),
        publishes: row.get("publishes").and_then(Value::as_bool),
        plugin_user_id: row
            .get("pluginUserId")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

fn definition(row: &Row) -> Result<Definition, NotUnderstood> {
    let unknown = |what: &str| NotUnderstood(format!("unknown {what}"));
    Ok(Definition {
        plugin_id: plugin_id(row)?,
        event_name: EventName::new(text(row, "eventName")?)
            .map_err(|error| NotUnderstood(error.to_string()))?,
        direction: match text(row, "direction")? {
            "clientToServer" => EventDirection::ClientToServer,
            "serverRelay" => EventDirection::ServerRelay,
            "p2pHint" => EventDirection::P2pHint,
            _ => return Err(unknown("direction")),
        },
        scope: match text(row, "scope")? {
            "server" => EventScope::Server,
            "channel" => EventScope::Channel,
            "user" => EventScope::User,
            "plugin" => EventScope::Plugin,
            _ => return Err(unknown("scope")),
        },
        schema: match row.get("schema") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(schema) => Some(schema.to_string()),
        },
        payload_bytes_max: row
            .get("maxPayloadBytes")
            .and_then(Value::as_u64)
            .and_then(|bytes| u32::try_from(bytes).ok())
            .unwrap_or(limits::plugin_event::PAYLOAD_BYTES_DEFAULT as u32),
    })
}

/// What the edge knows of one identity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// The user owns a server, has a right, or was locked.
    pub proof_required: bool,
    /// Keys bound to it, base64url.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Whom it does not want to hear from.
    #[serde(default)]
    pub blocks: HashSet<Box<str>>,
}
