//! JSON Schemas of envelopes, in the part of the language that draft-07 and 2020-12 share, so that every tool reads
//! them.

use crate::{Direction, Presence, presence};
use envelope::{
    EnvelopeType,
    catalogue::{Field, Kind, PROTOCOL_VERSION},
};
use limits::identity::{NAME_CHARS_MAX, NAME_CHARS_MIN, SERVER_ID_CHARS_MAX, USER_ID_CHARS_MAX};
use serde_json::{Map, Value, json};

/// Every schema with its path below `schemas/`: `client-to-server/identify.json` and so on.
pub fn schemas() -> impl Iterator<Item = (String, Value)> {
    Direction::ALL.into_iter().flat_map(|direction| {
        direction.types().map(move |envelope| {
            (
                format!("{}/{}.json", direction.name(), envelope.name),
                document(envelope, direction),
            )
        })
    })
}

/// The schema of the type named `name` on `direction`; `None` when there is no such type or it does not go that
/// direction.
#[must_use]
pub fn schema(name: &str, direction: Direction) -> Option<Value> {
    envelope::find(name)
        .filter(|envelope| direction.carries(envelope))
        .map(|envelope| document(envelope, direction))
}

fn document(envelope: &EnvelopeType, direction: Direction) -> Value {
    let mut document = Map::new();
    document.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    document.insert(
        "$id".into(),
        format!(
            "urn:jackfield:envelope:{PROTOCOL_VERSION}:{}:{}",
            direction.name(),
            envelope.name
        )
        .into(),
    );
    document.extend(body(envelope, direction));
    Value::Object(document)
}

/// The schema without `$schema` and `$id`, to be embedded.
pub(crate) fn body(envelope: &EnvelopeType, direction: Direction) -> Map<String, Value> {
    let mut properties = Map::new();
    properties.insert("type".into(), json!({"const": envelope.name}));
    let mut required: Vec<Value> = vec!["type".into()];
    for field in envelope.fields {
        match presence(envelope, field, direction) {
            Presence::Absent => {}
            Presence::Required => {
                required.push(field.name.into());
                properties.insert(field.name.into(), described(of_kind(&field.kind), field));
            }
            Presence::Optional => {
                properties.insert(field.name.into(), described(or_null(&field.kind), field));
            }
        }
    }
    let mut body = Map::new();
    body.insert("title".into(), envelope.name.into());
    body.insert("description".into(), envelope.summary.into());
    body.insert("type".into(), "object".into());
    body.insert("properties".into(), properties.into());
    body.insert("required".into(), required.into());
    body
}

fn of_fields(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    let mut required: Vec<Value> = Vec::new();
    for field in fields {
        let schema = if field.required {
            of_kind(&field.kind)
        } else {
            or_null(&field.kind)
        };
        if field.required {
            required.push(field.name.into());
        }
        properties.insert(field.name.into(), described(schema, field));
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn described(mut schema: Value, field: &Field) -> Value {
    if let Value::Object(map) = &mut schema {
        map.insert("description".into(), field.summary.into());
    }
    schema
}

/// Clients send `null` for nothing, and the server passes on what they send.
fn or_null(kind: &Kind) -> Value {
    match kind {
        Kind::Any => json!({}),
        _ => json!({"anyOf": [of_kind(kind), {"type": "null"}]}),
    }
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": "string"}),
        Kind::TextMax(chars) => json!({"type": "string", "maxLength": chars}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Count | Kind::Millis => json!({"type": "integer", "minimum": 0}),
        Kind::Time => json!({"type": ["number", "string"]}),
        Kind::ServerId => {
            json!({"type": "string", "minLength": 1, "maxLength": SERVER_ID_CHARS_MAX, "pattern": "^[A-Za-z0-9_:-][A-Za-z0-9._:-]*$"})
        }
        Kind::UserId => json!({"type": "string", "minLength": 1, "maxLength": USER_ID_CHARS_MAX}),
        Kind::PluginId => name("^[a-z0-9][a-z0-9.-]*[a-z0-9]$"),
        Kind::EventName => name("^[a-z][a-z0-9.:-]*[a-z0-9]$"),
        Kind::OneOf(words) => json!({"enum": words}),
        Kind::TextOrObject => json!({"type": ["string", "object"]}),
        Kind::Any => json!({}),
        Kind::Object(fields) => of_fields(fields),
        Kind::ListOf(fields) => json!({"type": "array", "items": of_fields(fields)}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
    }
}

fn name(pattern: &str) -> Value {
    json!({"type": "string", "minLength": NAME_CHARS_MIN, "maxLength": NAME_CHARS_MAX, "pattern": pattern})
}
