//! Scopes, and the capability requests of a manifest.
//!
//! [`Scope::check`] is the one test of a scope: a scope that passes it can be compiled, and every interface that takes
//! a rule applies it before the rule is stored.

use crate::{BadHostPattern, CapabilityId, HostPattern, UnknownCapability, sets::PathSet};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// A key of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKey {
    /// Host patterns ([`HostPattern`]).
    Hosts,
    /// HTTP methods, upper case.
    Methods,
    /// TCP ports, 1 to 65535.
    Ports,
    /// Paths: of files, or of URLs.
    Paths,
    /// Names: of keys, tools, commands, variables, events, datasets.
    Names,
}

impl ScopeKey {
    /// All of them, in the order of the manifest.
    pub const ALL: [Self; 5] = [
        Self::Hosts,
        Self::Methods,
        Self::Ports,
        Self::Paths,
        Self::Names,
    ];

    /// The key's name in a manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Methods => "methods",
            Self::Ports => "ports",
            Self::Paths => "paths",
            Self::Names => "names",
        }
    }
}

impl fmt::Display for ScopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The targets that a capability covers. An absent key does not restrict; an empty list is refused by
/// [`check`](Self::check), and an unknown key by the reader, because a misspelt key would restrict nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Host patterns, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// HTTP methods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// Ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<u16>>,
    /// Paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
}

impl Scope {
    /// Whether no key restricts it.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.keys().next().is_none()
    }

    /// The keys that are present.
    pub fn keys(&self) -> impl Iterator<Item = ScopeKey> + '_ {
        ScopeKey::ALL.into_iter().filter(|key| match key {
            ScopeKey::Hosts => self.hosts.is_some(),
            ScopeKey::Methods => self.methods.is_some(),
            ScopeKey::Ports => self.ports.is_some(),
            ScopeKey::Paths => self.paths.is_some(),
            ScopeKey::Names => self.names.is_some(),
        })
    }

    /// Checks that `capability` takes these keys, that no list is empty, and that every entry can match; returns all
    /// errors in the order of the keys.
    #[must_use]
    pub fn check(&self, capability: CapabilityId) -> Vec<BadScope> {
        let taken = capability.entry().scope;
        let foreign = self.keys().filter(|key| !taken.contains(key));
        let mut bad: Vec<BadScope> = foreign
            .map(|key| BadScope::Key { capability, key })
            .collect();
        let lengths = [
            (ScopeKey::Hosts, self.hosts.as_ref().map(Vec::len)),
            (ScopeKey::Methods, self.methods.as_ref().map(Vec::len)),
            (ScopeKey::Ports, self.ports.as_ref().map(Vec::len)),
            (ScopeKey::Paths, self.paths.as_ref().map(Vec::len)),
            (ScopeKey::Names, self.names.as_ref().map(Vec::len)),
        ];
        let empty = lengths.iter().filter(|(_, length)| *length == Some(0));
        bad.extend(empty.map(|(key, _)| BadScope::Empty { key: *key }));
        for (index, host) in self.hosts.iter().flatten().enumerate() {
            if let Err(why) = HostPattern::parse(host) {
                bad.push(BadScope::Host { index, why });
            }
        }
        for (index, port) in self.ports.iter().flatten().enumerate() {
            if *port == 0 {
                bad.push(BadScope::Port { index });
            }
        }
        for (index, path) in self.paths.iter().flatten().enumerate() {
            if PathSet::root(path).is_some_and(|root| root.contains('*')) {
                bad.push(BadScope::star(ScopeKey::Paths, index, path));
            }
        }
        for (index, name) in self.names.iter().flatten().enumerate() {
            if name.strip_suffix('*').unwrap_or(name).contains('*') {
                bad.push(BadScope::star(ScopeKey::Names, index, name));
            }
        }
        bad
    }
}

/// Why a scope is refused: it does not fit its capability, or an entry of it could never match. In a deny list such an
/// entry would deny nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadScope {
    /// The capability does not take this key.
    #[error("capability {capability} takes no scope \"{key}\"")]
    Key {
        /// The capability.
        capability: CapabilityId,
        /// The key it does not take.
        key: ScopeKey,
    },
    /// A list without entries.
    #[error("{key} must not be empty; leave the key out to cover every target")]
    Empty {
        /// The key.
        key: ScopeKey,
    },
    /// A host pattern that can never match.
    #[error("hosts[{index}]: {why}")]
    Host {
        /// Which entry of `hosts`.
        index: usize,
        /// The broken rule.
        why: BadHostPattern,
    },
    /// Port 0.
    #[error("ports[{index}] must be from 1 to 65535")]
    Port {
        /// Which entry of `ports`.
        index: usize,
    },
    /// A star that is not at the end.
    #[error("{key}[{index}]: {text:?} may hold a star only at its end{}", if *.key == ScopeKey::Paths { ", after a slash" } else { "" })]
    Star {
        /// `paths` or `names`.
        key: ScopeKey,
        /// Which entry.
        index: usize,
        /// The entry, cut at 128 characters.
        text: String,
    },
}

impl BadScope {
    /// A stable name of the fault, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Key { .. } => "bad-scope-key",
            Self::Empty { .. } => "empty-list",
            Self::Host { .. } => "bad-host-pattern",
            Self::Port { .. } => "bad-port",
            Self::Star { .. } => "bad-star",
        }
    }

    /// The key of the scope and, for a fault of one entry, its index.
    #[must_use]
    pub const fn place(&self) -> (ScopeKey, Option<usize>) {
        match self {
            Self::Key { key, .. } | Self::Empty { key } => (*key, None),
            Self::Host { index, .. } => (ScopeKey::Hosts, Some(*index)),
            Self::Port { index } => (ScopeKey::Ports, Some(*index)),
            Self::Star { key, index, .. } => (*key, Some(*index)),
        }
    }

    fn star(key: ScopeKey, index: usize, text: &str) -> Self {
        let text = text.chars().take(128).collect();
        Self::Star { key, index, text }
    }
}

/// One entry of a manifest's `capabilities`: a bare id, or an object with the id and its scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// The capability.
    pub id: CapabilityId,
    /// The plugin works without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Why the plugin needs it, shown where consent is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its scope.
    #[serde(flatten)]
    pub scope: Scope,
}

impl Request {
    /// An unscoped, required request.
    #[must_use]
    pub fn unscoped(id: CapabilityId) -> Self {
        Self {
            id,
            optional: false,
            reason: None,
            scope: Scope::default(),
        }
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(RequestForm)
    }
}

/// Reads a request from its short form, a bare id, or from an object. Keys that start with `x-` are free; any other
/// unknown key is refused.
struct RequestForm;

impl RequestForm {
    const KEYS: [&str; 8] = [
        "id", "optional", "reason", "hosts", "methods", "ports", "paths", "names",
    ];

    fn id<E: de::Error>(text: &str) -> Result<CapabilityId, E> {
        text.parse().map_err(|error: UnknownCapability| {
            let meant = error.suggestion.map(|id| format!("; did you mean {id}?"));
            E::custom(format!("{error}{}", meant.unwrap_or_default()))
        })
    }

    fn unknown(key: &str) -> String {
        let meant = crate::nearest(key, Self::KEYS);
        let meant = meant.map(|meant| format!("; did you mean {meant:?}?"));
        let key: String = key.chars().take(128).collect();
        format!(
            "unknown key {key:?} of a capability{}",
            meant.unwrap_or_default()
        )
    }
}

impl<'de> de::Visitor<'de> for RequestForm {
    type Value = Request;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a capability id, or an object with an id and its scope")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Request, E> {
        Self::id(text).map(Request::unscoped)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
        let mut id = None;
        let (mut optional, mut reason, mut scope) = (false, None, Scope::default());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => id = Some(Self::id(&map.next_value::<String>()?)?),
                "optional" => optional = map.next_value()?,
                "reason" => reason = map.next_value()?,
                "hosts" => scope.hosts = map.next_value()?,
                "methods" => scope.methods = map.next_value()?,
                "ports" => scope.ports = map.next_value()?,
                "paths" => scope.paths = map.next_value()?,
                "names" => scope.names = map.next_value()?,
                key if key.starts_with("x-") => drop(map.next_value::<de::IgnoredAny>()?),
                key => return Err(de::Error::custom(Self::unknown(key))),
            }
        }
        Ok(Request {
            id: id.ok_or_else(|| de::Error::missing_field("id"))?,
            optional,
            reason,
            scope,
        })
    }
}
