//! Rates of one connection: tokens per second and the size of the bucket.

use crate::MIB;

/// Rate and capacity of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens refilled each second.
    pub per_second: u32,
    /// Size of the bucket.
    pub burst: u32,
}

/// All messages of one connection.
pub const ALL: Rate = Rate {
    per_second: 60,
    burst: 240,
};
/// Presence, typing and voice state: five a second is more than a user causes by typing.
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
/// Identities that one connection may address for the first time, per minute: it slows unsolicited messages.
pub const NEW_TARGETS_PER_MINUTE: u32 = 30;
/// Tokens that a new target costs. A bucket gets one for each target of a minute in a second, so that a rate per minute
/// needs no fractions.
pub const NEW_TARGET_PRICE: u32 = 60;
/// Times the rates of one connection that the connections of one identity share: as many devices and tabs as one user
/// uses at once, and far fewer than it may have open.
pub const IDENTITY_MULTIPLE: u32 = 4;
/// Identities without a connection whose shared rates are kept until they are full again, so that connecting anew resets
/// nothing: some ten mebibytes. Beyond it the half that left first is forgotten.
pub const FORMER_IDENTITIES_MAX: usize = 65_536;
/// Forwarded and broadcast bytes of one connection, per second.
pub const BYTES_PER_SECOND: usize = 2 * MIB;
/// Strikes, each less than [`STRIKE_WINDOW_MS`] after the one before; one more closes the connection with 4008.
pub const STRIKES_MAX: u32 = 3;
/// Time after which a strike is forgotten if no other one follows.
pub const STRIKE_WINDOW_MS: u64 = 10_000;
/// Refusals by rate closer together than this count as one: one burst is one strike.
pub const STRIKE_INTERVAL_MS: u64 = 1_000;
/// Least time between two `UNKNOWN_TYPE` answers on one connection.
pub const UNKNOWN_TYPE_ANSWER_INTERVAL_MS: u64 = 1_000;

const _: () = assert!(
    1 <= IDENTITY_MULTIPLE
        && (IDENTITY_MULTIPLE as usize) < crate::socket::CONNECTIONS_PER_IDENTITY_MAX
);
