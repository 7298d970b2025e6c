//! The gateway owns every WebSocket: it speaks RFC 6455, passes each envelope to the validator chain, and performs the
//! chain's effects.
//!
//! Data flows one way: bytes → [`frame`] → [`envelope::Validator`] → [`plugin_bus::PluginHost`] → effects → frames. The
//! gateway makes no decision that belongs to a validator, stores nothing, and depends on no WebAssembly engine. A few
//! threads, the shards, own the sockets in readiness loops. Requests to the directory run on the caller's async runtime
//! (see [`directory`]).
//!
//! A shard has three parts: the loop with its inbox and the reading of bytes (`shard`), the sessions with their envelopes
//! (`session`), the sockets with their queues and deadlines (`shard::sockets`). The sockets own the connections with
//! their sessions but never act on an envelope; the sessions act through the sockets. Shards share the `hub` and the rooms (`room`).
#![forbid(unsafe_code)]

pub mod address;
mod advertised;
pub mod config;
pub mod directory;
pub mod frame;
mod http_handoff;
mod hub;
mod metrics;
mod plugins;
pub mod rate;
mod room;
mod server_envelope;
mod session;
mod shard;
mod start;

pub use config::Config;
pub use http_handoff::{HttpHandoff, HttpSocket, HttpUpgrade};
pub use hub::{ConnectionInfo, FollowedKeySet, HttpPlace, Hub, Place};
pub use metrics::Metrics;
pub use plugins::LiveChatHost;
pub use shard::{assembly, handshake::check_head_size};
pub use start::{Gateway, bind, connections_max};
