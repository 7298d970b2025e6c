//! Attempts to enter a server by password: which counters one uses up, and how many attempts each admits a minute.
//!
//! Names that are not proven are cheap to make: their attempts use up none of those of proven ones.

use limits::{
    directory::{
        PASSWORD_ATTEMPTS_PER_ADDRESS_PER_MINUTE, PASSWORD_ATTEMPTS_PER_MINUTE,
        PASSWORD_ATTEMPTS_PER_SERVER_PER_MINUTE,
    },
    socket::IPV6_PREFIX_BITS,
};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An attempt to enter a server by password.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The server's id.
    pub server: &'a str,
    /// The identity that is claimed or proven.
    pub user: &'a str,
    /// The identity is proven.
    pub proven: bool,
    /// The address of the client, if it is known.
    pub address: Option<&'a str>,
}

/// A counter of attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// The name under which a store counts.
    pub name: String,
    /// Attempts that it admits a minute.
    pub max: u32,
}

impl Attempt<'_> {
    /// The counters that the attempt uses up, in the order in which they are asked: the identity's, the address's and,
    /// for an identity that is not proven, the one that all of these share on the server. Proven identities share none
    /// beyond their address, so that those who guess lock no one else out.
    #[must_use]
    pub fn counters(&self) -> Vec<Counter> {
        let mut counters = vec![self.counter("user", self.user, PASSWORD_ATTEMPTS_PER_MINUTE)];
        if let Some(address) = self.address {
            counters.push(self.counter(
                "address",
                address,
                PASSWORD_ATTEMPTS_PER_ADDRESS_PER_MINUTE,
            ));
        }
        if !self.proven {
            counters.push(self.counter("all", "", PASSWORD_ATTEMPTS_PER_SERVER_PER_MINUTE));
        }
        counters
    }

    fn counter(&self, of: &str, who: &str, max: u32) -> Counter {
        let proof = if self.proven { "proven" } else { "unproven" };
        Counter {
            name: format!("{of}:{proof}:{}/{who}", self.server),
            max,
        }
    }
}

/// What attempts from a peer (`address:port`) are counted by: its IPv4 address, or the network of its IPv6 address.
#[must_use]
pub fn address_of(peer: &str) -> Option<String> {
    let address = peer.parse::<SocketAddr>().map(|peer| peer.ip());
    Some(
        match address.or_else(|_| peer.parse()).ok()?.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let host_bits = u128::BITS - u32::from(IPV6_PREFIX_BITS);
                let network = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                Ipv6Addr::from(u128::from(address) & network).to_string()
            }
        },
    )
}
