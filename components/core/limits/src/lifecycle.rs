//! Plugins' states and their supervision.

/// Wait before the first restart after a crash (R17); each further crash in a row doubles it.
pub const BACKOFF_FIRST_MS: u64 = 1_000;
/// Longest wait before a restart (R17).
pub const BACKOFF_MAX_MS: u64 = 16_000;
/// Crashes in a row after which a plugin is disabled (R18); so there are nine restarts.
pub const CRASHES_IN_A_ROW_MAX: u32 = 10;
/// Time a plugin has to work without a crash until the crashes before it count no more.
pub const HEALTHY_AFTER_MS: u64 = 60_000;
/// Characters of the reason why a plugin is blocked, has failed or is disabled: a trap's text may be long.
pub const REASON_CHARS_MAX: usize = 500;

const _: () = assert!(
    BACKOFF_FIRST_MS <= BACKOFF_MAX_MS && BACKOFF_MAX_MS < HEALTHY_AFTER_MS,
    "waiting must not look like health"
);
const _: () = assert!(CRASHES_IN_A_ROW_MAX >= 2, "a single crash disables nobody");
