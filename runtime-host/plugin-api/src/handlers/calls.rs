//! Tools, which plugins offer to the clients of this server, and hooks, at which plugins take part.

use crate::{
    PluginApi,
    answer::{Body, Refusal, ok},
    call::Call,
};
use http::{Response, StatusCode};
use limits::plugin::PAYLOAD_BYTES_MAX;
use plugin_host::{AdminError, ToolError};
use plugin_manifest::{HOOKS, ToolMode};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a hook is fired with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HookBody {
    input: Value,
    output: Option<Value>,
}

/// `GET /api/tools`.
pub(crate) async fn tools(api: &PluginApi, _call: Call) -> Result<Response<Body>, Refusal> {
    let tools: Vec<Value> = api
        .plugins
        .tools()
        .into_iter()
        .map(|tool| {
            json!({
                "plugin": tool.plugin_id, "name": tool.name, "tool": tool.tool, "description": tool.description,
                "parameters": tool.parameters, "tier": tool.tier,
            })
        })
        .collect();
    Ok(ok(&json!({"tools": tools})))
}

/// `POST /api/tools/{tool}`: the body is the arguments.
pub(crate) async fn call_tool(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    call.changes(|act| {
        act.capability = "tools.register".to_owned();
        act.target = Some(call.id().to_owned());
        act.action = "call".to_owned();
    });
    let arguments: Value = call.json(PAYLOAD_BYTES_MAX)?;
    let mode = call.asked("mode").filter(|mode| !mode.is_empty());
    let mode: Option<ToolMode> = mode
        .map(str::parse)
        .transpose()
        .map_err(|error| Refusal::bad(format!("'mode' {error}")))?;
    let by = call.caller.name();
    let result = api.plugins.call_tool(call.id(), arguments, &by, mode).await;
    Ok(ok(&json!({"result": result.map_err(refusal)?})))
}

/// What the caller of a tool without a result is told.
fn refusal(error: ToolError) -> Refusal {
    let refused = |status, code, error: &ToolError| Refusal::new(status, code, error.to_string());
    match &error {
        ToolError::Unknown => refused(StatusCode::NOT_FOUND, "TOOL_NOT_FOUND", &error),
        ToolError::NotAllowed {
            plugin_id,
            code,
            details,
            ..
        } => refused(StatusCode::FORBIDDEN, code, &error)
            .with("pluginId", plugin_id.as_str())
            .with("details", details.clone()),
        ToolError::Ambiguous(names) => refused(StatusCode::CONFLICT, "TOOL_AMBIGUOUS", &error)
            .with("candidates", names.as_slice()),
        ToolError::Invalid(violations) => refused(
            StatusCode::UNPROCESSABLE_ENTITY,
            "INVALID_ARGUMENTS",
            &error,
        )
        .with("violations", json!(violations)),
        ToolError::Blocked {
            plugin_id,
            reason,
            was_called,
        } => refused(StatusCode::FORBIDDEN, "blocked_by_plugin", &error)
            .with("is_error", true)
            .with("pluginId", plugin_id.as_str())
            .with("reason", reason.as_str())
            .with("wasCalled", *was_called),
        ToolError::Failed(_) => refused(StatusCode::CONFLICT, "PLUGIN_STATE", &error),
    }
}

/// `GET /api/hooks`.
pub(crate) async fn hooks(_api: &PluginApi, _call: Call) -> Result<Response<Body>, Refusal> {
    Ok(ok(&json!({"hooks": HOOKS})))
}

/// `POST /api/hooks/{hook}`.
pub(crate) async fn fire(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    call.changes(|act| {
        act.capability = "hooks.subscribe".to_owned();
        act.target = Some(call.id().to_owned());
        act.action = "fire".to_owned();
    });
    let body: HookBody = call.json(PAYLOAD_BYTES_MAX)?;
    match api
        .plugins
        .run_hook(call.id(), body.input, body.output)
        .await
    {
        Ok(round) => Ok(ok(&round.to_json())),
        Err(AdminError::NotFound) => Err(missing(
            "HOOK_NOT_FOUND",
            "there is no hook of this name; GET /api/hooks lists them",
        )),
        Err(other) => Err(other.into()),
    }
}

fn missing(code: &'static str, text: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, code, text)
}
