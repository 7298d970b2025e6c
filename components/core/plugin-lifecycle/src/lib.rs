//! The life of a plugin: ten states, what leads from one to another, and the supervision that restarts what crashes (7.4, T34, R15 to R20).
//!
//! What it is not: the host that loads and stops plugins, or a clock; both tell this crate what happened and when. Invariants: a state is
//! left only by a row of [`TRANSITIONS`], and a plugin that crashes ten times in a row is disabled after exactly nine restarts.
#![forbid(unsafe_code)]

mod machine;
mod record;
mod reference;
mod state;

pub use machine::{
    Effect, Health, Illegal, MAX_RESTARTS_EXCEEDED, Machine, Status, Step, backoff_ms,
};
pub use record::Record;
pub use reference::lifecycle_markdown;
pub use state::{Event, State, TRANSITIONS, next};
