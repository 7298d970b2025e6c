//! Plugin events and their schemas.

use crate::KIB;

/// `maxPayloadBytes` when a definition names none: bytes of `payload` as compact UTF-8 JSON.
pub const PAYLOAD_BYTES_DEFAULT: usize = 64 * KIB;
/// Largest `maxPayloadBytes` a definition may name.
pub const PAYLOAD_BYTES_MAX: usize = 256 * KIB;
/// Bytes of one schema document.
pub const SCHEMA_BYTES_MAX: usize = 16 * KIB;
/// Nesting of a schema: the memory for compiling grows with its square.
pub const SCHEMA_DEPTH_MAX: usize = 32;
/// Subschemas of one document.
pub const SCHEMA_NODES_MAX: usize = 500;
/// Product of `$ref` fan-out over all paths: doubling through `$defs` is exponential without it.
pub const SCHEMA_REF_FANOUT_MAX: u64 = 10_000;
/// Characters of one `pattern`; only the linear regex engine is used.
pub const SCHEMA_PATTERN_CHARS_MAX: usize = 256;
/// Patterns of one schema.
pub const SCHEMA_PATTERNS_MAX: usize = 64;
/// Compiled size of all patterns of one schema, shared equally: `\p{L}{1,5000}` is short and compiles to megabytes. The
/// time for compiling grows with it, and has to stay below the deadline of one call of the validator.
pub const SCHEMA_PATTERNS_COMPILED_BYTES_MAX: usize = 256 * KIB;
/// Cache that the regex engine may grow for one `pattern` while it matches.
pub const SCHEMA_PATTERN_CACHE_BYTES_MAX: usize = 64 * KIB;
/// Entries of one `enum`.
pub const SCHEMA_ENUM_MAX: usize = 1_000;
/// Violations reported for one payload.
pub const VIOLATIONS_MAX: usize = 16;
/// Characters of the pointer and of the message of one violation: both may quote the sender's text.
pub const VIOLATION_CHARS_MAX: usize = 256;
/// Event definitions of one server.
pub const DEFINITIONS_PER_SERVER_MAX: usize = 1_000;
/// Requirements of one server.
pub const REQUIREMENTS_PER_SERVER_MAX: usize = 500;
/// Compiled schemas kept by one validator instance; the least recently used is removed first.
pub const COMPILED_SCHEMAS_MAX: usize = 512;
/// Servers whose definitions one validator instance keeps; the least recently used is removed first.
pub const DEFINED_SERVERS_MAX: usize = 4_096;
/// Bytes of all schema documents one validator instance keeps; the largest legal snapshot fits.
pub const DEFINED_BYTES_MAX: usize = DEFINITIONS_PER_SERVER_MAX * SCHEMA_BYTES_MAX;

const _: () = assert!(PAYLOAD_BYTES_DEFAULT <= PAYLOAD_BYTES_MAX);
const _: () = assert!(
    PAYLOAD_BYTES_MAX + crate::envelope::PLUGIN_EVENT_WRAPPER_BYTES_MAX
        <= crate::socket::MESSAGE_BYTES_MAX
);
