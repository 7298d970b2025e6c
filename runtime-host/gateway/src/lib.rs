//! The gateway owns every WebSocket: it speaks RFC 6455, passes each envelope to the validator chain, and performs the chain's effects.
//!
//! Data flows one way: bytes → [`frame`] → [`envelope::Validator`] → [`plugin_bus::PluginHost`] → effects → frames. The gateway decides
//! nothing that a validator decides, stores nothing, and names no component engine. A few shard threads own the sockets in readiness loops;
//! requests to the directory wait in [`edge`], on the caller's async runtime.
#![forbid(unsafe_code)]

mod advertised;
pub mod assembly;
mod chat_host;
pub mod config;
mod conn;
mod deciding;
pub mod edge;
mod forwarding;
pub mod frame;
mod handshake;
mod hub;
mod identify;
mod inbox;
mod liveness;
mod membership;
mod metrics;
mod outbox;
mod publishing;
mod queue;
pub mod rate;
mod reading;
mod room;
mod rooms;
mod sending;
mod server;
mod session;
mod shard;
mod timer;
mod traffic;
mod undecided;
mod view;

pub use advertised::limits as advertised_limits;
pub use chat_host::LiveChatHost;
pub use config::Config;
pub use handshake::client_address;
pub use hub::{ConnectionInfo, Hub};
pub use metrics::Metrics;
pub use server::{Gateway, Handover, Passed, bind, connections_max};
