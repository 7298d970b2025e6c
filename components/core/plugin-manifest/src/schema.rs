//! The manifest as a JSON Schema, made from the tables.
//!
//! A manifest that [`crate::parse`] accepts is valid against it. Rules that JSON Schema cannot express (order of
//! versions, unique names, path rules) are left to the checker.

use crate::{
    format::Format,
    shape::{Record, Shape},
    tables,
};
use limits::manifest::LIST_ENTRIES_MAX;
use serde_json::{Map, Value, json};

/// The schema of a manifest.
#[must_use]
pub fn json_schema() -> Value {
    let mut defs = Map::new();
    let mut root = record(&tables::MANIFEST, &mut defs);
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://jackfield.invalid/schema/manifest-1.json",
        "title": "Jackfield plugin manifest, schemaVersion 1",
        "allOf": between_fields(),
        "$defs": defs,
    });
    if let (Value::Object(root), Value::Object(head)) = (&mut root, head) {
        root.extend(head);
    }
    root
}

fn shape(of: &Shape, defs: &mut Map<String, Value>) -> Value {
    match of {
        Shape::Any => json!(true),
        Shape::Object => json!({"type": "object"}),
        Shape::One => json!({"const": 1}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Number => json!({"type": "number"}),
        Shape::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Shape::Text { min: 0, max } => json!({"type": "string", "maxLength": max}),
        Shape::Text { min, max } => json!({"type": "string", "minLength": min, "maxLength": max}),
        Shape::Format(format) => format.schema(),
        Shape::Choice(names) => json!({"enum": names}),
        Shape::Schema => json!({"type": ["object", "boolean", "string"]}),
        Shape::List(item) => {
            json!({"type": "array", "maxItems": LIST_ENTRIES_MAX, "items": shape(item, defs)})
        }
        Shape::Map(key, value) => map(*key, value, defs),
        Shape::Record(inner) => reference(inner, defs),
        Shape::Setting => {
            let full = reference(&tables::SETTING, defs);
            json!({"if": {"type": "object", "required": ["type"]}, "then": full})
        }
        Shape::Settings => {
            let settings = map(None, &Shape::Setting, defs);
            json!({"type": "object", "if": {"properties": {"type": {"type": "string"}}, "required": ["type"]}, "else": settings})
        }
        Shape::TextOr(short, full) => json!({"anyOf": [shape(short, defs), shape(full, defs)]}),
    }
}

fn map(key: Option<Format>, value: &Shape, defs: &mut Map<String, Value>) -> Value {
    let mut schema = json!({"type": "object", "maxProperties": LIST_ENTRIES_MAX, "additionalProperties": shape(value, defs)});
    if let Some(key) = key {
        schema["propertyNames"] = key.schema();
    }
    schema
}

fn reference(of: &Record, defs: &mut Map<String, Value>) -> Value {
    if !defs.contains_key(of.name) {
        // A record may hold itself; the entry stands before its fields are looked at.
        defs.insert(of.name.to_owned(), Value::Null);
        let schema = record(of, defs);
        defs.insert(of.name.to_owned(), schema);
    }
    json!({"$ref": format!("#/$defs/{}", of.name)})
}

fn record(of: &Record, defs: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in of.fields {
        let mut schema = shape(&field.shape, defs);
        match &mut schema {
            Value::Object(schema) => {
                drop(schema.insert("description".to_owned(), field.meaning.into()))
            }
            _ => schema = json!({"description": field.meaning}),
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let required: Vec<&str> = of
        .fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    let mut schema = json!({"type": "object", "description": of.about, "properties": properties});
    if of.closed {
        schema["patternProperties"] = json!({"^x-": true});
        schema["additionalProperties"] = json!(false);
    }
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    for spellings in of.spellings.iter().filter(|spellings| spellings.required) {
        schema["anyOf"] = spellings
            .names
            .iter()
            .map(|name| json!({"required": [name]}))
            .collect();
    }
    schema
}

/// The rules between fields that JSON Schema can say.
fn between_fields() -> Value {
    let role = |role: &str, needs: Value| json!({"if": {"required": ["roles"], "properties": {"roles": {"contains": {"const": role}}}}, "then": needs});
    json!([
        {"if": {"properties": {"kind": {"enum": ["component", "script", "process"]}},
                "not": {"required": ["origin"], "properties": {"origin": {"required": ["form"], "properties": {"form": {"const": "toru"}}}}}},
         "then": {"anyOf": [{"required": ["entrypoint"]}, {"required": ["entry"]}, {"required": ["bundle"]}]}},
        {"if": {"properties": {"kind": {"const": "theme"}}}, "then": {"required": ["theme"]}},
        role("service", json!({"required": ["route"]})),
        role("file-viewer", json!({"properties": {"roles": {"contains": {"const": "file-loader"}}}})),
        role("file-loader", json!({"required": ["fileLoaders"]})),
        role("data-source", json!({"required": ["dataSource"]})),
        role("exporter", json!({"required": ["exporter"]})),
    ])
}
