//! What the operator says about plugins besides their rights: about all of them, and about single ones.

use anyhow::{Result, ensure};
use capability::{Mode, Outcome};
use identifiers::PluginId;
use limits::plugin::HTTP_DEADLINE_MS;
use plugin_bus::Reach;
use plugin_manifest::{Manifest, OnFailure, ToolMode};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the operator says about one plugin; what is absent is as for all plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PluginOptions {
    /// What becomes of what it decides about when it fails, whatever its manifest says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Where it acts, besides the servers whose requirements name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers: Option<Reach>,
    /// Layer 5 of a decision about this plugin, instead of the policy's mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Milliseconds for each call of a tool, and of a handler that decides, instead of the host's and the manifest's. A
    /// hook that may ask a user keeps its hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// What becomes of calls of its tools by name, whatever the mode of the session.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, Outcome>,
}

impl PluginOptions {
    /// Checks the bound of the time.
    ///
    /// # Errors
    /// The text names the key and its range.
    pub fn check(&self) -> Result<()> {
        if let Some(timeout_ms) = self.timeout_ms {
            ensure!(
                (1..=HTTP_DEADLINE_MS).contains(&timeout_ms),
                "timeout_ms ({timeout_ms}) must be from 1 to {HTTP_DEADLINE_MS}"
            );
        }
        Ok(())
    }
}

/// What the operator says about all plugins and about single ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatorOptions {
    /// What becomes of what a plugin decides about when it fails.
    pub on_failure: OnFailure,
    /// Where a plugin acts, besides the servers whose requirements name it.
    pub servers: Reach,
    /// The mode of calls of tools that name none.
    pub tool_mode: ToolMode,
    /// If it is not empty: the plugins that may run, and no others.
    pub enable: BTreeSet<PluginId>,
    /// Plugins that do not run, also if they are in `enable`.
    pub disable: BTreeSet<PluginId>,
    /// Single plugins.
    pub by_id: BTreeMap<PluginId, PluginOptions>,
}

impl OperatorOptions {
    /// The plugins that something is said about.
    pub(crate) fn named(&self) -> BTreeSet<&PluginId> {
        let single = self.by_id.keys();
        single.chain(&self.enable).chain(&self.disable).collect()
    }

    /// What is said about one plugin.
    pub(crate) fn of(&self, id: &PluginId) -> PluginOptions {
        self.by_id.get(id).cloned().unwrap_or_default()
    }

    /// What becomes of what a plugin decides about when it fails: what is said about this plugin, else the stricter of
    /// its manifest and what is said about all.
    pub(crate) fn on_failure(&self, manifest: &Manifest) -> OnFailure {
        let own = self.of(&manifest.id).on_failure;
        own.unwrap_or(match manifest.on_failure {
            Some(OnFailure::Refuse) => OnFailure::Refuse,
            Some(OnFailure::Pass) | None => self.on_failure,
        })
    }

    /// Where a plugin acts, besides the servers whose requirements name it.
    pub(crate) fn reach(&self, id: &PluginId) -> Reach {
        self.of(id).servers.unwrap_or(self.servers)
    }

    /// What becomes of calls of a plugin's tool, if that is said.
    pub(crate) fn of_tool(&self, id: &PluginId, tool: &str) -> Option<Outcome> {
        self.by_id.get(id)?.tools.get(tool).copied()
    }

    /// Why a plugin must not run, if it must not.
    pub(crate) fn excludes(&self, id: &PluginId) -> Option<&'static str> {
        if self.disable.contains(id) {
            return Some("configuration: plugins.disable names it");
        }
        let is_left_out = !self.enable.is_empty() && !self.enable.contains(id);
        is_left_out.then_some("configuration: plugins.enable names other plugins, and not this one")
    }
}
