//! The edge host, which runs HTTP components in the process.

use crate::{KIB, MIB};

/// Requests one instance serves before it is replaced; Spin's default.
pub const REQUESTS_PER_INSTANCE_MAX: usize = 128;
/// Concurrent requests in one instance; Spin's default.
pub const CONCURRENT_PER_INSTANCE_MAX: usize = 16;
/// Idle time after which an instance is dropped.
pub const INSTANCE_IDLE_MS: u64 = 1_000;
/// Linear memory of one instance.
pub const MEMORY_BYTES_MAX: usize = 128 * MIB;
/// Instances at once in the engine's pool.
pub const INSTANCES_MAX: u32 = 256;
/// Wall time of one request in a component.
pub const REQUEST_TIMEOUT_MS: u64 = 30_000;
/// Time a component may compute without yielding before it is interrupted.
pub const BUSY_TIMEOUT_MS: u64 = 5_000;
/// Rows one query may return to a component.
pub const QUERY_ROWS_MAX: usize = 100_000;
/// Bytes one query may return to a component.
pub const QUERY_BYTES_MAX: usize = 32 * MIB;
/// Open database connections of one instance.
pub const CONNECTIONS_PER_INSTANCE_MAX: usize = 64;
/// Time a statement waits for another writer.
pub const SQLITE_BUSY_TIMEOUT_MS: u64 = 5_000;
/// Time one SQL statement may run: as long as the request that waits for it.
pub const QUERY_TIMEOUT_MS: u64 = REQUEST_TIMEOUT_MS;
/// Time a read may take on the thread of its request before it moves to a blocking thread.
pub const SQLITE_IN_PLACE_US: u64 = 1_000;
/// Bytes of a value, and of a whole result, that a read may handle on the thread of its request.
pub const SQLITE_IN_PLACE_BYTES_MAX: usize = 64 * KIB;
/// Idle connections kept per database.
pub const SQLITE_IDLE_CONNECTIONS_MAX: usize = 16;
/// Prepared statements kept per connection.
pub const SQLITE_STATEMENTS_MAX: usize = 64;
/// Characters of a database's or store's label; it becomes a file name.
pub const LABEL_CHARS_MAX: usize = 64;
/// Bytes of one key of a key-value store.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Bytes of one value of a key-value store.
pub const VALUE_BYTES_MAX: usize = 8 * MIB;
/// Connections to one PostgreSQL address, idle ones included.
pub const POSTGRES_CONNECTIONS_MAX: usize = 32;
/// PostgreSQL addresses in use at once by one host.
pub const POSTGRES_ADDRESSES_MAX: usize = 16;
/// Time to connect to PostgreSQL, its handshake included.
pub const POSTGRES_CONNECT_TIMEOUT_MS: u64 = 5_000;
/// Interval of the engine's epoch ticks: the precision of [`BUSY_TIMEOUT_MS`], and how often a busy component yields.
pub const EPOCH_TICK_MS: u64 = 10;
/// Elements of one table.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;
/// Memory of an instance's metadata in the engine.
pub const INSTANCE_BYTES_MAX: usize = 10 * MIB;
/// Memory of a freed slot that stays resident, so that the next instance starts without page faults.
pub const MEMORY_KEPT_BYTES: usize = 512 * KIB;
/// Table of a freed slot that stays resident.
pub const TABLE_KEPT_BYTES: usize = 64 * KIB;
/// Concurrent requests of clients in components; others wait. Half the pool, so that idle instances never block a busy
/// component.
pub const IN_FLIGHT_MAX: usize = INSTANCES_MAX as usize / 2;
/// Concurrent requests of the host itself (the gateway's questions to the directory), in addition to
/// [`IN_FLIGHT_MAX`]: clients cannot take these places.
pub const OWN_IN_FLIGHT_MAX: usize = INSTANCES_MAX as usize / 8;
/// How long a request waits between two tries when the pool of instances is exhausted.
pub const POOL_RETRY_MS: u64 = 10;
/// Request body; an envelope to validate is [`crate::socket::MESSAGE_BYTES_MAX`] and may be wrapped in JSON.
pub const REQUEST_BYTES_MAX: usize = 4 * MIB;
/// Responses up to this size get a `content-length`; longer ones are sent in chunks.
pub const RESPONSE_BUFFER_BYTES: usize = 64 * KIB;
/// Pause within a response after which it is sent in chunks.
pub const RESPONSE_BUFFER_WAIT_MS: u64 = 50;
/// Response body of a component's outbound request.
pub const OUTBOUND_RESPONSE_BYTES_MAX: usize = 8 * MIB;
/// Time to connect to an outbound host.
pub const OUTBOUND_CONNECT_TIMEOUT_MS: u64 = 5_000;
/// Longest wait for the head of an outbound response, and between two chunks of it.
pub const OUTBOUND_TIMEOUT_MS: u64 = 30_000;
/// Time an idle outbound connection is kept.
pub const OUTBOUND_IDLE_MS: u64 = 30_000;
/// Idle outbound connections kept per host.
pub const OUTBOUND_IDLE_PER_HOST_MAX: usize = 8;
/// Bytes of one logged line of a component; the rest is cut.
pub const LOG_LINE_BYTES_MAX: usize = 8 * KIB;

/// Size of a database file up to which the integrity check at start compares indices with their tables; beyond it the
/// check leaves the indices out, because the start would take seconds.
pub const INTEGRITY_CHECK_BYTES_MAX: u64 = 64 * MIB as u64;

const _: () = assert!(
    BUSY_TIMEOUT_MS < REQUEST_TIMEOUT_MS,
    "a busy component must be interrupted before its requests time out"
);
const _: () = assert!(
    REQUEST_BYTES_MAX >= 2 * crate::socket::MESSAGE_BYTES_MAX,
    "an envelope escaped in JSON must fit"
);
const _: () = assert!(IN_FLIGHT_MAX + OWN_IN_FLIGHT_MAX < INSTANCES_MAX as usize);
const _: () = assert!(
    REQUEST_TIMEOUT_MS >= crate::rest::REQUEST_TIMEOUT_MS && BUSY_TIMEOUT_MS > EPOCH_TICK_MS
);
