//! The views of the directory: [`ServerView`], a chat server with its access rules and plugins, and [`UserView`], what is
//! stored about a user.

use bytes::Bytes;
use envelope::verdict::{Definition, EventDirection, Requirement, Snapshot};
use serde::{Deserialize, Serialize};
use server_state::{EventDefinition, ServerState, Status};
use std::{collections::HashSet, sync::Arc};

/// One server at one revision.
#[derive(Debug)]
pub(crate) struct ServerView {
    /// The server.
    pub server_id: Arc<str>,
    /// Grows with every change of the server.
    pub revision: u64,
    /// The server was deleted.
    pub gone: bool,
    /// Private, or behind a password: the directory decides about each join, and only members stay. A deleted server has
    /// no members to ask for.
    pub guarded: bool,
    /// Changes with the privacy and the password of the server: who came in before may stay only as a member.
    pub access: u64,
    /// Banned users.
    pub bans: HashSet<Box<str>>,
    /// Plugins with the status `required`.
    pub required: Vec<Box<str>>,
    /// The `plugin_requirements` frame.
    pub requirements: Bytes,
    /// Digest of requirements and definitions: clients are not told of a revision that leaves them as they were.
    pub plugins_digest: u64,
    /// What the validator chain gets; ordered by plugin and event.
    pub snapshot: Snapshot,
    /// Bytes of the answer that it was read from: what it takes of the cache.
    pub answer_bytes: usize,
}

/// The directory's answer could not be understood.
#[derive(Debug, thiserror::Error)]
#[error("the directory's state of a server is not understood: {0}")]
pub(crate) struct NotUnderstood(#[from] serde_json::Error);

/// The `plugin_requirements` envelope: the server's plugins, and the same again for clients of version 1.0.
#[derive(Serialize)]
struct PluginRequirements<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    plugins: &'a server_state::Snapshot,
    snapshot: &'a server_state::Snapshot,
}

impl ServerView {
    /// Reads the answer of `GET /api/internal/servers/:id`.
    ///
    /// # Errors
    /// The answer lacks something or names something unknown.
    pub(crate) fn read(json: &[u8]) -> Result<Self, NotUnderstood> {
        let state: ServerState = serde_json::from_slice(json)?;
        let plugins = state.snapshot();
        let envelope = serde_json::to_vec(&PluginRequirements {
            r#type: "plugin_requirements",
            plugins: &plugins,
            snapshot: &plugins,
        })?;
        let plugins_digest = digest(&[
            serde_json::to_string(&plugins.requirements)?,
            serde_json::to_string(&plugins.event_definitions)?,
        ]);
        let required = state
            .requirements
            .iter()
            .filter(|requirement| requirement.status == Status::Required)
            .map(|requirement| requirement.plugin_id.as_str().into())
            .collect();
        let server_id = state.server_id.as_str();
        let mut definitions: Vec<_> = state.event_definitions.iter().map(definition).collect();
        definitions.sort_by(|left, right| names(left).cmp(&names(right)));
        Ok(Self {
            server_id: server_id.into(),
            revision: state.revision,
            gone: false,
            guarded: state.private || state.password,
            access: state.access,
            required,
            requirements: crate::frame::text(&envelope),
            plugins_digest,
            snapshot: Snapshot {
                server_id: server_id.to_owned(),
                revision: state.revision,
                requirements: state.requirements.iter().map(requirement).collect(),
                definitions,
            },
            bans: state.bans.into_iter().map(Into::into).collect(),
            answer_bytes: json.len(),
        })
    }

    /// The direction of an event; `None` where no such event is registered.
    pub(crate) fn direction(&self, plugin_id: &str, event_name: &str) -> Option<EventDirection> {
        let definitions = &self.snapshot.definitions;
        let found = definitions
            .binary_search_by(|definition| names(definition).cmp(&(plugin_id, event_name)));
        found.ok().map(|at| definitions[at].direction)
    }

    /// A server without rules, `s1`.
    #[cfg(test)]
    pub(crate) fn at_revision(revision: u64) -> Self {
        Self {
            revision,
            gone: false,
            ..Self::gone("s1")
        }
    }

    /// The view of a deleted server.
    pub(crate) fn gone(server_id: &str) -> Self {
        Self {
            server_id: server_id.into(),
            revision: u64::MAX,
            gone: true,
            guarded: false,
            access: 0,
            bans: HashSet::new(),
            required: Vec::new(),
            requirements: Bytes::new(),
            plugins_digest: 0,
            snapshot: Snapshot::default(),
            answer_bytes: 0,
        }
    }
}

/// Plugin and event, by which definitions are ordered.
fn names(definition: &Definition) -> (&str, &str) {
    (
        definition.plugin_id.as_str(),
        definition.event_name.as_str(),
    )
}

fn digest(texts: &[String]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish()
}

fn requirement(requirement: &server_state::Requirement) -> Requirement {
    Requirement {
        plugin_id: requirement.plugin_id.clone(),
        blocked: matches!(requirement.status, Status::Blocked | Status::Incompatible),
        publishes: requirement.publishes,
        plugin_user_id: requirement.plugin_user_id.clone(),
    }
}

fn definition(definition: &EventDefinition) -> Definition {
    Definition {
        plugin_id: definition.plugin_id.clone(),
        event_name: definition.event_name.clone(),
        direction: definition.direction,
        scope: definition.scope,
        schema: definition
            .schema
            .as_ref()
            .map(|schema| schema.get().to_owned()),
        payload_bytes_max: u32::try_from(definition.max_payload_bytes)
            .unwrap_or(limits::plugin_event::PAYLOAD_BYTES_DEFAULT as u32),
    }
}

/// What the directory stores about one user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserView {
    /// The user owns a server, holds a role, or was locked.
    pub proof_required: bool,
    /// The keys bound to it, base64url.
    #[serde(default)]
    pub keys: Vec<String>,
    /// The users from whom it accepts nothing.
    #[serde(default)]
    pub blocks: HashSet<Box<str>>,
}
