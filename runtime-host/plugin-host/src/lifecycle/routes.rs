//! Which plugin has a route that several ask for: one that runs, else the one that was recorded first. A plugin whose
//! component was refused has none.

use crate::lifecycle::plugin::Plugin;
use std::{collections::BTreeMap, sync::Arc};

/// A plugin that does not get its route.
pub(super) struct Conflict {
    pub(super) plugin: Arc<Plugin>,
    owner: Arc<Plugin>,
}

impl Conflict {
    /// Why the plugin is blocked.
    pub(super) fn reason(&self) -> String {
        let route = route_of(&self.plugin).unwrap_or_default();
        self.plugin
            .refusal()
            .unwrap_or_else(|| format!("route_conflict: {} has the route /{route}", self.owner.id))
    }

    /// Whether the owner has turned out not to be able to run, and the plugin may have the route.
    pub(super) fn is_over(&self) -> bool {
        self.owner.refusal().is_some() && self.plugin.refusal().is_none()
    }
}

/// The route in a plugin's manifest, without slashes.
pub(crate) fn route_of(plugin: &Plugin) -> Option<String> {
    let manifest = plugin.package.load().manifest.clone();
    let route = manifest.route.as_deref()?;
    Some(route.trim_matches('/').to_owned())
}

/// The conflicts among plugins that may run otherwise, in load order.
pub(super) fn conflicts(fit: &[Arc<Plugin>]) -> Vec<Conflict> {
    let mut owners: BTreeMap<String, &Arc<Plugin>> = BTreeMap::new();
    let mut losers = Vec::new();
    // Lower is first; of equal ones the load order decides.
    let rank = |plugin: &Plugin| {
        let is_refused = plugin.refusal().is_some();
        (is_refused, plugin.pool.load().is_none(), plugin.number)
    };
    for plugin in fit {
        let runs_here = plugin.package.load().component.is_some();
        let Some(route) = route_of(plugin).filter(|_| runs_here) else {
            continue;
        };
        let loser = match owners.remove(&route) {
            Some(owner) if rank(owner) <= rank(plugin) => {
                owners.insert(route.clone(), owner);
                Some(plugin)
            }
            other => {
                owners.insert(route.clone(), plugin);
                other
            }
        };
        losers.extend(loser.map(|plugin| (route, plugin)));
    }
    let conflicts = losers.into_iter().filter_map(|(route, plugin)| {
        let owner = Arc::clone(owners.get(&route)?);
        let plugin = plugin.clone();
        Some(Conflict { plugin, owner })
    });
    conflicts.collect()
}
