//! What is handed to running plugins: envelopes, requests on their routes, tools and hooks.
//!
//! All of it starts at the table of running plugins, which is replaced as a whole when a plugin starts or stops. A call
//! that began with the old table ends with it.

mod answer_headers;
pub(crate) mod body;
mod bridge;
mod decision;
pub(crate) mod envelopes;
pub(crate) mod hooks;
pub(crate) mod moderation;
pub(crate) mod route;
pub(crate) mod table;
pub(crate) mod tools;
