//! Every envelope that any test receives is checked against the JSON Schema of its type.

use envelope_docs::Direction;
use serde_json::Value;
use std::{collections::BTreeMap, sync::OnceLock};

/// Reads one text frame from the server and checks it.
///
/// # Panics
/// When it is not JSON, has no known type, or violates its schema.
#[must_use]
pub fn read(text: &str) -> Value {
    let frame: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in the frame {text}"));
    let kind = frame["type"]
        .as_str()
        .unwrap_or_else(|| panic!("a frame without type: {text}"));
    let schema = schemas()
        .get(kind)
        .unwrap_or_else(|| panic!("the server never sends {kind}: {text}"));
    let broken: Vec<String> = schema
        .iter_errors(&frame)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(
        broken.is_empty(),
        "{kind} breaks its schema: {broken:?} in {text}"
    );
    frame
}

fn schemas() -> &'static BTreeMap<&'static str, jsonschema::Validator> {
    static SCHEMAS: OnceLock<BTreeMap<&'static str, jsonschema::Validator>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let direction = Direction::ServerToClient;
        direction
            .types()
            .map(|envelope| {
                let schema = envelope_docs::schema(envelope.name, direction)
                    .expect("a schema for each type of this direction");
                (
                    envelope.name,
                    jsonschema::validator_for(&schema).expect("a sound schema"),
                )
            })
            .collect()
    })
}
