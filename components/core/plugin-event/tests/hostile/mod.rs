//! The cases of `tests/cases/schemas/hostile.json`, and how they are run; shared with the tests of the component.
#![allow(clippy::disallowed_methods, reason = "cases are files")]

use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// One event definition.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    #[allow(dead_code, reason = "metadata")]
    id: String,
    /// The test that runs it.
    case: String,
    name: String,
    schema: Value,
    #[serde(default)]
    refused: Option<String>,
    #[serde(default)]
    payloads: Vec<Payload>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    text: Value,
    verdict: String,
}

/// A list of parts joined; anything else as JSON, a text as itself.
fn assemble(source: &Value) -> String {
    match source {
        Value::Array(parts) => parts.iter().map(part).collect(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn part(part: &Value) -> String {
    let (text, times) = (
        part["text"].as_str().expect("a text"),
        part["times"].as_u64().expect("a number"),
    );
    (0..times)
        .map(|at| {
            text.replace('%', &at.to_string())
                .replace('^', &(at + 1).to_string())
        })
        .collect()
}

/// The document of the first case of a row.
#[allow(dead_code, reason = "used by the tests of the component")]
pub(crate) fn first_schema(row: &str) -> String {
    assemble(
        &load()
            .iter()
            .find(|case| case.case == row)
            .expect("a case")
            .schema,
    )
}

#[allow(clippy::disallowed_methods, reason = "a test reads its cases")]
fn load() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|folder| folder.join("spin.toml").exists())
        .expect("the root");
    let text =
        std::fs::read_to_string(root.join("tests/cases/schemas/hostile.json")).expect("the cases");
    serde_json::from_str(&text).expect("cases")
}

/// Runs every case of the named row through `ask(schema, payload)`, which answers `refused <code>`, `ok`, `violation`
/// or `bad-json`.
pub(crate) fn run(row: &str, mut ask: impl FnMut(&str, &str) -> String) {
    let cases = load();
    let mut count = 0;
    for case in cases.iter().filter(|case| case.case == row) {
        let schema = assemble(&case.schema);
        if let Some(code) = &case.refused {
            assert!(
                case.payloads.is_empty(),
                "{}: a refused schema checks nothing",
                case.name
            );
            assert_eq!(
                ask(&schema, "null"),
                format!("refused {code}"),
                "{row}: {}",
                case.name
            );
            count += 1;
        }
        for payload in &case.payloads {
            assert_eq!(
                ask(&schema, &assemble(&payload.text)),
                payload.verdict,
                "{row}: {}",
                case.name
            );
            count += 1;
        }
    }
    assert!(count > 0, "no case is named {row}");
}
