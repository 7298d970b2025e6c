//! `plugin_event`: the checks in their order, then stamping and receivers (`docs/concepts/envelopes.md`, "Plugin
//! events").

use crate::{
    Stop, Turn,
    definitions::Definitions,
    fields::{Fields, invalid, word},
};
use ::plugin_event::Violation;
use envelope::{
    reply::code,
    tape::Tape,
    verdict::{Decision, Definition, Effect, EventDirection, EventScope, Requirement},
};
use identifiers::{EventName, PluginId};
use limits::envelope::{CHANNEL_ID_CHARS_MAX, PLUGIN_EVENT_WRAPPER_BYTES_MAX};
use std::borrow::Cow;

/// The member that schemas describe.
pub(crate) const PAYLOAD: &str = "payload";

/// `tape` holds the payload; it is empty when there is none, which counts as `null`.
pub(crate) fn decide(
    known: &mut Definitions,
    tape: &mut Tape,
    turn: &Turn<'_, '_>,
) -> Result<Decision, Stop> {
    let fields = turn.fields();
    let server_id = turn.named_server()?;
    turn.must_be_joined(&server_id)?;
    let plugin_id = name(&fields, "pluginId", code::INVALID_PLUGIN_ID, |text| {
        PluginId::new(text).map(drop)
    })?;
    let event_name = name(&fields, "eventName", code::INVALID_EVENT_NAME, |text| {
        EventName::new(text).map(drop)
    })?;

    let revision = turn.context.server_revision;
    let definitions = known
        .server(&server_id, revision)
        .ok_or_else(|| Stop::NeedSnapshot(server_id.to_string()))?;
    let event = definitions
        .event(&plugin_id, &event_name)
        .ok_or_else(|| not_registered(&plugin_id, &event_name))?;
    let requirement = definitions.requirement(&plugin_id);
    may_publish(&event.definition, requirement)?;
    let scope = event.definition.scope;
    let payload_bytes_max = event.definition.payload_bytes_max as usize;
    let plugin_user_id = requirement.and_then(|requirement| requirement.plugin_user_id.clone());

    let target = target_user(&fields, scope)?;
    let claimed = fields.text("sourcePluginUserId")?;
    let payload = fields.0.member(PAYLOAD).map_or("null", |member| member.raw);
    within_limits(turn, payload, payload_bytes_max)?;
    if let Some(schema) = known.schema(&server_id, &plugin_id, &event_name) {
        let schema = schema.map_err(|error| unusable_schema(&event_name, &error.to_string()))?;
        let checked = if tape.is_empty() {
            schema.check(payload)
        } else {
            schema.check_tape(turn.envelope.as_str(), tape)
        };
        checked.map_err(|violations| violated(&event_name, violations))?;
    }

    let mut stamp = turn.stamp();
    if claimed.is_some_and(|claimed| {
        claimed != format!("plugin:{plugin_id}")
            && Some(claimed.as_ref()) != plugin_user_id.as_deref()
    }) {
        stamp.text("sourcePluginUserId", &format!("plugin:{plugin_id}"));
    }
    stamp.text("sourceUserId", turn.user_id);
    stamp.json("emittedAt", &turn.context.now_ms.to_string());
    let effect = receivers(scope, server_id, plugin_id, target);
    Ok(Decision {
        patches: stamp.patches(),
        effects: vec![effect],
    })
}

fn not_registered(plugin_id: &str, event_name: &str) -> Stop {
    let message = format!(
        "event {} of plugin {} is not registered on this server",
        word(event_name),
        word(plugin_id)
    );
    Stop::refuse(code::EVENT_NOT_REGISTERED, message)
}

fn unusable_schema(event_name: &str, error: &str) -> Stop {
    let message = format!(
        "the schema of event {} cannot be used: {error}",
        word(event_name)
    );
    Stop::refuse(code::INTERNAL, message)
}

/// Whether the event may be published on this server at all.
fn may_publish(event: &Definition, requirement: Option<&Requirement>) -> Result<(), Stop> {
    if event.direction == EventDirection::P2pHint {
        let message = format!(
            "event {} travels between peers only",
            word(event.event_name.as_str())
        );
        return Err(Stop::refuse(code::DIRECTION_NOT_ALLOWED, message));
    }
    let plugin = || word(event.plugin_id.as_str());
    match requirement {
        Some(requirement) if requirement.blocked => {
            let message = format!("plugin {} is blocked on this server", plugin());
            Err(Stop::refuse(code::PLUGIN_BLOCKED, message))
        }
        Some(requirement) if requirement.publishes == Some(false) => {
            let message = format!(
                "the manifest of plugin {} does not declare the capability events.server.publish",
                plugin()
            );
            Err(Stop::refuse(code::CAPABILITY_DENIED, message))
        }
        _ => Ok(()),
    }
}

/// The connections that get the event.
fn receivers(
    scope: EventScope,
    server_id: Cow<'_, str>,
    plugin_id: Cow<'_, str>,
    target: Option<Cow<'_, str>>,
) -> Effect {
    let server_id = server_id.into_owned();
    match (scope, target) {
        (EventScope::User, Some(user_id)) => Effect::SendToMember {
            server_id,
            user_id: user_id.into_owned(),
        },
        (EventScope::Plugin, _) => Effect::SendToPlugin {
            server_id,
            plugin_id: plugin_id.into_owned(),
        },
        _ => Effect::Broadcast(server_id),
    }
}

fn name<'b>(
    fields: &Fields<'_, 'b>,
    key: &str,
    refusal: &'static str,
    check: impl Fn(&str) -> Result<(), identifiers::InvalidId>,
) -> Result<Cow<'b, str>, Stop> {
    let text = fields
        .text(key)
        .ok()
        .flatten()
        .ok_or_else(|| Stop::refuse(refusal, format!("{key} must be a text")))?;
    check(&text).map_err(|error| Stop::refuse(refusal, error.to_string()))?;
    Ok(text)
}

/// The receiver that the envelope names besides its server.
fn target_user<'b>(
    fields: &Fields<'_, 'b>,
    scope: EventScope,
) -> Result<Option<Cow<'b, str>>, Stop> {
    let channel = fields.text_max("channelId", CHANNEL_ID_CHARS_MAX)?;
    if scope == EventScope::Channel && channel.is_none_or(|channel| channel.is_empty()) {
        return Err(invalid(
            "channelId is missing; events of scope channel need it".to_owned(),
        ));
    }
    fields.user_id("targetUserId")
}

/// Limits the payload as compact JSON, and the other members as they are written.
fn within_limits(turn: &Turn<'_, '_>, payload: &str, payload_bytes_max: usize) -> Result<(), Stop> {
    if ::plugin_event::size::exceeds(payload, payload_bytes_max) {
        let message = format!("payload has more than {payload_bytes_max} bytes of compact JSON");
        return Err(Stop::refuse(code::PAYLOAD_TOO_LARGE, message));
    }
    if turn.envelope.bytes().len().saturating_sub(payload.len()) > PLUGIN_EVENT_WRAPPER_BYTES_MAX {
        let message = format!(
            "the envelope has more than {PLUGIN_EVENT_WRAPPER_BYTES_MAX} bytes besides its payload"
        );
        return Err(Stop::refuse(code::PAYLOAD_TOO_LARGE, message));
    }
    Ok(())
}

fn violated(event_name: &str, violations: Vec<Violation>) -> Stop {
    let first = violations
        .first()
        .map(|violation| violation.message.as_str())
        .unwrap_or_default();
    let at = violations
        .first()
        .map(|violation| violation.pointer.as_str())
        .unwrap_or_default();
    let message = format!(
        "payload{at} breaks the schema of event {}: {first}",
        word(event_name)
    );
    Stop::Refuse {
        code: code::SCHEMA_VIOLATION,
        message,
        violations,
    }
}
