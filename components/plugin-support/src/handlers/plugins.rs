//! `/api/servers/{serverId}/plugins…`: plugin requirements and event definitions of a server.

use super::{commit, extended, load};
use crate::{call::Call, store::Want};
use directory::{
    Code, Kind, Refusal, event, permission::Action, requirement, snapshot as snapshots,
};
use http::StatusCode;
use rest::Answer;
use serde_json::json;

/// `GET …/plugins`: the snapshot.
pub(crate) async fn snapshot(call: &Call) -> Result<Answer, Refusal> {
    let loaded = load(
        call,
        &call.server_id()?,
        Action::View,
        [Want::All(Kind::Requirement), Want::All(Kind::Event)],
    )
    .await?;
    let revision = loaded.server.revision;
    if call.has_revision(revision) {
        return Ok(Answer::empty(StatusCode::NOT_MODIFIED).etag(revision));
    }
    let text = serde_json::to_string(&snapshots::for_clients(&loaded.server, &loaded.state))
        .map_err(|_| Code::Internal)?;
    Ok(Answer::text(StatusCode::OK, text).etag(revision))
}

/// `PUT …/plugins/{pluginId}/requirement`.
pub(crate) async fn put_requirement(call: &Call) -> Result<Answer, Refusal> {
    let (server, plugin) = (call.server_id()?, call.plugin_id()?);
    let loaded = load(
        call,
        &server,
        Action::ManageServer,
        [Want::One(Kind::Requirement, plugin.to_string())],
    )
    .await?;
    let (row, warnings) = requirement::parse(
        call.body()?,
        &server,
        &plugin,
        call.actor.user()?,
        call.now_ms,
    )?;
    let transaction = requirement::put(
        loaded.transaction(call, "requirement.put", plugin.as_str())?,
        &loaded.state,
        &row,
    );
    let revision = commit(call, &transaction).await?.revision;
    let text = serde_json::to_string(&row.without_internal()).map_err(|_| Code::Internal)?;
    Ok(Answer::text(
        StatusCode::OK,
        extended(&text, &json!({"revision": revision, "warnings": warnings})),
    )
    .etag(revision))
}

/// `DELETE …/plugins/{pluginId}/requirement`; with `?cascade=true` its event definitions go too.
pub(crate) async fn delete_requirement(call: &Call) -> Result<Answer, Refusal> {
    let (server, plugin, cascade) = (call.server_id()?, call.plugin_id()?, call.flag("cascade")?);
    let mut wants = vec![Want::One(Kind::Requirement, plugin.to_string())];
    if cascade {
        wants.push(Want::All(Kind::Event));
    }
    let loaded = load(call, &server, Action::ManageServer, wants).await?;
    let transaction = requirement::delete(
        loaded.transaction(call, "requirement.delete", plugin.as_str())?,
        &loaded.state,
        &plugin,
        cascade,
    )?;
    Ok(Answer::done(commit(call, &transaction).await?.revision))
}

/// `PUT …/plugins/{pluginId}/events/{eventName}`.
pub(crate) async fn put_event(call: &Call) -> Result<Answer, Refusal> {
    let (server, plugin, name) = (call.server_id()?, call.plugin_id()?, call.event_name()?);
    let loaded = load(
        call,
        &server,
        Action::ManageServer,
        [Want::One(Kind::Event, event::key(&plugin, &name))],
    )
    .await?;
    let row = event::parse(call.body()?, &plugin, &name)?;
    let transaction = event::put(
        loaded.transaction(call, "event.put", event::key(&plugin, &name))?,
        &loaded.state,
        &row,
    );
    let revision = commit(call, &transaction).await?.revision;
    let text = serde_json::to_string(&row).map_err(|_| Code::Internal)?;
    Ok(Answer::text(
        StatusCode::OK,
        extended(&text, &json!({"serverId": server, "revision": revision})),
    )
    .etag(revision))
}

/// `DELETE …/plugins/{pluginId}/events/{eventName}`.
pub(crate) async fn delete_event(call: &Call) -> Result<Answer, Refusal> {
    let (server, plugin, name) = (call.server_id()?, call.plugin_id()?, call.event_name()?);
    let loaded = load(
        call,
        &server,
        Action::ManageServer,
        [Want::One(Kind::Event, event::key(&plugin, &name))],
    )
    .await?;
    let transaction = event::delete(
        loaded.transaction(call, "event.delete", event::key(&plugin, &name))?,
        &loaded.state,
        &plugin,
        &name,
    )?;
    Ok(Answer::done(commit(call, &transaction).await?.revision))
}

/// `…/plugins/{pluginId}/data/{key}`: gone, for every method and caller.
pub(crate) fn data_is_gone() -> Refusal {
    Refusal::new(
        Code::PluginDataDisabled,
        "plugin data is not stored on this server",
    )
    .with("use", "/api/plugins/:id/kv")
}
