//! `allowed_outbound_hosts`: which hosts a component may reach, in Spin's pattern grammar. What no pattern allows is
//! denied.
//!
//! A pattern is `scheme://host[:port]`. Scheme: a word or `*`. Host: a name, an address, `*.domain`, a network such as
//! `10.0.0.0/8`, or `*`. Port: a number, `a..b` (end excluded) or `*`; without one the scheme's own port. Names are
//! compared before they are resolved.

use std::{net::IpAddr, ops::Range};
use thiserror::Error;
use url::Host;

/// Why a pattern is refused.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("allowed_outbound_hosts: `{pattern}`: {reason}")]
pub struct PatternError {
    /// The pattern after its templates were filled in.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// With its leading dot.
    Subdomain(String),
    Exact(Host),
    Network(IpAddr, u8),
}

#[derive(Debug, Clone)]
struct Pattern {
    /// None is any.
    scheme: Option<String>,
    host: HostPattern,
    /// None is any.
    ports: Option<Range<u32>>,
}

/// The patterns of one component.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Vec<Pattern>);

impl AllowedHosts {
    /// Takes patterns whose templates are already filled in. Empty ones (an empty variable) allow nothing.
    ///
    /// # Errors
    /// [`PatternError`] for the first malformed pattern.
    pub fn parse(patterns: &[String]) -> Result<Self, PatternError> {
        let meant = patterns
            .iter()
            .map(|pattern| pattern.trim())
            .filter(|pattern| !matches!(*pattern, "" | "http://" | "https://"));
        let parsed = meant.map(|pattern| {
            Pattern::parse(pattern).map_err(|reason| PatternError {
                pattern: pattern.to_owned(),
                reason,
            })
        });
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }

    /// Whether a host may be reached. `host` is a name or an address, an IPv6 address with or without brackets.
    pub fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let Ok(host) = parse_host(host) else {
            return false;
        };
        let Some(port) = port.or_else(|| well_known_port(scheme)) else {
            return false;
        };
        self.0
            .iter()
            .any(|pattern| pattern.allows(scheme, &host, port))
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("no scheme; write scheme://host:port")?;
        let scheme = match scheme {
            "*" => None,
            word if !word.is_empty() && word.chars().all(char::is_alphabetic) => {
                Some(word.to_owned())
            }
            _ => return Err("a scheme is letters, or *"),
        };
        // A network carries a slash, an IPv6 address colons: try the whole before cutting off a port.
        let (host, port) = match HostPattern::parse(rest) {
            Ok(host) => (host, ""),
            Err(_) => {
                let (host, port) = rest
                    .trim_end_matches('/')
                    .rsplit_once(':')
                    .ok_or("neither a host name, an address nor a network")?;
                (HostPattern::parse(host)?, port)
            }
        };
        Ok(Self {
            ports: parse_ports(port, scheme.as_deref())?,
            scheme,
            host,
        })
    }

    fn allows(&self, scheme: &str, host: &Host, port: u16) -> bool {
        self.scheme.as_deref().is_none_or(|own| own == scheme)
            && self
                .ports
                .as_ref()
                .is_none_or(|ports| ports.contains(&u32::from(port)))
            && self.host.allows(host)
    }
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(network) = parse_network(text) {
            return Ok(network);
        }
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.contains('/') {
            return Err("a path is not allowed");
        }
        if matches!(text, "self" | "self.alt") || text.ends_with(".spin.internal") {
            return Err("requests to the application itself are not supported by this host");
        }
        if let Some(domain) = text.strip_prefix("*.") {
            return match Host::parse(domain) {
                Ok(Host::Domain(domain)) if !domain.contains('*') => {
                    Ok(Self::Subdomain(format!(".{domain}")))
                }
                _ => Err("after `*.` a domain must follow"),
            };
        }
        if text.contains('*') {
            return Err("a wildcard stands alone or as the first label");
        }
        parse_host(text).map(Self::Exact)
    }

    fn allows(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Subdomain(suffix), Host::Domain(domain)) => domain.ends_with(suffix.as_str()),
            (Self::Exact(own), host) => own == host,
            (Self::Network(network, bits), Host::Ipv4(address)) => {
                within(*network, *bits, IpAddr::V4(*address))
            }
            (Self::Network(network, bits), Host::Ipv6(address)) => {
                within(*network, *bits, IpAddr::V6(*address))
            }
            _ => false,
        }
    }
}

fn parse_host(text: &str) -> Result<Host, &'static str> {
    if let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
        return Ok(Host::Ipv6(address));
    }
    Host::parse(text).map_err(|_| "neither a host name nor an address")
}

fn parse_network(text: &str) -> Option<HostPattern> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    (bits <= width).then_some(HostPattern::Network(address, bits))
}

fn within(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (a.to_bits() ^ b.to_bits()).leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits() ^ b.to_bits()).leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}

fn parse_ports(text: &str, scheme: Option<&str>) -> Result<Option<Range<u32>>, &'static str> {
    let number = |text: &str| {
        text.parse::<u16>()
            .map(u32::from)
            .map_err(|_| "a port is a number, a..b or *")
    };
    match text {
        "*" => Ok(None),
        "" => {
            let port = scheme
                .and_then(well_known_port)
                .map(u32::from)
                .ok_or("no port, and the scheme has none of its own")?;
            Ok(Some(port..port + 1))
        }
        range => match range.split_once("..") {
            Some((from, to)) => Ok(Some(number(from)?..number(to)?)),
            None => number(range).map(|port| Some(port..port + 1)),
        },
    }
}

/// The port of a scheme that names none.
pub fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "postgres" => Some(5432),
        "mysql" => Some(3306),
        "redis" => Some(6379),
        "mqtt" => Some(1883),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(patterns: &[&str], scheme: &str, host: &str, port: Option<u16>) -> bool {
        let patterns: Vec<String> = patterns
            .iter()
            .map(|pattern| (*pattern).to_owned())
            .collect();
        AllowedHosts::parse(&patterns)
            .expect("patterns")
            .allows(scheme, host, port)
    }

    #[test]
    fn nothing_is_allowed_by_default_or_by_empty_variables() {
        for patterns in [&[][..], &[""][..], &["http://"][..], &["https://", ""][..]] {
            assert!(!allows(patterns, "http", "localhost", Some(80)));
        }
    }

    #[test]
    fn patterns_allow_what_they_say_and_no_more() {
        for (pattern, scheme, host, port, expected) in [
            ("http://127.0.0.1:*", "http", "127.0.0.1", Some(9), true),
            ("http://127.0.0.1:*", "https", "127.0.0.1", Some(9), false),
            ("http://127.0.0.1:*", "http", "127.0.0.2", Some(9), false),
            ("http://127.0.0.1:*", "http", "localhost", Some(9), false),
            ("https://id.example", "https", "ID.example", None, true),
            (
                "https://id.example",
                "https",
                "id.example",
                Some(8443),
                false,
            ),
            (
                "https://id.example/",
                "https",
                "id.example",
                Some(443),
                true,
            ),
            ("*://*.example:*", "http", "a.b.example", None, true),
            ("*://*.example:*", "http", "example", None, false),
            ("*://*.example:*", "http", "badexample", None, false),
            ("http://10.0.0.0/8:*", "http", "10.9.8.7", Some(1), true),
            ("http://10.0.0.0/8:*", "http", "11.0.0.1", Some(1), false),
            ("http://10.0.0.0/8", "http", "10.0.0.1", None, true),
            ("http://[::1]:8000", "http", "[::1]", Some(8000), true),
            ("http://[::1]:8000", "http", "::1", Some(8000), true),
            ("http://h:8000..8002", "http", "h", Some(8001), true),
            ("http://h:8000..8002", "http", "h", Some(8002), false),
            ("postgres://db", "postgres", "db", None, true),
            ("*://*:*", "gopher", "h", Some(70), true),
            ("*://*:*", "http", "h/x", Some(70), false),
        ] {
            assert_eq!(
                allows(&[pattern], scheme, host, port),
                expected,
                "{pattern} {scheme} {host} {port:?}"
            );
        }
    }

    #[test]
    fn malformed_patterns_are_named() {
        for pattern in [
            "*",
            "localhost",
            "http://a/b",
            "http://a.*.b",
            "gopher://h",
            "http://h:x",
            "http://self",
            "1x://h",
            "*://h",
        ] {
            assert!(
                AllowedHosts::parse(&[pattern.to_owned()]).is_err(),
                "{pattern}"
            );
        }
    }
}
