//! Outbound connections of components: the allow-list, which every connection passes, and the HTTP client.

pub mod allowed;
pub mod outbound;
