//! The cases below `tests/cases/manifest`: each a folder with one document and `expect.json`, all run through one
//! function.
//!
//! `UPDATE_EXPECT=1` rewrites what is expected. `set.json` holds several manifests for resolution; every other document
//! is read under its own name, `input.json` as the canonical form through `parse`. `options.json` may say `strict`, and
//! `host` and `api` for a verdict.
#![allow(
    clippy::disallowed_methods,
    reason = "a test reads files and measures time"
)]

use plugin_manifest::{
    Options, Outcome, compatibility, import, json_schema, order, parse, parse_version, parse_with,
};
use serde_json::{Value, json};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Documents that a case may hold, `set.json` apart.
const DOCUMENTS: [&str; 7] = [
    "input.json",
    "metadata.json",
    "jackfield.json",
    "toju-plugin.json",
    "plugin.json",
    "plugin.toml",
    "package.json",
];

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/cases/manifest")
}

#[test]
fn every_case_comes_out_as_expected() {
    let schema = jsonschema::validator_for(&json_schema()).expect("the schema is one");
    let mut failed = Vec::new();
    let mut folders: Vec<PathBuf> = fs::read_dir(cases())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() > 60, "the cases are there");
    for folder in folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let found = run(&folder, &schema);
        let file = folder.join("expect.json");
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&file, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
            continue;
        }
        let expected: Value =
            serde_json::from_slice(&fs::read(&file).unwrap_or_default()).unwrap_or_default();
        if expected != found {
            failed.push(format!(
                "{name}:\n{}",
                serde_json::to_string_pretty(&found).unwrap()
            ));
        }
    }
    assert!(
        failed.is_empty(),
        "{} cases differ (UPDATE_EXPECT=1 rewrites them)\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// Runs one case; a file that is not read is a fault of the case.
fn run(folder: &Path, schema: &jsonschema::Validator) -> Value {
    let mut files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut take = |name: &str| {
        let at = files.iter().position(|file| file == name)?;
        files.swap_remove(at);
        Some(fs::read(folder.join(name)).unwrap())
    };
    take("expect.json");
    let options: Value =
        take("options.json").map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap());
    let found = match take("set.json") {
        Some(bytes) => resolution(&bytes),
        None => {
            let document = DOCUMENTS.iter().find_map(|name| Some((*name, take(name)?)));
            let (name, bytes) =
                document.unwrap_or_else(|| panic!("{} holds no document", folder.display()));
            verdict(name, &bytes, &options, schema)
        }
    };
    assert!(
        files.is_empty(),
        "{}: nobody reads {files:?}",
        folder.display()
    );
    found
}

fn verdict(name: &str, bytes: &[u8], options: &Value, schema: &jsonschema::Validator) -> Value {
    let strict = Options {
        strict: options["strict"] == true,
    };
    let (form, outcome) = match name {
        "input.json" => (None, parse_with(bytes, strict)),
        _ => {
            let imported = if name == "metadata.json" {
                import::import_metadata(bytes, strict)
            } else {
                import::import(name, bytes, strict)
            };
            (
                Some(imported.form),
                Outcome {
                    manifest: imported.manifest,
                    violations: imported.violations,
                },
            )
        }
    };
    let violations: Vec<Value> = outcome
        .violations
        .iter()
        .map(|violation| {
            let (line, column) = violation.position(bytes);
            let text = String::from_utf8_lossy(&bytes[violation.span.clone()])
                .chars()
                .take(40)
                .collect::<String>();
            let mut shown = serde_json::to_value(violation).unwrap();
            shown["at"] = json!(format!("{line}:{column}"));
            shown["text"] = json!(text);
            shown
        })
        .collect();
    let mut found = json!({"ok": outcome.is_ok(), "violations": violations});
    if let Some(form) = form {
        found["form"] = json!(form);
    }
    let Some(manifest) = outcome.manifest else {
        return found;
    };

    // A manifest prints as it was read; an imported one reads back without an error and prints the same.
    let canonical = matches!(form, None | Some(plugin_manifest::Form::Jackfield));
    if canonical {
        assert_eq!(manifest.text().as_bytes(), bytes, "printed as read");
    } else {
        let again = parse(manifest.text().as_bytes());
        assert_eq!(
            again
                .manifest
                .expect("the canonical form is read back")
                .text(),
            manifest.text()
        );
        found["canonical"] = serde_json::from_str(manifest.text()).unwrap();
    }
    let value = serde_json::to_value(&manifest).unwrap();
    if let Err(error) = schema.validate(&value) {
        panic!(
            "the JSON Schema refuses what the checker takes: {error} at {}",
            error.instance_path()
        );
    }
    if let (Some(host), Some(api)) = (options["host"].as_str(), options["api"].as_str()) {
        let verdict = compatibility(
            &manifest,
            &parse_version(host).unwrap(),
            &parse_version(api).unwrap(),
        );
        found["compatibility"] = json!({
            "compatible": verdict.is_compatible(),
            "reasons": verdict.reasons.iter().map(|reason| json!([reason.code(), reason.to_string()])).collect::<Vec<_>>(),
            "verifiedUpTo": verdict.verified_up_to,
        });
    }
    found
}

/// A set is a list of manifests of which only `id` is required; the rest is filled in.
fn resolution(bytes: &[u8]) -> Value {
    let set: Vec<Value> = serde_json::from_slice(bytes).unwrap();
    let mut manifests: Vec<_> = set
        .into_iter()
        .map(|given| {
            let mut full = json!({
                "schemaVersion": 1, "title": "t", "description": "", "version": "1.0.0", "apiVersion": "1.0.0", "kind": "client",
                "compatibility": {"minimumHostVersion": "0.0.0"}, "entrypoint": "main.js",
            });
            full.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
            let outcome = parse(full.to_string().as_bytes());
            outcome.manifest.unwrap_or_else(|| panic!("{:?}", outcome.violations))
        })
        .collect();
    let resolved = order::resolve(manifests.iter().map(Into::into));
    manifests.reverse();
    assert_eq!(
        order::resolve(manifests.iter().map(Into::into)),
        resolved,
        "the order of the set does not matter"
    );
    serde_json::to_value(resolved).unwrap()
}
