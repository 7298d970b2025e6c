//! Outbound HTTP requests of plugins.

use crate::{KIB, MIB};

/// Bytes of a URL.
pub const URL_BYTES_MAX: usize = 8 * KIB;
/// Redirects followed for one request; one more fails the request.
pub const REDIRECTS_MAX: usize = 10;
/// Hosts and networks in the operator's allow-list.
pub const OPENED_MAX: usize = 1_000;
/// Addresses of one name; a name with more is refused, because every address has to be checked.
pub const ADDRESSES_MAX: usize = 64;
/// Addresses of one name tried before the connection counts as failed.
pub const CONNECT_ATTEMPTS_MAX: usize = 4;
/// Concurrent DNS lookups: each occupies a thread until the system's resolver returns.
pub const LOOKUPS_IN_FLIGHT_MAX: usize = 64;
/// Time for one DNS lookup.
pub const RESOLVE_TIMEOUT_MS: u64 = 5_000;
/// Time to connect to one address, TLS included.
pub const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// Time for one request with its redirects, until the last byte of the response.
pub const TOTAL_TIMEOUT_MS: u64 = 30_000;
/// Header fields of a request.
pub const REQUEST_HEADERS_MAX: usize = 64;
/// Bytes of a request's header fields, names and values.
pub const REQUEST_HEADER_BYTES_MAX: usize = 16 * KIB;
/// Body of a request.
pub const REQUEST_BYTES_MAX: usize = MIB;
/// Header fields of a response.
pub const RESPONSE_HEADERS_MAX: usize = 128;
/// Bytes of a response's status line and header fields.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 64 * KIB;
/// Body of a response as received; it is never decompressed, so a small response stays small.
pub const RESPONSE_BYTES_MAX: usize = 4 * MIB;
/// Requests of one plugin per minute, and its burst, unless its manifest and the operator set another number; the lower
/// one counts.
pub const REQUESTS_PER_MINUTE: u32 = 60;
/// The most that both may set: a hundred a second of one plugin is no longer an application's share of a machine.
pub const REQUESTS_PER_MINUTE_MAX: u32 = 6_000;
/// Concurrent requests of one plugin.
pub const IN_FLIGHT_PER_PLUGIN_MAX: usize = 10;
/// Bytes of a host name, as DNS has them (RFC 1035 section 2.3.4).
pub const HOST_BYTES_MAX: usize = 253;
/// Bytes of one label of a host name.
pub const HOST_LABEL_BYTES_MAX: usize = 63;
/// Characters of a URL or name that a refusal quotes: the longest host name with room to spare.
pub const QUOTED_CHARS_MAX: usize = 300;

const _: () =
    assert!(CONNECT_TIMEOUT_MS < TOTAL_TIMEOUT_MS && RESOLVE_TIMEOUT_MS < TOTAL_TIMEOUT_MS);
