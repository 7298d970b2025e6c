//! The gateway's side of [`plugin_bus`]: envelopes offered to plugins and their decisions, envelopes that plugins send,
//! and what plugins ask.

pub(crate) mod bridge;
pub(crate) mod offer;
mod outcome;
mod outgoing;
pub(crate) mod publish;
mod query;

pub use query::LiveChatHost;
