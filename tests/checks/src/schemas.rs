//! A schema, and after the last line break a payload.

use crate::{budget, two_parts};
use jsonschema::{Draft, PatternOptions, Validator};
use limits::plugin_event::{
    SCHEMA_PATTERN_CACHE_BYTES_MAX, SCHEMA_PATTERNS_COMPILED_BYTES_MAX, VIOLATIONS_MAX,
};
use plugin_event::Schema;
use serde_json::Value;

/// Fails if the bounds admit a schema of unbounded cost, or if schema or payload get another
/// verdict than from the library with the unmodified document and the payload as a tree.
pub fn check(bytes: &[u8]) {
    let Some((document, payload)) = two_parts(bytes) else {
        return;
    };
    let schema = match budget::within("compiling", || Schema::compile(document)) {
        Ok(schema) => schema,
        Err(error) => {
            assert!(
                !error.code().is_empty() && error.to_string().len() < 4_096,
                "{error}"
            );
            if error.code() == "SCHEMA_INVALID" {
                assert!(plain(document).is_none(), "{error}");
            }
            return;
        }
    };
    let reference = plain(document).expect("what is accepted compiles");
    let verdict = budget::within("checking", || schema.check(payload));
    let value = serde_json::from_str::<Value>(payload);
    match (&verdict, value) {
        (Ok(()), value) => {
            let value = value.expect("what conforms is JSON");
            assert!(
                budget::within("checking a tree", || reference.is_valid(&value)),
                "only the borrowed reader accepts"
            );
        }
        (Err(violations), Ok(value)) => {
            assert!(!violations.is_empty() && violations.len() <= VIOLATIONS_MAX);
            // Ambiguous JSON is refused before the schema is applied.
            if violations[0].keyword != "json" {
                assert!(
                    !budget::within("checking a tree", || reference.is_valid(&value)),
                    "only the borrowed reader refuses: {violations:?}"
                );
            }
        }
        (Err(violations), Err(_)) => assert_eq!(violations[0].keyword, "json", "{violations:?}"),
    }
}

/// The document compiled by the library alone, for payloads as trees.
fn plain(document: &str) -> Option<Validator> {
    let document: Value = serde_json::from_str(document).ok()?;
    let document = match document.as_str() {
        Some(inner) => serde_json::from_str(inner).ok()?,
        None => document,
    };
    let dialect = document
        .get("$schema")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let draft = if dialect.contains("draft-07") {
        Draft::Draft7
    } else {
        Draft::Draft202012
    };
    let patterns = PatternOptions::regex()
        .size_limit(SCHEMA_PATTERNS_COMPILED_BYTES_MAX)
        .dfa_size_limit(SCHEMA_PATTERN_CACHE_BYTES_MAX);
    let options = jsonschema::options()
        .with_draft(draft)
        .with_pattern_options(patterns)
        .should_validate_formats(false)
        .offline();
    options.build(&document).ok()
}
