//! The plugin store: values, secrets, grants, consents, logs, lifecycle events, audited decisions.

use crate::{KIB, MIB};

/// Bytes of one key and of a secret's name.
pub const KEY_BYTES_MAX: usize = 512;
/// Bytes of one value.
pub const VALUE_BYTES_MAX: usize = MIB;
/// Bytes of all keys and values of one plugin.
pub const BYTES_PER_PLUGIN_MAX: u64 = 64 * MIB as u64;
/// Values of one plugin: a row costs more than its bytes, so that tiny values need a bound of their own.
pub const VALUES_PER_PLUGIN_MAX: u64 = 262_144;
/// Changes in one batch.
pub const CHANGES_MAX: usize = 64;
/// Bytes of all keys and values in one batch: as much as one host call may carry.
pub const CHANGES_BYTES_MAX: usize = crate::plugin::HOST_CALL_BYTES_MAX;
/// Keys of one page.
pub const KEYS_PAGE_MAX: usize = 1_000;
/// Bytes of one plugin's keys and values cached in memory.
pub const CACHE_BYTES_PER_PLUGIN_MAX: usize = MIB;
/// Bytes of a key and its value above which they are not cached: one entry would displace too many others.
pub const CACHED_BYTES_MAX: usize = 64 * KIB;
/// Bytes that one cached value counts beyond its own.
pub const CACHED_OVERHEAD_BYTES: usize = 128;
/// Plugins whose values are cached; beyond it the cache is emptied.
pub const CACHED_PLUGINS_MAX: usize = 256;
/// Bytes of one secret: keys and tokens, not files.
pub const SECRET_BYTES_MAX: usize = 8 * KIB;
/// Secrets of one plugin.
pub const SECRETS_PER_PLUGIN_MAX: usize = 256;
/// Plugins with a stored record.
pub const RECORDS_MAX: usize = 10_000;
/// Bytes of a plugin's id.
pub const PLUGIN_BYTES_MAX: usize = crate::identity::NAME_CHARS_MAX;
/// Bytes of a plugin's settings, and of its approved manifest.
pub const DOCUMENT_BYTES_MAX: usize = 256 * KIB;
/// Bytes of short texts: reasons, user names, subjects of consents and decisions.
pub const TEXT_BYTES_MAX: usize = 4 * KIB;
/// Grants of one plugin; each remembered consent is one.
pub const GRANTS_PER_PLUGIN_MAX: usize = 1_000;
/// Bytes of one grant's scope.
pub const SCOPE_BYTES_MAX: usize = 16 * KIB;
/// Open consent requests of one plugin.
pub const CONSENTS_WAITING_PER_PLUGIN_MAX: usize = 64;
/// Decided consents kept for one plugin.
pub const CONSENTS_KEPT_PER_PLUGIN_MAX: usize = 500;
/// Consents in one answer.
pub const CONSENTS_PAGE_MAX: usize = 1_000;
/// Time after which an open consent request expires.
pub const CONSENT_WAIT_MAX_MS: u64 = 7 * 24 * 3_600 * 1_000;
/// Validity of a consent that is not remembered: long enough to repeat the call once.
pub const CONSENT_ONCE_MS: u64 = 10 * 60 * 1_000;
/// Bytes of one log line as it is stored, and of its fields; the rest is cut.
pub const LOG_LINE_BYTES_MAX: usize = 8 * KIB;
/// Log lines kept for one plugin.
pub const LOG_LINES_PER_PLUGIN_MAX: u64 = 20_000;
/// Log bytes kept for one plugin.
pub const LOG_BYTES_PER_PLUGIN_MAX: u64 = 8 * MIB as u64;
/// Share of these two bounds, in percent, down to which old lines are removed in one pass.
pub const LOG_TRIMMED_TO_PERCENT: u64 = 90;
/// Log lines, events or decisions of one page.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Log lines, events or decisions of one page when the caller names no size.
pub const PAGE_ITEMS_DEFAULT: usize = 100;
/// Lines queued for one follower of a log; beyond it lines are skipped and their number is reported.
pub const FOLLOWER_LINES_MAX: usize = 1_024;
/// Bytes of log lines and decisions queued for the database.
pub const JOURNAL_BYTES_MAX: usize = 16 * MIB;
/// Of these, bytes of one plugin; more are counted and dropped, so that one plugin cannot crowd out the others.
pub const JOURNAL_BYTES_PER_PLUGIN_MAX: usize = MIB;
/// Log lines and decisions stored in one transaction.
pub const JOURNAL_BATCH_MAX: usize = 1_024;
/// Lifecycle events kept for one plugin.
pub const EVENTS_PER_PLUGIN_MAX: u64 = 10_000;
/// Age at which lifecycle events and decisions are deleted.
pub const KEPT_MS: u64 = 7 * 24 * 3_600 * 1_000;
/// Interval at which entries older than [`KEPT_MS`] are deleted.
pub const PRUNE_INTERVAL_MS: u64 = 3_600 * 1_000;
/// Decisions kept in memory.
pub const AUDIT_RING_MAX: usize = 1_000;
/// Decisions kept for one plugin, so that a plugin in a loop does not displace the others' decisions.
pub const AUDIT_PER_PLUGIN_MAX: u64 = 10_000;
/// Writes queued for the database.
pub const WRITES_WAITING_MAX: usize = 1_024;
/// Bytes of these; a writer waits when they are used up.
pub const WRITES_WAITING_BYTES_MAX: usize = 64 * MIB;
/// Bytes that one write counts beyond its own.
pub const WRITE_OVERHEAD_BYTES: usize = KIB;
/// Writes of one commit.
pub const WRITES_PER_COMMIT_MAX: usize = 256;
/// Reads queued for the database.
pub const READS_WAITING_MAX: usize = 1_024;
/// Reader threads.
pub const READERS: usize = 2;
/// Time a statement waits for a lock of another process, such as a backup.
pub const BUSY_TIMEOUT_MS: u64 = 5_000;
/// Prepared statements cached per thread.
pub const STATEMENTS_MAX: usize = 64;

const _: () = assert!(
    CHANGES_BYTES_MAX + KIB <= WRITES_WAITING_BYTES_MAX,
    "every legal write fits the queue"
);
const _: () = assert!(
    4 * crate::manifest::TEXT_CHARS_MAX <= TEXT_BYTES_MAX,
    "the reason of a declared capability fits a consent"
);
const _: () = assert!(VALUE_BYTES_MAX + KEY_BYTES_MAX <= CHANGES_BYTES_MAX);
const _: () = assert!(CACHED_BYTES_MAX + CACHED_OVERHEAD_BYTES <= CACHE_BYTES_PER_PLUGIN_MAX);
const _: () = assert!(
    2 * LOG_LINE_BYTES_MAX < JOURNAL_BYTES_PER_PLUGIN_MAX
        && JOURNAL_BYTES_PER_PLUGIN_MAX < JOURNAL_BYTES_MAX
);
