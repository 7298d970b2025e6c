//! Host patterns: `*`, an exact name or address, or `*.example.com`, which covers the apex and its subdomains at any
//! depth.
//!
//! A pattern is lower-case ASCII without a trailing dot. The host it is compared with comes from a URL parser, without
//! user and port.

use limits::egress::{HOST_BYTES_MAX, HOST_LABEL_BYTES_MAX};
use std::fmt;

/// Why a text is not a host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host pattern {rule}")]
pub struct BadHostPattern {
    /// The rule that the text breaks.
    pub rule: &'static str,
}

/// A host pattern. A name without `*.` covers that host alone, not its subdomains.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// `*`: every host.
    Any,
    /// A name or an address, exactly.
    Exact(Box<str>),
    /// `*.` before a name: its subdomains at any depth, and the name itself.
    Within(Box<str>),
}

impl HostPattern {
    /// Parses a pattern; upper case and one trailing dot are normalised.
    ///
    /// # Errors
    /// The rule that `text` breaks. Schemes, ports, paths, users, inner stars and non-ASCII names are refused, because
    /// such a pattern would never match.
    pub fn parse(text: &str) -> Result<Self, BadHostPattern> {
        let text = text.trim().to_ascii_lowercase();
        if text == "*" {
            return Ok(Self::Any);
        }
        if text.contains("://") || text.contains('/') || text.contains('@') {
            return Err(BadHostPattern {
                rule: "must be a host alone, without scheme, user or path",
            });
        }
        if let Some(address) = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            return match address.parse::<std::net::Ipv6Addr>() {
                Ok(address) => Ok(Self::Exact(address.to_string().into())),
                Err(_) => Err(BadHostPattern {
                    rule: "must hold a valid IPv6 address between its brackets",
                }),
            };
        }
        if let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
            return Ok(Self::Exact(address.to_string().into()));
        }
        if text.contains(':') {
            return Err(BadHostPattern {
                rule: "must not carry a port; name ports under \"ports\"",
            });
        }
        match text.strip_prefix("*.") {
            Some(name) => checked(name).map(|name| Self::Within(name.into())),
            None => checked(&text).map(|name| Self::Exact(name.into())),
        }
    }

    /// Whether the pattern covers `host`, which has no port; one trailing dot and the brackets of an IPv6 address are
    /// ignored.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let host = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        match self {
            Self::Any => true,
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Within(name) => {
                let Some(before) = host.len().checked_sub(name.len()) else {
                    return false;
                };
                let (Some(front), Some(tail)) = (host.get(..before), host.get(before..)) else {
                    return false;
                };
                tail.eq_ignore_ascii_case(name) && (front.is_empty() || front.ends_with('.'))
            }
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Within(name) => write!(f, "*.{name}"),
        }
    }
}

fn checked(name: &str) -> Result<&str, BadHostPattern> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > HOST_BYTES_MAX {
        return Err(BadHostPattern {
            rule: "must name a host of 1 to 253 characters",
        });
    }
    if name.contains('*') {
        return Err(BadHostPattern {
            rule: "may hold a star only as its first label, as in \"*.example.com\"",
        });
    }
    if !name.is_ascii() {
        return Err(BadHostPattern {
            rule: "must be ASCII; write an international name in its \"xn--\" form",
        });
    }
    let sound = |label: &str| {
        (1..=HOST_LABEL_BYTES_MAX).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.split('.').all(sound) {
        Ok(name)
    } else {
        Err(BadHostPattern {
            rule: "must be labels of a-z, 0-9 and '-', joined by dots",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::HostPattern;

    #[test]
    fn a_star_covers_subdomains_and_the_apex_and_a_bare_name_itself_alone() {
        let within = HostPattern::parse("*.Example.com.").unwrap();
        for host in [
            "example.com",
            "a.example.com",
            "A.B.example.COM",
            "example.com.",
        ] {
            assert!(within.matches(host), "{host}");
        }
        for host in [
            "notexample.com",
            "example.com.evil.net",
            "com",
            "",
            "éxample.com",
        ] {
            assert!(!within.matches(host), "{host}");
        }
        let exact = HostPattern::parse("example.com").unwrap();
        assert!(exact.matches("EXAMPLE.com") && !exact.matches("a.example.com"));
        assert!(HostPattern::parse("*").unwrap().matches("anything"));
        assert!(HostPattern::parse("[::1]").unwrap().matches("[::1]"));
    }

    #[test]
    fn what_would_match_nothing_is_refused() {
        for text in [
            "https://a.b",
            "a.b/c",
            "u@a.b",
            "a.b:443",
            "a.*.b",
            "*a.b",
            "",
            "*.",
            "ä.de",
            "a..b",
            "-a.b",
            "[zz]",
            &"a".repeat(254),
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text:?}");
        }
    }
}
