//! The integration tests: one binary, the real host, real sockets.
#![allow(missing_docs)]
mod documents;
