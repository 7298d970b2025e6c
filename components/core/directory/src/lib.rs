//! The server directory: bodies of the REST side, rules of who may do what, and the transactions that follow from them.
//!
//! What it is: pure functions from what was read and what is asked to a [`Transaction`], an answer or a [`Refusal`]. What it is not: a
//! store, a clock, a random source or an HTTP server; the component `plugin-support` is all four. Invariant: every change of the directory
//! is one [`Transaction`], which carries its actor, its action and the facts it was decided on, so that a store can commit it as a whole
//! or not at all.
#![forbid(unsafe_code)]

pub mod api;
pub mod body;
pub mod etag;
pub mod event;
pub mod join;
pub mod permission;
pub mod person;
mod refusal;
pub mod requirement;
pub mod role;
pub mod server;
pub mod snapshot;
mod transaction;

pub use refusal::{Code, Refusal, limit_reached, not_found};
pub use rest::Violation;
pub use transaction::{Check, Edit, Entry, Head, HeadEdit, Kind, Scope, State, Transaction};
