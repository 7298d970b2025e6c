//! The contract between the gateway and the plugin host: the envelopes that plugins are offered, their decisions, and
//! what plugins send and ask.
//!
//! The gateway implements [`ChatHost`], the plugin host [`PluginHost`]; neither crate depends on the other.
#![forbid(unsafe_code)]

mod error;
mod offer;
mod outgoing;
mod query;
mod reach;
mod view;

pub use error::{PublishError, Violation};
pub use offer::{
    DecisionRequest, Interest, Offer, OfferKind, Outcome, Subject, SubjectKind, Ticket, Topic,
};
pub use outgoing::{OutgoingBody, OutgoingMessage, PluginSender};
pub use query::{OpenServer, Person, RosterPage};
pub use reach::{Actor, NotHere, Reach, ServerPlugins};
pub use view::{ChatView, EventView};

use bytes::Bytes;
use std::{fmt, future::Future, pin::Pin, sync::Arc};

/// The result of [`ChatHost::send`].
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), PublishError>> + Send + 'a>>;

/// The gateway, as the plugin host calls it.
pub trait ChatHost: Send + Sync {
    /// Validates a plugin's envelope as a client's would be, and sends it. Completes when the envelope is on its way.
    ///
    /// # Errors
    /// See [`PublishError`]; then nothing was sent.
    fn send(&self, message: OutgoingMessage) -> Sending<'_>;

    /// Answers a [`DecisionRequest`]. Callable from any thread. An answer that comes too late, or for a connection that
    /// has closed, is counted and has no effect.
    fn decided(&self, ticket: Ticket, outcome: Outcome);

    /// At most `people_max` members of a server, from `offset` on. At most
    /// [`USERS_PER_PAGE_MAX`](limits::dispatch::USERS_PER_PAGE_MAX) are returned.
    ///
    /// # Errors
    /// The plugin that asks does not act on the server.
    fn roster(
        &self,
        asks: Actor<'_>,
        server_id: &str,
        offset: usize,
        people_max: usize,
    ) -> Result<RosterPage, NotHere>;

    /// Servers with at least one connection on which the plugin that asks acts, in no order, at most
    /// [`SERVERS_PER_PAGE_MAX`](limits::dispatch::SERVERS_PER_PAGE_MAX).
    fn open_servers(&self, asks: Actor<'_>) -> Vec<OpenServer>;

    /// Channels named by recent chat messages on a server, newest first; recorded only while [`Topic::Channels`] has a
    /// listener.
    ///
    /// # Errors
    /// The plugin that asks does not act on the server.
    fn recent_channels(&self, asks: Actor<'_>, server_id: &str) -> Result<Vec<Box<str>>, NotHere>;
}

/// The plugin host, as the gateway calls it. The gateway's socket threads make these calls, so none of them may block.
pub trait PluginHost: Send + Sync + fmt::Debug {
    /// Whether any plugin listens to a topic on any server. Called for every envelope: one atomic load and one bit
    /// test.
    fn listens(&self, topic: Topic) -> bool {
        let _ = topic;
        true
    }

    /// What plugins want of an envelope. Called only where [`PluginHost::listens`] is true.
    fn interest(&self, subject: &Subject<'_>) -> Interest;

    /// Enqueues an envelope; false if the queue is full. After `true` for an offer with a [`DecisionRequest`], exactly
    /// one [`ChatHost::decided`] follows. Offering for a decision also informs the plugins that only listen.
    fn offer(&self, offer: Offer) -> bool;

    /// The requirements or event definitions of an open server have changed. `snapshot` is the `plugin_requirements`
    /// envelope.
    fn requirements_changed(
        &self,
        server_id: &Arc<str>,
        plugins: &ServerPlugins,
        snapshot: &Bytes,
    ) {
        let _ = (server_id, plugins, snapshot);
    }

    /// The last connection has left a server, so state kept for it can be dropped. The server may be open again by the
    /// time of this call.
    fn server_closed(&self, server_id: &Arc<str>) {
        let _ = server_id;
    }
}
