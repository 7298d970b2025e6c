//! The lifecycle of a plugin: ten states, the table of transitions, and the supervision of crashes.
//!
//! The host loads and stops plugins and passes events with their time. A state changes only by a row of
//! [`TRANSITIONS`]; the tenth crash in a row disables the plugin, after nine restarts. See `docs/concepts/plugins.md`,
//! "States" and "Crashes and back-off".
#![forbid(unsafe_code)]

mod machine;
mod record;
mod reference;
mod state;
mod update;

pub use machine::{
    Effect, Health, Illegal, MAX_RESTARTS_EXCEEDED, Machine, Status, Step, backoff_ms,
};
pub use record::Record;
pub use reference::lifecycle_markdown;
pub use state::{Event, State, TRANSITIONS, next};
