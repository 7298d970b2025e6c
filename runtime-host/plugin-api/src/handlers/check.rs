//! Dry runs: checking a manifest, deciding about a capability; and the kill switches.

use crate::{
    PluginApi,
    answer::{Body, Refusal, ok},
    call::Call,
};
use capability::{CapabilityId, CapabilityUse, KillSwitches, PluginRules, Rules, Target};
use http::Response;
use limits::{manifest::BYTES_MAX, plugin_api::BODY_BYTES_MAX};
use plugin_host::KillSwitchError;
use plugin_manifest::{Options, Severity, import::import};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// `GET /api/plugins/check`.
pub(crate) async fn directory(api: &PluginApi, _call: Call) -> Result<Response<Body>, Refusal> {
    let errors: Map<String, Value> = api
        .plugins
        .errors()
        .iter()
        .map(|(name, error)| (name.clone(), error.as_str().into()))
        .collect();
    let missing = api.plugins.missing().await?;
    Ok(ok(
        &json!({"directory": api.plugins.directory().display().to_string(), "errors": errors, "missing": missing, "unknown": api.plugins.unknown()}),
    ))
}

/// `POST /api/plugins/check`: the body is the manifest itself; `name` says which file it stands in.
pub(crate) async fn manifest(_api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let strict = call.flag("strict")?;
    let name = call.asked("name").unwrap_or("jackfield.json").to_owned();
    // One byte more than allowed, so that the checker says what is wrong.
    let bytes = call.bytes(BYTES_MAX + 1)?;
    let mut imported = import(&name, &bytes, Options { strict });
    let schemas = plugin_host::bad_tool_schemas(&imported);
    imported.violations.extend(schemas);
    let violation = |violation: &plugin_manifest::Violation| {
        let (line, column) = violation.position(&bytes);
        json!({
            "code": violation.code, "severity": violation.severity, "pointer": violation.pointer, "message": violation.message,
            "help": violation.help, "line": line, "column": column,
        })
    };
    let passed = !imported
        .violations
        .iter()
        .any(|violation| violation.severity == Severity::Error);
    let violations: Vec<Value> = imported.violations.iter().map(violation).collect();
    let id = imported
        .manifest
        .as_ref()
        .map(|manifest| manifest.id.as_str());
    Ok(ok(
        &json!({"ok": passed, "form": imported.form, "id": id, "violations": violations}),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskBody {
    plugin: String,
    capability: String,
    #[serde(default)]
    target: TargetBody,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct TargetBody {
    host: Option<String>,
    port: Option<u16>,
    method: Option<String>,
    path: Option<String>,
    name: Option<String>,
}

/// `POST /api/capabilities/check`.
pub(crate) async fn capability(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let body: AskBody = call.json(BODY_BYTES_MAX)?;
    let name = body.capability.trim();
    // What is only looked up may be spelled in any case.
    let known = CapabilityId::all().find(|id| id.as_str().eq_ignore_ascii_case(name));
    let id = known.map_or_else(|| name.parse(), Ok)?;
    let TargetBody {
        host,
        port,
        method,
        path,
        name,
    } = &body.target;
    let target = Target {
        host: host.as_deref(),
        port: *port,
        method: method.as_deref(),
        path: path.as_deref(),
        name: name.as_deref(),
    };
    let decision = api
        .plugins
        .evaluate(&body.plugin, &CapabilityUse::new(id, target))
        .await?;
    Ok(ok(&json!({
        "plugin": body.plugin, "capability": id, "target": target.to_string(), "outcome": decision.outcome, "layer": decision.layer,
        "reason": decision.reason.text(),
    })))
}

/// `GET /api/capabilities`: what the operator's policy alone says about each capability of a plugin that declares all
/// of them.
pub(crate) async fn policy(api: &PluginApi, _call: Call) -> Result<Response<Body>, Refusal> {
    let policy = api.plugins.policy();
    let declared = PluginRules {
        declared: Rules::whole(CapabilityId::all()),
        ..PluginRules::default()
    };
    let mut decisions: Vec<(capability::Decision, Vec<CapabilityId>)> = Vec::new();
    for id in CapabilityId::all() {
        let decision = capability::decide(&CapabilityUse::any(id), &declared, &policy);
        match decisions.iter_mut().find(|(known, _)| *known == decision) {
            Some((_, ids)) => ids.push(id),
            None => decisions.push((decision, vec![id])),
        }
    }
    decisions.sort_by_key(|(decision, _)| (decision.layer, decision.reason.text()));
    let shown = |(decision, ids): &(capability::Decision, Vec<CapabilityId>)| json!({"outcome": decision.outcome, "layer": decision.layer, "reason": decision.reason.text(), "capabilities": ids});
    // A rule that narrows says nothing about the whole of a capability.
    let narrowed = |id: &CapabilityId| {
        let partly = |rules: &Rules| rules.mentions(*id) && !rules.covers(&CapabilityUse::any(*id));
        partly(&policy.deny) || partly(&policy.allow)
    };
    let partly: Vec<CapabilityId> = CapabilityId::all().filter(narrowed).collect();
    Ok(ok(
        &json!({"mode": policy.mode, "decisions": decisions.iter().map(shown).collect::<Vec<_>>(), "partly": partly}),
    ))
}

/// `GET /api/plugins/kill-switch`.
pub(crate) async fn switches(api: &PluginApi, _call: Call) -> Result<Response<Body>, Refusal> {
    Ok(shown(api))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KillBody {
    /// The plugin; absent: all.
    plugin: Option<String>,
    /// Whether it is off.
    off: bool,
}

/// `POST /api/plugins/kill-switch`. A switch that is on in the environment cannot be turned off here; one that is set
/// here outlasts a restart of the host.
pub(crate) async fn kill(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let body: KillBody = call.json(BODY_BYTES_MAX)?;
    let by = call.caller.name();
    call.changes(|act| {
        act.plugin = body.plugin.clone().unwrap_or_else(|| "all".to_owned());
        act.capability = "kill-switch".to_owned();
        act.action = if body.off { "switch off" } else { "switch on" }.to_owned();
    });
    let switched = api
        .plugins
        .set_kill_switch(body.plugin.as_deref(), body.off, &format!("REST, by {by}"))
        .await;
    switched.map_err(|error| match error {
        KillSwitchError::Elsewhere => {
            Refusal::conflict("SWITCHED_OFF_ELSEWHERE", error.to_string())
        }
        KillSwitchError::TooMany(error) => Refusal::conflict("TOO_MANY_KILLED", error.to_string()),
        KillSwitchError::Admin(error) => error.into(),
    })?;
    tracing::warn!(
        plugin = body.plugin.as_deref().unwrap_or("all"),
        off = body.off,
        by,
        "kill switch"
    );
    Ok(shown(api))
}

fn shown(api: &PluginApi) -> Response<Body> {
    let kill: &KillSwitches = &api.plugins.policy().kill;
    let killed: Vec<String> = api
        .plugins
        .list()
        .iter()
        .map(|summary| summary.manifest.id.to_string())
        .filter(|id| kill.kills(id))
        .collect();
    ok(
        &json!({"all": kill.disable, "hooks": kill.skip_hooks, "teamWorker": kill.team_worker, "plugins": killed}),
    )
}
