//! Event definitions: which plugin events a server knows.

use crate::{
    body::Body,
    refusal::{Code, Refusal, not_found},
    transaction::{Check, Edit, Kind, State, Transaction},
};
use identifiers::{EventName, PluginId};
use limits::plugin_event::{DEFINITIONS_PER_SERVER_MAX, PAYLOAD_BYTES_DEFAULT, PAYLOAD_BYTES_MAX};
use rest::Violation;
use serde_json::{json, value::RawValue};
use server_state::{EventDefinition, EventDirection, EventScope};

/// The key of an event definition.
#[must_use]
pub fn key(plugin: &PluginId, event: &EventName) -> String {
    format!("{plugin}/{event}")
}

/// Reads the body of an event definition and compiles its schema.
///
/// # Errors
/// All violations; where there are none, [`Code::SchemaInvalid`] for a schema that cannot be compiled.
pub fn parse(
    mut body: Body,
    plugin: &PluginId,
    event: &EventName,
) -> Result<EventDefinition, Refusal> {
    let direction = one_of(
        &mut body,
        "direction",
        EventDirection::NAMES,
        Code::InvalidDirection,
    );
    let scope = one_of(&mut body, "scope", EventScope::NAMES, Code::InvalidScope);
    let max_payload_bytes = body
        .number("maxPayloadBytes", 1..=PAYLOAD_BYTES_MAX as u64)
        .unwrap_or(PAYLOAD_BYTES_DEFAULT as u64);
    let schema = body.given("schema").map(ToOwned::to_owned);
    body.finish()?;
    let schema = schema.map(|schema| compiled(&schema)).transpose()?;
    Ok(EventDefinition {
        plugin_id: plugin.clone(),
        event_name: event.clone(),
        direction: EventDirection::parse(&direction).ok_or(Code::InvalidDirection)?,
        scope: EventScope::parse(&scope).ok_or(Code::InvalidScope)?,
        schema,
        max_payload_bytes,
    })
}

fn one_of(body: &mut Body, name: &str, values: &[&str], code: Code) -> String {
    let given = body.given(name).is_some();
    match body.text(name, 64) {
        Some(text) if values.contains(&text.as_str()) => return text,
        Some(_) => body.violation(code, name, format!("must be one of {}", values.join(", "))),
        None if !given => body.violation(
            code,
            name,
            format!("is required: one of {}", values.join(", ")),
        ),
        None => {}
    }
    String::new()
}

/// Compiles a schema; one given as JSON text is stored as the value that the text holds.
fn compiled(schema: &RawValue) -> Result<Box<RawValue>, Refusal> {
    let refuse = |code: &str, message: String| {
        let mut refusal = Refusal::new(Code::SchemaInvalid, message.clone()).with("reason", code);
        refusal.violations = vec![Violation {
            pointer: "/schema".to_owned(),
            code: code.to_owned(),
            message,
        }];
        refusal
    };
    plugin_event::Schema::compile(schema.get())
        .map_err(|error| refuse(error.code(), error.to_string()))?;
    if !schema.get().starts_with('"') {
        return Ok(schema.to_owned());
    }
    let broken =
        |error: serde_json::Error| refuse("SCHEMA_JSON", format!("schema is not JSON: {error}"));
    let text: String = serde_json::from_str(schema.get()).map_err(broken)?;
    RawValue::from_string(text.trim().to_owned()).map_err(broken)
}

/// Stores a definition.
#[must_use]
pub fn put(transaction: Transaction, state: &State, definition: &EventDefinition) -> Transaction {
    let key = key(&definition.plugin_id, &definition.event_name);
    let known = state.entry(Kind::Event, &key).is_some();
    let transaction = transaction
        .edit(Edit::put(Kind::Event, key, definition))
        .detail(json!({"direction": definition.direction, "scope": definition.scope, "maxPayloadBytes": definition.max_payload_bytes}));
    if known {
        transaction
    } else {
        transaction.check(Check::MaxCount {
            kind: Kind::Event,
            max: DEFINITIONS_PER_SERVER_MAX as u64,
        })
    }
}

/// Removes a definition.
///
/// # Errors
/// [`Code::NotFound`].
pub fn delete(
    transaction: Transaction,
    state: &State,
    plugin: &PluginId,
    event: &EventName,
) -> Result<Transaction, Refusal> {
    let key = key(plugin, event);
    if state.entry(Kind::Event, &key).is_none() {
        return Err(not_found("event definition"));
    }
    Ok(transaction
        .check(state.unchanged(Kind::Event, &key))
        .edit(Edit::delete(Kind::Event, key)))
}
