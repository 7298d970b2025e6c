//! Scopes, and the capability requests of a manifest.

use crate::{BadHostPattern, CapabilityId, HostPattern};
use serde::{Deserialize, Deserializer, Serialize};
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

/// The targets that a capability covers. An absent key does not restrict; an empty list admits no target.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
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
}

/// Why a scope does not fit its capability.
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
    /// A host pattern that can never match.
    #[error("hosts[{index}]: {source}")]
    Host {
        /// Which entry of `hosts`.
        index: usize,
        /// The broken rule.
        source: BadHostPattern,
    },
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

    /// Checks that the capability takes these scope keys and that every host pattern can match; returns all errors in
    /// order.
    #[must_use]
    pub fn check(&self) -> Vec<BadScope> {
        let taken = self.id.entry().scope;
        let keys = self
            .scope
            .keys()
            .filter(|key| !taken.contains(key))
            .map(|key| BadScope::Key {
                capability: self.id,
                key,
            });
        let hosts = self.scope.hosts.iter().flatten().enumerate();
        let hosts = hosts.filter_map(|(index, host)| {
            HostPattern::parse(host)
                .err()
                .map(|source| BadScope::Host { index, source })
        });
        keys.chain(hosts).collect()
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Full {
            id: CapabilityId,
            #[serde(default)]
            optional: bool,
            reason: Option<String>,
            #[serde(flatten)]
            scope: Scope,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Bare(CapabilityId),
            Full(Full),
        }
        Ok(match Form::deserialize(reader)? {
            Form::Bare(id) => Self::unscoped(id),
            Form::Full(Full {
                id,
                optional,
                reason,
                scope,
            }) => Self {
                id,
                optional,
                reason,
                scope,
            },
        })
    }
}
