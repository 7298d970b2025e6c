//! How the gateway follows the server directory: shards ask without waiting, answers are cached, and the feed of
//! changes keeps the cache current. The feed is polled; a notification only starts the next poll earlier. An older
//! state never replaces a newer one.

mod api;
mod cache;
mod client;
mod fetcher;
mod follower;
mod queue;
mod rules;
pub(crate) mod views;
mod worker;

pub use api::{Answering, Transport, Unreachable};
pub(crate) use api::{AskedAt, JoinAnswer, JoinQuestion};
pub use client::DirectoryClient;
pub(crate) use client::{Answer, Question};
pub use worker::DirectoryWorker;
