//! A use of a capability: which one, and on what target. The host derives both from the call's arguments; the plugin
//! does not name them.

use crate::CapabilityId;
use std::fmt;

/// The target of a call. An absent part is unknown; a rule with a scope on that part does not cover the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// A host from a URL parser, without user and port; one trailing dot and the brackets of an IPv6 address are
    /// ignored.
    pub host: Option<&'a str>,
    /// A port.
    pub port: Option<u16>,
    /// An HTTP method.
    pub method: Option<&'a str>,
    /// A path: of a file, with symbolic links resolved; or of a URL, without query.
    pub path: Option<&'a str>,
    /// The name of a key, tool, command, variable, event or dataset.
    pub name: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// No particular target.
    pub const ANY: Target<'static> = Target {
        host: None,
        port: None,
        method: None,
        path: None,
        name: None,
    };

    /// A host and port.
    #[must_use]
    pub const fn host(host: &'a str, port: u16) -> Self {
        Self {
            host: Some(host),
            port: Some(port),
            method: None,
            path: None,
            name: None,
        }
    }

    /// A path.
    #[must_use]
    pub const fn path(path: &'a str) -> Self {
        Self {
            host: None,
            port: None,
            method: None,
            path: Some(path),
            name: None,
        }
    }

    /// A name.
    #[must_use]
    pub const fn name(name: &'a str) -> Self {
        Self {
            host: None,
            port: None,
            method: None,
            path: None,
            name: Some(name),
        }
    }

    /// The same with an HTTP method.
    #[must_use]
    pub const fn with_method(self, method: &'a str) -> Self {
        Self {
            method: Some(method),
            ..self
        }
    }

    /// The same with a path.
    #[must_use]
    pub const fn with_path(self, path: &'a str) -> Self {
        Self {
            path: Some(path),
            ..self
        }
    }
}

/// As the audit writes it: `GET example.org:443/v1`, `/data/a`, `votes`, `*`.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Target::ANY {
            return f.write_str("*");
        }
        if let Some(method) = self.method {
            write!(f, "{method} ")?;
        }
        match self.host {
            Some(host) if host.contains(':') && !host.starts_with('[') => write!(f, "[{host}]")?,
            Some(host) => f.write_str(host)?,
            None => {}
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(self.path.unwrap_or_default())?;
        f.write_str(self.name.unwrap_or_default())
    }
}

/// One use of a capability, about which [`decide`](crate::decide()) decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilityUse<'a> {
    /// The capability that the call needs.
    pub id: CapabilityId,
    /// The target of the call.
    pub target: Target<'a>,
}

impl<'a> CapabilityUse<'a> {
    /// A use on one target.
    #[must_use]
    pub const fn new(id: CapabilityId, target: Target<'a>) -> Self {
        Self { id, target }
    }

    /// A use on no particular target; only a rule without scope covers it.
    #[must_use]
    pub const fn any(id: CapabilityId) -> Self {
        Self {
            id,
            target: Target::ANY,
        }
    }
}
