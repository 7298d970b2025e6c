//! The configuration of the gateway. Defaults are the constants of `limits`; units are in the names.

use crate::{
    address::{AddressKey, Network},
    session::rates::RateLimits,
};
use envelope::catalogue::RateClass;
use identity::Mode;
use limits::{
    directory::ANSWER_MAX_MS,
    dispatch::{DECISION_LIMIT_MS, DECISION_MAX_MS},
    rate::{NEW_TARGET_PRICE, Rate},
    socket,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::net::IpAddr;

/// The configuration of the gateway.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Sockets and their limits.
    pub socket: Socket,
    /// Rates of one connection.
    pub rates: Rates,
    /// Identities of users.
    pub identity: Identity,
    /// Forwarding between users.
    pub forward: Forward,
}

/// Sockets and their limits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Socket {
    /// Threads that own sockets; 0 = one per core, at most 8.
    pub shards: usize,
    /// WebSockets at once; 0 = computed from the open-file limit. HTTP connections have some places beside them.
    pub connections_max: usize,
    /// Connections accepted: more wait in the system's queue.
    pub accepts: RateSetting,
    /// Handshakes of one address: more are refused with 429.
    pub handshakes_per_address: RateSetting,
    /// Places of one address: its WebSockets, its HTTP connections, and its open requests where it is behind a trusted
    /// proxy. HTTP connections without an open request give way.
    pub connections_per_address_max: usize,
    /// Connections of one identity that have proven it, and as many that have not.
    #[serde(deserialize_with = "one_or_more")]
    pub connections_per_identity_max: usize,
    /// Largest message.
    pub message_bytes_max: usize,
    /// Time from the first byte of a message to its last.
    pub message_timeout_ms: u64,
    /// Bytes that may wait for one slow connection.
    pub queue_bytes_max: usize,
    /// Time in which a full socket takes no byte, after which its connection counts as slow.
    pub write_stall_max_ms: u64,
    /// Time for which a server's messages may wait to be written together with later ones: saves work in busy servers,
    /// and delays messages.
    pub linger_ms: u64,
    /// Time that plugins, or validators that answer `later`, have to decide about an envelope, while its connection
    /// waits; then it is refused. Never more than half of `silence_max_ms`: a waiting connection is not read, and must
    /// not look silent because of that.
    pub decision_max_ms: u64,
    /// Time for the request head.
    pub head_timeout_ms: u64,
    /// Time to `identify`, in identity mode `required`.
    pub identify_timeout_ms: u64,
    /// Interval of pings; that of a connection which does nothing but answer them is
    /// [longer](limits::socket::PING_INTERVAL_IDLE_PERCENT).
    pub ping_interval_ms: u64,
    /// Time without any frame from the client after which its connection is closed. A ping has the difference to
    /// `ping_interval_ms` to be answered, always.
    pub silence_max_ms: u64,
    /// Servers one connection may have joined.
    pub joined_servers_max: usize,
    /// Servers one connection may view.
    pub viewed_servers_max: usize,
    /// Roster entries in one answer.
    pub roster_entries_max: usize,
    /// Users of a server above which clients that announced `roster-paging` get its roster in pages of this size, and
    /// counts instead of an envelope for each user that comes or goes; at most `roster_entries_max`.
    #[serde(deserialize_with = "one_or_more")]
    pub roster_page_entries: usize,
    /// Origins a browser may connect from: `*`, `null`, or `https://chat.example`. Requests without an origin do not
    /// come from a browser.
    pub origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed: networks such as `10.0.0.0/8`, or single addresses.
    pub trusted_proxies: Vec<Network>,
    /// Leading bits of an IPv6 address by which limits of one address count; an IPv4 address counts whole.
    pub ipv6_prefix_bits: u8,
    /// `error` and `plugin_error` are sent to all clients (`guarded`), or only to those that announced the feature
    /// `errors` (`open`).
    pub compat: Compat,
}

/// The clients that get refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// Those that announced `errors`.
    Open,
    /// All.
    #[default]
    Guarded,
}

impl Default for Socket {
    fn default() -> Self {
        Self {
            shards: 0,
            connections_max: 0,
            accepts: socket::ACCEPTS.into(),
            handshakes_per_address: socket::HANDSHAKES_PER_ADDRESS.into(),
            connections_per_address_max: socket::CONNECTIONS_PER_ADDRESS_MAX,
            connections_per_identity_max: socket::CONNECTIONS_PER_IDENTITY_MAX,
            message_bytes_max: socket::MESSAGE_BYTES_MAX,
            queue_bytes_max: socket::QUEUE_BYTES_MAX,
            message_timeout_ms: socket::MESSAGE_TIMEOUT_MS,
            write_stall_max_ms: socket::WRITE_STALL_MAX_MS,
            linger_ms: socket::LINGER_MS,
            decision_max_ms: DECISION_MAX_MS,
            head_timeout_ms: socket::HEAD_TIMEOUT_MS,
            identify_timeout_ms: socket::IDENTIFY_TIMEOUT_MS,
            ping_interval_ms: socket::PING_INTERVAL_MS,
            silence_max_ms: socket::SILENCE_MAX_MS,
            joined_servers_max: socket::JOINED_SERVERS_MAX,
            viewed_servers_max: socket::VIEWED_SERVERS_MAX,
            roster_entries_max: socket::ROSTER_ENTRIES_MAX,
            roster_page_entries: socket::ROSTER_PAGE_ENTRIES,
            origins: vec!["*".into()],
            trusted_proxies: Vec::new(),
            ipv6_prefix_bits: socket::IPV6_PREFIX_BITS,
            compat: Compat::default(),
        }
    }
}

impl Socket {
    /// What the limits of an address count by.
    #[must_use]
    pub fn address_key(&self, address: IpAddr) -> AddressKey {
        AddressKey::new(address, self.ipv6_prefix_bits)
    }

    /// Whether an address is a trusted proxy's.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let networks = &self.trusted_proxies;
        networks.iter().any(|network| network.contains(address))
    }
}

impl Config {
    /// Milliseconds that plugins and validators have to decide.
    pub(crate) fn decision_max_ms(&self) -> u32 {
        let Socket {
            decision_max_ms,
            silence_max_ms,
            ..
        } = self.socket;
        decision_max_ms
            .min(DECISION_LIMIT_MS)
            .min(silence_max_ms / 2) as u32
    }

    /// Milliseconds that a connection waits for the directory; no more than half of the silence after which it is
    /// closed.
    pub(crate) fn directory_answer_max_ms(&self) -> u32 {
        ANSWER_MAX_MS.min(self.socket.silence_max_ms / 2) as u32
    }

    /// The rates of one connection.
    pub(crate) fn rate_limits(&self) -> RateLimits {
        RateLimits {
            classes: self.rates.by_class(),
            volume: self.volume(),
            new_targets: self.rates.new_targets(),
            keepalive_ms: self.socket.ping_interval_ms as u32,
        }
    }

    /// The rates that the connections of one identity share.
    pub(crate) fn identity_rate_limits(&self) -> RateLimits {
        self.rate_limits().times(self.rates.identity_multiple)
    }

    /// KiB that a connection may cause to be sent on; the largest message fits.
    fn volume(&self) -> Rate {
        let kib = (self.rates.bytes_per_second / limits::KIB as u32).max(1);
        Rate {
            per_second: kib,
            burst: kib.max((self.socket.message_bytes_max / limits::KIB) as u32),
        }
    }
}

/// Rates of one connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// All messages together.
    pub all: RateSetting,
    /// Typing, voice state, presence.
    pub typing: RateSetting,
    /// Chat.
    pub chat: RateSetting,
    /// Joins, views, leaves.
    pub membership: RateSetting,
    /// WebRTC signalling.
    pub signalling: RateSetting,
    /// Direct messages, calls, icons.
    pub direct: RateSetting,
    /// Plugin events.
    pub plugin_event: RateSetting,
    /// Bytes a second that a connection may cause to be sent on; the burst is the same.
    #[serde(deserialize_with = "one_or_more")]
    pub bytes_per_second: u32,
    /// Identities addressed for the first time, per minute.
    #[serde(deserialize_with = "one_or_more")]
    pub new_targets_per_minute: u32,
    /// Times these rates that the connections of one identity share; those that have proven it share their own.
    #[serde(deserialize_with = "one_or_more")]
    pub identity_multiple: u32,
    /// Strikes, each less than ten seconds after the one before; one more closes the connection with 4008.
    pub strikes_max: u32,
}

/// Reads a number of which 0 would stand for nothing at all, or for no limit: neither is meant.
fn one_or_more<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + PartialEq,
{
    let value = T::deserialize(input)?;
    if value == T::default() {
        return Err(D::Error::custom("0 is too small, it must be 1 or more"));
    }
    Ok(value)
}

/// A rate in the configuration: `{ per_second = 5, burst = 20 }`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSetting {
    /// Tokens that come back each second.
    #[serde(deserialize_with = "one_or_more")]
    pub per_second: u32,
    /// Size of the bucket.
    #[serde(deserialize_with = "one_or_more")]
    pub burst: u32,
}

impl From<Rate> for RateSetting {
    fn from(rate: Rate) -> Self {
        Self {
            per_second: rate.per_second,
            burst: rate.burst,
        }
    }
}

impl From<RateSetting> for Rate {
    fn from(rate: RateSetting) -> Self {
        Self {
            per_second: rate.per_second,
            burst: rate.burst,
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        use limits::rate;
        Self {
            all: rate::ALL.into(),
            typing: rate::TYPING.into(),
            chat: rate::CHAT.into(),
            membership: rate::MEMBERSHIP.into(),
            signalling: rate::SIGNALLING.into(),
            direct: rate::DIRECT.into(),
            plugin_event: rate::PLUGIN_EVENT.into(),
            bytes_per_second: rate::BYTES_PER_SECOND as u32,
            new_targets_per_minute: rate::NEW_TARGETS_PER_MINUTE,
            identity_multiple: rate::IDENTITY_MULTIPLE,
            strikes_max: rate::STRIKES_MAX,
        }
    }
}

impl Rates {
    /// The rates in the order of [`RateClass::ALL`].
    #[must_use]
    pub fn by_class(&self) -> [Rate; RateClass::COUNT] {
        [
            self.all,
            self.typing,
            self.chat,
            self.membership,
            self.signalling,
            self.direct,
            self.plugin_event,
        ]
        .map(Rate::from)
    }

    /// The rate of users that a connection addresses for the first time; each costs [`NEW_TARGET_PRICE`].
    fn new_targets(&self) -> Rate {
        Rate {
            per_second: self.new_targets_per_minute,
            burst: self.new_targets_per_minute.saturating_mul(NEW_TARGET_PRICE),
        }
    }
}

/// Identities of users.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// `open`, `claimed` or `required`.
    pub mode: Mode,
    /// Secret of HS256 tokens made elsewhere; empty = none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hs256_secret: String,
    /// Where the keys of tokens made elsewhere are; empty = nowhere.
    pub jwks_url: String,
    /// `aud` that tokens of other issuers must carry; empty = not checked, which `jwks_url` does not allow.
    pub token_audience: String,
    /// `iss` that tokens of other issuers must carry; empty = not checked, which `jwks_url` does not allow.
    pub token_issuer: String,
    /// Tokens by a key of `jwks_url` may carry the role `admin`, which makes operators of this host.
    pub jwks_roles: bool,
    /// Origin that key proofs are made for, such as `https://chat.example`; empty = the URL the host prints.
    pub origin: String,
}

/// Forwarding between users.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Forward {
    /// Which users may send direct messages and calls.
    pub direct: Direct,
}

/// Which users may send direct messages and calls to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direct {
    /// Anyone to anyone, within rates and block lists.
    #[default]
    Anyone,
    /// Only users that share a server, or that were written to first.
    SharedServer,
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn what_must_not_be_0_is_refused_by_name() {
        for (table, key, value) in [
            ("socket", "accepts", "{ per_second = 0, burst = 1 }"),
            ("rates", "chat", "{ per_second = 5, burst = 0 }"),
            ("rates", "identity_multiple", "0"),
            ("rates", "bytes_per_second", "0"),
            ("rates", "new_targets_per_minute", "0"),
            ("socket", "connections_per_identity_max", "0"),
            ("socket", "roster_page_entries", "0"),
        ] {
            let text = format!("[{table}]\n{key} = {value}");
            let error = toml::from_str::<Config>(&text).expect_err(key).to_string();
            assert!(
                error.contains(key) && error.contains("must be 1 or more"),
                "{key}: {error}"
            );
            // The same from the environment.
            let parsed: toml::Table = text.parse().expect("TOML");
            let error = parsed.try_into::<Config>().expect_err(key).to_string();
            assert!(
                error.contains(key) && error.contains("must be 1 or more"),
                "{key}: {error}"
            );
            let least = text.replace('0', "1");
            assert!(toml::from_str::<Config>(&least).is_ok(), "{key}");
        }
    }
}
