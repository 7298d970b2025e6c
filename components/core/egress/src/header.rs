//! Header fields of a plugin's request: those that the host sets, and those that are kept on a redirect to another
//! origin.
//!
//! Names are in lower case, as in HTTP libraries.

/// Fields that describe the connection or name its target.
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

/// Fields that carry no credentials.
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

/// Whether a plugin may not set the field; `name` is lower case.
#[must_use]
pub fn is_forbidden_header(name: &str) -> bool {
    FORBIDDEN.contains(&name) || name.starts_with("proxy-")
}

/// Whether a field is kept on a redirect to another origin; `name` is lower case. Unknown fields are dropped, because
/// API keys are sent under many names.
#[must_use]
pub fn is_kept_across_origins(name: &str) -> bool {
    HARMLESS.contains(&name)
}
