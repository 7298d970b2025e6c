//! A plugin's rules from manifest, grants and policy, its settings, and what its approval covers.

use anyhow::{Context, Result};
use capability::{Grant, PluginRules, Policy, Rules};
use plugin_manifest::Manifest;
use serde_json::{Map, Value, json};

/// The rules of one plugin.
///
/// # Errors
/// A stored grant cannot be understood; nothing is granted then.
pub(crate) fn plugin_rules(
    manifest: &Manifest,
    grants: &[plugin_store::Grant],
    policy: &Policy,
) -> Result<PluginRules> {
    let some = |deny: bool| -> Vec<Grant> {
        let wanted = grants.iter().filter(|grant| grant.deny == deny);
        wanted
            .map(|grant| Grant {
                capability: grant.capability,
                scope: grant.scope.clone(),
            })
            .collect()
    };
    Ok(PluginRules {
        killed: policy.kill.kills(manifest.id.as_str()),
        declared: Rules::from_requests(&manifest.capabilities)
            .context("the manifest's capabilities")?,
        denied: Rules::from_grants(&some(true)).context("a stored denial")?,
        granted: Rules::from_grants(&some(false)).context("a stored grant")?,
        mode: None,
    })
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
