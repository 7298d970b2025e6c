//! What all instances of one plugin share.

use super::{authority::Authority, bus::Bus, community::Community, fetch::Fetcher, live::Mail, tally::Tally};
use arc_swap::ArcSwap;
use limits::{MIB, plugin as bounds};
use plugin_manifest::Manifest;
use serde_json::{Map, Value};
use std::sync::{Arc, Weak};
use storage::PluginStore;

/// One plugin, as its instances see it.
pub(crate) struct Shared {
    pub(crate) id: Arc<str>,
    pub(crate) manifest: Arc<Manifest>,
    /// The manifest as JSON, given to `activate`.
    pub(crate) manifest_text: Arc<str>,
    pub(crate) plugin_user_id: Arc<str>,
    pub(crate) display_name: Arc<str>,
    /// A UUID made on the plugin's first start and kept (R14).
    pub(crate) instance_id: String,
    pub(crate) authority: Authority,
    pub(crate) settings: ArcSwap<Map<String, Value>>,
    pub(crate) store: PluginStore,
    pub(crate) community: Arc<dyn Community>,
    pub(crate) fetcher: Fetcher,
    pub(crate) bus: Bus,
    pub(crate) tally: Arc<Tally>,
    /// The running instances; none once the plugin is gone.
    pub(crate) mail: Weak<Mail>,
}

impl Shared {
    /// All settings as a JSON object.
    pub(crate) fn settings_text(&self) -> String {
        serde_json::to_string(&**self.settings.load()).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Memory of one instance: what the manifest asks for, never more than the host gives.
    pub(crate) fn memory_bytes_max(&self) -> usize {
        let asked = self.manifest.limits.memory_mib.map(|mib| mib as usize * MIB);
        asked.unwrap_or(bounds::MEMORY_BYTES_MAX).min(bounds::MEMORY_BYTES_MAX)
    }

    /// Instructions of one call.
    pub(crate) fn fuel(&self) -> u64 {
        self.manifest.limits.fuel_per_call.unwrap_or(bounds::FUEL_PER_CALL).min(bounds::FUEL_PER_CALL)
    }

    /// Milliseconds for an answer on the route: what the manifest asks for, never more than the host gives (R28).
    pub(crate) fn http_deadline_ms(&self) -> u64 {
        self.manifest.limits.response_timeout_ms.unwrap_or(bounds::HTTP_DEADLINE_MS).min(bounds::HTTP_DEADLINE_MS)
    }

    /// Milliseconds for a tool: what the manifest asks for, never more than an answer on the route may take.
    pub(crate) fn tool_deadline_ms(&self) -> u64 {
        let asked = self.manifest.limits.max_tool_duration_secs.map(|seconds| u64::from(seconds) * 1_000);
        asked.unwrap_or(bounds::ACTION_DEADLINE_MS).min(bounds::HTTP_DEADLINE_MS)
    }

    /// Tells the plugin's other instances that a value has changed (T35).
    pub(crate) fn changed(&self, by: u64, key: &str, removed: bool) {
        if let Some(mail) = self.mail.upgrade() {
            mail.data_changed(Some(by), key, "instance", removed);
        }
    }
}
