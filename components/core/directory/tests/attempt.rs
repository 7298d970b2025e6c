//! Which attempts to enter by password use up those of others.

use directory::attempt::{Attempt, address_of};

const PROVEN: Attempt<'static> = Attempt {
    server: "s",
    user: "alice",
    proven: true,
    address: Some("192.0.2.7"),
};

fn shared(one: Attempt<'_>, other: Attempt<'_>) -> usize {
    let counters = one.counters();
    let of_other = other.counters();
    counters
        .iter()
        .filter(|counter| of_other.contains(counter))
        .count()
}

#[test]
fn an_unproven_name_uses_up_no_attempt_of_a_proven_one() {
    let unproven = Attempt {
        proven: false,
        ..PROVEN
    };
    assert_eq!(
        shared(PROVEN, unproven),
        0,
        "the same name at the same address"
    );
    let mallory = Attempt {
        user: "mallory",
        ..unproven
    };
    assert_eq!(
        shared(unproven, mallory),
        2,
        "unproven ones share their address and the server"
    );
}

#[test]
fn proven_names_share_their_address_alone() {
    let mallory = Attempt {
        user: "mallory",
        ..PROVEN
    };
    assert_eq!(shared(PROVEN, mallory), 1);
    let elsewhere = Attempt {
        address: Some("192.0.2.8"),
        ..mallory
    };
    assert_eq!(shared(PROVEN, elsewhere), 0);
    let other_server = Attempt {
        server: "t",
        ..PROVEN
    };
    assert_eq!(shared(PROVEN, other_server), 0);
}

#[test]
fn attempts_are_counted_by_an_ipv4_address_or_an_ipv6_network() {
    let address = |peer| address_of(peer);
    assert_eq!(address("192.0.2.7:4711").as_deref(), Some("192.0.2.7"));
    assert_eq!(
        address("[::ffff:192.0.2.7]:80").as_deref(),
        Some("192.0.2.7")
    );
    assert_eq!(
        address("[2001:db8::1]:1"),
        address("[2001:db8::ffff:1:2]:2")
    );
    assert_ne!(address("[2001:db8::1]:1"), address("[2001:db8:0:1::1]:1"));
    assert_eq!(address("nowhere"), None);
}
