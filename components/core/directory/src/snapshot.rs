//! Snapshots: everything about a server's plugins at one revision, for clients, and with access rules for gateways.

use crate::{
    server::Server,
    transaction::{Kind, State},
};
use server_state::{EventDefinition, Requirement, ServerState, Snapshot};

/// The snapshot for clients. The state holds all requirements and event definitions.
#[must_use]
pub fn for_clients(server: &Server, state: &State) -> Snapshot {
    Snapshot {
        server_id: server.id.clone(),
        revision: server.revision,
        requirements: requirements(state)
            .map(|requirement| requirement.without_internal())
            .collect(),
        event_definitions: event_definitions(state),
    }
}

/// The snapshot for gateways. The state holds all requirements, event definitions and bans.
#[must_use]
pub fn for_gateways(server: &Server, state: &State) -> ServerState {
    ServerState {
        server_id: server.id.clone(),
        name: server.stored.name.clone(),
        revision: server.revision,
        plugins_revision: server.plugins_revision,
        private: server.stored.private,
        password: server.stored.password_hash.is_some(),
        access: server.stored.access,
        max_members: server.stored.max_members,
        owner_id: server.owner.to_string(),
        bans: state
            .entries(Kind::Ban)
            .map(|entry| entry.key.clone())
            .collect(),
        plugins_known: false,
        requirements: requirements(state).collect(),
        event_definitions: event_definitions(state),
    }
}

/// The same for a gateway that has the requirements and event definitions already. The state holds all bans.
#[must_use]
pub fn without_plugins(server: &Server, state: &State) -> ServerState {
    ServerState {
        plugins_known: true,
        ..for_gateways(server, state)
    }
}

fn requirements(state: &State) -> impl Iterator<Item = Requirement> {
    state
        .entries(Kind::Requirement)
        .filter_map(|entry| entry.read())
}

fn event_definitions(state: &State) -> Vec<EventDefinition> {
    state
        .entries(Kind::Event)
        .filter_map(|entry| entry.read())
        .collect()
}
