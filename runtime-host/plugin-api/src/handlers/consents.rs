//! Requests of plugins for consent, and the answers.

use crate::{
    PluginApi,
    answer::{Body, Refusal, ok, timestamp},
    call::Call,
};
use capability::{CapabilityId, Scope, ScopeKey};
use http::{Response, StatusCode};
use limits::{plugin_api::BODY_BYTES_MAX, plugin_store::CONSENT_ONCE_MS};
use plugin_store::{Consent, ConsentState, Decision, Grant, now_ms};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    decision: Answer,
    /// Whether the answer holds until it is taken back, or only for a while.
    #[serde(default)]
    remember: bool,
}

/// `GET /api/consents`.
pub(crate) async fn list(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let state = match call.asked("state").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(
            ConsentState::parse(text)
                .ok_or_else(|| Refusal::bad("'state' must be pending, allowed or denied"))?,
        ),
    };
    let found = api
        .store()
        .consents(
            call.asked("plugin").filter(|plugin| !plugin.is_empty()),
            state,
        )
        .await?;
    let consents: Vec<Value> = found.iter().map(shown).collect();
    Ok(ok(&json!({"consents": consents})))
}

/// `GET /api/consents/{consentId}`.
pub(crate) async fn show(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    Ok(ok(&shown(&find(api, call.id()).await?)))
}

/// `POST /api/consents/{consentId}`.
pub(crate) async fn decide(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let waiting = find(api, call.id()).await?;
    let DecisionBody { decision, remember } = call.json(BODY_BYTES_MAX)?;
    let (allow, at_ms, by) = (
        matches!(decision, Answer::Allow),
        now_ms(),
        call.caller.name(),
    );
    call.changes(|act| {
        act.plugin.clone_from(&waiting.plugin);
        act.capability = waiting.capability.to_string();
        act.target = Some(waiting.target.clone()).filter(|target| !target.is_empty());
        act.action = if allow { "consent" } else { "refuse consent" }.to_owned();
        act.details = match remember {
            true => "until it is revoked".to_owned(),
            false => format!("for {CONSENT_ONCE_MS} ms"),
        };
    });
    let grant = Grant {
        plugin: waiting.plugin.clone(),
        capability: waiting.capability,
        scope: scope(waiting.capability, &waiting.target),
        deny: !allow,
        by: by.clone(),
        at_ms,
        expires_at_ms: (!remember).then(|| at_ms + CONSENT_ONCE_MS),
    };
    let decided = api
        .store()
        .decide_consent(
            call.id(),
            Decision {
                allow,
                by,
                grant: Some(grant),
            },
        )
        .await?;
    match api.plugins.refresh_grants(&decided.plugin).await {
        // A plugin that is gone has nothing to refresh; the answer is kept for when it comes back.
        Ok(()) | Err(plugin_host::AdminError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(ok(&shown(&decided)))
}

async fn find(api: &PluginApi, id: &str) -> Result<Consent, Refusal> {
    let missing = || {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "there is no such question",
        )
    };
    api.store().consent(id).await?.ok_or_else(missing)
}

/// What a question was about, as a scope: a host with its port, or a name.
fn scope(capability: CapabilityId, target: &str) -> Scope {
    let takes = capability.entry().scope;
    let mut scope = Scope::default();
    if target.is_empty() {
        return scope;
    }
    if takes.contains(&ScopeKey::Hosts) {
        let (host, port) = match target
            .rsplit_once(':')
            .map(|(host, port)| (host, port.parse::<u16>()))
        {
            // The colon of an address in brackets is none before a port.
            Some((host, Ok(port))) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port))
            }
            _ => (target, None),
        };
        scope.hosts = Some(vec![host.to_owned()]);
        scope.ports = port
            .filter(|_| takes.contains(&ScopeKey::Ports))
            .map(|port| vec![port]);
    } else if takes.contains(&ScopeKey::Names) {
        scope.names = Some(vec![target.to_owned()]);
    } else if takes.contains(&ScopeKey::Paths) {
        scope.paths = Some(vec![target.to_owned()]);
    }
    scope
}

fn shown(consent: &Consent) -> Value {
    json!({
        "id": consent.id, "plugin": consent.plugin, "capability": consent.capability, "target": consent.target, "reason": consent.reason,
        "askedAt": timestamp(consent.asked_at_ms), "state": consent.state, "by": consent.by,
        "decidedAt": consent.decided_at_ms.map(timestamp),
    })
}

#[cfg(test)]
mod tests {
    use super::scope;
    use capability::{CapabilityId, Scope};

    #[test]
    fn a_question_about_a_host_becomes_a_scope_of_that_host() {
        let with = |host: &str, port: Option<u16>| Scope {
            hosts: Some(vec![host.into()]),
            ports: port.map(|port| vec![port]),
            ..Scope::default()
        };
        for (target, expected) in [
            ("a.example:443", with("a.example", Some(443))),
            ("a.example", with("a.example", None)),
            ("[::1]:8080", with("[::1]", Some(8080))),
            ("[::1]", with("[::1]", None)),
            ("::1", with("::1", None)),
            ("", Scope::default()),
        ] {
            assert_eq!(
                scope(CapabilityId::HttpFetch, target),
                expected,
                "{target:?}"
            );
        }
    }
}
