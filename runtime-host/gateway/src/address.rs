//! The addresses of clients: the one that a request came from, as far as trusted proxies tell, and the part of it by
//! which limits count.

use crate::config::Socket;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

/// What the limits of one address count by: an IPv4 address, or the leading bits of an IPv6 address, of which one client
/// usually has 2⁶⁴.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct AddressKey(IpAddr);

impl AddressKey {
    /// The key of an address; of an IPv6 address the first `ipv6_prefix_bits` count. An IPv4 address written as IPv6 is
    /// that IPv4 address.
    #[must_use]
    pub fn new(address: IpAddr, ipv6_prefix_bits: u8) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let host_bits = 128 - u32::from(ipv6_prefix_bits.min(128));
                let network = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                IpAddr::V6((u128::from(address) & network).into())
            }
            address => address,
        })
    }
}

/// The client of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The address, as far as trusted proxies tell.
    pub address: IpAddr,
    /// What the limits of the address count by.
    pub key: AddressKey,
    /// How the address is known.
    pub source: Source,
}

/// How the address of a client is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It is the peer of the connection.
    Peer,
    /// It is the peer of the connection, which sent an `X-Forwarded-For` and is no trusted proxy: perhaps a proxy that
    /// the configuration does not name.
    UntrustedProxy,
    /// A trusted proxy told it.
    Proxy,
}

impl Client {
    /// The client whose request came from `peer` with these headers.
    #[must_use]
    pub fn of_head(peer: IpAddr, headers: &HeaderMap, config: &Socket) -> Self {
        let forwarded = headers.get_all("x-forwarded-for").iter();
        Self::new(peer, forwarded.map(HeaderValue::as_bytes), config)
    }

    /// The client whose request came from `peer` with these lines of `X-Forwarded-For`. If `peer` is a trusted proxy, it
    /// is the last address in them that is not a trusted proxy's. Several lines are one list (RFC 9110 section 5.3): a
    /// proxy may add a line of its own below the one that a client made up.
    fn new<'l>(
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'l [u8]>,
        config: &Socket,
    ) -> Self {
        let mut forwarded = forwarded.rev().peekable();
        let mut address = peer.to_canonical();
        let source = match (config.trusts(address), forwarded.peek()) {
            (true, _) => Source::Proxy,
            (false, Some(_)) => Source::UntrustedProxy,
            (false, None) => Source::Peer,
        };
        if source == Source::Proxy {
            let hops =
                forwarded.flat_map(|line| std::str::from_utf8(line).unwrap_or("?").rsplit(','));
            for hop in hops.map_while(hop_address) {
                address = hop;
                if !config.trusts(hop) {
                    break;
                }
            }
        }
        Self {
            address,
            key: config.address_key(address),
            source,
        }
    }
}

/// The address in an entry of `X-Forwarded-For`. Proxies write it with a port, in brackets, in quotes, with a zone.
fn hop_address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"').trim();
    let (host, port) = match (text.strip_prefix('['), text.find(':')) {
        (Some(rest), _) => rest.split_once(']')?,
        (None, Some(at)) if text.rfind(':') == Some(at) => text.split_at(at),
        _ => (text, ""),
    };
    if !port.is_empty() && port.strip_prefix(':')?.parse::<u16>().is_err() {
        return None;
    }
    let address: IpAddr = host.split('%').next()?.parse().ok()?;
    Some(address.to_canonical())
}

/// A network: `10.0.0.0/8`, or one address. An IPv4 network written as IPv6 is that IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(ipnet::IpNet);

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address such as `127.0.0.1` nor a network such as `10.0.0.0/8`")]
pub struct NotANetwork(String);

impl Network {
    /// The networks of this machine alone.
    #[must_use]
    pub fn loopback() -> Vec<Self> {
        let networks = ["127.0.0.0/8", "::1"];
        networks
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect()
    }

    /// Whether an address is in it; an IPv4 address in its own form.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        /// Bits of the prefix that makes an IPv4 address an IPv6 one (RFC 4291 section 2.5.5.2).
        const MAPPED_BITS: u8 = 96;
        let wrong = || NotANetwork(text.to_owned());
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_canonical().into()));
        }
        let network: ipnet::IpNet = text.parse().map_err(|_| wrong())?;
        let bits = network.prefix_len().checked_sub(MAPPED_BITS);
        match (network.addr().to_canonical(), network, bits) {
            (address @ IpAddr::V4(_), ipnet::IpNet::V6(_), Some(bits)) => {
                let network = ipnet::IpNet::new(address, bits).map_err(|_| wrong())?;
                Ok(Self(network))
            }
            _ => Ok(Self(network)),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressKey, Client, Network, Source};
    use crate::config::Socket;
    use std::net::IpAddr;

    fn behind(networks: &[&str]) -> Socket {
        Socket {
            trusted_proxies: networks
                .iter()
                .map(|text| text.parse().expect("a network"))
                .collect(),
            ..Socket::default()
        }
    }

    fn client(peer: &str, lines: &[&str], config: &Socket) -> Client {
        let peer = peer.parse().expect("an address");
        Client::new(peer, lines.iter().map(|line| line.as_bytes()), config)
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let config = behind(&["127.0.0.0/8", "10.0.0.0/8"]);
        let seen = |lines: &[&str], config: &Socket| {
            let client = client("127.0.0.1", lines, config);
            (client.address.to_string(), client.source)
        };
        assert_eq!(
            seen(&["6.6.6.6, 203.0.113.7, 10.0.0.2"], &config),
            ("203.0.113.7".into(), Source::Proxy)
        );
        assert_eq!(
            seen(&["203.0.113.7"], &Socket::default()),
            ("127.0.0.1".into(), Source::UntrustedProxy)
        );
        assert_eq!(
            seen(&[], &Socket::default()),
            ("127.0.0.1".into(), Source::Peer)
        );
        assert_eq!(
            seen(&["nonsense"], &config),
            ("127.0.0.1".into(), Source::Proxy)
        );
        assert_eq!(
            seen(&["6.6.6.6", "203.0.113.7"], &config).0,
            "203.0.113.7",
            "the last line counts"
        );
    }

    #[test]
    fn the_forms_in_which_proxies_write_an_address_are_read() {
        let config = behind(&["::ffff:127.0.0.0/104"]);
        for (hop, address) in [
            ("203.0.113.7:51008", "203.0.113.7"),
            ("\"203.0.113.7:51008\"", "203.0.113.7"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:80", "203.0.113.7"),
            // No addresses: the proxy is all that is known.
            ("203.0.113.7:port", "127.0.0.1"),
            ("[2001:db8::1", "127.0.0.1"),
            ("[2001:db8::1]443", "127.0.0.1"),
            ("unknown", "127.0.0.1"),
            ("", "127.0.0.1"),
        ] {
            // A listener on `[::]` sees IPv4 peers in mapped form.
            for peer in ["127.0.0.1", "::ffff:127.0.0.1"] {
                let seen = client(peer, &[hop], &config).address.to_string();
                assert_eq!(seen, address, "{hop} from {peer}");
            }
        }
    }

    #[test]
    fn limits_count_by_the_network_of_an_ipv6_address() {
        let key = |address: &str, bits| AddressKey::new(address.parse().expect("one"), bits);
        assert_eq!(key("2001:db8::1", 64), key("2001:db8::ffff:1:2", 64));
        assert_ne!(key("2001:db8::1", 64), key("2001:db8:0:1::1", 64));
        assert_eq!(key("2001:db8::1", 48), key("2001:db8:0:1::1", 48));
        assert_ne!(key("2001:db8::1", 128), key("2001:db8::2", 128));
        assert_eq!(key("::ffff:203.0.113.7", 64), key("203.0.113.7", 64));
        assert_ne!(key("203.0.113.7", 64), key("203.0.113.8", 64));
    }

    #[test]
    fn a_network_may_be_one_address() {
        let contains = |network: &str, address: &str| {
            let network: Network = network.parse().expect("a network");
            network.contains(address.parse::<IpAddr>().expect("an address"))
        };
        assert!(contains("127.0.0.1", "127.0.0.1") && !contains("127.0.0.1", "127.0.0.2"));
        assert!(contains("10.0.0.0/8", "10.1.2.3") && contains("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(contains("::ffff:10.0.0.0/104", "10.9.9.9") && contains("fd00::/8", "fd00::1"));
        assert_eq!(Network::loopback().len(), 2);
        for wrong in ["localhost", "10.0.0/8", "10.0.0.0/33", ""] {
            let error = wrong.parse::<Network>().expect_err(wrong).to_string();
            assert!(error.contains("127.0.0.1"), "{error}");
        }
    }
}
