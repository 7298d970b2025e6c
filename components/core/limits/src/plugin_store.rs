//! What is kept about plugins: values, secrets, grants, consents, logs, events, decisions.

use super::{KIB, MIB};

/// Bytes of one key and of a secret's name.
pub const KEY_BYTES_MAX: usize = 512;
/// Bytes of one value.
pub const VALUE_BYTES_MAX: usize = MIB;
/// Bytes of all keys and values of one plugin.
pub const BYTES_PER_PLUGIN_MAX: u64 = 64 * MIB as u64;
/// Values of one plugin: a row costs the disk more than its bytes, so that tiny ones need a bound of their own.
pub const VALUES_PER_PLUGIN_MAX: u64 = 262_144;
/// Changes that are made together.
pub const CHANGES_MAX: usize = 64;
/// Keys and values of changes that are made together: as much as one call of a plugin may hand over.
pub const CHANGES_BYTES_MAX: usize = 8 * MIB;
/// Keys of one page.
pub const KEYS_PAGE_MAX: usize = 1_000;
/// Keys and values of one plugin that are kept in memory, so that reading a hot one costs no database.
pub const CACHE_BYTES_PER_PLUGIN_MAX: usize = MIB;
/// Bytes of a key and its value above which they are not kept in memory: one of them would push out too many others.
pub const CACHED_BYTES_MAX: usize = 64 * KIB;
/// What one value kept in memory counts beyond its bytes.
pub const CACHED_OVERHEAD_BYTES: usize = 128;
/// Plugins whose values are kept in memory; when there are more, all are forgotten.
pub const CACHED_PLUGINS_MAX: usize = 256;
/// Bytes of one secret: keys and tokens, not files.
pub const SECRET_BYTES_MAX: usize = 8 * KIB;
/// Secrets of one plugin.
pub const SECRETS_PER_PLUGIN_MAX: usize = 256;
/// Plugins that something is known of.
pub const RECORDS_MAX: usize = 10_000;
/// Bytes of a plugin's id.
pub const PLUGIN_BYTES_MAX: usize = super::identity::NAME_CHARS_MAX;
/// Bytes of a plugin's settings, and of what a person approved of its manifest.
pub const DOCUMENT_BYTES_MAX: usize = 256 * KIB;
/// Bytes of short texts: reasons, names of people, what a consent or a decision is about.
pub const TEXT_BYTES_MAX: usize = 2 * KIB;
/// Grants of one plugin; each remembered consent is one.
pub const GRANTS_PER_PLUGIN_MAX: usize = 1_000;
/// Bytes of one grant's scope.
pub const SCOPE_BYTES_MAX: usize = 16 * KIB;
/// Consents of one plugin that wait for a person.
pub const CONSENTS_WAITING_PER_PLUGIN_MAX: usize = 64;
/// Decided consents of one plugin that are kept.
pub const CONSENTS_KEPT_PER_PLUGIN_MAX: usize = 500;
/// Consents of one answer.
pub const CONSENTS_PAGE_MAX: usize = 1_000;
/// How long a consent waits for a person before it is forgotten.
pub const CONSENT_WAIT_MAX_MS: u64 = 7 * 24 * 3_600 * 1_000;
/// How long an answer holds that is not to be remembered: long enough to try again, and to be asked again another day.
pub const CONSENT_ONCE_MS: u64 = 10 * 60 * 1_000;
/// Bytes of one log line as it is stored, and of its fields; the rest is cut.
pub const LOG_LINE_BYTES_MAX: usize = 8 * KIB;
/// Log lines of one plugin that are kept.
pub const LOG_LINES_PER_PLUGIN_MAX: u64 = 20_000;
/// Log bytes of one plugin that are kept.
pub const LOG_BYTES_PER_PLUGIN_MAX: u64 = 8 * MIB as u64;
/// Share of the bounds above, in percent, down to which old lines are removed at once.
pub const LOG_TRIMMED_TO_PERCENT: u64 = 90;
/// Lines, events or decisions of one page.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Lines, events or decisions of one page when the caller names no size (R47).
pub const PAGE_ITEMS_DEFAULT: usize = 100;
/// Lines that somebody who follows a log may be behind; who is further behind is told how many were left out.
pub const FOLLOWER_LINES_MAX: usize = 1_024;
/// Lines and decisions that wait to be stored, bytes.
pub const JOURNAL_BYTES_MAX: usize = 16 * MIB;
/// Of these, one plugin's: more are counted and dropped, and cost the others nothing.
pub const JOURNAL_BYTES_PER_PLUGIN_MAX: usize = MIB;
/// Lines and decisions that are stored together.
pub const JOURNAL_BATCH_MAX: usize = 1_024;
/// Lifecycle events of one plugin that are kept.
pub const EVENTS_PER_PLUGIN_MAX: u64 = 10_000;
/// How long lifecycle events and decisions are kept (R50).
pub const KEPT_MS: u64 = 7 * 24 * 3_600 * 1_000;
/// How often is looked for what is older than that.
pub const PRUNE_INTERVAL_MS: u64 = 3_600 * 1_000;
/// Decisions kept in memory (J33).
pub const AUDIT_RING_MAX: usize = 1_000;
/// Decisions about one plugin that are kept: a plugin that asks without end does not push out the others.
pub const AUDIT_PER_PLUGIN_MAX: u64 = 10_000;
/// Writes that wait for the database.
pub const WRITES_WAITING_MAX: usize = 1_024;
/// Bytes of these; who comes when they are used up waits.
pub const WRITES_WAITING_BYTES_MAX: usize = 64 * MIB;
/// What a write counts beyond its bytes.
pub const WRITE_OVERHEAD_BYTES: usize = KIB;
/// Writes of one commit.
pub const WRITES_PER_COMMIT_MAX: usize = 256;
/// Reads that wait for the database.
pub const READS_WAITING_MAX: usize = 1_024;
/// Threads that read.
pub const READERS: usize = 2;
/// Time a statement waits for another process, such as a backup.
pub const BUSY_TIMEOUT_MS: u64 = 5_000;
/// Prepared statements kept for each thread.
pub const STATEMENTS_MAX: usize = 64;

const _: () = assert!(
    CHANGES_BYTES_MAX + KIB <= WRITES_WAITING_BYTES_MAX,
    "every legal write fits the queue"
);
const _: () = assert!(VALUE_BYTES_MAX + KEY_BYTES_MAX <= CHANGES_BYTES_MAX);
const _: () = assert!(CACHED_BYTES_MAX + CACHED_OVERHEAD_BYTES <= CACHE_BYTES_PER_PLUGIN_MAX);
const _: () = assert!(
    2 * LOG_LINE_BYTES_MAX < JOURNAL_BYTES_PER_PLUGIN_MAX
        && JOURNAL_BYTES_PER_PLUGIN_MAX < JOURNAL_BYTES_MAX
);
