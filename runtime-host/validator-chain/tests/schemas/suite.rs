//! The official test suite of JSON Schema. It is not part of this repository: `cargo xtask setup` puts it into the
//! cache.
//!
//! `suite-refused.json` lists what does not come out as the suite wants it, by the reason. A case that starts to pass
//! makes the test fail until it is taken off the list; `UPDATE_EXPECT=1` writes the list anew.

use crate::{cache, definition, said, send, snapshot, stats};
use envelope::verdict::{Validator as _, ValidatorError};
use limits::plugin_event::DEFINITIONS_PER_SERVER_MAX;
use plugin_event::Schema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// Calls of a draft's thousands that may run out of processor time.
const LATE_MAX: u64 = 3;

#[derive(Deserialize)]
struct Group {
    description: String,
    schema: Value,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    description: String,
    data: Value,
    valid: bool,
}

/// Cases that share a reason, by the code of the refusal; `WRONG_VERDICT` where the schema is accepted.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
struct Known {
    reason: String,
    cases: Vec<String>,
}

/// The required groups of a draft: the files of its folder, not of the one below.
fn groups(folder: &Path, draft: &str) -> Vec<(String, Group)> {
    let entries = std::fs::read_dir(folder.join(draft)).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; run `cargo xtask setup`, or leave it out: `cargo xtask test --quick`",
            folder.display()
        )
    });
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    let read = |path: &Path| -> Vec<Group> {
        serde_json::from_slice(&std::fs::read(path).expect("readable"))
            .expect("a file of the suite")
    };
    let name = |path: &Path| {
        format!(
            "{draft}/{}",
            path.file_stem().expect("a name").to_string_lossy()
        )
    };
    paths
        .iter()
        .flat_map(|path| read(path).into_iter().map(move |group| (name(path), group)))
        .collect()
}

/// Runs a draft through component and library; says what came out otherwise than the suite wants it, and how many cases
/// there were.
fn run(draft: &str, found: &mut BTreeMap<String, Known>) -> usize {
    let factory = crate::patient_validator();
    let mut chain = factory.instance().expect("an instance");
    let (mut count, mut late) = (0, 0);
    let mut groups = groups(&cache::schema_suite().expect("a folder"), draft);
    if draft == "draft7" {
        for (_, group) in &mut groups {
            if let Value::Object(members) = &mut group.schema {
                members
                    .entry("$schema")
                    .or_insert_with(|| json!("http://json-schema.org/draft-07/schema#"));
            }
        }
    }
    for part in groups.chunks(DEFINITIONS_PER_SERVER_MAX) {
        let event = |at: usize| format!("group.{at}");
        let definitions = part
            .iter()
            .enumerate()
            .map(|(at, (_, group))| definition(&event(at), &group.schema.to_string()))
            .collect();
        let definitions = snapshot(definitions);
        chain.update_definitions(&definitions).expect("learns");
        for (at, (file, group)) in part.iter().enumerate() {
            let native = Schema::compile(&group.schema.to_string());
            for test in &group.tests {
                let payload = test.data.to_string();
                let mut answer = send(&mut chain, &event(at), &payload);
                // Processor time that the hypervisor takes away counts as the call's: once may be chance.
                if matches!(answer, Err(ValidatorError::Deadline { .. })) && late < LATE_MAX {
                    late += 1;
                    chain.update_definitions(&definitions).expect("learns");
                    answer = send(&mut chain, &event(at), &payload);
                }
                let (verdict, message) = said(answer.expect("an answer"));
                let case = format!("{file}: {}: {}", group.description, test.description);
                let expected = match &native {
                    Ok(schema) if schema.check(&payload).is_ok() => "ok",
                    Ok(_) => "violation",
                    Err(_) => "refused",
                };
                assert_eq!(
                    verdict, expected,
                    "native and component differ: {case}: {message}"
                );
                count += 1;
                let code = native
                    .as_ref()
                    .map_or_else(plugin_event::SchemaError::code, |_| "WRONG_VERDICT");
                if verdict != if test.valid { "ok" } else { "violation" } {
                    found.entry(code.to_owned()).or_default().cases.push(case);
                }
            }
        }
    }
    let stats = stats(&factory);
    assert_eq!(
        (stats.traps, stats.deadlines, stats.recycled),
        (0, late, 0),
        "{stats:?}"
    );
    count
}

mod foreign {
    use super::{BTreeMap, Known, Path, run};

    #[test]
    fn the_official_suite() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas/suite-refused.json");
        let mut found = BTreeMap::new();
        let count = run("draft2020-12", &mut found) + run("draft7", &mut found);
        assert!(count > 2_000, "{count} cases");
        let known: BTreeMap<String, Known> =
            serde_json::from_slice(&std::fs::read(&path).expect("the list")).expect("a list");
        for (code, entry) in &mut found {
            entry.reason = known
                .get(code)
                .map(|known| known.reason.clone())
                .unwrap_or_default();
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(
                &path,
                serde_json::to_string_pretty(&found).expect("serializes") + "\n",
            )
            .expect("writable");
        } else {
            assert_eq!(
                found, known,
                "what the suite refuses has changed; look at it, then UPDATE_EXPECT=1"
            );
        }
        assert!(
            found.values().all(|entry| !entry.reason.is_empty()),
            "each code needs its reason in {}",
            path.display()
        );
    }
}
