//! The gateway: owns every socket, speaks RFC 6455 and the envelope contract, and sends what the judges allow to whom it concerns.
//!
//! What it is not: it names no component engine, decides nothing that a judge decides, and stores nothing. Data flows one way:
//! bytes → [`frame`] → [`envelope::Validator`] → [`plugin_bus::PluginHost`] → effects → the hub's live state → frames.
//! A few shard threads own the sockets in readiness loops; what waits for the edge waits in [`edge`], on the caller's async runtime.
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
