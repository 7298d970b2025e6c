//! Installed plugins: listing, enabling, disabling, reloading.

use crate::{
    PluginApi,
    answer::{self, Body, Refusal, ok, timestamp},
    call::Call,
};
use http::{HeaderValue, Response, StatusCode, header};
use limits::plugin_api::BUNDLE_BYTES_MAX;
use plugin_host::Summary;
use serde_json::{Value, json};

/// `GET /api/plugins`.
pub(crate) async fn list(api: &PluginApi, _call: Call) -> Result<Response<Body>, Refusal> {
    let all: Vec<Value> = api.plugins.list().iter().map(entry).collect();
    Ok(ok(&Value::from(all)))
}

/// `GET /api/plugins/{pluginId}`.
pub(crate) async fn show(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let summary = api.plugins.get(call.id())?;
    let mut shown = entry(&summary);
    shown["description"] = summary.manifest.description.as_str().into();
    shown["manifest"] = serde_json::from_str(summary.manifest.text()).unwrap_or_default();
    shown["storedBytes"] = api.store().kv_usage(call.id()).await?.into();
    shown["instanceId"] = api
        .store()
        .record(call.id())
        .await?
        .map(|record| record.instance_id)
        .into();
    Ok(ok(&shown))
}

/// `GET /api/plugins/{pluginId}/health`.
pub(crate) async fn health(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let summary = api.plugins.get(call.id())?;
    let status = &summary.status;
    let retry_at = status.retry_at.map(timestamp);
    Ok(ok(&json!({
        "health": status.health, "state": status.state, "running": status.running, "enabled": status.enabled, "reason": summary.reason(),
        "retryAt": retry_at, "crashes": status.crashes,
    })))
}

/// `POST /api/plugins/{pluginId}/enable`.
pub(crate) async fn enable(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    tracing::info!(
        plugin = call.id(),
        by = call.caller.name(),
        "plugin is enabled over REST"
    );
    Ok(switched(&api.plugins.enable(call.id()).await?))
}

/// `POST /api/plugins/{pluginId}/disable`.
pub(crate) async fn disable(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    tracing::info!(
        plugin = call.id(),
        by = call.caller.name(),
        "plugin is disabled over REST"
    );
    Ok(switched(&api.plugins.disable(call.id()).await?))
}

/// `POST /api/plugins/{pluginId}/reload`.
pub(crate) async fn reload(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    Ok(switched(&api.plugins.reload(call.id()).await?))
}

fn switched(summary: &Summary) -> Response<Body> {
    ok(&json!({"success": true, "plugin": entry(summary)}))
}

/// One plugin on the wire; `pid` and `socket_path` are of plugins that are processes, and here there are none.
fn entry(summary: &Summary) -> Value {
    let Summary {
        manifest, status, ..
    } = summary;
    let capabilities: Vec<&str> = manifest
        .capabilities
        .iter()
        .map(|request| request.id.as_str())
        .collect();
    json!({
        "id": manifest.id.as_str(), "name": manifest.title, "version": manifest.version.to_string(),
        "author": manifest.authors.first().map(|author| &author.name), "icon": manifest.icon,
        "enabled": status.enabled, "running": status.running, "health": status.health, "pid": null, "socket_path": null,
        "state": status.state, "kind": manifest.kind, "route": manifest.route, "restarts": status.crashes, "lastError": summary.reason(),
        "lastCrash": status.last_crash, "runsHere": summary.not_here.is_none(), "servers": summary.reach, "onFailure": summary.on_failure,
        "retryAt": status.retry_at.map(timestamp), "capabilities": capabilities,
    })
}

/// `GET /api/plugins/{pluginId}/bundle.js`: the file `bundle.js` in the plugin's own folder, or an entry point that is
/// a script.
pub(crate) async fn bundle(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let missing = || {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "BUNDLE_NOT_FOUND",
            "the plugin brings no script, or is disabled",
        )
    };
    let summary = api.plugins.get(call.id())?;
    if !summary.status.enabled {
        return Err(missing());
    }
    let script = summary
        .manifest
        .entrypoint
        .as_ref()
        .filter(|path| path.as_str().ends_with(".js") || path.as_str().ends_with(".mjs"));
    let names = [
        Some("bundle.js".to_owned()),
        script.map(|path| path.as_str().to_owned()),
    ];
    let plugins = api.plugins.clone();
    let read = move || {
        let names = names.into_iter().flatten();
        let mut scripts = names.filter_map(|name| {
            let bytes = plugins.script_of(&summary.manifest_path, &name, BUNDLE_BYTES_MAX)?;
            Some((name, bytes))
        });
        let (name, bytes) = scripts.next()?;
        match plugin_host::check_integrity(&summary.manifest, &name, &bytes) {
            Ok(()) => Some(bytes),
            Err(error) => {
                tracing::warn!(plugin = summary.manifest.id.as_str(), %error, "a script is not served");
                None
            }
        }
    };
    let found = tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| missing())?
        .ok_or_else(missing)?;
    let mut response = answer::bytes(found.into(), "application/javascript");
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-cache, must-revalidate"),
    );
    Ok(response)
}
