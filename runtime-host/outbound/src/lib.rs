//! Requests of plugins to other machines: the client that keeps the rules of [`egress`].
//!
//! Each hop goes the same way: the URL is parsed and checked, the caller decides by capability, the name is resolved
//! once, every address is checked, and one of exactly those is connected to. Nothing is pooled, so no connection
//! outlives the decision that allowed it. The client keeps no cookies, decompresses nothing, and uses no proxy from the
//! environment.

mod account;
mod client;
mod connect;
mod exchange;
mod hop;
mod message;
mod own;
mod resolve;
mod tls;

pub use account::Account;
pub use client::{Client, Config, Policy};
pub use hop::{is_hop_by_hop, strip_hop_by_hop};
pub use message::{Failed, Request, Response};
pub use own::ExceptOwn;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use tls::{BadTls, client_config};
