//! The gateway's side of [`plugin_bus`]: envelopes offered to plugins, envelopes that plugins send, and what plugins ask.

pub(crate) mod decisions;
pub(crate) mod publish;
pub(crate) mod query;

pub use query::LiveChatHost;
