//! Plugins over REST, and the commands that speak to it.

use super::{KIB, MIB};

/// Body of a request to a plugin's values: two of them of a mebibyte, and what JSON adds.
pub const KV_BODY_BYTES_MAX: usize = 4 * MIB;
/// Body of any other request.
pub const BODY_BYTES_MAX: usize = 256 * KIB;
/// Script that a plugin brings for pages.
pub const BUNDLE_BYTES_MAX: usize = 8 * MIB;
/// Time in which a body has to arrive.
pub const BODY_TIMEOUT_MS: u64 = 20_000;
/// Logs that are followed at once; each holds a connection.
pub const FOLLOWERS_MAX: usize = 64;
/// Silence after which who follows a log is shown that it is still there; proxies cut what is silent for a minute.
pub const FOLLOW_PING_MS: u64 = 15_000;
/// Lines of the past that who follows a log gets first, unless they say otherwise.
pub const FOLLOW_LINES_DEFAULT: usize = 50;
/// Decisions shown when the caller names no number (J35).
pub const AUDIT_RECENT_DEFAULT: usize = 20;
/// Random bytes of a plugin's own token.
pub const TOKEN_BYTES: usize = 32;
/// Longest time that a grant may be given for: a year.
pub const GRANT_LIFETIME_MAX_MS: u64 = 365 * 24 * 3_600 * 1_000;
/// Time that a command waits for the host; enabling a plugin takes up to two seconds, and a busy host more.
pub const COMMAND_TIMEOUT_MS: u64 = 35_000;
/// Bytes of an answer that a command reads.
pub const COMMAND_ANSWER_BYTES_MAX: usize = 32 * MIB;
/// Lifetime of a token that a command makes for itself.
pub const COMMAND_TOKEN_LIFETIME_SECONDS: u64 = 300;

const _: () = assert!(
    KV_BODY_BYTES_MAX
        >= 2 * super::plugin_store::VALUE_BYTES_MAX + super::plugin_store::KEY_BYTES_MAX
);
