//! A plugin's rules from manifest, grants and policy, its settings, and what its approval covers.

use anyhow::{Context, Result};
use capability::{Grant, Mode, PluginRules, Rules, switch_name};
use plugin_manifest::Manifest;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The rules of one plugin at `now_ms`, milliseconds since 1970, with the operator's mode for it. A grant or denial that
/// has expired is left out.
///
/// # Errors
/// The manifest or a stored grant has a rule that [`capability::Scope::check`] refuses.
pub(crate) fn plugin_rules(
    manifest: &Manifest,
    grants: &[plugin_store::Grant],
    mode: Option<Mode>,
    now_ms: u64,
) -> Result<PluginRules> {
    let some = |deny: bool| -> Vec<Grant> {
        let wanted = grants.iter().filter(|grant| {
            grant.deny == deny && grant.expires_at_ms.is_none_or(|end| end > now_ms)
        });
        wanted
            .map(|grant| Grant {
                capability: grant.capability,
                scope: grant.scope.clone(),
            })
            .collect()
    };
    Ok(PluginRules {
        switch_name: switch_name(manifest.id.as_str()).into(),
        declared: Rules::from_requests(&manifest.capabilities)
            .context("the manifest's capabilities")?,
        denied: Rules::from_grants(&some(true)).context("a stored denial")?,
        granted: Rules::from_grants(&some(false)).context("a stored grant")?,
        mode,
    })
}

/// The rules of one plugin as they were compiled, and the time from which they have to be compiled again.
pub(crate) struct CurrentRules {
    pub(super) rules: PluginRules,
    /// Grants and denials as stored, for compiling without those that have expired.
    pub(super) grants: Arc<[plugin_store::Grant]>,
    /// When the next of them expires, milliseconds since 1970, if one does.
    pub(super) expires_at_ms: Option<u64>,
}

impl CurrentRules {
    /// Compiles the rules at `now_ms`.
    ///
    /// # Errors
    /// As [`plugin_rules`].
    pub(crate) fn compile(
        manifest: &Manifest,
        grants: Arc<[plugin_store::Grant]>,
        mode: Option<Mode>,
        now_ms: u64,
    ) -> Result<Self> {
        let ends = grants.iter().filter_map(|grant| grant.expires_at_ms);
        Ok(Self {
            rules: plugin_rules(manifest, &grants, mode, now_ms)?,
            expires_at_ms: ends.filter(|end| *end > now_ms).min(),
            grants,
        })
    }

    /// Rules that deny every call, as a kill switch does.
    pub(crate) fn nothing() -> Self {
        Self {
            rules: PluginRules {
                mode: Some(Mode::Disabled),
                ..PluginRules::default()
            },
            grants: Arc::default(),
            expires_at_ms: None,
        }
    }

    /// The same grants and denials at `now_ms`; nothing where they no longer compile.
    pub(super) fn at(&self, manifest: &Manifest, now_ms: u64) -> Self {
        let mode = self.rules.mode;
        Self::compile(manifest, self.grants.clone(), mode, now_ms).unwrap_or_else(|error| {
            tracing::error!(plugin = manifest.id.as_str(), "rules: {error:#}");
            Self::nothing()
        })
    }
}

/// The values of all settings: what was set, else the manifest's default.
pub(crate) fn settings(manifest: &Manifest, set: &Map<String, Value>) -> Map<String, Value> {
    let default = |declared: &Value| declared.get("default").cloned();
    let values = manifest.settings.iter().filter_map(|(key, declared)| {
        let value = set.get(key).cloned().or_else(|| default(declared))?;
        Some((key.clone(), value))
    });
    values.collect()
}

/// What a person approves: the capabilities and the plugins that are needed. A plugin that asks for more later is asked
/// about again.
pub(crate) fn approval(manifest: &Manifest) -> String {
    let mut capabilities: Vec<Value> = manifest
        .capabilities
        .iter()
        .map(|request| json!({"id": request.id, "scope": request.scope}))
        .collect();
    capabilities.sort_by_key(ToString::to_string);
    let mut requires: Vec<Value> = manifest
        .relationships
        .requires
        .iter()
        .map(|relation| json!({"id": relation.plugin_id.as_str(), "versions": relation.version_range.as_ref().map(plugin_manifest::VersionRange::as_str)}))
        .collect();
    requires.sort_by_key(ToString::to_string);
    json!({"capabilities": capabilities, "requires": requires}).to_string()
}

/// Whether `approved` covers what the manifest asks for: the same required plugins, and no capability that was not
/// there.
pub(crate) fn is_approved(manifest: &Manifest, approved: &str) -> bool {
    let parts = |text: &str| {
        serde_json::from_str::<Value>(text)
            .ok()
            .map(|value| (value["capabilities"].clone(), value["requires"].clone()))
    };
    let (Some((old, old_requires)), Some((new, new_requires))) =
        (parts(approved), parts(&approval(manifest)))
    else {
        return false;
    };
    let known = old.as_array().cloned().unwrap_or_default();
    old_requires == new_requires
        && new
            .as_array()
            .is_some_and(|new| new.iter().all(|capability| known.contains(capability)))
}
