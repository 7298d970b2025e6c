//! Supervision of plugins.

/// Wait before the first restart after a crash; each further crash in a row doubles it.
pub const BACKOFF_FIRST_MS: u64 = 1_000;
/// Longest wait before a restart.
pub const BACKOFF_MAX_MS: u64 = 16_000;
/// Crashes in a row after which a plugin is disabled; so there are nine restarts.
pub const CRASHES_IN_A_ROW_MAX: u32 = 10;
/// Time without a crash after which the crash counter resets.
pub const HEALTHY_AFTER_MS: u64 = 60_000;
/// Characters of the reason for a plugin's state; a trap's text may be long.
pub const REASON_CHARS_MAX: usize = 500;

const _: () = assert!(
    BACKOFF_FIRST_MS <= BACKOFF_MAX_MS && BACKOFF_MAX_MS < HEALTHY_AFTER_MS,
    "the longest backoff must not count as time without a crash"
);
const _: () = assert!(
    CRASHES_IN_A_ROW_MAX >= 2,
    "a single crash must not disable a plugin"
);
