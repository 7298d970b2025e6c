//! Every number of the system, with its unit in its name and its reason beside it.
//!
//! What it is: constants and nothing else. What it is not: configuration; the shells read a configuration whose defaults are these.
//! Invariant: a queue, buffer, body, loop or retry that is not bounded by a constant of this crate does not exist.
#![forbid(unsafe_code)]
#![no_std]

pub mod capability;
pub mod dispatch;
pub mod egress;
pub mod lifecycle;
pub mod plugin;
pub mod plugin_api;
pub mod plugin_store;

/// Kibibyte, in bytes.
pub const KIB: usize = 1024;
/// Mebibyte, in bytes.
pub const MIB: usize = 1024 * KIB;

/// WebSocket transport.
pub mod socket {
    use super::{KIB, MIB};

    /// Largest assembled message; above it the connection closes with 1009. Old clients send icons and message syncs in one frame.
    pub const MESSAGE_BYTES_MAX: usize = MIB;
    /// Most fragments of one message: more is a fragment bomb (close 1009).
    pub const FRAGMENTS_MAX: usize = 1024;
    /// Request line and headers of a handshake or HTTP request; more is `431`.
    pub const HEAD_BYTES_MAX: usize = 8 * KIB;
    /// Most headers in one request head.
    pub const HEADERS_MAX: usize = 64;
    /// Time in which the whole request head has to arrive: a slow handshake must not hold a socket.
    pub const HEAD_TIMEOUT_MS: u64 = 10_000;
    /// Time to `identify` after the handshake, in identity mode `required` only; old clients may idle before it.
    pub const IDENTIFY_TIMEOUT_MS: u64 = 10_000;
    /// Interval of the server's pings (W8).
    pub const PING_INTERVAL_MS: u64 = 30_000;
    /// Silence after which a connection is reaped (W8); any frame from the client ends the silence.
    pub const SILENCE_MAX_MS: u64 = 45_000;
    /// How often liveness is checked; a dead peer is reaped at most this long after [`SILENCE_MAX_MS`].
    pub const LIVENESS_TICK_MS: u64 = 1_000;
    /// Bytes that may wait for one connection whose socket is full; above it the connection closes with 4013.
    pub const QUEUE_BYTES_MAX: usize = MIB;
    /// Age of the oldest waiting byte after which a connection counts as slow (close 4013).
    pub const WRITE_STALL_MAX_MS: u64 = 5_000;
    /// How long a server's messages wait for more to go out with them, unless the operator grants it: not at all.
    pub const LINGER_MS: u64 = 0;
    /// Longest such wait that may be configured: people notice a tenth of a second.
    pub const LINGER_MAX_MS: u64 = 100;
    /// Bytes that one server's messages of one turn may have before they are written without waiting for the turn's end.
    pub const OUTBOX_BYTES_MAX: usize = 256 * KIB;
    /// Time for the peer to answer a close frame, or to take more of what comes before it, until the socket is cut.
    pub const CLOSE_TIMEOUT_MS: u64 = 2_000;
    /// Time for the whole end of a connection, however steadily the peer reads.
    pub const CLOSE_TIMEOUT_MAX_MS: u64 = 10_000;
    /// Sockets whose request head is not complete, at most a seventh of the connection cap; the oldest of more make room, and above half
    /// of it the time for a head is a fifth.
    pub const HALF_OPEN_MAX: usize = 4_096;
    /// The least that [`HALF_OPEN_MAX`] comes down to where the connection cap is small.
    pub const HALF_OPEN_MIN: usize = 64;
    /// Connections accepted each second, and the burst: more wait in the system's queue, so that a storm of reconnects does not starve those
    /// who are connected.
    pub const ACCEPTS: super::rate::Rate = super::rate::Rate {
        per_second: 2_000,
        burst: 2_000,
    };
    /// Handshakes of one address each second, and the burst; more are refused with 503 and advice when to come back.
    pub const HANDSHAKES_PER_ADDRESS: super::rate::Rate = super::rate::Rate {
        per_second: 20,
        burst: 200,
    };
    /// Addresses whose handshakes, or whose requests, are counted at once; when there are more, all counts are forgotten.
    pub const ADDRESSES_MAX: usize = 65_536;
    /// Connections that may wait in the system's queue: a storm of reconnects fits.
    pub const BACKLOG: i32 = 4_096;
    /// Share of the connection cap, in percent, above which the host says that it is not ready for more.
    pub const READY_BELOW_PERCENT: usize = 90;
    /// Connections from one address; a household behind one address fits, a flood does not.
    pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 64;
    /// Connections of one identity: a person has no more devices and tabs than this.
    pub const CONNECTIONS_PER_IDENTITY_MAX: usize = 16;
    /// File descriptors the host keeps for itself (databases, logs, components, upstreams) when it computes its connection cap; those of half
    /// open sockets and of requests come on top, as far as they fit an eighth each.
    pub const DESCRIPTORS_RESERVED: usize = 256;
    /// Servers one connection may have joined.
    pub const JOINED_SERVERS_MAX: usize = 256;
    /// Servers one connection may be viewing.
    pub const VIEWED_SERVERS_MAX: usize = 256;
    /// Seconds a client is told to wait when the connection cap is reached (`Retry-After`).
    pub const RETRY_AFTER_SECONDS: u64 = 5;
    /// Time for sockets and requests to finish after SIGTERM (W37).
    pub const DRAIN_TIMEOUT_MS: u64 = 10_000;
    /// Range over which reconnects are spread at shutdown: advice in the close reason.
    pub const RECONNECT_SPREAD_MS: u64 = 10_000;
    /// Messages from other shards and from the runtime that may wait for one shard.
    pub const SHARD_INBOX_MAX: usize = 65_536;
    /// Bytes read from one socket before the next one gets its turn.
    pub const READ_BYTES_PER_TURN: usize = 64 * KIB;
    /// Unfinished questions to the edge (joins, snapshots, identities) per shard.
    pub const EDGE_QUESTIONS_MAX: usize = 4_096;
    /// Roster entries in one `server_users`; longer rosters are cut and say so with `total`.
    pub const ROSTER_ENTRIES_MAX: usize = 5_000;

    const _: () = assert!(
        SILENCE_MAX_MS > PING_INTERVAL_MS,
        "a ping must have time to be answered"
    );
    const _: () = assert!(LIVENESS_TICK_MS < SILENCE_MAX_MS - PING_INTERVAL_MS);
    const _: () = assert!(
        QUEUE_BYTES_MAX >= MESSAGE_BYTES_MAX,
        "one whole message must fit the queue"
    );
}

/// Rates of one connection: tokens a second and the size of the bucket.
pub mod rate {
    use super::MIB;

    /// A token bucket.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Rate {
        /// Tokens that come back each second.
        pub per_second: u32,
        /// Size of the bucket.
        pub burst: u32,
    }

    /// All messages of one connection.
    pub const ALL: Rate = Rate {
        per_second: 60,
        burst: 240,
    };
    /// Presence, typing and voice state: five a second is more than a person types.
    pub const TYPING: Rate = Rate {
        per_second: 5,
        burst: 10,
    };
    /// Chat messages.
    pub const CHAT: Rate = Rate {
        per_second: 5,
        burst: 20,
    };
    /// Plugin events.
    pub const PLUGIN_EVENT: Rate = Rate {
        per_second: 20,
        burst: 60,
    };
    /// ICE candidates come in bursts when a call starts.
    pub const SIGNALLING: Rate = Rate {
        per_second: 100,
        burst: 400,
    };
    /// Joins, views and leaves: a client restores all its servers on reconnect.
    pub const MEMBERSHIP: Rate = Rate {
        per_second: 20,
        burst: 200,
    };
    /// Direct messages and calls.
    pub const DIRECT: Rate = Rate {
        per_second: 20,
        burst: 60,
    };
    /// Identities that one connection may address for the first time, per minute: unsolicited messages spread slowly.
    pub const NEW_TARGETS_PER_MINUTE: u32 = 30;
    /// Forwarded and broadcast bytes of one connection, per second.
    pub const BYTES_PER_SECOND: usize = 2 * MIB;
    /// Refusals by rate within [`STRIKE_WINDOW_MS`] before the connection closes with 4008.
    pub const STRIKES_MAX: u32 = 3;
    /// Window in which strikes are counted; at most one strike each second is counted, so that one burst is one strike.
    pub const STRIKE_WINDOW_MS: u64 = 10_000;
    /// `UNKNOWN_TYPE` is answered at most this often per connection.
    pub const UNKNOWN_TYPE_ANSWER_INTERVAL_MS: u64 = 1_000;
}

/// Envelope sizes by type.
pub mod envelope {
    use super::{KIB, MIB};

    /// Small signals: identify, keepalive, presence, typing, voice, membership.
    pub const SIGNAL_BYTES_MAX: usize = 4 * KIB;
    /// `identify` carries a profile and the list of declared plugins.
    pub const IDENTIFY_BYTES_MAX: usize = 64 * KIB;
    /// One chat message.
    pub const CHAT_BYTES_MAX: usize = 64 * KIB;
    /// Session descriptions and candidates.
    pub const SIGNALLING_BYTES_MAX: usize = 256 * KIB;
    /// Direct messages, their syncs included.
    pub const DIRECT_BYTES_MAX: usize = 512 * KIB;
    /// Icons travel base64-encoded in one envelope.
    pub const ICON_BYTES_MAX: usize = MIB;
    /// What surrounds the payload of a plugin event (decision: sizes).
    pub const PLUGIN_EVENT_WRAPPER_BYTES_MAX: usize = 4 * KIB;
    /// Nesting of any JSON accepted from outside; the parsers share it.
    pub const JSON_DEPTH_MAX: usize = 128;
    /// Top-level members of one envelope.
    pub const MEMBERS_MAX: usize = 256;
    /// Plugins a client may declare in `identify`.
    pub const DECLARED_PLUGINS_MAX: usize = 256;
    /// Characters of a display name.
    pub const DISPLAY_NAME_CHARS_MAX: usize = 100;
    /// Characters of a profile description.
    pub const DESCRIPTION_CHARS_MAX: usize = 2_000;
    /// Characters of a connection scope (usually the signalling URL).
    pub const CONNECTION_SCOPE_CHARS_MAX: usize = 512;
    /// Characters of a `requestId`, which comes back in refusals.
    pub const REQUEST_ID_CHARS_MAX: usize = 128;
    /// Characters of a channel's id.
    pub const CHANNEL_ID_CHARS_MAX: usize = 128;
    /// Characters of a time written as text; ISO 8601 needs about 30.
    pub const TIME_CHARS_MAX: usize = 64;
    /// Features a client may announce in `identify`.
    pub const FEATURES_MAX: usize = 64;
    /// Characters of a feature's name and of a declared plugin's version.
    pub const WORD_CHARS_MAX: usize = 64;
    /// Bytes of a key, a proof or an invite in base64url.
    pub const KEY_BYTES_MAX: usize = 256;
}

/// Plugin events and their schemas.
pub mod plugin_event {
    use super::KIB;

    /// `maxPayloadBytes` when a definition names none: compact UTF-8 JSON of `payload` (T54).
    pub const PAYLOAD_BYTES_DEFAULT: usize = 64 * KIB;
    /// Largest `maxPayloadBytes` a definition may name.
    pub const PAYLOAD_BYTES_MAX: usize = 256 * KIB;
    /// Bytes of one schema document.
    pub const SCHEMA_BYTES_MAX: usize = 16 * KIB;
    /// Nesting of a schema: compiling costs memory in the square of it.
    pub const SCHEMA_DEPTH_MAX: usize = 32;
    /// Subschemas of one document.
    pub const SCHEMA_NODES_MAX: usize = 500;
    /// Product of `$ref` fan-out over all paths: doubling through `$defs` is exponential without it.
    pub const SCHEMA_REF_FANOUT_MAX: u64 = 10_000;
    /// Characters of one `pattern`; only the linear regex engine is used.
    pub const SCHEMA_PATTERN_CHARS_MAX: usize = 256;
    /// Patterns of one schema: each may cost [`SCHEMA_PATTERN_COMPILED_BYTES_MAX`], and together they must fit a judge's memory.
    pub const SCHEMA_PATTERNS_MAX: usize = 64;
    /// Compiled size of one `pattern`: `\p{L}{1,5000}` is short and compiles to megabytes.
    pub const SCHEMA_PATTERN_COMPILED_BYTES_MAX: usize = 256 * KIB;
    /// Cache that the regex engine may grow for one `pattern` while it matches.
    pub const SCHEMA_PATTERN_CACHE_BYTES_MAX: usize = 64 * KIB;
    /// Entries of one `enum`.
    pub const SCHEMA_ENUM_MAX: usize = 1_000;
    /// Violations reported for one payload.
    pub const VIOLATIONS_MAX: usize = 16;
    /// Characters of the pointer and of the message of one violation: both may quote what a stranger wrote.
    pub const VIOLATION_CHARS_MAX: usize = 256;
    /// Event definitions of one server.
    pub const DEFINITIONS_PER_SERVER_MAX: usize = 1_000;
    /// Requirements of one server.
    pub const REQUIREMENTS_PER_SERVER_MAX: usize = 500;
    /// Compiled schemas kept by one judge instance; the least recently used goes first.
    pub const COMPILED_SCHEMAS_MAX: usize = 512;
    /// Servers whose definitions one judge instance remembers.
    pub const LEARNED_SERVERS_MAX: usize = 4_096;
    /// Bytes of all schema documents one judge instance remembers; the largest legal snapshot still fits.
    pub const LEARNED_BYTES_MAX: usize = DEFINITIONS_PER_SERVER_MAX * SCHEMA_BYTES_MAX;

    const _: () = assert!(PAYLOAD_BYTES_DEFAULT <= PAYLOAD_BYTES_MAX);
    const _: () = assert!(
        PAYLOAD_BYTES_MAX + super::envelope::PLUGIN_EVENT_WRAPPER_BYTES_MAX
            <= super::socket::MESSAGE_BYTES_MAX
    );
}

/// Judge components: the validator and the operator's filters.
pub mod judge {
    use super::MIB;

    /// Deadline of one call; beyond it the call traps and costs the sender one `INTERNAL`.
    pub const CALL_DEADLINE_MS: u64 = 10;
    /// Deadline of loading a snapshot: compiling a schema costs about a millisecond, hundreds may come at once.
    pub const LEARN_DEADLINE_MS: u64 = 2_000;
    /// Interval of the engine's epoch ticks.
    pub const EPOCH_TICK_MS: u64 = 5;
    /// Time one call may take by the clock when its thread hardly gets a processor: a busy machine must not look like a slow component.
    pub const CALL_WALL_MAX_MS: u64 = 1_000;
    /// Linear memory of one instance, all its memories together.
    pub const MEMORY_BYTES_MAX: usize = 64 * MIB;
    /// Linear memory above which an idle instance is replaced: wasm memory never shrinks.
    pub const MEMORY_RECYCLE_BYTES: usize = 48 * MIB;
    /// Elements of one table.
    pub const TABLE_ELEMENTS_MAX: usize = 10_000;
    /// Traps in a row after which an operator's filter with the policy `skip` is left out until the next snapshot.
    pub const TRAPS_IN_A_ROW_MAX: u32 = 10;
    /// Components in the chain.
    pub const CHAIN_LENGTH_MAX: usize = 16;
    /// Effects one verdict may ask for.
    pub const EFFECTS_MAX: usize = 16;
    /// Patches one verdict may ask for.
    pub const PATCHES_MAX: usize = 64;
    /// Characters of a refusal's code.
    pub const CODE_CHARS_MAX: usize = 64;
    /// Bytes of the envelope in which a refusal is told: a plugin error with all its violations fits.
    pub const REPLY_BYTES_MAX: usize = super::envelope::SIGNALLING_BYTES_MAX;
    /// Instances at once in the engine's pool: one of each component for each shard.
    pub const INSTANCES_MAX: u32 = 512;
    /// Memory of an instance's own structures.
    pub const INSTANCE_BYTES_MAX: usize = MIB;
    /// Bytes of a component's standard error that are kept to explain a trap.
    pub const DIAGNOSTIC_BYTES_MAX: usize = 4 * super::KIB;
    /// Compiled code kept on disk; the least recently used goes first.
    pub const CODE_CACHE_BYTES_MAX: u64 = 512 * 1024 * 1024;

    const _: () = assert!(EPOCH_TICK_MS <= CALL_DEADLINE_MS && CALL_DEADLINE_MS < CALL_WALL_MAX_MS);
    const _: () = assert!(MEMORY_RECYCLE_BYTES < MEMORY_BYTES_MAX);
}

/// The REST side.
pub mod rest {
    use super::{KIB, MIB};

    /// Request body.
    pub const BODY_BYTES_MAX: usize = 256 * KIB;
    /// Response body of an edge component that the native host passes on.
    pub const RESPONSE_BYTES_MAX: usize = 8 * MIB;
    /// Nesting of a request body; what surrounds it in an answer fits [`super::envelope::JSON_DEPTH_MAX`] then.
    pub const BODY_DEPTH_MAX: usize = 64;
    /// Time for one request, body included.
    pub const REQUEST_TIMEOUT_MS: u64 = 30_000;
    /// Requests of one address each second, and the burst.
    pub const PER_ADDRESS: super::rate::Rate = super::rate::Rate {
        per_second: 100,
        burst: 200,
    };
    /// HTTP requests in work at once in the native host.
    pub const IN_FLIGHT_MAX: usize = 1_024;
    /// Items of one page.
    pub const PAGE_ITEMS_MAX: usize = 200;
    /// Items of one page when the caller names no size.
    pub const PAGE_ITEMS_DEFAULT: usize = 50;
}

/// The server directory.
pub mod directory {
    /// Characters of a server's name.
    pub const NAME_CHARS_MAX: usize = 100;
    /// Characters of a server's description.
    pub const DESCRIPTION_CHARS_MAX: usize = 2_000;
    /// Characters of a URL stored with a server or requirement.
    pub const URL_CHARS_MAX: usize = 2_048;
    /// Bytes of a server's password: argon2 must not be fed megabytes.
    pub const PASSWORD_BYTES_MAX: usize = 256;
    /// Servers one identity may own unless the operator says otherwise.
    pub const SERVERS_PER_OWNER_MAX: u32 = 20;
    /// Servers an operator may own: without a quota, and still a number.
    pub const SERVERS_PER_ADMIN_MAX: u64 = 1_000_000;
    /// Bans of one server; they travel to the gateways in the snapshot.
    pub const BANS_PER_SERVER_MAX: usize = 10_000;
    /// Open invites of one server.
    pub const INVITES_PER_SERVER_MAX: usize = 200;
    /// Roles of one server.
    pub const ROLES_PER_SERVER_MAX: usize = 50;
    /// Members with a stored membership in one server.
    pub const MEMBERS_PER_SERVER_MAX: usize = 100_000;
    /// Open join requests of one server.
    pub const JOIN_REQUESTS_PER_SERVER_MAX: usize = 1_000;
    /// Lifetime of an invite when its maker names none: ten days.
    pub const INVITE_LIFETIME_MS: u64 = 10 * 24 * 3_600 * 1_000;
    /// Longest lifetime of an invite: a year.
    pub const INVITE_LIFETIME_MAX_MS: u64 = 365 * 24 * 3_600 * 1_000;
    /// Password attempts of one identity and server within a minute; counted before argon2 runs.
    pub const PASSWORD_ATTEMPTS_PER_MINUTE: u32 = 5;
    /// Password attempts on one server within a minute, by whomever.
    pub const PASSWORD_ATTEMPTS_PER_SERVER_PER_MINUTE: u32 = 60;
    /// Rows of the changes feed that are kept; a gateway that is further behind starts anew.
    pub const CHANGES_KEPT_MAX: u64 = 100_000;
    /// Rows of one answer of the changes feed.
    pub const CHANGES_PAGE_MAX: usize = 1_000;
    /// Time a mutation may spend on waking the gateways after its commit.
    pub const PUSH_TIMEOUT_MS: u64 = 250;
    /// Gateways that are woken by a push.
    pub const GATEWAYS_MAX: usize = 64;
    /// How often a gateway asks for changes.
    pub const POLL_INTERVAL_MS: u64 = 1_000;
    /// Servers whose snapshot a gateway keeps at hand.
    pub const SNAPSHOTS_CACHED_MAX: usize = 65_536;
    /// Identities of one page of those that something is known of.
    pub const NOTED_PAGE_MAX: usize = 10_000;
    /// Identities a gateway remembers as ones that something is known of, eight bytes each; with more of them it asks for everyone.
    pub const NOTED_USERS_MAX: usize = 1_000_000;
    /// Time a gateway waits for an answer of the edge.
    pub const EDGE_TIMEOUT_MS: u64 = 5_000;
    /// Members of one server that hold a role.
    pub const GRANTS_PER_SERVER_MAX: usize = 1_000;
    /// Characters of a role id.
    pub const ROLE_ID_CHARS_MAX: usize = 64;
    /// Characters of a ban's reason and of a request's message.
    pub const REASON_CHARS_MAX: usize = 500;
    /// Largest number of uses an invite may name.
    pub const INVITE_USES_MAX: u64 = 100_000;
    /// Random bytes of an invite's code and of a server id made here: not to be guessed.
    pub const CODE_BYTES: usize = 16;
    /// Bytes of all requirements and event definitions of one server: its snapshot has to fit an answer.
    pub const PLUGIN_BYTES_PER_SERVER_MAX: usize = 4 * super::MIB;
    /// Memory of one password hash, kibibytes: OWASP's least for two passes, and little beside an instance's memory.
    pub const ARGON2_MEMORY_KIB: u32 = 19 * 1_024;
    /// Passes of one password hash.
    pub const ARGON2_PASSES: u32 = 2;
    /// Lanes of one password hash; a component has one thread.
    pub const ARGON2_LANES: u32 = 1;
    /// Passwords one identity may set within a minute; each costs a hash.
    pub const PASSWORDS_SET_PER_MINUTE: u32 = 10;
    /// Window of the attempts that are counted.
    pub const ATTEMPT_WINDOW_MS: u64 = 60_000;
    /// How often a transaction is decided anew when others changed what it rests on; then the answer is `CONFLICT`.
    pub const COMMIT_ATTEMPTS_MAX: usize = 8;
    /// Rows of the audit that are kept; at a mutation a second that is two weeks.
    pub const AUDIT_KEPT_MAX: u64 = 1_000_000;
    /// Audit rows returned in one page.
    pub const AUDIT_PAGE_MAX: usize = 200;
}

/// Identities and tokens.
pub mod identity {
    /// Characters of an `oderId`.
    pub const USER_ID_CHARS_MAX: usize = 128;
    /// Characters of a server id.
    pub const SERVER_ID_CHARS_MAX: usize = 128;
    /// Shortest plugin id and event name (T18, T19).
    pub const NAME_CHARS_MIN: usize = 3;
    /// Longest plugin id and event name (T18, T19).
    pub const NAME_CHARS_MAX: usize = 128;
    /// Bytes of a token.
    pub const TOKEN_BYTES_MAX: usize = 8 * super::KIB;
    /// Tokens whose signatures are remembered as good, so that who comes again costs no signature.
    pub const TOKENS_REMEMBERED_MAX: usize = 1_024;
    /// Bytes of a token that is remembered; longer ones are verified each time.
    pub const TOKEN_REMEMBERED_BYTES_MAX: usize = super::KIB;
    /// Clock difference that is forgiven when a token's times are checked.
    pub const TOKEN_LEEWAY_SECONDS: u64 = 60;
    /// Lifetime of a token made by `jackfield token`.
    pub const TOKEN_LIFETIME_SECONDS: u64 = 30 * 24 * 3_600;
    /// Bytes of a key set document.
    pub const KEY_SET_BYTES_MAX: usize = 64 * super::KIB;
    /// Keys of one key set.
    pub const KEYS_MAX: usize = 32;
    /// How long a fetched key set is used.
    pub const KEY_SET_LIFETIME_SECONDS: u64 = 300;
    /// Time to wait before a key set that could not be fetched is asked for again: an outage must not cost each request a timeout.
    pub const KEY_SET_RETRY_SECONDS: u64 = 10;
    /// Time to fetch a key set.
    pub const KEY_SET_TIMEOUT_MS: u64 = 3_000;
    /// Shortest shared secret and service credential, bytes: as long as the digest they key.
    pub const SECRET_BYTES_MIN: usize = 32;
    /// Smallest RSA modulus that is trusted, bits.
    pub const RSA_MODULUS_BITS_MIN: usize = 2_048;
    /// Largest RSA modulus that is computed with, bits: verifying costs the square of it.
    pub const RSA_MODULUS_BITS_MAX: usize = 8_192;
    /// Keys one identity may have bound, one for each device.
    pub const KEYS_PER_USER_MAX: usize = 16;
    /// Identities that one identity may block.
    pub const BLOCKS_MAX: usize = 1_000;
}

/// Manifests and plugin packages.
pub mod manifest {
    use super::{KIB, MIB};

    /// Bytes of one manifest.
    pub const BYTES_MAX: usize = 64 * KIB;
    /// Nesting of one manifest.
    pub const DEPTH_MAX: usize = 32;
    /// Violations reported for one manifest.
    pub const VIOLATIONS_MAX: usize = 100;
    /// Entries of one list in a manifest.
    pub const LIST_ENTRIES_MAX: usize = 1_000;
    /// Bytes of a version or version range: npm reads no longer ones, so neither do its users.
    pub const RANGE_BYTES_MAX: usize = 256;
    /// Characters of a path inside a plugin's folder.
    pub const PATH_CHARS_MAX: usize = 512;
    /// Characters of short texts: reasons, patterns, names of hosts, methods, keys.
    pub const TEXT_CHARS_MAX: usize = 1_000;
    /// Plugins of a cycle that are named in its message; the longest cycle has thousands.
    pub const CYCLE_SHOWN_MAX: usize = 16;
    /// Bytes of one component.
    pub const COMPONENT_BYTES_MAX: usize = 32 * MIB;
    /// Characters of a title or a name.
    pub const TITLE_CHARS_MAX: usize = 100;
    /// Characters of a description.
    pub const DESCRIPTION_CHARS_MAX: usize = 2_000;
}

/// The edge host: serving HTTP components in-process.
pub mod edge_host {
    use super::{KIB, MIB};

    /// Requests one instance serves before it is replaced, as Spin does.
    pub const REQUESTS_PER_INSTANCE_MAX: usize = 128;
    /// Requests in work at once in one instance, as Spin does.
    pub const CONCURRENT_PER_INSTANCE_MAX: usize = 16;
    /// Idle time after which an instance is dropped.
    pub const INSTANCE_IDLE_MS: u64 = 1_000;
    /// Linear memory of one instance.
    pub const MEMORY_BYTES_MAX: usize = 128 * MIB;
    /// Instances at once in the engine's pool.
    pub const INSTANCES_MAX: u32 = 256;
    /// Wall time of one request in a component.
    pub const REQUEST_TIMEOUT_MS: u64 = 30_000;
    /// Time in which a request's body has to arrive: shorter than [`REQUEST_TIMEOUT_MS`], so that a client that drips is told so by the host,
    /// and the component that waits for it, with everybody else in it, goes on.
    pub const BODY_TIMEOUT_MS: u64 = 20_000;
    /// Time that work without a pause may take before it is interrupted.
    pub const BUSY_TIMEOUT_MS: u64 = 5_000;
    /// Rows one query may return to a component.
    pub const QUERY_ROWS_MAX: usize = 100_000;
    /// Bytes one query may return to a component.
    pub const QUERY_BYTES_MAX: usize = 32 * MIB;
    /// Open database connections of one instance.
    pub const CONNECTIONS_PER_INSTANCE_MAX: usize = 64;
    /// Time a statement waits for another writer.
    pub const SQLITE_BUSY_TIMEOUT_MS: u64 = 5_000;
    /// Time one SQL statement may run before it is stopped; as long as the request that waits for it.
    pub const QUERY_TIMEOUT_MS: u64 = REQUEST_TIMEOUT_MS;
    /// Idle connections kept per database; opening one costs a fraction of a millisecond.
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
    /// Interval of the engine's epoch ticks: how precisely [`BUSY_TIMEOUT_MS`] is kept, and how often a busy component makes room.
    pub const EPOCH_TICK_MS: u64 = 10;
    /// Elements of one table.
    pub const TABLE_ELEMENTS_MAX: usize = 100_000;
    /// What wasmtime itself may need per instance, besides memories and tables.
    pub const INSTANCE_BYTES_MAX: usize = 10 * MIB;
    /// Memory of a freed slot that stays resident, so that the next instance starts without page faults.
    pub const MEMORY_KEPT_BYTES: usize = 512 * KIB;
    /// Table of a freed slot that stays resident.
    pub const TABLE_KEPT_BYTES: usize = 64 * KIB;
    /// Requests in components at once; the others wait. Half the pool, so that idle instances never block a busy component.
    pub const IN_WORK_MAX: usize = INSTANCES_MAX as usize / 2;
    /// How long a request waits between two tries when the pool of instances is exhausted.
    pub const POOL_RETRY_MS: u64 = 10;
    /// Request body; an envelope to validate is [`super::socket::MESSAGE_BYTES_MAX`] and may be wrapped in JSON.
    pub const REQUEST_BYTES_MAX: usize = 4 * MIB;
    /// Answers up to this size get a `content-length`; longer ones are sent in chunks.
    pub const RESPONSE_BUFFER_BYTES: usize = 64 * KIB;
    /// A component that pauses this long within its answer gets it sent in chunks.
    pub const RESPONSE_BUFFER_WAIT_MS: u64 = 50;
    /// Answer to a component's outbound request.
    pub const OUTBOUND_RESPONSE_BYTES_MAX: usize = 8 * MIB;
    /// Time to connect to an outbound host.
    pub const OUTBOUND_CONNECT_TIMEOUT_MS: u64 = 5_000;
    /// Longest wait for the head of an outbound answer, and between two pieces of it.
    pub const OUTBOUND_TIMEOUT_MS: u64 = 30_000;
    /// Time an idle outbound connection is kept.
    pub const OUTBOUND_IDLE_MS: u64 = 30_000;
    /// Idle outbound connections kept per host.
    pub const OUTBOUND_IDLE_PER_HOST_MAX: usize = 8;
    /// Bytes of one logged line of a component; the rest is cut.
    pub const LOG_LINE_BYTES_MAX: usize = 8 * KIB;
    /// Compiled code kept on disk; above it the least used goes first.
    pub const CODE_CACHE_BYTES_MAX: u64 = 512 * MIB as u64;

    /// Database files up to this size are checked whole when the host starts, indices against their tables too; beyond it the check leaves
    /// the indices out, because the start would take seconds.
    pub const INTEGRITY_CHECK_BYTES_MAX: u64 = 64 * MIB as u64;

    const _: () = assert!(
        BUSY_TIMEOUT_MS < REQUEST_TIMEOUT_MS,
        "a busy component is stopped before its callers give up"
    );
    const _: () = assert!(
        BODY_TIMEOUT_MS < REQUEST_TIMEOUT_MS,
        "a slow client is told so before its component is given up"
    );
    const _: () = assert!(
        REQUEST_BYTES_MAX >= 2 * super::socket::MESSAGE_BYTES_MAX,
        "an escaped envelope fits"
    );
}
