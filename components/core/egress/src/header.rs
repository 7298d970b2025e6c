//! Header fields of a plugin's request: which are the host's, and which may follow a redirect to another host (case 86).
//!
//! Invariant: names are compared in lower case, as HTTP's own types keep them.

/// Fields that concern the connection, or say to whom it is.
const FORBIDDEN: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// What says nothing about who asks.
const HARMLESS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-type",
    "if-modified-since",
    "if-none-match",
    "pragma",
    "range",
    "user-agent",
];

/// Whether a field is the host's alone; `name` is lower case.
#[must_use]
pub fn is_forbidden_header(name: &str) -> bool {
    FORBIDDEN.contains(&name) || name.starts_with("proxy-")
}

/// Whether a field follows a redirect to another origin; `name` is lower case. `authorization` and `cookie` do not, and neither does anything
/// unknown, because keys of APIs travel under many names.
#[must_use]
pub fn travels_across_hosts(name: &str) -> bool {
    HARMLESS.contains(&name)
}
