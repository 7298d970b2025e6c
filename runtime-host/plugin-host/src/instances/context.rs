//! What all instances of one plugin share.

use crate::{
    authority::{Authority, quota::Quota},
    dispatch::body::UnreadBytes,
    imports::fetch::Fetcher,
    instances::{bus::Bus, metrics::Metrics, pool::InstancePool},
};
use arc_swap::ArcSwap;
use plugin_bus::ChatHost;
use plugin_manifest::{Manifest, OnFailure};
use plugin_store::PluginStore;
use serde_json::{Map, Value};
use std::sync::{Arc, Weak, atomic::AtomicBool};
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

    /// All settings as a JSON object.
    pub(crate) fn settings_text(&self) -> String {
        serde_json::to_string(&**self.settings.load()).unwrap_or_else(|_| "{}".to_owned())
    }
}
