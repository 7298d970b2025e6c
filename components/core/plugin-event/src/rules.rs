//! Compiling a document that passed the guard.
//!
//! The check against the meta-schema and the compilation are two steps here, which the library would take in one. Built
//! for WebAssembly, the library makes its validator of the meta-schema anew for each document, and that costs ten times
//! what the document does. So that validator is kept here, and the library is given a root that refers to the document:
//! the root is of the dialect with the smallest meta-schema, the document keeps its own.

use crate::cursor::Borrowed;
use jsonschema::{
    Draft, PatternOptions, Registry, Retrieve, ValidationError, ValidationOptions, Validator,
    meta::MetaValidator,
};
use limits::plugin_event::{SCHEMA_PATTERN_CACHE_BYTES_MAX, SCHEMA_PATTERNS_COMPILED_BYTES_MAX};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};

/// The scheme of the library's own names, which documents without a name get.
const OWN_SCHEME: &str = "json-schema:";
const ROOT: &str = "json-schema:///root";
const DOCUMENT: &str = "json-schema:///document";

/// Compiles `document`, which is of `draft`, where that is 2020-12 or draft-07, and has so many `patterns`.
pub(crate) fn compile(
    document: &Value,
    draft: Draft,
    patterns: usize,
) -> Result<Validator<Borrowed>, ValidationError<'static>> {
    let takes_our_name = document
        .get("$id")
        .and_then(Value::as_str)
        .is_some_and(|id| id.starts_with(OWN_SCHEME));
    if document.is_boolean() || takes_our_name {
        return options(patterns).with_draft(draft).build(document);
    }
    // One dialect is enough: the guard refuses documents that change it on the way.
    meta(draft)
        .validate(document)
        .map_err(ValidationError::to_owned)?;
    let registry = Registry::new()
        .draft(draft)
        .add(DOCUMENT, draft.create_resource_ref(document))?
        .prepare()?;
    options(patterns)
        .with_draft(Draft::Draft4)
        .with_base_uri(ROOT)
        .with_registry(&registry)
        .build(&json!({"$ref": DOCUMENT}))
}

fn options<'r>(patterns: usize) -> ValidationOptions<'r, Arc<dyn Retrieve>, Borrowed> {
    let regex = PatternOptions::regex()
        .size_limit(SCHEMA_PATTERNS_COMPILED_BYTES_MAX / patterns.max(1))
        .dfa_size_limit(SCHEMA_PATTERN_CACHE_BYTES_MAX);
    jsonschema::options_for::<Borrowed>()
        .with_pattern_options(regex)
        .should_validate_formats(false)
        .offline()
}

/// The validator of a meta-schema, made at the first use.
fn meta(draft: Draft) -> &'static MetaValidator<'static> {
    static DRAFT_7: OnceLock<MetaValidator<'static>> = OnceLock::new();
    static DRAFT_2020_12: OnceLock<MetaValidator<'static>> = OnceLock::new();
    match draft {
        Draft::Draft7 => DRAFT_7.get_or_init(jsonschema::draft7::meta::validator),
        _ => DRAFT_2020_12.get_or_init(jsonschema::draft202012::meta::validator),
    }
}
