//! The plugins that are known, and the order in which they load.

use crate::lifecycle::plugin::Plugin;
use parking_lot::RwLock;
use std::{collections::BTreeMap, sync::Arc};

/// Plugins by id. Readers get copies; nothing is locked while a plugin is worked on.
#[derive(Default)]
pub(crate) struct Registry {
    plugins: RwLock<BTreeMap<Arc<str>, Arc<Plugin>>>,
    /// Load order of the last resolution.
    order: RwLock<Vec<Arc<str>>>,
}

impl Registry {
    pub(crate) fn len(&self) -> usize {
        self.plugins.read().len()
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Plugin>> {
        self.plugins.read().get(id).cloned()
    }

    /// All plugins, by id.
    pub(crate) fn all(&self) -> BTreeMap<Arc<str>, Arc<Plugin>> {
        self.plugins.read().clone()
    }

    pub(crate) fn insert(&self, plugin: Arc<Plugin>) {
        self.plugins.write().insert(plugin.id.clone(), plugin);
    }

    pub(crate) fn remove(&self, id: &str) {
        self.plugins.write().remove(id);
    }

    /// Replaces the load order.
    pub(crate) fn set_order(&self, order: Vec<Arc<str>>) {
        *self.order.write() = order;
    }

    /// The plugins that are in the load order, in that order.
    pub(crate) fn in_order(&self) -> Vec<Arc<Plugin>> {
        let plugins = self.plugins.read();
        let order = self.order.read();
        order
            .iter()
            .filter_map(|id| plugins.get(id).cloned())
            .collect()
    }
}
