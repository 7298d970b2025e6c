//! WebSocket connections.

use crate::{KIB, MIB, rate::Rate};

/// Largest assembled message; above it the connection closes with 1009. Clients send icons and message syncs in one
/// frame.
pub const MESSAGE_BYTES_MAX: usize = MIB;
/// Smallest configurable [`MESSAGE_BYTES_MAX`]: a refusal fits.
pub const MESSAGE_BYTES_MIN: usize = 1_024;
/// Fragments of one message; more close the connection with 1009.
pub const FRAGMENTS_MAX: usize = 1024;
/// Request line and headers of a handshake or HTTP request; more is `431`. The largest token fits beside what a browser
/// and a proxy send.
pub const HEAD_BYTES_MAX: usize = crate::identity::TOKEN_BYTES_MAX + 8 * KIB;
/// Most headers in one request head.
pub const HEADERS_MAX: usize = 64;
/// Time in which the whole request head has to arrive: a slow handshake must not occupy a socket.
pub const HEAD_TIMEOUT_MS: u64 = 10_000;
/// Time to `identify` after the handshake; in identity mode `required` only, because clients of version 1.0 may idle
/// before it.
pub const IDENTIFY_TIMEOUT_MS: u64 = 10_000;
/// Time from the first byte of a message to its last; a seventh of a megabit a second is enough for the largest one.
pub const MESSAGE_TIMEOUT_MS: u64 = 60_000;
/// Bytes of messages that have begun to arrive, of all connections together: a few hundred of the largest. Beyond it the
/// connection whose message grows is closed with 1013.
pub const UNFINISHED_BYTES_MAX: usize = 256 * MIB;
/// Interval of the server's pings.
pub const PING_INTERVAL_MS: u64 = 30_000;
/// The interval in percent of [`PING_INTERVAL_MS`] for a connection that does nothing but answer pings, and there are
/// many of them. With the default interval it stays below the 60 seconds after which proxies cut a silent connection.
pub const PING_INTERVAL_IDLE_PERCENT: u64 = 166;
/// Time without any frame from the client after which its connection is closed.
pub const SILENCE_MAX_MS: u64 = 45_000;
/// Grain of connections' deadlines: each is noticed at most this long after it has passed.
pub const TIMER_TICK_MS: u64 = 250;
/// Bytes queued for one connection whose socket is full. Above it the connection closes with 4013, unless its client has
/// read something in the last [`SLOW_GRACE_MS`] and at most [`QUEUE_SLACK`] times as much waits beside the largest frame.
pub const QUEUE_BYTES_MAX: usize = MIB;
/// Multiple of [`QUEUE_BYTES_MAX`] that may wait for a client that is reading: what one client may ask for in one moment
/// (rosters and requirements of all its servers) comes faster than a network takes it.
pub const QUEUE_SLACK: usize = 4;
/// Time without progress after which a connection above [`QUEUE_BYTES_MAX`] counts as slow.
pub const SLOW_GRACE_MS: u64 = 1_000;
/// Part of [`QUEUE_BYTES_MAX`], as its divisor, up to which direct envelopes are queued: what other users send to one
/// connection at once must not cost it its connection. Beyond it they are refused to their senders.
pub const DIRECT_QUEUE_SHARE: usize = 2;
/// Time in which a full socket takes no byte, after which its connection counts as slow (close 4013).
pub const WRITE_STALL_MAX_MS: u64 = 5_000;
/// Time a server's messages wait to be written together with later ones. 0: they are written at the end of the turn.
pub const LINGER_MS: u64 = 0;
/// Longest configurable [`LINGER_MS`]: users notice a tenth of a second.
pub const LINGER_MAX_MS: u64 = 100;
/// Newest waiting frames among which an older one of the same kind is looked for, which the newer replaces.
pub const COALESCE_FRAMES_MAX: usize = 64;
/// Slices of one vectored write: more of them make no write cheaper.
pub const SLICES_MAX: usize = 64;
/// Bytes gathered for one server in one turn; beyond it they are written before the turn ends.
pub const OUTBOX_BYTES_MAX: usize = 256 * KIB;
/// Time for the peer to answer a close frame, or to read more of what is queued before it, until the socket is closed.
pub const CLOSE_TIMEOUT_MS: u64 = 2_000;
/// Time for the whole close of a connection, however steadily the peer reads.
pub const CLOSE_TIMEOUT_MAX_MS: u64 = 10_000;
/// Sockets without a place, whose request head is incomplete or was refused: at most a seventh of the connection cap.
/// Beyond it the oldest are closed; above half of it the time for a head is a fifth.
pub const HALF_OPEN_MAX: usize = 4_096;
/// Lower bound of [`HALF_OPEN_MAX`] where the connection cap is small.
pub const HALF_OPEN_MIN: usize = 64;
/// Accepted connections: more wait in the system's queue, so that a storm of reconnects does not starve open
/// connections.
pub const ACCEPTS: Rate = Rate {
    per_second: 2_000,
    burst: 2_000,
};
/// Longest pause of the acceptor at its rate, so that it notices the end of the process soon.
pub const ACCEPT_PAUSE_MAX_MS: u64 = 50;
/// Pause after a connection could not be accepted: descriptors are used up, and connections get time to end.
pub const ACCEPT_ERROR_PAUSE_MS: u64 = 50;
/// Handshakes of one address; more are answered 429 with `Retry-After`.
pub const HANDSHAKES_PER_ADDRESS: Rate = Rate {
    per_second: 20,
    burst: 200,
};
/// Addresses whose handshakes, or whose requests, are tracked at once; beyond it the half that asked least recently is
/// forgotten.
pub const ADDRESSES_MAX: usize = 65_536;
/// Leading bits of an IPv6 address by which the limits of one address count: a provider gives each client 2⁶⁴ addresses
/// at least.
pub const IPV6_PREFIX_BITS: u8 = 64;
/// Bits of an IPv6 address: the longest configurable [`IPV6_PREFIX_BITS`].
pub const IPV6_BITS: u8 = 128;
/// Length of the system's accept queue: a storm of reconnects fits.
pub const BACKLOG: i32 = 4_096;
/// Share of the connection cap, in percent, above which `/readyz` answers that the host is not ready.
pub const READY_BELOW_PERCENT: usize = 90;
/// Places of one address: its WebSockets, its HTTP connections, and its open requests where it is behind a trusted
/// proxy. A household behind one address fits, a flood does not. HTTP connections without an open request give their
/// place to others.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;
/// HTTP connections beside those of the cap of WebSockets, at most a seventh of it: a host that is full of WebSockets
/// still answers.
pub const HTTP_BESIDE_MAX: usize = crate::rest::IN_FLIGHT_MAX;
/// Lower bound of [`HTTP_BESIDE_MAX`] where the cap is small.
pub const HTTP_BESIDE_MIN: usize = 64;
/// HTTP connections of an address whose places are used up, so that a health check is answered beside a proxy that the
/// configuration does not name.
pub const HTTP_BESIDE_PER_ADDRESS: usize = 8;
/// Connections of one identity: enough for the devices and tabs of one user. Those that have proven it count by
/// themselves, so that strangers under its name take none of its places.
pub const CONNECTIONS_PER_IDENTITY_MAX: usize = 16;
/// File descriptors that no socket of a client takes: for databases, logs, components and upstreams. The connection cap
/// is computed from the others; half-open sockets and HTTP connections beside it have up to an eighth of all each.
pub const DESCRIPTORS_RESERVED: usize = 256;
/// Servers one connection may have joined.
pub const JOINED_SERVERS_MAX: usize = 256;
/// Servers one connection may be viewing.
pub const VIEWED_SERVERS_MAX: usize = 256;
/// Least `Retry-After` of a handshake that is not admitted. Up to as much is added at random, so that refused clients do
/// not return all at once.
pub const RETRY_AFTER_SECONDS: u64 = 5;
/// Time for sockets and requests to finish after SIGTERM.
pub const DRAIN_TIMEOUT_MS: u64 = 10_000;
/// Time for the connection that the gateway makes to itself at shutdown, by which the acceptor sees the end.
pub const ACCEPTOR_WAKE_TIMEOUT_MS: u64 = 200;
/// Time that background tasks have to end after everything was stopped.
pub const END_TIMEOUT_MS: u64 = 2_000;
/// Range over which reconnects are spread at shutdown: advice in the close reason.
pub const RECONNECT_SPREAD_MS: u64 = 10_000;
/// Connections that a shard closes in one tick at shutdown.
pub const DRAIN_BATCH_MAX: usize = 1_000;
/// Messages from other shards and from the runtime queued for one shard.
pub const SHARD_INBOX_MAX: usize = 65_536;
/// Bytes of content among them: a second of many connections at their rates. A frame for several shards counts in the
/// inbox of each.
pub const SHARD_INBOX_BYTES_MAX: usize = 64 * MIB;
/// Threads that own sockets where the configuration leaves their number to the host: one for each processor.
pub const SHARDS_DEFAULT_MAX: usize = 8;
/// Configurable threads that own sockets.
pub const SHARDS_MAX: usize = 64;
/// Bytes read from one socket before the next one gets its turn.
pub const READ_BYTES_PER_TURN: usize = 64 * KIB;
/// Questions to the directory (joins, snapshots, identities) that wait in a gateway, from all its shards together.
pub const QUESTIONS_WAITING_MAX: usize = 4_096;
/// Users that one connection may address again without a token for a first contact; the oldest are forgotten.
pub const TARGETS_REMEMBERED_MAX: usize = 256;
/// Partners of signalling whose connection one connection remembers; the oldest are forgotten.
pub const PEERS_REMEMBERED_MAX: usize = 256;
/// Pairs of users of whom one has written to the other, remembered by a gateway; the oldest are forgotten.
pub const RELATIONS_MAX: usize = 100_000;
/// Time for which such a contact allows calls and icon requests without a shared server.
pub const RELATION_LIFETIME_SECONDS: u64 = 24 * 3_600;
/// Roster entries in one `server_users`; longer rosters are cut and say so with `total`.
pub const ROSTER_ENTRIES_MAX: usize = 5_000;
/// Bytes of the entries of one `server_users`: the envelope fits its bound, which is that of a message. Fewer entries
/// are sent where they are longer, and `total` says so.
pub const ROSTER_BYTES_MAX: usize = MESSAGE_BYTES_MAX - KIB;
/// Bytes of the entries of one `server_icon_sync_peers`, for the same reason; the members with the newest icons stay.
pub const ICON_PEERS_BYTES_MAX: usize = crate::envelope::SIGNALLING_BYTES_MAX - KIB;
/// Roster entries of a page for clients that announced `roster-paging`: more than a client shows at once. A server with
/// more users is large: these clients get pages and counts of it instead of an envelope for each user that comes or goes,
/// so that a join costs the same however many are there.
pub const ROSTER_PAGE_ENTRIES: usize = 100;
/// Least time between two counts of the users of a large server.
pub const ROSTER_COUNT_INTERVAL_MS: u64 = 1_000;
/// Counts that one large server causes on one shard, per second: the interval grows with the connections that get them.
pub const ROSTER_COUNTS_PER_SECOND: u64 = 1_000;
/// Bound of the interval: what users see of a large server is at most this old.
pub const ROSTER_COUNT_INTERVAL_MAX_MS: u64 = 10_000;

const _: () = assert!(
    SILENCE_MAX_MS > PING_INTERVAL_MS,
    "a ping must have time to be answered"
);
const _: () = assert!(TIMER_TICK_MS < SILENCE_MAX_MS - PING_INTERVAL_MS);
const _: () = assert!(
    PING_INTERVAL_MS * PING_INTERVAL_IDLE_PERCENT / 100 + TIMER_TICK_MS < 60_000,
    "proxies cut what is silent for a minute"
);
const _: () = assert!(
    QUEUE_BYTES_MAX >= MESSAGE_BYTES_MAX,
    "one whole message must fit the queue"
);
const _: () = assert!(
    QUEUE_BYTES_MAX * QUEUE_SLACK >= 2 * MESSAGE_BYTES_MAX,
    "what a client gets for a join, the roster and the plugins, must not make it slow"
);
const _: () = assert!(MESSAGE_BYTES_MAX < SHARD_INBOX_BYTES_MAX);
const _: () = assert!(
    OUTBOX_BYTES_MAX <= QUEUE_BYTES_MAX,
    "the messages of one turn must fit a member's queue"
);
const _: () = assert!(LINGER_MAX_MS < WRITE_STALL_MAX_MS);
const _: () = assert!(SLOW_GRACE_MS < WRITE_STALL_MAX_MS);
const _: () = assert!(
    ROSTER_PAGE_ENTRIES <= ROSTER_ENTRIES_MAX,
    "a server that is not large has its whole roster in one answer"
);
const _: () = assert!(
    TIMER_TICK_MS <= ROSTER_COUNT_INTERVAL_MS
        && ROSTER_COUNT_INTERVAL_MS <= ROSTER_COUNT_INTERVAL_MAX_MS
);
const _: () = assert!(
    crate::envelope::ROSTER_ENTRY_BYTES_MAX <= ROSTER_BYTES_MAX
        && crate::identity::SERVER_ID_CHARS_MAX + 256 <= KIB,
    "a page has one entry at least, and its envelope fits beside the entries"
);
const _: () = assert!(HALF_OPEN_MIN <= HALF_OPEN_MAX);
const _: () =
    assert!(CLOSE_TIMEOUT_MS <= CLOSE_TIMEOUT_MAX_MS && CLOSE_TIMEOUT_MAX_MS <= DRAIN_TIMEOUT_MS);
