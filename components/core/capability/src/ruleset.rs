//! Rules: a list of capabilities with their scopes, compiled once and asked often.
//!
//! One shape serves what a manifest declares, what a person granted or refused, and what an operator allows or denies. What it is not: a
//! decision; see [`decide`](crate::decide()). Invariant: asking what is not narrowed is a bit test.

use crate::{
    Asked, BadHostPattern, CapabilityId, HostPattern, Request, Scope, ScopeKey, Target, VOCABULARY,
    sets::{HostSet, NameSet, PathKind, PathSet},
};
use limits::capability::RULES_MAX;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const _: () = assert!(VOCABULARY.len() <= 128, "one bit for each capability");

/// A stored grant, refusal or remembered consent: a capability and how far it reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What is granted.
    pub capability: CapabilityId,
    /// How far; nothing in it is everything.
    #[serde(default, skip_serializing_if = "Scope::is_everything")]
    pub scope: Scope,
}

impl Grant {
    /// The whole capability.
    #[must_use]
    pub fn whole(capability: CapabilityId) -> Self {
        Self {
            capability,
            scope: Scope::default(),
        }
    }

    /// Exactly what was asked for: what a consent to one question allows later. Of a request over HTTP that is its host and port, with
    /// every method and path: nobody is asked once for each page. None when a text of the target holds a star: as a rule it would reach
    /// further than what the person saw.
    #[must_use]
    pub fn of(asked: &Asked<'_>) -> Option<Self> {
        let one = |text: Option<&str>| text.map(|text| vec![text.to_owned()]);
        let Target {
            host,
            port,
            method,
            path,
            name,
        } = asked.target;
        let (method, path) = if host.is_some() {
            (None, None)
        } else {
            (method, path)
        };
        if [host, method, path, name]
            .into_iter()
            .flatten()
            .any(|text| text.contains('*'))
        {
            return None;
        }
        let scope = Scope {
            hosts: one(host),
            methods: one(method),
            ports: port.map(|port| vec![port]),
            paths: one(path),
            names: one(name),
        };
        Some(Self {
            capability: asked.id,
            scope,
        })
    }
}

/// Why a list of rules is refused. A rule that could never match is refused, because in a list of denials it would be a hole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// A host pattern breaks a rule.
    #[error("{capability}: {source}")]
    Host {
        /// The rule's capability.
        capability: CapabilityId,
        /// What is wrong with the pattern.
        source: BadHostPattern,
    },
    /// A star where none is understood.
    #[error("{capability}: {text:?} may hold a star only at its end")]
    Star {
        /// The rule's capability.
        capability: CapabilityId,
        /// The path or name.
        text: String,
    },
    /// More rules than [`RULES_MAX`].
    #[error("more than {RULES_MAX} rules")]
    TooMany,
}

impl BadRule {
    /// A stable name of the fault, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Host { .. } => "bad-host-pattern",
            Self::Star { .. } => "bad-star",
            Self::TooMany => "too-many-rules",
        }
    }
}

/// A narrowed rule, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Narrowed {
    id: CapabilityId,
    hosts: Option<HostSet>,
    methods: Option<Box<[Box<str>]>>,
    ports: Option<Box<[u16]>>,
    paths: Option<PathSet>,
    names: Option<NameSet>,
}

/// A compiled list of rules; what one of them covers, the list covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Capabilities with a rule that does not narrow.
    whole: u128,
    /// Capabilities with any rule.
    mentioned: u128,
    /// The others, by capability.
    narrowed: Box<[Narrowed]>,
}

impl Rules {
    /// Compiles a list.
    ///
    /// # Errors
    /// [`BadRule`] for the first rule that could never match, and for a list that is too long.
    pub fn new<'a>(
        entries: impl IntoIterator<Item = (CapabilityId, &'a Scope)>,
    ) -> Result<Self, BadRule> {
        let mut rules = Self::default();
        let mut scopes: Vec<(CapabilityId, Scope)> = Vec::new();
        for (at, (id, scope)) in entries.into_iter().enumerate() {
            if at == RULES_MAX {
                return Err(BadRule::TooMany);
            }
            rules.mentioned |= bit(id);
            if scope.is_everything() {
                rules.whole |= bit(id);
            } else {
                scopes.push((id, scope.clone()));
            }
        }
        scopes.retain(|(id, _)| rules.whole & bit(*id) == 0);
        let narrowed: Result<_, _> = merged(scopes)
            .iter()
            .map(|((id, _, rest), wide)| Narrowed::compile(*id, rest, wide))
            .collect();
        rules.narrowed = narrowed?;
        Ok(rules)
    }

    /// Compiles what a manifest declares.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_requests(requests: &[Request]) -> Result<Self, BadRule> {
        Self::new(requests.iter().map(|request| (request.id, &request.scope)))
    }

    /// Compiles what was granted or refused.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_grants(grants: &[Grant]) -> Result<Self, BadRule> {
        Self::new(grants.iter().map(|grant| (grant.capability, &grant.scope)))
    }

    /// Whole capabilities, without scopes.
    #[must_use]
    pub fn whole(ids: impl IntoIterator<Item = CapabilityId>) -> Self {
        let bits = ids.into_iter().fold(0, |bits, id| bits | bit(id));
        Self {
            whole: bits,
            mentioned: bits,
            narrowed: Box::default(),
        }
    }

    /// Whether one of the rules covers all of what is asked.
    #[must_use]
    pub fn covers(&self, asked: &Asked<'_>) -> bool {
        if self.whole & bit(asked.id) != 0 {
            return true;
        }
        if self.mentioned & bit(asked.id) == 0 {
            return false;
        }
        let from = self.narrowed.partition_point(|rule| rule.id < asked.id);
        self.narrowed[from..]
            .iter()
            .take_while(|rule| rule.id == asked.id)
            .any(|rule| rule.covers(&asked.target))
    }

    /// Whether any rule is about the capability, however narrow.
    #[must_use]
    pub const fn mentions(&self, id: CapabilityId) -> bool {
        self.mentioned & bit(id) != 0
    }

    /// Whether there is no rule.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.mentioned == 0
    }
}

const fn bit(id: CapabilityId) -> u128 {
    1 << (id as u8)
}

/// The scopes in the order of their capabilities. Those that differ in one key alone become one, because either may cover: a thousand
/// consents to one port each of a thousand hosts are one rule.
fn merged(scopes: Vec<(CapabilityId, Scope)>) -> BTreeMap<Alike, Scope> {
    let mut out: BTreeMap<Alike, Scope> = BTreeMap::new();
    for (id, mut rest) in scopes {
        let key = [ScopeKey::Hosts, ScopeKey::Names, ScopeKey::Paths]
            .into_iter()
            .find(|key| rest.keys().any(|there| there == *key));
        let mut wide = Scope::default();
        match key {
            Some(ScopeKey::Hosts) => wide.hosts = rest.hosts.take(),
            Some(ScopeKey::Names) => wide.names = rest.names.take(),
            Some(ScopeKey::Paths) => wide.paths = rest.paths.take(),
            _ => {}
        }
        let there = out.entry((id, key, rest)).or_default();
        join(&mut there.hosts, wide.hosts);
        join(&mut there.names, wide.names);
        join(&mut there.paths, wide.paths);
    }
    out
}

/// What scopes have in common that become one: the capability, the key in which they differ, and the rest.
type Alike = (CapabilityId, Option<ScopeKey>, Scope);

fn join(to: &mut Option<Vec<String>>, from: Option<Vec<String>>) {
    if let Some(from) = from {
        to.get_or_insert_default().extend(from);
    }
}

impl Narrowed {
    /// Compiles what [`merged`] took apart.
    fn compile(id: CapabilityId, rest: &Scope, wide: &Scope) -> Result<Self, BadRule> {
        let names = rest.names.as_ref().or(wide.names.as_ref());
        let paths = rest.paths.as_ref().or(wide.paths.as_ref());
        let hosts = wide.hosts.as_ref().map(|hosts| {
            let patterns: Result<Vec<_>, _> =
                hosts.iter().map(|host| HostPattern::parse(host)).collect();
            patterns.map(HostSet::new).map_err(|source| BadRule::Host {
                capability: id,
                source,
            })
        });
        let bad_name = names
            .into_iter()
            .flatten()
            .find(|name| name.strip_suffix('*').unwrap_or(name).contains('*'));
        let bad_path = paths
            .into_iter()
            .flatten()
            .find(|path| PathSet::root(path).is_some_and(|root| root.contains('*')));
        if let Some(text) = bad_name.or(bad_path) {
            return Err(BadRule::Star {
                capability: id,
                text: text.chars().take(128).collect(),
            });
        }
        let kind = if matches!(id, CapabilityId::FsRead | CapabilityId::FsWrite) {
            PathKind::File
        } else {
            PathKind::Url
        };
        Ok(Self {
            id,
            hosts: hosts.transpose()?,
            methods: rest
                .methods
                .as_ref()
                .map(|methods| methods.iter().map(|method| method.trim().into()).collect()),
            ports: rest.ports.as_ref().map(|ports| ports.as_slice().into()),
            paths: paths.map(|paths| PathSet::new(kind, paths.iter().map(String::as_str))),
            names: names.map(|names| NameSet::new(names.iter().map(String::as_str))),
        })
    }

    fn covers(&self, target: &Target<'_>) -> bool {
        let method_fits = |methods: &[Box<str>], asked: &str| {
            methods
                .iter()
                .any(|method| &**method == "*" || method.eq_ignore_ascii_case(asked))
        };
        self.hosts
            .as_ref()
            .is_none_or(|hosts| target.host.is_some_and(|host| hosts.covers(host)))
            && self
                .ports
                .as_ref()
                .is_none_or(|ports| target.port.is_some_and(|port| ports.contains(&port)))
            && self.methods.as_ref().is_none_or(|methods| {
                target
                    .method
                    .is_some_and(|method| method_fits(methods, method))
            })
            && self
                .paths
                .as_ref()
                .is_none_or(|paths| target.path.is_some_and(|path| paths.covers(path)))
            && self
                .names
                .as_ref()
                .is_none_or(|names| target.name.is_some_and(|name| names.covers(name)))
    }
}
