//! [`Rules`]: a list of capabilities with scopes, compiled when it is loaded.
//!
//! Manifests, grants, denials and the operator's lists all have this form. A capability without a scope is looked up by
//! a bit test.

use crate::{
    BadScope, CapabilityId, CapabilityUse, HostPattern, Request, Scope, ScopeKey, Target,
    VOCABULARY,
    sets::{HostSet, NameSet, PathKind, PathSet},
};
use limits::capability::RULES_MAX;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const _: () = assert!(VOCABULARY.len() <= 128, "one bit for each capability");

/// A stored grant, denial or remembered consent: a capability and its scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The capability.
    pub capability: CapabilityId,
    /// Its scope; an empty scope covers every target.
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
}

/// Why a rule list is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// A rule's scope breaks a rule of [`Scope::check`].
    #[error("{capability}: {why}")]
    Scope {
        /// The rule's capability.
        capability: CapabilityId,
        /// What is wrong with its scope.
        why: BadScope,
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
            Self::Scope { why, .. } => why.code(),
            Self::TooMany => "too-many-rules",
        }
    }
}

/// A compiled rule with a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ScopedRule {
    id: CapabilityId,
    hosts: Option<HostSet>,
    methods: Option<Box<[Box<str>]>>,
    ports: Option<Box<[u16]>>,
    paths: Option<PathSet>,
    names: Option<NameSet>,
}

/// A compiled rule list; it covers what any of its rules covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Bits of the capabilities with a rule without scope.
    whole: u128,
    /// Bits of the capabilities with any rule.
    mentioned: u128,
    /// Rules with a scope, sorted by capability.
    scoped: Box<[ScopedRule]>,
}

impl Rules {
    /// Compiles a list.
    ///
    /// # Errors
    /// [`BadRule`] for the first scope that [`Scope::check`] refuses, and for a list that is too long.
    pub fn new<'a>(
        entries: impl IntoIterator<Item = (CapabilityId, &'a Scope)>,
    ) -> Result<Self, BadRule> {
        let mut rules = Self::default();
        let mut scopes: Vec<(CapabilityId, Scope)> = Vec::new();
        for (at, (id, scope)) in entries.into_iter().enumerate() {
            if at == RULES_MAX {
                return Err(BadRule::TooMany);
            }
            if let Some(why) = scope.check(id).into_iter().next() {
                let capability = id;
                return Err(BadRule::Scope { capability, why });
            }
            rules.mentioned |= bit(id);
            if scope.is_everything() {
                rules.whole |= bit(id);
            } else {
                scopes.push((id, scope.clone()));
            }
        }
        scopes.retain(|(id, _)| rules.whole & bit(*id) == 0);
        rules.scoped = merged(scopes)
            .iter()
            .map(|((id, _, rest), wide)| ScopedRule::compile(*id, rest, wide))
            .collect();
        Ok(rules)
    }

    /// Compiles a manifest's capabilities.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_requests(requests: &[Request]) -> Result<Self, BadRule> {
        Self::new(requests.iter().map(|request| (request.id, &request.scope)))
    }

    /// Compiles grants or denials.
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
            scoped: Box::default(),
        }
    }

    /// Whether one of the rules covers the use.
    #[must_use]
    pub fn covers(&self, asked: &CapabilityUse<'_>) -> bool {
        if self.whole & bit(asked.id) != 0 {
            return true;
        }
        if self.mentioned & bit(asked.id) == 0 {
            return false;
        }
        let from = self.scoped.partition_point(|rule| rule.id < asked.id);
        self.scoped[from..]
            .iter()
            .take_while(|rule| rule.id == asked.id)
            .any(|rule| rule.covers(&asked.target))
    }

    /// Whether any rule names the capability, with whatever scope.
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

/// Merges scopes of one capability that differ in one key only, so that a thousand consents to one host each become one
/// rule.
fn merged(scopes: Vec<(CapabilityId, Scope)>) -> BTreeMap<MergeKey, Scope> {
    let mut out: BTreeMap<MergeKey, Scope> = BTreeMap::new();
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

/// What merged scopes have in common: the capability, the key in which they differ, and the other keys.
type MergeKey = (CapabilityId, Option<ScopeKey>, Scope);

fn join(to: &mut Option<Vec<String>>, from: Option<Vec<String>>) {
    if let Some(from) = from {
        to.get_or_insert_default().extend(from);
    }
}

impl ScopedRule {
    /// Compiles one entry of [`merged`], whose scopes have passed [`Scope::check`].
    fn compile(id: CapabilityId, rest: &Scope, wide: &Scope) -> Self {
        let names = rest.names.as_ref().or(wide.names.as_ref());
        let paths = rest.paths.as_ref().or(wide.paths.as_ref());
        let hosts = wide.hosts.as_ref().map(|hosts| {
            HostSet::new(
                hosts
                    .iter()
                    .filter_map(|host| HostPattern::parse(host).ok()),
            )
        });
        let kind = if matches!(id, CapabilityId::FsRead | CapabilityId::FsWrite) {
            PathKind::File
        } else {
            PathKind::Url
        };
        Self {
            id,
            hosts,
            methods: rest
                .methods
                .as_ref()
                .map(|methods| methods.iter().map(|method| method.trim().into()).collect()),
            ports: rest.ports.as_ref().map(|ports| ports.as_slice().into()),
            paths: paths.map(|paths| PathSet::new(kind, paths.iter().map(String::as_str))),
            names: names.map(|names| NameSet::new(names.iter().map(String::as_str))),
        }
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
