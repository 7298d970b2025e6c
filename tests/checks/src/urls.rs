//! A URL of a plugin request, and after the last line break the target of a redirect.

use crate::{budget, two_parts};
use egress::{Destination, Guard, Scheme, special_purpose_rule};
use http::Uri;
use std::net::IpAddr;

/// Fails if parsing or the guard panics or takes too long, if a forbidden address passes the guard,
/// or if a second parser finds another host, port or path.
pub fn check(bytes: &[u8]) {
    let Some((url, location)) = two_parts(bytes) else {
        return;
    };
    let Ok(to) = budget::within("a URL", || Destination::parse(url)) else {
        return;
    };
    check_destination(&to);
    if let Ok(next) = budget::within("a redirect", || to.redirected(location.as_bytes(), 1)) {
        assert!(
            to.scheme() == Scheme::Http || next.scheme() == Scheme::Https,
            "{to} leads to {next}"
        );
        check_destination(&next);
    }
}

fn check_destination(to: &Destination) {
    let written = to.url().as_str();
    assert_eq!(
        Destination::parse(written).as_ref(),
        Ok(to),
        "what was read is read again"
    );
    let again: Uri = written
        .parse()
        .unwrap_or_else(|error| panic!("{written}: {error}"));
    let host = again
        .host()
        .map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    // An address has several spellings, a name has one.
    let same_address = host
        .and_then(|host| host.parse().ok())
        .is_some_and(|address: IpAddr| to.address() == Some(address));
    assert!(
        same_address || host == Some(to.host()),
        "{written}: {host:?} or {}",
        to.host()
    );
    assert_eq!(
        again.port_u16().unwrap_or(if to.scheme() == Scheme::Https {
            443
        } else {
            80
        }),
        to.port(),
        "{written}"
    );
    assert_eq!(
        again.path_and_query().map(http::uri::PathAndQuery::as_str),
        Some(to.path_and_query()),
        "{written}"
    );
    assert_eq!(
        again.authority().map(http::uri::Authority::as_str),
        Some(to.authority()),
        "{written}"
    );
    let by_library = to.host().parse::<IpAddr>().ok();
    assert_eq!(
        by_library,
        to.address(),
        "{written}: what looks like an address is one"
    );
    if Guard::default().check(to).is_ok() {
        assert!(
            to.address()
                .is_none_or(|address| special_purpose_rule(address).is_none()),
            "{written}"
        );
        assert!(
            to.host() != "localhost" && !to.host().ends_with(".localhost"),
            "{written}"
        );
    }
}
