//! What all instances of one plugin share.

use crate::{
    authority::{Authority, quota::Quota},
    dispatch::body::UnreadBytes,
    imports::fetch::Fetcher,
    instances::{bus::Bus, log::PluginLog, metrics::Metrics, pool::InstancePool},
};
use arc_swap::ArcSwap;
use capability::{CapabilityId, CapabilityUse};
use plugin_bus::{Actor, ChatHost, Reach};
use plugin_manifest::{Manifest, OnFailure};
use plugin_store::PluginStore;
use serde_json::{Map, Value};
use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use tokio::sync::watch;

/// One plugin, as its instances see it.
pub(crate) struct PluginContext {
    pub(crate) id: Arc<str>,
    pub(crate) manifest: Arc<Manifest>,
    /// The manifest as JSON, given to `activate`.
    pub(crate) manifest_text: Arc<str>,
    pub(crate) plugin_user_id: Arc<str>,
    pub(crate) display_name: Arc<str>,
    /// A UUID created when the plugin was first seen.
    pub(crate) instance_id: String,
    pub(crate) authority: Authority,
    /// Where it acts, besides the servers whose requirements name it.
    pub(crate) reach: Reach,
    pub(crate) quota: Quota,
    /// What becomes of what it decides about when it fails.
    pub(crate) on_failure: OnFailure,
    pub(crate) unread: UnreadBytes,
    pub(crate) settings: ArcSwap<Map<String, Value>>,
    pub(crate) store: PluginStore,
    pub(crate) chat_host: Arc<dyn ChatHost>,
    pub(crate) fetcher: Fetcher,
    pub(crate) bus: Bus,
    pub(crate) metrics: Arc<Metrics>,
    /// The running instances; none once the plugin is gone.
    pub(crate) pool: Weak<InstancePool>,
    /// Whether it could moderate chat when it was asked last.
    pub(crate) moderates: AtomicBool,
    /// Becomes true once, when the running calls are to end.
    pub(crate) ended: watch::Sender<bool>,
}

impl PluginContext {
    /// A log of the plugin, for one instance or for the host's own lines.
    pub(crate) fn new_log(&self) -> PluginLog {
        PluginLog::new(self.id.clone(), self.store.clone(), self.metrics.clone())
    }

    /// The plugin as one that acts on servers.
    pub(crate) fn actor(&self) -> Actor<'_> {
        Actor {
            plugin_id: &self.id,
            reach: self.reach,
        }
    }

    /// Ends this generation: every call into the host is denied from now on, and each running call of the plugin ends at
    /// its next tick or wait, with its store.
    pub(crate) fn end(&self) {
        // What is denied because of the end finds that there is an end.
        self.ended.send_replace(true);
        self.authority.close();
    }

    /// Whether this generation has been ended.
    pub(crate) fn is_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Notes that it can moderate chat, if it can: messages then wait for it if it ends before the first one.
    pub(crate) fn note_moderation(&self) {
        let asked = CapabilityUse::any(CapabilityId::MessagesModerate);
        if !self.authority.skips_hooks() && self.authority.decide(&asked).is_allowed() {
            self.moderates.store(true, Relaxed);
        }
    }

    /// All settings as a JSON object.
    pub(crate) fn settings_text(&self) -> String {
        serde_json::to_string(&**self.settings.load()).unwrap_or_else(|_| "{}".to_owned())
    }
}
