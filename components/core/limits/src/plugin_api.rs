//! The REST API of plugins, and the commands that use it.

use crate::{KIB, MIB};

/// Body of a request to a plugin's values: two of the largest values, and JSON's escapes.
pub const KV_BODY_BYTES_MAX: usize = 4 * MIB;
/// Body of any other request.
pub const BODY_BYTES_MAX: usize = 256 * KIB;
/// Browser script of a plugin.
pub const BUNDLE_BYTES_MAX: usize = 8 * MIB;
/// Logs followed at once; each occupies a connection.
pub const FOLLOWERS_MAX: usize = 64;
/// Interval of keepalive comments in a followed log: proxies cut connections that are silent for a minute.
pub const FOLLOW_PING_MS: u64 = 15_000;
/// Past lines sent first to a follower of a log, unless it names a number.
pub const FOLLOW_LINES_DEFAULT: usize = 50;
/// Audited decisions in one answer when the caller names no number.
pub const AUDIT_RECENT_DEFAULT: usize = 20;
/// Random bytes of a plugin's own token.
pub const TOKEN_BYTES: usize = 32;
/// Longest lifetime of a grant: a year.
pub const GRANT_LIFETIME_MAX_MS: u64 = 365 * 24 * 3_600 * 1_000;
/// Time that a command waits for the host's answer.
pub const COMMAND_TIMEOUT_MS: u64 = 35_000;
/// Bytes of a response that a command reads.
pub const COMMAND_ANSWER_BYTES_MAX: usize = 32 * MIB;
/// Characters of the name of a plugin that `jackfield new plugin` makes: it becomes a folder and a crate.
pub const NEW_NAME_CHARS_MAX: usize = 64;
/// Lifetime of the token that a command signs for its own requests.
pub const COMMAND_TOKEN_LIFETIME_SECONDS: u64 = 300;

const _: () = assert!(
    KV_BODY_BYTES_MAX
        >= 2 * crate::plugin_store::VALUE_BYTES_MAX + crate::plugin_store::KEY_BYTES_MAX
);
