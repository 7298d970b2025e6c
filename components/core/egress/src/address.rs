//! Addresses that are not globally reachable, from IANA's special-purpose address registries (RFC 6890).
//!
//! Of IPv6 only the global unicast range 2000::/3 passes. An IPv4 address embedded in an IPv6 address never passes, in
//! any form, because a translator outside this host decides where it leads.

use crate::Rule;
use ipnet::{Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, c: u16, g: u16, h: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, g, h), bits)
}

/// Narrow ranges stand before the wider ranges that contain them.
const V4: &[(Ipv4Net, Rule)] = &[
    (v4(0, 0, 0, 0, 8), Rule::Unspecified),
    (v4(10, 0, 0, 0, 8), Rule::Private),
    (v4(100, 64, 0, 0, 10), Rule::Shared),
    (v4(127, 0, 0, 0, 8), Rule::Loopback),
    (v4(169, 254, 0, 0, 16), Rule::LinkLocal),
    (v4(172, 16, 0, 0, 12), Rule::Private),
    (v4(192, 0, 0, 0, 24), Rule::Protocol),
    (v4(192, 0, 2, 0, 24), Rule::Documentation),
    (v4(192, 88, 99, 0, 24), Rule::Protocol),
    (v4(192, 168, 0, 0, 16), Rule::Private),
    (v4(198, 18, 0, 0, 15), Rule::Benchmarking),
    (v4(198, 51, 100, 0, 24), Rule::Documentation),
    (v4(203, 0, 113, 0, 24), Rule::Documentation),
    (v4(224, 0, 0, 0, 4), Rule::Multicast),
    (v4(255, 255, 255, 255, 32), Rule::Broadcast),
    (v4(240, 0, 0, 0, 4), Rule::Reserved),
];

/// Narrow ranges stand before the wider ranges that contain them.
const V6: &[(Ipv6Net, Rule)] = &[
    (v6(0, 0, 0, 0, 0, 128), Rule::Unspecified),
    (v6(0, 0, 0, 0, 1, 128), Rule::Loopback),
    (
        Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
        Rule::V4Mapped,
    ),
    (v6(0, 0, 0, 0, 0, 96), Rule::V4Compatible),
    (v6(0x64, 0xff9b, 0, 0, 0, 96), Rule::Nat64),
    (v6(0x64, 0xff9b, 1, 0, 0, 48), Rule::Nat64),
    (v6(0x100, 0, 0, 0, 0, 64), Rule::Discard),
    (v6(0x2001, 0, 0, 0, 0, 32), Rule::Teredo),
    (v6(0x2001, 0xdb8, 0, 0, 0, 32), Rule::Documentation),
    (v6(0x2001, 0, 0, 0, 0, 23), Rule::Protocol),
    (v6(0x2002, 0, 0, 0, 0, 16), Rule::SixToFour),
    (v6(0x3fff, 0, 0, 0, 0, 20), Rule::Documentation),
    (v6(0xfc00, 0, 0, 0, 0, 7), Rule::UniqueLocal),
    (v6(0xfe80, 0, 0, 0, 0, 10), Rule::LinkLocal),
    (v6(0xfec0, 0, 0, 0, 0, 10), Rule::SiteLocal),
    (v6(0xff00, 0, 0, 0, 0, 8), Rule::Multicast),
];

/// The range from which IANA allocates global unicast addresses.
const GLOBAL: Ipv6Net = v6(0x2000, 0, 0, 0, 0, 3);

/// The rule that a special-purpose address breaks; `None` for a globally reachable one.
#[must_use]
pub fn special_purpose_rule(address: IpAddr) -> Option<Rule> {
    match address {
        IpAddr::V4(address) => V4
            .iter()
            .find(|(range, _)| range.contains(&address))
            .map(|(_, rule)| *rule),
        IpAddr::V6(address) => {
            let known = V6
                .iter()
                .find(|(range, _)| range.contains(&address))
                .map(|(_, rule)| *rule);
            known.or_else(|| (!GLOBAL.contains(&address)).then_some(Rule::Reserved))
        }
    }
}
