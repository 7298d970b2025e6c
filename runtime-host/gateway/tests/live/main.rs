//! A gateway with real sockets: connections that end, identities, and what plugins are offered, decide and send.

mod client;
mod deciding;
mod fixture;
mod forwarding;
mod identify;
mod joining;
mod publishing;
mod rosters;
mod sockets;
mod validating;
