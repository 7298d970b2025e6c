//! Integration tests: the real host, real sockets, third-party clients. One binary, so that the
//! host is started the same way everywhere.
#![allow(missing_docs)]

mod access;
mod closing;
mod components;
mod conformance;
mod crash;
mod directory;
mod documents;
mod edge;
mod embedded;
mod host_answers;
mod hostile;
mod hostile_frames;
mod hostile_identity;
mod hostile_load;
mod http_connections;
mod issuer;
mod limits_hold;
mod liveness;
mod order;
mod plugin_commands;
mod plugins;
mod process;
mod proxies;
mod refusals;
mod rest_bodies;
mod rest_writers;
mod roles;
mod session;
mod soak;
mod socket;
mod staying;
mod validators;
