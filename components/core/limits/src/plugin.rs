//! The sandbox of third-party plugins.

use crate::{KIB, MIB};

/// Deadline of handlers that only listen: plugin events, bus messages, change notices.
pub const EVENT_DEADLINE_MS: u64 = 500;
/// Deadline of handlers whose answer is waited for: chat, events that plugins decide, hooks, tools.
pub const ACTION_DEADLINE_MS: u64 = 5_000;
/// Deadline of a hook that may ask a user for permission.
pub const PERMISSION_DEADLINE_MS: u64 = 3_600_000;
/// Deadline of a plugin's HTTP response.
pub const HTTP_DEADLINE_MS: u64 = 30_000;
/// Deadline of `activate`, `ready` and `deactivate`.
pub const LIFECYCLE_DEADLINE_MS: u64 = 5_000;
/// Time that a plugin that is stopped has to finish its calls and to deactivate; its instances are then ended. A kill
/// switch gives none.
pub const STOP_GRACE_MS: u64 = LIFECYCLE_DEADLINE_MS * 2;
/// Deadline of instantiating a component; its start function runs within it.
pub const START_DEADLINE_MS: u64 = 5_000;
/// Time that enabling a plugin waits for it to become active.
pub const ENABLE_WAIT_MS: u64 = 2_000;
/// Interval of the engine's epoch ticks; a call that computes for one to two ticks yields. Short, because other calls
/// on its thread wait that long; no shorter, because each tick wakes a thread.
pub const EPOCH_TICK_MS: u64 = 2;
/// Long computations that run on blocking threads of their own at once; more of them take turns on the shared threads.
pub const BLOCKING_CALLS_MAX: usize = 8;
/// Epoch ticks for which a call may keep such a thread while other calls wait for one.
pub const BLOCKING_TICKS_MAX: u32 = 5;
/// Fuel (about one unit per WebAssembly instruction) of one call.
pub const FUEL_PER_CALL: u64 = 5_000_000_000;
/// Fuel of the call that reads a component's id; the first call of a language's engine sets the engine up.
pub const FUEL_META: u64 = 100_000_000;
/// Linear memory of one instance, all its memories together.
pub const MEMORY_BYTES_MAX: usize = 64 * MIB;
/// Elements of all tables of one instance together.
pub const TABLE_ELEMENTS_MAX: usize = 10_000;
/// Stack of a call.
pub const STACK_BYTES_MAX: usize = 512 * KIB;
/// Stack of the fiber that a call runs on: the plugin's stack and the host functions' frames.
pub const FIBER_BYTES: usize = 1024 * KIB;
/// Bytes that one call into the host may carry.
pub const HOST_CALL_BYTES_MAX: usize = 8 * MIB;
/// Resources that one instance may hold.
pub const RESOURCES_MAX: usize = 1_000;
/// Random bytes of one call.
pub const RANDOM_BYTES_MAX: u64 = 64 * KIB as u64;
/// Bytes of one log line; the rest is cut.
pub const LOG_LINE_BYTES_MAX: usize = crate::plugin_store::LOG_LINE_BYTES_MAX;
/// Seconds of log that one instance may write at once.
pub const LOG_BURST_SECONDS: usize = 4;
/// Log bytes of one instance per second.
pub const LOG_BYTES_PER_SECOND: usize = 64 * KIB;
/// Calls into the host that need a capability, of one plugin each second, if the operator says nothing: where each right
/// is granted by hand, a plugin is trusted with little.
pub const HOST_CALLS_STRICT_PER_SECOND: u32 = 50;
/// The same in mode `prompt`.
pub const HOST_CALLS_PROMPT_PER_SECOND: u32 = 100;
/// The same in mode `permissive`.
pub const HOST_CALLS_PERMISSIVE_PER_SECOND: u32 = 500;
/// Calls queued for one instance, or for instances that share their work.
pub const MAILBOX_JOBS_MAX: usize = 256;
/// Bytes of such calls: a few of the largest requests.
pub const MAILBOX_BYTES_MAX: usize = 32 * MIB;
/// Instances of one plugin: those for requests, tools and hooks, and one for each chat server.
pub const INSTANCES_PER_PLUGIN_MAX: usize = 64;
/// Instances of one plugin for requests, if its manifest says nothing: a call that waits keeps no other from being
/// served. As many each for tools and hooks.
pub const REQUEST_INSTANCES_DEFAULT: usize = 4;
/// Most instances for requests that a manifest may ask for and an operator may allow: all kinds of work together leave
/// room for chat servers.
pub const REQUEST_INSTANCES_MAX: usize = 8;
/// Instances of all plugins: the slots of the engine's pool.
pub const INSTANCES_MAX: u32 = 2_000;
/// Idle time after which a server's instance is dropped.
pub const INSTANCE_IDLE_MS: u64 = 600_000;
/// Memory of an instance's metadata in the engine.
pub const INSTANCE_BYTES_MAX: usize = MIB;
/// Linear memory that stays resident in a free slot of the pool.
pub const MEMORY_KEPT_BYTES: usize = 64 * KIB;
/// Envelopes waiting for plugins' decisions, of all connections together.
pub const DECISIONS_MAX: usize = 4_096;
/// Plugins of one host.
pub const PLUGINS_MAX: usize = 1_000;
/// Entries read from the plugins directory.
pub const DIRECTORY_ENTRIES_MAX: usize = 4_000;
/// Interval at which the plugins directory is scanned.
pub const DISCOVERY_INTERVAL_MS: u64 = 2_000;
/// Bytes of a request's body on a plugin's route.
pub const REQUEST_BYTES_MAX: usize = 10 * MIB;
/// Bytes of a response on a plugin's route.
pub const RESPONSE_BYTES_MAX: usize = 16 * MIB;
/// Bytes of one chunk of a body.
pub const BODY_PIECE_BYTES_MAX: usize = MIB;
/// Bytes of one answer that may wait for its client whatever other answers wait: small answers hold up nothing.
pub const UNREAD_FREE_BYTES: usize = 64 * KIB;
/// Bytes that a chunk waiting for its client counts as at least: its place in the queue occupies memory too.
pub const UNREAD_PIECE_BYTES_MIN: usize = 256;
/// Bytes of one plugin's answers, beyond [`UNREAD_FREE_BYTES`] each, that wait for their clients: an answer waits here,
/// so that its instance can serve others.
pub const UNREAD_PER_PLUGIN_BYTES_MAX: usize = 4 * RESPONSE_BYTES_MAX;
/// The same of all plugins together.
pub const UNREAD_BYTES_MAX: usize = 4 * UNREAD_PER_PLUGIN_BYTES_MAX;
/// Bytes that a client has to read within [`CLIENT_WAIT_MS`].
pub const CLIENT_PART_BYTES: usize = 64 * KIB;
/// Time in which a client has to read a part of an answer, and for which a plugin's write waits for clients. Neither
/// counts as the plugin's time.
pub const CLIENT_WAIT_MS: u64 = 10_000;
/// Submitted requests of one plugin that are running or wait for consent.
pub const SUBMITTED_MAX: usize = 16;
/// Time that a submitted request waits for consent.
pub const CONSENT_WAIT_MS: u64 = 3_600_000;
/// Values in the arguments of a tool with a schema: the work of checking is at most their product with the subschemas,
/// and is done outside of the sandbox.
pub const TOOL_ARGUMENT_VALUES_MAX: usize = 10_000;
/// Bytes of a bus message, and of a tool's or a hook's input and output.
pub const PAYLOAD_BYTES_MAX: usize = 256 * KIB;
/// Characters of a bus topic.
pub const TOPIC_CHARS_MAX: usize = 128;
/// Topics of one plugin that have subscribers or kept messages.
pub const TOPICS_MAX: usize = 64;
/// Messages of one topic kept for replay.
pub const TOPIC_REPLAY_MAX: usize = 100;
/// Bytes of a plugin's chat message.
pub const CHAT_TEXT_BYTES_MAX: usize = 16 * KIB;
/// Users of one page of a roster.
pub const ROSTER_USERS_MAX: usize = crate::dispatch::USERS_PER_PAGE_MAX;
/// Window in which equal allowed decisions are aggregated into one audit entry with a count.
pub const AUDIT_WINDOW_MS: u64 = 60_000;
/// Audit entries that one instance aggregates at once.
pub const AUDIT_AGGREGATES_MAX: usize = 64;

const _: () = assert!(EPOCH_TICK_MS < EVENT_DEADLINE_MS && EVENT_DEADLINE_MS < ACTION_DEADLINE_MS);
const _: () = assert!(STACK_BYTES_MAX < FIBER_BYTES);
const _: () = assert!(LOG_LINE_BYTES_MAX < LOG_BYTES_PER_SECOND);
const _: () = assert!(HOST_CALL_BYTES_MAX <= UNREAD_PER_PLUGIN_BYTES_MAX);
const _: () = assert!(REQUEST_BYTES_MAX < MAILBOX_BYTES_MAX);
const _: () = assert!(
    REQUEST_INSTANCES_DEFAULT <= REQUEST_INSTANCES_MAX
        && 4 * REQUEST_INSTANCES_MAX <= INSTANCES_PER_PLUGIN_MAX / 2,
    "requests, tools, hooks and permission hooks leave half of a plugin's instances to chat servers"
);
