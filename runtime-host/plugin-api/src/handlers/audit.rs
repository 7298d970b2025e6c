//! Decisions about capabilities, and what users changed for plugins.

use crate::{
    PluginApi,
    answer::{Body, Refusal, ok, timestamp},
    call::Call,
};
use http::Response;
use limits::plugin_api::AUDIT_RECENT_DEFAULT;
use plugin_store::{AuditEntry, AuditQuery};
use serde_json::{Value, json};

/// `GET /api/plugins/audit?recent=&plugin=`: the latest decisions, out of memory.
pub(crate) async fn recent(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let recent = call
        .number("recent")?
        .map_or(AUDIT_RECENT_DEFAULT, |recent| {
            usize::try_from(recent).unwrap_or(usize::MAX)
        });
    let plugin = call.asked("plugin").filter(|plugin| !plugin.is_empty());
    let found = api.store().recent_audits(plugin, recent);
    let entries: Vec<Value> = found.iter().map(|entry| shown(entry)).collect();
    Ok(ok(&json!({"entries": entries, "total": entries.len()})))
}

/// `GET /api/plugins/{pluginId}/audit`.
pub(crate) async fn of_plugin(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    api.plugins.get(call.id())?;
    let (page, page_size) = call.page()?;
    let found = api
        .store()
        .audits(AuditQuery {
            plugin: Some(call.id().to_owned()),
            page,
            page_size,
        })
        .await?;
    let entries: Vec<Value> = found.entries.iter().map(shown).collect();
    Ok(ok(
        &json!({"entries": entries, "page": found.page, "page_size": found.page_size, "total": found.total}),
    ))
}

/// An entry on the wire; `resource` is the target that the capability was asked for.
fn shown(entry: &AuditEntry) -> Value {
    json!({
        "timestamp": timestamp(entry.at_ms), "plugin_id": entry.plugin, "capability": entry.capability, "resource": entry.target,
        "action": entry.action, "decision": entry.decision, "layer": entry.layer, "reason": entry.reason, "by": entry.by,
        "duration_ms": entry.duration_us.map(|us| us as f64 / 1_000.0),
    })
}
