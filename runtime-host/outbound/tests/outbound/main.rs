//! The client against real sockets.
//!
//! 127.0.0.2 plays the open internet here and 127.0.0.1 what must not be reached; a listener there counts who came.

mod answers;
mod redirects;
mod refused;
mod support;
mod tls;
