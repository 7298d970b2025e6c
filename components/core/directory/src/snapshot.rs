//! Snapshots: everything about a server's plugins at one revision, for clients and, with more, for gateways.

use crate::{
    event::Definition,
    requirement::Requirement,
    server::Server,
    transaction::{Kind, State},
};
use serde::Serialize;

/// What clients see.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The server.
    pub server_id: String,
    /// Its revision.
    pub revision: u64,
    /// All requirements, by plugin id.
    pub requirements: Vec<Requirement>,
    /// All event definitions, by plugin id and event name.
    pub event_definitions: Vec<Definition>,
}

impl Snapshot {
    /// The snapshot of a state that holds all requirements and event definitions.
    #[must_use]
    pub fn from_state(server: &Server, state: &State) -> Self {
        let mut requirements = requirements(state);
        for requirement in &mut requirements {
            *requirement = requirement.without_internal();
        }
        Self {
            server_id: server.id.to_string(),
            revision: server.revision,
            requirements,
            event_definitions: state
                .of(Kind::Event)
                .filter_map(|entry| entry.read())
                .collect(),
        }
    }
}

/// What gateways see besides.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Internal {
    /// The server.
    pub server_id: String,
    /// Shown to people.
    pub name: String,
    /// Its revision.
    pub revision: u64,
    /// Revision at which requirements or event definitions changed last: clients need a new snapshot only when this one grows.
    pub plugins_revision: u64,
    /// Joining needs more than an identity.
    pub private: bool,
    /// There is a password.
    pub password: bool,
    /// How many members are admitted, where the server says.
    pub max_members: Option<u64>,
    /// The owner.
    pub owner_id: String,
    /// Banned identities.
    pub bans: Vec<String>,
    /// All requirements, with `publishes` and `pluginUserId`.
    pub requirements: Vec<Requirement>,
    /// All event definitions.
    pub event_definitions: Vec<Definition>,
}

impl Internal {
    /// The snapshot of a state that holds all requirements, event definitions and bans.
    #[must_use]
    pub fn from_state(server: &Server, state: &State) -> Self {
        Self {
            server_id: server.id.to_string(),
            name: server.stored.name.clone(),
            revision: server.revision,
            plugins_revision: server.plugins_revision,
            private: server.stored.private,
            password: server.stored.password_hash.is_some(),
            max_members: server.stored.max_members,
            owner_id: server.owner.to_string(),
            bans: state.of(Kind::Ban).map(|entry| entry.key.clone()).collect(),
            requirements: requirements(state),
            event_definitions: state
                .of(Kind::Event)
                .filter_map(|entry| entry.read())
                .collect(),
        }
    }
}

fn requirements(state: &State) -> Vec<Requirement> {
    state
        .of(Kind::Requirement)
        .filter_map(|entry| entry.read())
        .collect()
}
