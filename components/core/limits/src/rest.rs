//! The REST API.

use crate::{KIB, MIB, rate::Rate};

/// Request body.
pub const BODY_BYTES_MAX: usize = 256 * KIB;
/// Response body of an edge component that the native host relays.
pub const RESPONSE_BYTES_MAX: usize = 12 * MIB;
/// Nesting of a request body; it leaves room for what surrounds the body in an answer or envelope.
pub const BODY_DEPTH_MAX: usize = 64;
/// Time in which the body of a request has to arrive. It is collected before the request takes any place that requests
/// share.
pub const BODY_TIMEOUT_MS: u64 = 20_000;
/// Bytes of the bodies that the native host holds at once, of requests and of components' answers that their clients have
/// not read: a few dozen of the largest, thousands of usual ones. A request beyond it is answered 503, an answer beyond it
/// waits in its component.
pub const BODIES_BYTES_MAX: usize = 128 * MIB;
/// Part of [`BODIES_BYTES_MAX`] that the bodies of one address may take, so that no address takes all of it.
pub const BODIES_PER_ADDRESS_BYTES_MAX: usize = BODIES_BYTES_MAX / 8;
/// Time for the answer to one request.
pub const REQUEST_TIMEOUT_MS: u64 = 30_000;
/// Requests of one address; more are answered 429.
pub const PER_ADDRESS: Rate = Rate {
    per_second: 100,
    burst: 200,
};
/// Concurrent HTTP requests in the native host.
pub const IN_FLIGHT_MAX: usize = 1_024;
/// Time for which an HTTP connection is kept between two requests: longer than the minute for which balancers keep
/// theirs, so that the host never closes one that a balancer is about to use.
pub const KEEP_ALIVE_MS: u64 = 75_000;
/// Longest configurable [`KEEP_ALIVE_MS`]: an hour.
pub const KEEP_ALIVE_LIMIT_MS: u64 = 3_600_000;
/// Buffer of an HTTP connection for each direction; every head fits.
pub const BUFFER_BYTES: usize = 64 * KIB;
/// Time in which the client of an HTTP connection takes no byte of an answer, after which the connection is closed.
pub const WRITE_STALL_MAX_MS: u64 = 30_000;
/// Bytes that are read of a trace collector's answer.
pub const COLLECTOR_ANSWER_BYTES_MAX: usize = 64 * KIB;
/// Items of one page.
pub const PAGE_ITEMS_MAX: usize = 200;
/// Items of one page when the caller names no size.
pub const PAGE_ITEMS_DEFAULT: usize = 50;
/// How long browsers keep the answer to a preflight.
pub const PREFLIGHT_SECONDS: u64 = 600;

const _: () = assert!(BUFFER_BYTES >= 2 * crate::socket::HEAD_BYTES_MAX);
const _: () = assert!(BODY_DEPTH_MAX < crate::envelope::JSON_DEPTH_MAX);
const _: () = assert!(PAGE_ITEMS_DEFAULT <= PAGE_ITEMS_MAX);
const _: () = assert!(
    BODY_BYTES_MAX <= crate::edge_host::REQUEST_BYTES_MAX
        && RESPONSE_BYTES_MAX
            >= crate::directory::PLUGIN_BYTES_PER_SERVER_MAX
                + crate::directory::BANS_PER_SERVER_MAX
                    * (crate::identity::USER_ID_CHARS_MAX * 4 + 3)
                + MIB,
    "a server's state must fit a response: its plugins, its bans (four bytes a character, quotes, comma), the rest"
);
const _: () = assert!(
    BODIES_PER_ADDRESS_BYTES_MAX >= crate::edge_host::REQUEST_BYTES_MAX,
    "the largest body must fit"
);
