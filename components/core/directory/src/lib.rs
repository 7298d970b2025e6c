//! The server directory: request bodies, permissions, and the transactions that follow from them. See
//! `docs/concepts/directory.md`.
//!
//! Pure functions turn what was read and what is asked into a [`Transaction`], an answer or a [`Refusal`]; the
//! component `plugin-support` adds store, clock, randomness and HTTP. Every change is one [`Transaction`] that carries
//! its actor, its action and the facts it was decided on, so that a store commits it whole or not at all.
#![forbid(unsafe_code)]

pub mod api;
pub mod attempt;
pub mod body;
pub mod etag;
pub mod event;
pub mod invite;
pub mod join;
pub mod join_request;
pub mod permission;
pub mod person;
mod refusal;
pub mod requirement;
pub mod role;
pub mod server;
pub mod snapshot;
mod transaction;
pub mod user;

pub use refusal::{Code, Refusal, limit_reached, not_found};
pub use rest::Violation;
pub use transaction::{Check, Edit, Entry, Head, HeadEdit, Kind, Scope, State, Transaction};
