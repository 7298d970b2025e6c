//! The address of a client behind trusted proxies.

use crate::config::Socket;
use std::net::IpAddr;

/// The last address in the lines of `X-Forwarded-For` that is not a trusted proxy's, if `peer` is a trusted proxy;
/// `peer` otherwise. Several lines are one list (RFC 9110 section 5.3): a proxy may add a line of its own below the one
/// that a client made up.
#[must_use]
pub fn client_address<'l>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'l [u8]>,
    config: &Socket,
) -> IpAddr {
    let trusted = |address: &IpAddr| {
        config
            .trusted_proxies
            .iter()
            .any(|net| net.contains(address))
    };
    if !trusted(&peer) {
        return peer;
    }
    let hops = forwarded
        .rev()
        .flat_map(|line| std::str::from_utf8(line).unwrap_or("?").rsplit(','));
    let mut last = peer;
    for hop in hops {
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        last = address;
        if !trusted(&address) {
            break;
        }
    }
    last
}
