//! The views of the directory: [`ServerView`], a chat server with its access rules and plugins, and [`UserView`], what is
//! stored about a user.

use crate::room::DeclaredPlugins;
use bytes::Bytes;
use envelope::verdict::{Definition, EventDirection, Requirement, Snapshot};
use plugin_bus::ServerPlugins;
use plugin_manifest::{VersionRange, parse_version};
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
    /// The limit of users on a public server.
    pub max_members: Option<usize>,
    /// Banned users.
    pub bans: HashSet<Box<str>>,
    /// What the server says about the plugins of this host.
    pub plugins: Arc<ServerPlugins>,
    /// Plugins with the status `required`.
    pub required: Vec<RequiredPlugin>,
    /// The `plugin_requirements` frame.
    pub requirements: Bytes,
    /// Digest of requirements and definitions: clients are not told of a revision that leaves them as they were.
    pub plugins_digest: u64,
    /// What the validator chain gets; ordered by plugin and event.
    pub snapshot: Snapshot,
    /// Bytes of the answer that it was read from: what it takes of the cache.
    pub answer_bytes: usize,
}

/// A plugin that clients must have.
#[derive(Debug)]
pub(crate) struct RequiredPlugin {
    plugin_id: Box<str>,
    version_range: Option<Box<str>>,
}

impl RequiredPlugin {
    /// What a client lacks that declared these plugins. One that named no version of a plugin has any.
    pub(crate) fn lack(&self, declared: &DeclaredPlugins) -> Option<String> {
        let Self {
            plugin_id,
            version_range,
        } = self;
        let Some(version) = declared.find(plugin_id) else {
            return Some(format!("this server requires the plugin '{plugin_id}'"));
        };
        let range = version_range.as_deref().filter(|_| !version.is_empty())?;
        let is_inside = VersionRange::new(range).is_ok_and(|range| {
            parse_version(version).is_ok_and(|version| range.contains(&version))
        });
        (!is_inside).then(|| {
            format!(
                "this server requires the plugin '{plugin_id}' in a version within '{range}', and the client declared \
                 '{version}'"
            )
        })
    }
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
            .map(|requirement| RequiredPlugin {
                plugin_id: requirement.plugin_id.as_str().into(),
                version_range: requirement.version_range.as_deref().map(Into::into),
            })
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
            max_members: state
                .max_members
                .map(|max| usize::try_from(max).unwrap_or(usize::MAX)),
            plugins: Arc::new(ServerPlugins::new(&state)),
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
            max_members: None,
            plugins: Arc::new(ServerPlugins::none()),
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

#[cfg(test)]
mod tests {
    use super::RequiredPlugin;
    use crate::room::DeclaredPlugins;

    #[test]
    fn a_version_outside_the_range_is_a_plugin_that_is_lacking() {
        let lacks = |range: Option<&str>, version: &str| {
            let required = RequiredPlugin {
                plugin_id: "example.polls".into(),
                version_range: range.map(Into::into),
            };
            let polls = ("example.polls".to_owned(), version.to_owned());
            let declared = DeclaredPlugins::new(vec![polls]);
            assert!(required.lack(&DeclaredPlugins::new(Vec::new())).is_some());
            required.lack(&declared).is_some()
        };
        let range = Some(">=1.2 <2");
        for (range, version, is_lacking) in [
            (None, "", false),
            (None, "0.1.0", false),
            (range, "", false),
            (range, "1.2.0", false),
            (range, "1.1.9", true),
            (range, "2.0.0", true),
            (range, "1.3.0-beta.1", true),
            (range, "newest", true),
        ] {
            assert_eq!(lacks(range, version), is_lacking, "{range:?} {version:?}");
        }
    }
}
