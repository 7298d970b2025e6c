//! The gateway owns every WebSocket: it speaks RFC 6455, passes each envelope to the validator chain, and performs the chain's effects.
//!
//! Data flows one way: bytes → [`frame`] → [`envelope::Validator`] → [`plugin_bus::PluginHost`] → effects → frames. The gateway decides
//! nothing that a validator decides, stores nothing, and names no component engine. A few shard threads own the sockets in readiness loops;
//! requests to the directory wait in [`directory`], on the caller's async runtime.
#![forbid(unsafe_code)]

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
mod server;
mod session;
mod shard;

pub use advertised::limits as advertised_limits;
pub use config::Config;
pub use http_handoff::{HttpHandoff, HttpSocket};
pub use hub::{ConnectionInfo, Hub};
pub use metrics::Metrics;
pub use plugins::LiveChatHost;
pub use server::{Gateway, bind, connections_max};
pub use shard::{assembly, handshake::client_address};
