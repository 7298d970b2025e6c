//! The views of the directory: [`ServerView`], a chat server with its access rules and plugins, and [`UserView`], what is
//! stored about a user.

use crate::directory::rules::PluginRules;
use bytes::Bytes;
use plugin_bus::ServerPlugins;
use serde::Deserialize;
use server_state::ServerState;
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
    /// What the server says about plugins.
    pub rules: Arc<PluginRules>,
    /// The `plugin_requirements` frame.
    pub requirements: Bytes,
    /// Bytes of the answer that its plugins were read from: what it takes of the cache.
    pub answer_bytes: usize,
}

/// The directory's answer could not be understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotUnderstood {
    /// It is not of the form.
    #[error("the directory's state of a server is not understood: {0}")]
    Form(#[from] serde_json::Error),
    /// It leaves out what was not known.
    #[error("the directory's state of a server leaves out its plugins, which were not known")]
    Unasked,
}

impl ServerView {
    /// Reads the answer of `GET /api/internal/servers/:id`. It leaves out the requirements and event definitions that
    /// were asked not to be repeated: those of `known`.
    ///
    /// # Errors
    /// The answer lacks something or names something unknown.
    pub(crate) fn read(json: &[u8], known: Option<&Self>) -> Result<Self, NotUnderstood> {
        let mut state: ServerState = serde_json::from_slice(json)?;
        let (rules, answer_bytes) = match known.filter(|_| state.plugins_known) {
            Some(known) => (known.rules.clone(), known.answer_bytes.max(json.len())),
            None if state.plugins_known => return Err(NotUnderstood::Unasked),
            None => (Arc::new(PluginRules::new(&state)?), json.len()),
        };
        state.requirements = rules.requirements().to_vec();
        let server_id = state.server_id.as_str();
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
            requirements: rules.frame(server_id, state.revision),
            rules,
            bans: state.bans.into_iter().map(Into::into).collect(),
            answer_bytes,
        })
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
            requirements: Bytes::new(),
            rules: Arc::default(),
            answer_bytes: 0,
        }
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
    /// Bytes of the answer that it was read from: what it takes of the cache.
    #[serde(skip)]
    pub answer_bytes: usize,
}
