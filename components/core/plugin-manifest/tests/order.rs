//! Resolution against a model that follows the definitions without any cleverness, and its cost.
#![allow(
    clippy::disallowed_methods,
    reason = "a test reads files and measures time"
)]

use identifiers::PluginId;
use plugin_manifest::{
    Load, Priority, Relation, Relationships, VersionRange,
    order::{Block, Candidate, Resolution, resolve},
};
use proptest::prelude::*;
use semver::Version;
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
struct Plugin {
    id: PluginId,
    version: Version,
    relationships: Relationships,
    load: Load,
}

impl Plugin {
    fn named(number: usize) -> Self {
        let id = PluginId::new(format!("p.{number:05}")).unwrap();
        Self {
            id,
            version: Version::new(1, 0, 0),
            relationships: Relationships::default(),
            load: Load::default(),
        }
    }
}

impl<'a> From<&'a Plugin> for Candidate<'a> {
    fn from(plugin: &'a Plugin) -> Self {
        Self {
            id: &plugin.id,
            version: &plugin.version,
            relationships: &plugin.relationships,
            priority: plugin.load.priority,
        }
    }
}

fn run(plugins: &[Plugin]) -> Resolution {
    resolve(plugins.iter().map(Candidate::from))
}

fn relation(number: usize, range: Option<&str>) -> Relation {
    Relation {
        plugin_id: Plugin::named(number).id,
        version_range: range.map(|range| VersionRange::new(range).unwrap()),
    }
}

/// The definitions, word by word, on small sets of different ids.
struct Model<'a> {
    plugins: &'a [Plugin],
    alive: Vec<bool>,
}

impl Model<'_> {
    fn meant(&self, relation: &Relation) -> Option<usize> {
        let at = self
            .plugins
            .iter()
            .position(|plugin| plugin.id == relation.plugin_id)?;
        (self.alive[at] && relation.admits(&self.plugins[at].version)).then_some(at)
    }

    fn without_missing(&mut self) {
        while let Some(at) = (0..self.plugins.len()).find(|at| {
            self.alive[*at]
                && self.plugins[*at]
                    .relationships
                    .requires
                    .iter()
                    .any(|relation| self.meant(relation).is_none())
        }) {
            self.alive[at] = false;
        }
    }

    /// Whether `first` has to be activated before `then`.
    fn edge(&self, first: usize, then: usize, optional: bool) -> bool {
        let (early, late) = (
            &self.plugins[first].relationships,
            &self.plugins[then].relationships,
        );
        let names = |list: &[Relation], at: usize| {
            list.iter().any(|relation| self.meant(relation) == Some(at))
        };
        self.alive[first]
            && self.alive[then]
            && (names(&late.requires, first)
                || names(&late.after, first)
                || names(&early.before, then)
                || (optional && names(&late.optional, first)))
    }

    fn reachable(&self, optional: bool) -> Vec<Vec<bool>> {
        let size = self.plugins.len();
        let mut reach: Vec<Vec<bool>> = (0..size)
            .map(|from| (0..size).map(|to| self.edge(from, to, optional)).collect())
            .collect();
        for via in 0..size {
            for from in 0..size {
                for to in 0..size {
                    reach[from][to] |= reach[from][via] && reach[via][to];
                }
            }
        }
        reach
    }

    fn order(&self) -> Vec<PluginId> {
        let (hard, soft) = (self.reachable(false), self.reachable(true));
        assert!((0..self.plugins.len()).all(|at| !hard[at][at]));
        let mut order: Vec<usize> = Vec::new();
        loop {
            let ready = (0..self.plugins.len())
                .filter(|at| self.alive[*at] && !order.contains(at))
                .filter(|at| {
                    (0..self.plugins.len()).all(|first| {
                        let wish =
                            self.edge(first, *at, true) && !(soft[first][*at] && soft[*at][first]);
                        order.contains(&first) || !(self.edge(first, *at, false) || wish)
                    })
                });
            let Some(next) =
                ready.min_by_key(|at| (self.plugins[*at].load.priority, &self.plugins[*at].id))
            else {
                break;
            };
            order.push(next);
        }
        order
            .into_iter()
            .map(|at| self.plugins[at].id.clone())
            .collect()
    }

    fn resolve(plugins: &[Plugin]) -> Vec<PluginId> {
        let mut model = Model {
            plugins,
            alive: vec![true; plugins.len()],
        };
        model.without_missing();
        let reach = model.reachable(false);
        (0..plugins.len())
            .filter(|at| reach[*at][*at])
            .for_each(|at| model.alive[at] = false);
        model.without_missing();
        let conflicted: Vec<usize> = (0..plugins.len())
            .filter(|at| model.alive[*at])
            .filter(|at| {
                plugins[*at]
                    .relationships
                    .conflicts
                    .iter()
                    .any(|relation| model.meant(relation).is_some_and(|other| other != *at))
            })
            .collect();
        conflicted
            .into_iter()
            .for_each(|at| model.alive[at] = false);
        model.without_missing();
        model.order()
    }
}

fn relations(size: usize) -> impl Strategy<Value = Vec<Relation>> {
    let one = (
        0..size + 1,
        prop::option::of(prop::sample::select(vec!["^1", "<1", ">=2 || 1.x"])),
    );
    prop::collection::vec(
        one.prop_map(|(number, range)| relation(number, range)),
        0..3,
    )
}

fn plugins() -> impl Strategy<Value = Vec<Plugin>> {
    (1usize..8).prop_flat_map(|size| {
        let plugin = (
            [
                relations(size),
                relations(size),
                relations(size),
                relations(size),
                relations(size),
            ],
            prop::sample::select(vec![
                Priority::Bootstrap,
                Priority::High,
                Priority::Default,
                Priority::Low,
            ]),
            [0u8..6, 0u8..6, 0u8..6, 0u8..6, 0u8..6],
        );
        prop::collection::vec(plugin, size).prop_map(|drawn| {
            let plugins =
                drawn
                    .into_iter()
                    .enumerate()
                    .map(|(number, (lists, priority, chances))| {
                        // Most lists are empty, else nothing would ever load.
                        let [requires, optional, conflicts, before, after] =
                            std::array::from_fn(|at| {
                                if chances[at] < 3 {
                                    lists[at].clone()
                                } else {
                                    Vec::new()
                                }
                            });
                        let conflicts = if chances[0] == 5 {
                            conflicts
                        } else {
                            Vec::new()
                        };
                        let relationships = Relationships {
                            requires,
                            optional,
                            conflicts,
                            before,
                            after,
                        };
                        Plugin {
                            relationships,
                            load: Load { priority },
                            ..Plugin::named(number)
                        }
                    });
            plugins.collect()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn resolution_follows_its_definition(plugins in plugins()) {
        let found = run(&plugins);
        prop_assert_eq!(&found.order, &Model::resolve(&plugins));
        prop_assert_eq!(found.order.len() + found.blocked.len(), plugins.len());
        for (id, reasons) in &found.blocked {
            prop_assert!(!reasons.is_empty(), "{} is left out without a reason", id);
            prop_assert!(!found.order.contains(id));
        }
    }

    #[test]
    fn the_order_of_the_set_does_not_matter((plugins, shuffled) in plugins().prop_flat_map(|plugins| (Just(plugins.clone()), Just(plugins).prop_shuffle()))) {
        prop_assert_eq!(run(&plugins), run(&shuffled));
    }
}

/// How much slower than its aim a busy machine may be: what is looked for is growth without a bound, not a slow second.
const BUSY: u32 = 50;

/// The shortest of some runs counts: others may have the processor meanwhile.
fn within(aim: Duration, work: impl Fn()) {
    let once = || {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let took = (0..5).map(|_| once()).min().unwrap_or_default();
    assert!(took < aim * BUSY, "took {took:?}");
}

#[test]
fn a_thousand_plugins_are_ordered_without_delay() {
    let plugins: Vec<Plugin> = (0..1_000)
        .map(|number| {
            let mut plugin = Plugin::named(number);
            plugin.relationships.requires = (1..=8)
                .filter(|step| number >= step * step)
                .map(|step| relation(number - step * step, Some("^1")))
                .collect();
            plugin.relationships.before = vec![relation(number + 7, None)];
            plugin
        })
        .collect();
    within(Duration::from_millis(50), || {
        assert_eq!(run(&plugins).order.len(), 1_000)
    });
}

#[test]
fn a_chain_and_a_ring_of_ten_thousand_do_not_overflow() {
    let mut plugins: Vec<Plugin> = (0..10_000).map(Plugin::named).collect();
    for (number, plugin) in plugins.iter_mut().enumerate().skip(1) {
        plugin.relationships.requires = vec![relation(number - 1, None)];
    }
    within(Duration::from_secs(2), || {
        assert_eq!(run(&plugins).order.len(), 10_000)
    });
    plugins[0].relationships.requires = vec![relation(9_999, None)];
    within(Duration::from_secs(2), || {
        let found = run(&plugins);
        assert_eq!((found.order.len(), found.blocked.len()), (0, 10_000));
        let reason = &found.blocked[&plugins[5].id][0];
        assert_eq!(reason.code(), "cycle:p.00000");
        assert!(
            reason
                .to_string()
                .starts_with("stands on a cycle: p.00000 -> p.09999 -> p.09998"),
            "{reason}"
        );
        assert!(reason.to_string().ends_with("-> (9985 more)"), "{reason}");
    });
}

#[test]
fn a_plugin_that_needs_itself_is_a_cycle_of_one() {
    let mut plugin = Plugin::named(1);
    plugin.relationships.requires = vec![relation(1, None)];
    let found = run(std::slice::from_ref(&plugin));
    assert_eq!(
        found.blocked[&plugin.id],
        [Block::Cycle([plugin.id.clone(), plugin.id.clone()].into())]
    );
    assert_eq!(
        found.blocked[&plugin.id][0].to_string(),
        "stands on a cycle: p.00001 -> p.00001"
    );
}
