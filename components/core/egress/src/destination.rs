//! [`Destination`]: a URL parsed once into the normal form that all later checks use.
//!
//! It has the scheme http or https, a host that is an address or a lower-case ASCII name without trailing dot, a port,
//! and neither user nor fragment. Whether a request may go there is decided by [`Guard`](crate::Guard).

use crate::{Refused, Rule};
use limits::egress::{HOST_BYTES_MAX, HOST_LABEL_BYTES_MAX, URL_BYTES_MAX};
use std::{fmt, net::IpAddr};
use url::{Host, Url};

/// The scheme of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// Its name in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    url: Url,
    scheme: Scheme,
    host: Box<str>,
    address: Option<IpAddr>,
    port: u16,
}

impl Destination {
    /// Parses an absolute URL. Every notation of an address (decimal, hexadecimal, octal, short, full-width,
    /// percent-encoded) becomes that address.
    ///
    /// # Errors
    /// [`Rule::UrlTooLong`], [`Rule::BadUrl`], [`Rule::Scheme`], [`Rule::Userinfo`].
    pub fn parse(text: &str) -> Result<Self, Refused> {
        if text.len() > URL_BYTES_MAX {
            return Err(Refused::new(Rule::UrlTooLong, "the URL"));
        }
        let bad = || Refused::new(Rule::BadUrl, "the URL");
        // URL parsers drop or convert these in different ways, so that two parsers may find two hosts.
        if text.contains(|letter: char| {
            letter.is_whitespace() || letter.is_control() || letter == '\\'
        }) {
            return Err(bad());
        }
        let (_, rest) = text.split_once("://").ok_or_else(bad)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let url = Url::parse(text).map_err(|_| bad())?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => return Err(Refused::new(Rule::Scheme, other)),
        };
        if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::new(
                Rule::Userinfo,
                url.host_str().unwrap_or("the URL"),
            ));
        }
        if authority.is_empty() {
            return Err(bad());
        }
        Self::from_url(url, scheme)
    }

    fn from_url(mut url: Url, scheme: Scheme) -> Result<Self, Refused> {
        let bad = || Refused::new(Rule::BadUrl, "the URL");
        let (host, address) = match url.host().ok_or_else(bad)? {
            Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
            Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                if !is_name(name) {
                    return Err(bad());
                }
                (name.to_owned(), None)
            }
        };
        if address.is_none() && url.host_str() != Some(&host) {
            url.set_host(Some(&host)).map_err(|_| bad())?;
        }
        url.set_fragment(None);
        let port = url.port_or_known_default().ok_or_else(bad)?;
        Ok(Self {
            scheme,
            host: host.into(),
            address,
            port,
            url,
        })
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a lower-case name without trailing dot, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The address, where the URL names one instead of a host name.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The port, the scheme's own where the URL names none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path; at least `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// Path and query, as in the request line.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// Host and port as the `host` field writes them: brackets around IPv6, no port that is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.url.authority()
    }

    /// The URL.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Whether scheme, host and port are equal.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host == other.host && self.port == other.port
    }
}

/// Scheme, host and port, without the path and query, which may hold secrets.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// Whether a name may be resolved: labels of letters, digits, `-` and `_`. URL parsers accept a star, which would be
/// taken for a pattern.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=HOST_LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
            })
    };
    name.len() <= HOST_BYTES_MAX && name.split('.').all(is_label)
}
