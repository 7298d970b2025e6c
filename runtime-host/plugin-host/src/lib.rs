//! Hosts components in sandboxes. Knows no sockets.
//!
//! What it is: the engines, the linkers, the limits and the supervision around components that decide about envelopes ([`judge`]) and around
//! third-party plugins ([`plugin`]).
//! What it is not: policy; what an envelope means is decided inside the components, and what their verdicts do is done by the gateway.
//! Invariant: a component can end itself, never the host or another component; every call into one has a deadline and a memory limit.

pub mod judge;
pub mod plugin;
