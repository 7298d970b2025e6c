//! The gateway's side of [`plugin_bus`]: envelopes offered to plugins and their decisions, envelopes that plugins send,
//! and what plugins ask.

pub(crate) mod bridge;
mod chat_host;
pub(crate) mod offer;
mod outcome;
mod outgoing;
pub(crate) mod publish;

pub use chat_host::LiveChatHost;
