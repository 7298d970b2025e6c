//! The way to the plugin host, if there is one.

use bytes::Bytes;
use limits::dispatch::PUBLICATIONS_WAITING_MAX;
use plugin_bus::{Interest, Offer, PluginHost, ServerPlugins, Subject, Topic};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

/// The plugin host as the shards call it. Without one, plugins want nothing.
#[derive(Debug, Default)]
pub(crate) struct PluginBridge {
    host: OnceLock<Arc<dyn PluginHost>>,
    /// Envelopes of plugins that no shard has taken yet.
    publications: AtomicUsize,
}

impl PluginBridge {
    /// Connects the plugin host, once. False if one was connected before.
    pub(crate) fn connect(&self, host: Arc<dyn PluginHost>) -> bool {
        self.host.set(host).is_ok()
    }

    /// Whether any plugin listens to a topic on any server: one atomic load and one bit test.
    pub(crate) fn listens(&self, topic: Topic) -> bool {
        self.host.get().is_some_and(|host| host.listens(topic))
    }

    /// What plugins want of an envelope.
    pub(crate) fn interest(&self, subject: &Subject<'_>) -> Interest {
        let host = self.host.get();
        host.map_or(Interest::None, |host| host.interest(subject))
    }

    /// Hands an envelope over; false if plugins have no room for it.
    pub(crate) fn offer(&self, offer: Offer) -> bool {
        self.host.get().is_some_and(|host| host.offer(offer))
    }

    /// Tells plugins the changed `plugin_requirements` envelope of an open server.
    pub(crate) fn requirements_changed(
        &self,
        server_id: &Arc<str>,
        plugins: &ServerPlugins,
        requirements: &Bytes,
    ) {
        if let Some(host) = self.host.get() {
            host.requirements_changed(server_id, plugins, requirements);
        }
    }

    /// Tells plugins that the last connection has left a server.
    pub(crate) fn server_closed(&self, server_id: &Arc<str>) {
        if let Some(host) = self.host.get() {
            host.server_closed(server_id);
        }
    }

    /// Counts an envelope of a plugin on its way to a shard; false if too many are under way.
    pub(crate) fn begin_publication(&self) -> bool {
        let waiting = self.publications.fetch_add(1, Ordering::AcqRel);
        let is_full = waiting >= PUBLICATIONS_WAITING_MAX;
        if is_full {
            self.end_publication();
        }
        !is_full
    }

    /// A shard has taken an envelope of a plugin.
    pub(crate) fn end_publication(&self) {
        self.publications.fetch_sub(1, Ordering::AcqRel);
    }
}
