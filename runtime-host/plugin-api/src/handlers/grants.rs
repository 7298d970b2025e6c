//! Grants: what a plugin declares, and what users have granted and denied.

use crate::{
    PluginApi,
    answer::{Body, Refusal, ok, timestamp},
    call::Call,
};
use capability::{CapabilityId, Scope};
use http::Response;
use limits::plugin_api::{BODY_BYTES_MAX, GRANT_LIFETIME_MAX_MS};
use plugin_manifest::Manifest;
use plugin_store::{Grant, now_ms};
use serde::Deserialize;
use serde_json::{Value, json};

/// What is to be granted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GrantBody {
    /// The capability; none with `all`.
    capability: Option<String>,
    /// Every capability that the manifest declares, as it declares it.
    #[serde(default)]
    all: bool,
    /// How far it reaches; absent: as far as the manifest declares.
    #[serde(default)]
    scope: Scope,
    /// Whether it is denied instead.
    #[serde(default)]
    deny: bool,
    /// For how long; absent: until it is taken back.
    expires_in_ms: Option<u64>,
}

/// `GET /api/plugins/{pluginId}/grants`.
pub(crate) async fn list(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let manifest = api.plugins.get(call.id())?.manifest;
    shown(api, &manifest).await
}

/// `PUT /api/plugins/{pluginId}/grants`.
pub(crate) async fn put(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let manifest = api.plugins.get(call.id())?.manifest;
    let body: GrantBody = call.json(BODY_BYTES_MAX)?;
    call.changes(|act| {
        act.capability = body.capability.clone().unwrap_or_else(|| "all".to_owned());
        act.target = scope_text(&body.scope);
        act.action = if body.deny { "deny" } else { "grant" }.to_owned();
        act.details = body.expires_in_ms.map_or_else(
            || "until it is revoked".to_owned(),
            |ms| format!("for {ms} ms"),
        );
    });
    if body
        .expires_in_ms
        .is_some_and(|lifetime| lifetime == 0 || lifetime > GRANT_LIFETIME_MAX_MS)
    {
        return Err(Refusal::bad(format!(
            "'expiresInMs' must be from 1 to {GRANT_LIFETIME_MAX_MS}"
        )));
    }
    let wanted: Vec<CapabilityId> = match &body.capability {
        Some(name) if !body.all => vec![declared(&manifest, name)?],
        None if body.all && body.scope.is_everything() => manifest
            .capabilities
            .iter()
            .map(|request| request.id)
            .collect(),
        _ => {
            return Err(Refusal::bad(
                "name a 'capability', or say 'all' without a scope",
            ));
        }
    };
    for capability in wanted {
        let (at_ms, plugin) = (now_ms(), manifest.id.to_string());
        let expires_at_ms = body.expires_in_ms.map(|lifetime| at_ms + lifetime);
        let grant = Grant {
            plugin,
            capability,
            scope: body.scope.clone(),
            deny: body.deny,
            by: call.caller.name(),
            at_ms,
            expires_at_ms,
        };
        api.store().put_grant(grant).await?;
    }
    api.plugins.refresh_grants(call.id()).await?;
    shown(api, &manifest).await
}

/// `DELETE /api/plugins/{pluginId}/grants?capability=`; the body may name a scope.
pub(crate) async fn delete(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    api.plugins.get(call.id())?;
    let name = call
        .asked("capability")
        .ok_or_else(|| Refusal::bad("name the 'capability' in the query"))?;
    let capability: CapabilityId = name.parse()?;
    let body = call.bytes(BODY_BYTES_MAX)?;
    let scope: Option<Scope> = match &*body {
        [] => None,
        body => Some(
            serde_json::from_slice(body)
                .map_err(|error| Refusal::bad(format!("the body: {error}")))?,
        ),
    };
    call.changes(|act| {
        act.capability = capability.to_string();
        act.target = scope.as_ref().and_then(scope_text);
        act.action = "revoke".to_owned();
    });
    let removed = api
        .store()
        .delete_grant(call.id(), capability, scope.as_ref())
        .await?;
    api.plugins.refresh_grants(call.id()).await?;
    Ok(ok(&json!({"ok": true, "removed": removed})))
}

/// A scope in the audit; none for the whole of a capability.
pub(crate) fn scope_text(scope: &Scope) -> Option<String> {
    let text = (!scope.is_everything()).then(|| serde_json::to_string(scope).ok());
    text.flatten()
}

/// A capability that may be granted: one that the manifest declares.
fn declared(manifest: &Manifest, name: &str) -> Result<CapabilityId, Refusal> {
    let id: CapabilityId = name.parse()?;
    if manifest.declares(id) {
        return Ok(id);
    }
    Err(Refusal::conflict(
        "NOT_DECLARED",
        format!(
            "the manifest of {} does not declare {id}; only what is declared can be granted",
            manifest.id
        ),
    ))
}

async fn shown(api: &PluginApi, manifest: &Manifest) -> Result<Response<Body>, Refusal> {
    let grants = api.store().grants(manifest.id.as_str()).await?;
    let entry = |grant: &Grant| {
        json!({
            "capability": grant.capability, "scope": grant.scope, "deny": grant.deny, "by": grant.by, "at": timestamp(grant.at_ms),
            "expiresAt": grant.expires_at_ms.map(timestamp),
        })
    };
    let grants: Vec<Value> = grants.iter().map(entry).collect();
    Ok(ok(
        &json!({"plugin": manifest.id.as_str(), "declared": manifest.capabilities, "grants": grants}),
    ))
}
