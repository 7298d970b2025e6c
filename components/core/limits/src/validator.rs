//! The validator chain: the operator's filters, then the validator, one instance of each per shard.

use crate::MIB;

/// Deadline of one call; beyond it the call traps and the sender gets `INTERNAL`.
pub const CALL_DEADLINE_MS: u64 = 10;
/// Deadline of updating a server's definitions: a snapshot may have hundreds of them.
pub const UPDATE_DEADLINE_MS: u64 = 2_000;
/// Interval of the engine's epoch ticks.
pub const EPOCH_TICK_MS: u64 = 5;
/// Wall-clock time one call may take when its thread gets little processor time: a busy machine must not count as a
/// slow component.
pub const CALL_WALL_MAX_MS: u64 = 1_000;
/// Linear memory of one instance, all its memories together.
pub const MEMORY_BYTES_MAX: usize = 64 * MIB;
/// Linear memory above which an idle instance is replaced: WebAssembly memory never shrinks.
pub const MEMORY_RECYCLE_BYTES: usize = 48 * MIB;
/// Elements of one table.
pub const TABLE_ELEMENTS_MAX: usize = 10_000;
/// Failed calls in a row after which a filter with `on_failure = "skip"` is left out until definitions are delivered to
/// the chain again.
pub const FILTER_FAILURES_IN_A_ROW_MAX: u32 = 10;
/// Components in the chain.
pub const CHAIN_LENGTH_MAX: usize = 16;
/// Effects of one verdict.
pub const EFFECTS_MAX: usize = 16;
/// Patches of one verdict.
pub const PATCHES_MAX: usize = 64;
/// Characters of a refusal's code.
pub const CODE_CHARS_MAX: usize = 64;
/// Bytes of the envelope that reports a refusal: a `plugin_error` with all its violations fits.
pub const REPLY_BYTES_MAX: usize = crate::envelope::SIGNALLING_BYTES_MAX;
/// Instances at once in the engine's pool: one of each component for each shard.
pub const INSTANCES_MAX: u32 = 512;
/// Memory of an instance's metadata in the engine.
pub const INSTANCE_BYTES_MAX: usize = MIB;
/// Bytes of a component's standard error that are kept to explain a trap.
pub const DIAGNOSTIC_BYTES_MAX: usize = 4 * crate::KIB;

const _: () = assert!(EPOCH_TICK_MS <= CALL_DEADLINE_MS && CALL_DEADLINE_MS < CALL_WALL_MAX_MS);
const _: () = assert!(MEMORY_RECYCLE_BYTES < MEMORY_BYTES_MAX);
