//! What plugins can ask about open servers. All of it is read from live state, so a server without a connection is
//! unknown.

use envelope::verdict::Status;
use std::sync::Arc;

/// A member of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user.
    pub user_id: Arc<str>,
    /// The display name.
    pub display_name: Arc<str>,
    /// Presence, the most available of the user's connections.
    pub status: Status,
    /// Whether the identity was proven.
    pub verified: bool,
}

/// A part of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterPage {
    /// Members, from the requested offset on.
    pub people: Vec<Person>,
    /// The number of all members.
    pub total: usize,
}

/// A chat server with at least one connection, joined or viewing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenServer {
    /// The server.
    pub server_id: Arc<str>,
    /// Revision of its requirements and event definitions.
    pub revision: u64,
    /// Users that have joined.
    pub people: usize,
}
