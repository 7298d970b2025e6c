//! What a call is about: the capability it needs, and the thing it wants to touch.
//!
//! What it is not: what a plugin claims. The host derives both from the call and its arguments (J21).
//! Invariant: the parts are typed, so that a path never matches a rule about names (J17).

use crate::CapabilityId;
use std::fmt;

/// The thing that a call wants to touch. A part that is absent is not known, and no rule that narrows by it covers the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// A host out of a URL parser: without port and user. One trailing dot and brackets are forgiven.
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
    /// Nothing in particular.
    pub const ANY: Target<'static> = Target {
        host: None,
        port: None,
        method: None,
        path: None,
        name: None,
    };

    /// Another machine.
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

/// A question: may the plugin use this capability on that target?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The capability that the call needs.
    pub id: CapabilityId,
    /// What the call wants to touch.
    pub target: Target<'a>,
}

impl<'a> Asked<'a> {
    /// About one target.
    #[must_use]
    pub const fn new(id: CapabilityId, target: Target<'a>) -> Self {
        Self { id, target }
    }

    /// About nothing in particular; a rule that narrows does not cover it.
    #[must_use]
    pub const fn any(id: CapabilityId) -> Self {
        Self {
            id,
            target: Target::ANY,
        }
    }
}
