//! The network policy: URLs, addresses, redirects and header fields.

use egress::{
    Destination, Guard, GuardSettings, RedirectMethod, Refused, Rule, is_forbidden_header,
    is_kept_across_origins, redirect_method, rules_markdown, special_purpose_rule,
};
use proptest::prelude::*;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    url: String,
    rule: Option<String>,
    to: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    line: Option<String>,
}

fn checked(guard: &Guard, url: &str) -> Result<Destination, Refused> {
    let to = Destination::parse(url)?;
    guard.check(&to)?;
    Ok(to)
}

fn open(entries: &[&str]) -> Guard {
    let settings = GuardSettings {
        open: entries.iter().map(|entry| (*entry).to_owned()).collect(),
        ..GuardSettings::default()
    };
    Guard::new(&settings).unwrap()
}

#[test]
fn every_spelling_is_checked_by_what_it_means() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../../tests/cases/egress/urls.json")).unwrap();
    for Case {
        url,
        rule,
        to,
        host,
        port,
        line,
    } in cases
    {
        match (checked(&Guard::default(), &url), rule) {
            (Err(refused), Some(rule)) => assert_eq!(refused.code(), rule, "{url:?}"),
            (Ok(found), None) => {
                let parts = (
                    found.to_string(),
                    found.host().to_owned(),
                    found.port(),
                    found.path_and_query().to_owned(),
                );
                assert_eq!(
                    parts,
                    (to.unwrap(), host.unwrap(), port.unwrap(), line.unwrap()),
                    "{url:?}"
                );
            }
            (Ok(found), Some(rule)) => {
                panic!("{url:?} should be refused by {rule} and leads to {found}")
            }
            (Err(refused), None) => panic!("{url:?}: {refused}"),
        }
    }
    let long = format!("http://good.example/{}", "a".repeat(9_000));
    assert_eq!(
        Destination::parse(&long).unwrap_err().rule,
        Rule::UrlTooLong
    );
}

#[test]
fn names_of_rules_are_different_and_refusals_keep_secrets() {
    let names: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    assert_eq!(names.len(), Rule::ALL.len());
    let page = rules_markdown();
    assert!(
        names
            .iter()
            .all(|name| page.contains(&format!("| `{name}` |")))
            && page.contains(" 6379,"),
        "{page}"
    );
    let refused = checked(
        &Guard::default(),
        "http://127.0.0.1/path-secret?key=query-secret",
    )
    .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "127.0.0.1 (127.0.0.1) is refused by the network rule loopback"
    );
    let refused = Destination::parse("http://user-secret:pass-secret@good.example/").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "good.example is refused by the network rule userinfo"
    );
}

#[test]
fn what_a_name_resolves_to_is_checked_like_a_literal() {
    let guard = Guard::default();
    for (address, rule) in [
        ("127.0.0.1", Some("loopback")),
        ("10.0.0.1", Some("private")),
        ("100.100.100.200", Some("shared")),
        ("169.254.169.254", Some("link-local")),
        ("0.0.0.0", Some("unspecified")),
        ("::1", Some("loopback")),
        ("fe80::1", Some("link-local")),
        ("fd00:ec2::254", Some("unique-local")),
        ("::ffff:93.184.215.14", Some("v4-mapped")),
        ("64:ff9b::5db8:d70e", Some("nat64")),
        ("93.184.215.14", None),
        ("2606:4700::6810:84e5", None),
    ] {
        let found = guard
            .check_address("good.example", address.parse().unwrap())
            .err()
            .map(|refused| refused.code());
        assert_eq!(found, rule, "{address}");
    }
}

#[test]
fn an_operator_opens_names_and_networks_and_nothing_beside_them() {
    let guard = open(&["db.internal", "10.1.0.0/16", "127.0.0.1", "fd12::/16"]);
    for (url, passes) in [
        ("http://10.1.2.3/", true),
        ("http://10.2.0.1/", false),
        ("http://127.0.0.1:8080/", true),
        ("http://127.0.0.1:6379/", false),
        ("http://127.0.0.2/", false),
        ("http://[::ffff:127.0.0.1]/", false),
        ("http://[fd12::1]/", true),
        ("http://DB.internal./", true),
        ("http://other.internal/", false),
        ("http://localhost/", false),
    ] {
        assert_eq!(checked(&guard, url).is_ok(), passes, "{url}");
    }
    for (host, address, passes) in [
        ("db.internal", "192.168.7.7", true),
        ("db.internal", "127.0.0.5", true),
        ("db.internal", "fc00::5", true),
        ("db.internal", "169.254.169.254", false),
        ("db.internal", "100.100.100.200", false),
        ("db.internal", "fd00:ec2::254", false),
        ("db.internal", "224.0.0.1", false),
        ("other.internal", "192.168.7.7", false),
        ("whatever.example", "10.1.0.1", true),
    ] {
        assert_eq!(
            guard.check_address(host, address.parse().unwrap()).is_ok(),
            passes,
            "{host} {address}"
        );
    }
}

#[test]
fn ports_are_denied_and_opened() {
    let settings = GuardSettings {
        ports_denied: vec![8080],
        ports_open: vec![5432, 8080],
        https_only: true,
        ..GuardSettings::default()
    };
    let guard = Guard::new(&settings).unwrap();
    let rule = |url| checked(&guard, url).err().map(|refused| refused.rule);
    assert_eq!(
        rule("https://good.example:8080/"),
        Some(Rule::Port),
        "a denial wins"
    );
    assert_eq!(rule("https://good.example:5432/"), None);
    assert_eq!(rule("https://good.example:3306/"), Some(Rule::Port));
    assert_eq!(rule("http://good.example/"), Some(Rule::HttpsRequired));
}

#[test]
fn entries_that_open_nothing_are_refused() {
    for entry in [
        "",
        "http://a.b",
        "a.b:80",
        "a.b/c",
        "10.0.0.1/8",
        "*.a.b",
        "127.1",
        "2130706433",
        "a b",
        "u@a.b",
    ] {
        let settings = GuardSettings {
            open: vec!["a.b".into(), entry.into()],
            ..GuardSettings::default()
        };
        let error = Guard::new(&settings).unwrap_err();
        assert_eq!(
            (error.index, error.code()),
            (1, "bad-open-entry"),
            "{entry:?}"
        );
    }
    assert!(serde_json::from_str::<GuardSettings>(r#"{"opened":[]}"#).is_err());
    let many = GuardSettings {
        open: vec!["a.b".into(); limits::egress::OPENED_MAX + 1],
        ..GuardSettings::default()
    };
    assert_eq!(
        Guard::new(&many).unwrap_err().index,
        limits::egress::OPENED_MAX
    );
}

#[test]
fn redirects_lead_somewhere_new_or_nowhere() {
    let from = Destination::parse("https://good.example/a/b?c").unwrap();
    for (location, leads) in [
        ("/x", Ok("https://good.example/x")),
        ("x", Ok("https://good.example/a/x")),
        ("?y", Ok("https://good.example/a/b?y")),
        ("//other.example/x#f", Ok("https://other.example/x")),
        (
            "https://other.example:8443/",
            Ok("https://other.example:8443/"),
        ),
        ("http://good.example/", Err(Rule::RedirectDowngrade)),
        ("file:///etc/passwd", Err(Rule::Scheme)),
        ("javascript:alert(1)", Err(Rule::Scheme)),
        ("https://u:p@other.example/", Err(Rule::Userinfo)),
        ("//u@other.example/", Err(Rule::Userinfo)),
        ("https://other.example\\@x/", Err(Rule::BadUrl)),
        ("https://a..b/", Err(Rule::BadUrl)),
        ("https://", Err(Rule::BadUrl)),
    ] {
        let found = from.redirected(location.as_bytes(), 1);
        assert_eq!(
            found
                .as_ref()
                .map(|to| to.url().as_str())
                .map_err(|refused| refused.rule),
            leads,
            "{location}"
        );
    }
    assert_eq!(from.redirected(b"/\xff", 1).unwrap_err().rule, Rule::BadUrl);
    assert!(from.redirected(b"/x", 10).is_ok());
    assert_eq!(
        from.redirected(b"/x", 11).unwrap_err().rule,
        Rule::TooManyRedirects
    );
    let metadata = from.redirected(b"//169.254.169.254/", 1).unwrap();
    assert_eq!(
        Guard::default().check(&metadata).unwrap_err().rule,
        Rule::LinkLocal
    );
    let plain = Destination::parse("http://good.example/").unwrap();
    assert!(
        plain.redirected(b"https://good.example/", 1).is_ok(),
        "from http to https is no loss"
    );
    assert!(!plain.same_origin(&from) && from.same_origin(&from.redirected(b"/y", 1).unwrap()));
}

#[test]
fn methods_and_fields_follow_as_far_as_they_should() {
    for (status, method, expected) in [
        (301, "POST", Some(RedirectMethod::Get)),
        (302, "POST", Some(RedirectMethod::Get)),
        (302, "PUT", Some(RedirectMethod::Same)),
        (301, "GET", Some(RedirectMethod::Same)),
        (303, "PUT", Some(RedirectMethod::Get)),
        (303, "HEAD", Some(RedirectMethod::Same)),
        (307, "POST", Some(RedirectMethod::Same)),
        (308, "DELETE", Some(RedirectMethod::Same)),
        (300, "GET", None),
        (304, "GET", None),
        (200, "GET", None),
    ] {
        assert_eq!(
            redirect_method(status, method),
            expected,
            "{status} {method}"
        );
    }
    for name in [
        "host",
        "connection",
        "proxy-authorization",
        "proxy-connection",
        "content-length",
        "transfer-encoding",
        "te",
        "upgrade",
    ] {
        assert!(is_forbidden_header(name), "{name}");
    }
    for name in ["authorization", "cookie", "x-api-key", "origin", "referer"] {
        assert!(
            !is_forbidden_header(name) && !is_kept_across_origins(name),
            "{name}"
        );
    }
    for name in ["accept", "content-type", "user-agent"] {
        assert!(
            !is_forbidden_header(name) && is_kept_across_origins(name),
            "{name}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_read_reads_the_same_again(text in "(https?://)?[ -~äß①。]{0,40}") {
        if let Ok(to) = Destination::parse(&text) {
            prop_assert_eq!(Destination::parse(to.url().as_str()), Ok(to.clone()));
            prop_assert!(!to.host().ends_with('.') && !to.host().contains(['@', '/', '\\', '*']));
        }
    }

    /// The library's own notions of private and the like must never be wider than ours.
    #[test]
    fn every_four_byte_address_that_is_not_global_is_refused(bits: u32) {
        let address = Ipv4Addr::from_bits(bits);
        let not_global = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_broadcast()
            || address.is_documentation() || address.is_multicast() || address.is_unspecified();
        prop_assert!(!not_global || special_purpose_rule(IpAddr::V4(address)).is_some(), "{address}");
    }

    #[test]
    fn whatever_holds_a_four_byte_address_is_refused(bits: u32) {
        let [a, b, c, d] = bits.to_be_bytes().map(u16::from);
        let (high, low) = (a << 8 | b, c << 8 | d);
        for address in [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, high, low, 0, 0, 0, 1),
        ] {
            prop_assert!(special_purpose_rule(IpAddr::V6(address)).is_some(), "{address}");
        }
    }

    #[test]
    fn of_sixteen_byte_addresses_only_those_that_are_handed_out_pass(bits: u128) {
        let address = Ipv6Addr::from_bits(bits);
        if special_purpose_rule(IpAddr::V6(address)).is_none() {
            prop_assert_eq!(address.segments()[0] >> 13, 1);
            prop_assert!(!address.is_loopback() && !address.is_multicast() && !address.is_unique_local());
        }
    }
}
