//! Lifecycle events of plugins.

use crate::{
    PluginApi,
    answer::{Body, Refusal, ok, timestamp},
    call::Call,
};
use http::Response;
use plugin_store::EventQuery;
use serde_json::{Value, json};

/// `GET /api/plugins/{pluginId}/events`.
pub(crate) async fn list(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    api.plugins.get(call.id())?;
    let (page, page_size) = call.page()?;
    let found = api
        .store()
        .events(EventQuery {
            plugin: Some(call.id().to_owned()),
            page,
            page_size,
        })
        .await?;
    let shown = found.events.iter().map(
        |event| json!({"plugin_id": event.plugin, "event_type": event.kind, "timestamp": timestamp(event.at_ms), "details": event.details}),
    );
    let events: Vec<Value> = shown.collect();
    Ok(ok(
        &json!({"events": events, "page": found.page, "page_size": found.page_size, "total": found.total}),
    ))
}
