//! Requests of plugins to other machines.

use super::{KIB, MIB};

/// Bytes of a URL.
pub const URL_BYTES_MAX: usize = 8 * KIB;
/// Redirects that are followed for one request; the eleventh is refused.
pub const REDIRECTS_MAX: usize = 10;
/// Hosts and networks that an operator may open.
pub const OPENED_MAX: usize = 1_000;
/// Addresses of one name that are looked at; a name with more is refused, because all have to be checked.
pub const ADDRESSES_MAX: usize = 64;
/// Addresses of one name that are tried before a connection counts as failed.
pub const CONNECT_ATTEMPTS_MAX: usize = 4;
/// Names that are being looked up at once: a lookup may hold a thread for as long as the system's resolver likes.
pub const LOOKUPS_IN_FLIGHT_MAX: usize = 64;
/// Time to look up a name.
pub const RESOLVE_TIMEOUT_MS: u64 = 5_000;
/// Time to connect to one address, TLS included.
pub const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// Time for one request with its redirects, until the last byte of the answer (H13).
pub const TOTAL_TIMEOUT_MS: u64 = 30_000;
/// Header fields of a request.
pub const REQUEST_HEADERS_MAX: usize = 64;
/// Bytes of a request's header fields, names and values.
pub const REQUEST_HEADER_BYTES_MAX: usize = 16 * KIB;
/// Body of a request.
pub const REQUEST_BYTES_MAX: usize = MIB;
/// Header fields of an answer.
pub const RESPONSE_HEADERS_MAX: usize = 128;
/// Bytes of an answer's head.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 64 * KIB;
/// Body of an answer, as it comes: nothing is unpacked here, so a small answer stays small.
pub const RESPONSE_BYTES_MAX: usize = 4 * MIB;
/// Requests of one plugin within a minute unless it or the operator says less (H31): as many at once, and as many a minute come back.
pub const REQUESTS_PER_MINUTE: u32 = 60;
/// Requests of one plugin in work at once.
pub const IN_FLIGHT_PER_PLUGIN_MAX: usize = 10;

const _: () =
    assert!(CONNECT_TIMEOUT_MS < TOTAL_TIMEOUT_MS && RESOLVE_TIMEOUT_MS < TOTAL_TIMEOUT_MS);
