//! What every kind of sandbox needs: a component's bytes, a clock for deadlines, an account of memory, lines of output.
//!
//! What it is not: an engine; judges, plugins and edge components each have one with limits of their own. Invariant: nothing here grows
//! with what a component writes, claims or asks for.

mod account;
mod clock;
mod file;
mod lines;
mod source;

pub use account::Account;
pub use clock::Clock;
pub use file::{check_preamble, read, read_open};
pub use lines::{Lines, Sink};
pub use source::ComponentSource;
