//! What plugins do to the community: the calls of the host that need live connections.
//!
//! What it is not: a decision. Whether a plugin may is settled before; here it is done, by whoever owns the connections.

use futures::future::BoxFuture;
use std::sync::Arc;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// Nobody is on that server, or it does not exist.
    #[error("server {0:?} has nobody on it")]
    NotOpen(String),
    /// The event is not registered for the plugin on that server (T52).
    #[error("{0}")]
    NotRegistered(String),
    /// It breaks a rule: of the event's schema, or of the envelope.
    #[error("{message}")]
    Refused {
        /// For people.
        message: String,
        /// The code, and the violations where there are some, as JSON.
        details: String,
    },
    /// Something is longer than it may be.
    #[error("{0}")]
    TooLarge(String),
    /// Too many of them lately.
    #[error("{0}")]
    RateLimited(String),
    /// Events cause each other in a loop (T25).
    #[error("{0}")]
    Loop(String),
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}

/// An event in a plugin's name.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The server.
    pub server_id: String,
    /// The plugin.
    pub plugin_id: Arc<str>,
    /// The plugin's own identity.
    pub plugin_user_id: Arc<str>,
    /// The name that others see.
    pub display_name: Arc<str>,
    /// The event.
    pub event_name: String,
    /// The payload, JSON.
    pub payload: String,
    /// The channel, where the event's scope is one.
    pub channel_id: Option<String>,
    /// Whom it is for; none for all that the event's scope names.
    pub target_user_id: Option<String>,
    /// How many events led to this one.
    pub hops: u8,
}

/// A chat message in a plugin's name.
#[derive(Debug, Clone)]
pub struct Saying {
    /// The server.
    pub server_id: String,
    /// The plugin.
    pub plugin_id: Arc<str>,
    /// The channel.
    pub channel_id: Option<String>,
    /// The plugin's own identity.
    pub plugin_user_id: Arc<str>,
    /// The name that others see.
    pub display_name: Arc<str>,
    /// The text.
    pub text: String,
    /// How many events led to this one.
    pub hops: u8,
}

/// Somebody on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Identity.
    pub user_id: String,
    /// Display name.
    pub display_name: String,
    /// Presence.
    pub status: &'static str,
    /// Whether the identity was proven.
    pub verified: bool,
}

/// A server that has somebody on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenServer {
    /// Its id.
    pub server_id: String,
    /// Revision of its requirements and definitions.
    pub revision: u64,
    /// Identities on it.
    pub users: usize,
}

/// Who owns the connections.
pub trait Community: Send + Sync {
    /// Validates and sends an event as a client's would be.
    ///
    /// # Errors
    /// [`NotDone`].
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), NotDone>>;
    /// Sends a chat message.
    ///
    /// # Errors
    /// [`NotDone`].
    fn say(&self, saying: Saying) -> BoxFuture<'_, Result<(), NotDone>>;
    /// Up to `max` people of a server from `offset` on, and how many there are.
    ///
    /// # Errors
    /// [`NotDone::NotOpen`].
    fn roster(
        &self,
        server_id: &str,
        offset: usize,
        max: usize,
    ) -> Result<(Vec<Person>, usize), NotDone>;
    /// Servers that have somebody on them, at most 1,000.
    fn servers(&self) -> Vec<OpenServer>;
    /// Channels that chat named lately, newest first.
    ///
    /// # Errors
    /// [`NotDone::NotOpen`].
    fn channels(&self, server_id: &str) -> Result<Vec<String>, NotDone>;
}
