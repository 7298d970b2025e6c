//! The integration tests: one binary, the real host, real sockets, clients that nobody here wrote.
#![allow(missing_docs)]

mod access;
mod closing;
mod conformance;
mod directory;
mod documents;
mod edge;
mod judges;
mod liveness;
mod order;
mod process;
mod refusals;
mod rest_hostile;
mod roles;
mod session;
mod socket;
