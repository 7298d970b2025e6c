//! The sandbox of third-party plugins.

use super::{KIB, MIB};

/// Deadline of a plugin event, a bus message and a change notice (J37, informational).
pub const EVENT_DEADLINE_MS: u64 = 500;
/// Deadline of a handler whose answer somebody waits for: chat, deciding events, hooks, tools (J37, actionable).
pub const ACTION_DEADLINE_MS: u64 = 5_000;
/// Deadline of a hook in which a person may be asked (J37, permission).
pub const PERMISSION_DEADLINE_MS: u64 = 3_600_000;
/// Deadline of an HTTP answer (R28).
pub const HTTP_DEADLINE_MS: u64 = 30_000;
/// Deadline of `activate`, `ready` and `deactivate`.
pub const LIFECYCLE_DEADLINE_MS: u64 = 5_000;
/// Deadline of instantiating a component, whose start function may run.
pub const START_DEADLINE_MS: u64 = 5_000;
/// Time that enabling waits for a plugin to be there (R21).
pub const ENABLE_WAIT_MS: u64 = 2_000;
/// Interval of the engine's epoch ticks; a plugin that computes for one to two of them gives way. Short, because whoever shares its thread waits
/// that long, and no shorter, because each tick wakes a thread.
pub const EPOCH_TICK_MS: u64 = 2;
/// Calls that compute on threads of their own at once; more of them take turns on the threads that all share. The kernel gives the others their
/// share of the processors beside so many.
pub const LANES_MAX: usize = 8;
/// Ticks that a call may have such a thread while others may wait for one.
pub const LANE_TICKS_MAX: u32 = 5;
/// Instructions of one call (H36).
pub const FUEL_PER_CALL: u64 = 5_000_000_000;
/// Instructions of the call that asks a component for its id (H5).
pub const FUEL_META: u64 = 1_000_000;
/// Linear memory of one instance, all its memories together.
pub const MEMORY_BYTES_MAX: usize = 64 * MIB;
/// Elements of all tables of one instance together.
pub const TABLE_ELEMENTS_MAX: usize = 10_000;
/// Stack of a call.
pub const STACK_BYTES_MAX: usize = 512 * KIB;
/// Stack of the fiber that a call runs on: the plugin's, and what host functions need above it.
pub const FIBER_BYTES: usize = 1024 * KIB;
/// Bytes that one call into the host may carry.
pub const HOST_CALL_BYTES_MAX: usize = 8 * MIB;
/// Resources that one instance may hold.
pub const RESOURCES_MAX: usize = 1_000;
/// Random bytes of one request: who wants more asks again.
pub const RANDOM_BYTES_MAX: u64 = 64 * KIB as u64;
/// Bytes of one log line.
pub const LOG_LINE_BYTES_MAX: usize = 8 * KIB;
/// Bytes that one instance may log each second; a burst of four seconds is allowed.
pub const LOG_BYTES_PER_SECOND: usize = 64 * KIB;
/// Jobs that wait for one instance.
pub const MAILBOX_JOBS_MAX: usize = 256;
/// Instances of one plugin: one for requests, one for each chat server it works for.
pub const INSTANCES_PER_PLUGIN_MAX: usize = 64;
/// Instances of all plugins: the places of the engine's pool.
pub const INSTANCES_MAX: u32 = 2_000;
/// Time without work after which a server's instance is let go.
pub const INSTANCE_IDLE_MS: u64 = 600_000;
/// Memory of an instance's own structures.
pub const INSTANCE_BYTES_MAX: usize = MIB;
/// Linear memory that stays with a free place of the pool.
pub const MEMORY_KEPT_BYTES: usize = 64 * KIB;
/// Envelopes that wait for plugins to decide, of all connections together.
pub const DECISIONS_MAX: usize = 4_096;
/// Plugins that one host runs.
pub const PLUGINS_MAX: usize = 1_000;
/// Entries of the plugins directory that are looked at.
pub const DIRECTORY_ENTRIES_MAX: usize = 4_000;
/// Time between two looks at the plugins directory.
pub const DISCOVERY_INTERVAL_MS: u64 = 2_000;
/// Processor time of compiling one component; more is a compile bomb (case 21).
pub const COMPILE_CPU_SECONDS_MAX: u64 = 60;
/// Address space of compiling one component.
pub const COMPILE_MEMORY_BYTES_MAX: u64 = 4 * 1024 * MIB as u64;
/// Compiled code kept on disk; the least recently used goes first.
pub const CODE_CACHE_BYTES_MAX: u64 = 512 * MIB as u64;
/// Bytes of a request's body on a plugin's route.
pub const REQUEST_BYTES_MAX: usize = 10 * MIB;
/// Bytes of an answer of a plugin's route.
pub const RESPONSE_BYTES_MAX: usize = 16 * MIB;
/// Bytes of one piece of a body.
pub const BODY_PIECE_BYTES_MAX: usize = MIB;
/// Pieces of an answer that wait for a slow client.
pub const BODY_PIECES_MAX: usize = 4;
/// Submitted requests of one plugin that are on their way or wait for consent.
pub const SUBMITTED_MAX: usize = 16;
/// Time that a submitted request waits for a person's consent.
pub const CONSENT_WAIT_MS: u64 = 3_600_000;
/// Bytes of a bus message, and of a tool's or a hook's input and output.
pub const PAYLOAD_BYTES_MAX: usize = 256 * KIB;
/// Characters of a bus topic.
pub const TOPIC_CHARS_MAX: usize = 128;
/// Topics of one plugin that have subscribers or a past.
pub const TOPICS_MAX: usize = 64;
/// Messages of one topic that are kept for replay.
pub const TOPIC_REPLAY_MAX: usize = 100;
/// Bytes of a chat message in a plugin's name.
pub const CHAT_TEXT_BYTES_MAX: usize = 16 * KIB;
/// Users of one page of a roster.
pub const ROSTER_USERS_MAX: usize = 500;
/// Time within which equal allowed decisions are one audit entry with a count.
pub const AUDIT_FOLD_MS: u64 = 60_000;
/// Decisions that one instance folds at once.
pub const AUDIT_FOLDS_MAX: usize = 64;

const _: () = assert!(EPOCH_TICK_MS < EVENT_DEADLINE_MS && EVENT_DEADLINE_MS < ACTION_DEADLINE_MS);
const _: () = assert!(STACK_BYTES_MAX < FIBER_BYTES);
const _: () = assert!(LOG_LINE_BYTES_MAX < LOG_BYTES_PER_SECOND);
