//! Requests of plugins to other machines: the client that keeps the rules of [`egress`].
//!
//! Each hop goes the same way: the URL is parsed and judged, the caller decides by capability, the name is resolved once, every address is
//! judged, and one of exactly those is connected to. Nothing is pooled, so no connection outlives the decision that allowed it.
//! What it is not: a browser; it keeps no cookies, unpacks nothing, and uses no proxy from the environment. Invariant: no byte leaves for an
//! address that was not judged for this very hop, and no answer grows or waits beyond its limits.

mod account;
mod client;
mod connect;
mod exchange;
mod hop;
mod message;
mod resolve;
mod tls;

pub use account::Account;
pub use client::{Client, Config, Judge};
pub use hop::{is_hop_by_hop, strip_hop_by_hop};
pub use message::{Failed, Request, Response};
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use tls::{BadTls, client_config};
