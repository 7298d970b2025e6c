//! Dependency resolution and load order: a set of plugins becomes an order of activation and a list of blocked plugins
//! with reasons.
//!
//! The result depends on the set, not on the order of its elements. The steps:
//! 1. Of several versions of one id the highest is used; the others are superseded.
//! 2. A plugin is blocked if one of its requirements is absent, of a wrong version or blocked; repeated until nothing
//!    changes.
//! 3. Plugins on a cycle of `requires`, `before` and `after` are blocked, and the cycle is named.
//! 4. A plugin that declares a conflict with one that would be loaded is blocked; both are if both declare it. Step 2
//!    follows each time.
//! 5. The rest is ordered by dependencies, `before` and `after`, then by `load.priority`, then by id. `optional` orders
//!    as well, unless it would close a cycle.

mod graph;

use crate::{
    Priority, VersionRange,
    types::{Manifest, Relation, Relationships},
};
use graph::Graph;
use identifiers::PluginId;
use limits::manifest::CYCLE_SHOWN_MAX;
use semver::Version;
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap},
    fmt,
    sync::Arc,
};

/// What resolution needs to know of one plugin.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its id.
    pub id: &'a PluginId,
    /// Its version.
    pub version: &'a Version,
    /// How it stands to others.
    pub relationships: &'a Relationships,
    /// Its class.
    pub priority: Priority,
}

impl<'a> From<&'a Manifest> for Candidate<'a> {
    fn from(manifest: &'a Manifest) -> Self {
        let Manifest {
            id,
            version,
            relationships,
            load,
            ..
        } = manifest;
        Self {
            id,
            version,
            relationships,
            priority: load.priority,
        }
    }
}

/// Why a plugin is left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Block {
    /// It stands on a cycle: each needs the next, the last is the first again.
    Cycle(Arc<[PluginId]>),
    /// It conflicts with a plugin that would be loaded.
    Conflict {
        /// That plugin.
        id: PluginId,
        /// Its version.
        found: Version,
    },
    /// A plugin it requires is absent, of a wrong version, or left out itself.
    MissingDependency {
        /// That plugin.
        id: PluginId,
        /// The versions that would do, when not all.
        wanted: Option<String>,
        /// The version that is there; with a version that would do, the plugin is left out itself.
        found: Option<Version>,
    },
}

impl Block {
    /// The stable reason: `missing_dependency:<id>`, `conflict:<id>` or `cycle:<id>`, the id being the first of the
    /// cycle.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Self::Cycle(ids) => format!("cycle:{}", ids.first().map_or("", PluginId::as_str)),
            Self::Conflict { id, .. } => format!("conflict:{id}"),
            Self::MissingDependency { id, .. } => format!("missing_dependency:{id}"),
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cycle(ids) => {
                let shown: Vec<&str> = ids
                    .iter()
                    .take(CYCLE_SHOWN_MAX)
                    .map(PluginId::as_str)
                    .collect();
                write!(f, "stands on a cycle: {}", shown.join(" -> "))?;
                match ids.len().saturating_sub(CYCLE_SHOWN_MAX) {
                    0 => Ok(()),
                    more => write!(f, " -> ({more} more)"),
                }
            }
            Self::Conflict { id, found } => write!(f, "conflicts with {id} {found}"),
            Self::MissingDependency { id, wanted, found } => {
                let wanted_text = wanted
                    .as_deref()
                    .map(|range| format!(" {range}"))
                    .unwrap_or_default();
                match found {
                    None => write!(f, "requires {id}{wanted_text}, which is not there"),
                    Some(found) if admits(wanted.as_deref(), found) => {
                        write!(f, "requires {id}{wanted_text}, which is blocked")
                    }
                    Some(found) => write!(f, "requires {id}{wanted_text}, found {found}"),
                }
            }
        }
    }
}

fn admits(wanted: Option<&str>, found: &Version) -> bool {
    wanted.is_none_or(|range| VersionRange::new(range).is_ok_and(|range| range.contains(found)))
}

impl Serialize for Block {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = out.serialize_struct("Block", 2)?;
        fields.serialize_field("code", &self.code())?;
        fields.serialize_field("reason", &self.to_string())?;
        fields.end()
    }
}

/// An order of activation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Resolution {
    /// Ids in the order in which they are activated.
    pub order: Vec<PluginId>,
    /// Ids that are left out, each with all its reasons.
    pub blocked: BTreeMap<PluginId, Vec<Block>>,
    /// Lower versions of ids that are there twice.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub superseded: BTreeSet<(PluginId, Version)>,
}

/// Resolves a set of plugins.
#[must_use]
pub fn resolve<'a>(candidates: impl IntoIterator<Item = Candidate<'a>>) -> Resolution {
    let mut resolution = Resolution::default();
    let mut newest: BTreeMap<&PluginId, Candidate<'a>> = BTreeMap::new();
    for candidate in candidates {
        let Some(other) = newest.insert(candidate.id, candidate) else {
            continue;
        };
        let (kept, lower) = if other.version >= candidate.version {
            (other, candidate)
        } else {
            (candidate, other)
        };
        newest.insert(kept.id, kept);
        resolution
            .superseded
            .insert((lower.id.clone(), lower.version.clone()));
    }
    let mut set = Set::new(newest.into_values().collect());
    set.leave_out_missing();
    let cycles = set.leave_out_cycles();
    set.leave_out_missing();
    let conflicts = set.leave_out_conflicts();
    set.leave_out_missing();
    resolution.order = set.order();
    resolution.blocked = set.reasons(&cycles, &conflicts);
    resolution
}

/// The plugins by ascending id, their relations as indices, and who is still in.
struct Set<'a> {
    plugins: Vec<Candidate<'a>>,
    index: HashMap<&'a str, usize>,
    alive: Vec<bool>,
}

impl<'a> Set<'a> {
    fn new(plugins: Vec<Candidate<'a>>) -> Self {
        let index = plugins
            .iter()
            .enumerate()
            .map(|(at, plugin)| (plugin.id.as_str(), at))
            .collect();
        Self {
            alive: vec![true; plugins.len()],
            plugins,
            index,
        }
    }

    /// The plugin that a relation means, whether still in or not.
    fn meant(&self, relation: &Relation) -> Option<usize> {
        let at = *self.index.get(relation.plugin_id.as_str())?;
        relation.admits(self.plugins[at].version).then_some(at)
    }

    fn meant_alive(&self, relation: &Relation) -> Option<usize> {
        self.meant(relation).filter(|at| self.alive[*at])
    }

    fn leave_out_missing(&mut self) {
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); self.plugins.len()];
        let mut leaving = Vec::new();
        for (at, plugin) in self.plugins.iter().enumerate() {
            for relation in &plugin.relationships.requires {
                match self.meant_alive(relation) {
                    Some(needed) => dependents[needed].push(at),
                    None => leaving.push(at),
                }
            }
        }
        while let Some(at) = leaving.pop() {
            if std::mem::replace(&mut self.alive[at], false) {
                leaving.extend(&dependents[at]);
            }
        }
    }

    /// Who needs whom to be activated first, among those still in: by `requires`, `before` and `after`.
    fn hard_needs(&self) -> Graph {
        let mut graph = Graph::new(self.plugins.len());
        for at in (0..self.plugins.len()).filter(|at| self.alive[*at]) {
            let relationships = self.plugins[at].relationships;
            for relation in relationships.requires.iter().chain(&relationships.after) {
                self.meant_alive(relation)
                    .into_iter()
                    .for_each(|first| graph.add(at, first));
            }
            for relation in &relationships.before {
                self.meant_alive(relation)
                    .into_iter()
                    .for_each(|second| graph.add(second, at));
            }
        }
        graph.settle();
        graph
    }

    fn leave_out_cycles(&mut self) -> HashMap<usize, Arc<[PluginId]>> {
        let graph = self.hard_needs();
        let mut named = HashMap::new();
        for group in graph.cyclic_groups() {
            let cycle: Arc<[PluginId]> = graph
                .cycle_through_first(&group)
                .into_iter()
                .map(|at| self.plugins[at].id.clone())
                .collect();
            for at in group {
                self.alive[at] = false;
                named.insert(at, Arc::clone(&cycle));
            }
        }
        named
    }

    fn leave_out_conflicts(&mut self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (at, plugin) in self
            .plugins
            .iter()
            .enumerate()
            .filter(|(at, _)| self.alive[*at])
        {
            let others = plugin
                .relationships
                .conflicts
                .iter()
                .filter_map(|relation| self.meant_alive(relation));
            found.extend(others.filter(|other| *other != at).map(|other| (at, other)));
        }
        found.iter().for_each(|(at, _)| self.alive[*at] = false);
        found
    }

    fn order(&self) -> Vec<PluginId> {
        let mut graph = self.hard_needs();
        let mut with_optional = graph.clone();
        let mut wishes = Vec::new();
        for at in (0..self.plugins.len()).filter(|at| self.alive[*at]) {
            for first in self.plugins[at]
                .relationships
                .optional
                .iter()
                .filter_map(|relation| self.meant_alive(relation))
            {
                with_optional.add(at, first);
                wishes.push((at, first));
            }
        }
        with_optional.settle();
        let groups = with_optional.groups();
        wishes
            .into_iter()
            .filter(|(at, first)| groups[*at] != groups[*first])
            .for_each(|(at, first)| graph.add(at, first));
        graph.settle();

        let (mut waiting, dependents) = graph.reversed();
        let rank = |at: usize| Reverse((self.plugins[at].priority, at));
        let free = (0..self.plugins.len()).filter(|at| self.alive[*at] && waiting[*at] == 0);
        let mut ready: BinaryHeap<_> = free.map(rank).collect();
        let mut order = Vec::new();
        while let Some(Reverse((_, at))) = ready.pop() {
            order.push(self.plugins[at].id.clone());
            for dependent in &dependents[at] {
                waiting[*dependent] -= 1;
                if waiting[*dependent] == 0 {
                    ready.push(rank(*dependent));
                }
            }
        }
        order
    }

    fn reasons(
        &self,
        cycles: &HashMap<usize, Arc<[PluginId]>>,
        conflicts: &[(usize, usize)],
    ) -> BTreeMap<PluginId, Vec<Block>> {
        let mut blocked: BTreeMap<PluginId, Vec<Block>> = BTreeMap::new();
        for (at, plugin) in self
            .plugins
            .iter()
            .enumerate()
            .filter(|(at, _)| !self.alive[*at])
        {
            let own = cycles.get(&at);
            let mut reasons: Vec<Block> = own
                .map(|cycle| Block::Cycle(Arc::clone(cycle)))
                .into_iter()
                .collect();
            for relation in &plugin.relationships.requires {
                let known = self.index.get(relation.plugin_id.as_str()).copied();
                // Another plugin of the same cycle is left out because of the cycle alone.
                let same_cycle = own.is_some_and(|own| {
                    known
                        .and_then(|known| cycles.get(&known))
                        .is_some_and(|other| Arc::ptr_eq(own, other))
                });
                if self.meant_alive(relation).is_none()
                    && !(same_cycle && self.meant(relation).is_some())
                {
                    reasons.push(Block::MissingDependency {
                        id: relation.plugin_id.clone(),
                        wanted: relation.version_range.as_ref().map(ToString::to_string),
                        found: known.map(|known| self.plugins[known].version.clone()),
                    });
                }
            }
            blocked.insert(plugin.id.clone(), reasons);
        }
        for (at, other) in conflicts {
            let other = &self.plugins[*other];
            let reason = Block::Conflict {
                id: other.id.clone(),
                found: other.version.clone(),
            };
            blocked
                .entry(self.plugins[*at].id.clone())
                .or_default()
                .push(reason);
        }
        blocked.values_mut().for_each(|reasons| {
            reasons.sort();
            reasons.dedup();
        });
        blocked
    }
}
