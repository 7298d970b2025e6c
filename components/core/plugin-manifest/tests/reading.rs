//! Reading of manifests: what counts as JSON, bounds, arbitrary bytes, and the generated documents.
#![allow(
    clippy::disallowed_methods,
    reason = "a test reads files and measures time"
)]

use plugin_manifest::{
    Code, Options, Severity, VersionRange, import, json_schema, parse, parse_with,
    reference_markdown,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

fn minimal() -> Value {
    json!({"schemaVersion": 1, "id": "a.bc", "title": "t", "description": "", "version": "1.0.0", "apiVersion": "1.0.0", "kind": "client",
           "compatibility": {"minimumHostVersion": "0.0.0"}, "entrypoint": "main.js"})
}

fn codes(bytes: &[u8]) -> Vec<&'static str> {
    parse(bytes)
        .violations
        .iter()
        .map(|violation| violation.code.as_str())
        .collect()
}

/// How much slower than its aim a busy machine may be: what is looked for is growth without a bound, not a slow second.
const BUSY: u32 = 50;

/// The shortest of some runs: others may have the processor meanwhile.
fn fastest(work: impl Fn()) -> Duration {
    let once = || {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..5).map(|_| once()).min().unwrap_or_default()
}

/// Whether the reader refused the text for what it is, not for what it says.
fn is_json(bytes: &[u8]) -> bool {
    let syntax = [Code::BadJson, Code::TooDeep, Code::DuplicateKey];
    !parse(bytes)
        .violations
        .iter()
        .any(|violation| syntax.contains(&violation.code))
}

/// The bytes with a byte cut out, doubled, swapped for another or another put in.
fn mutated(mut bytes: Vec<u8>, edits: &[(usize, u8, u8)]) -> Vec<u8> {
    for (at, how, byte) in edits {
        let at = at % bytes.len().max(1);
        match how % 4 {
            _ if bytes.is_empty() => bytes.push(*byte),
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, *byte),
            2 => bytes[at] = *byte,
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,5}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_serde_writes_is_read(value in values()) {
        let mut manifest = minimal();
        manifest["x-any"] = value;
        for text in [manifest.to_string(), serde_json::to_string_pretty(&manifest).unwrap()] {
            let read = parse(text.as_bytes()).manifest.expect("it is a manifest");
            prop_assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
            prop_assert_eq!(read.text(), text);
        }
    }

    #[test]
    fn json_is_what_serde_takes_for_json(value in values(), edits in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..4)) {
        let bytes = mutated(value.to_string().into_bytes(), &edits);
        let theirs = serde_json::from_slice::<Value>(&bytes).is_ok();
        let found = parse(&bytes).violations;
        let repeated = found.iter().any(|violation| violation.code == Code::DuplicateKey);
        prop_assert_eq!(is_json(&bytes) || repeated, theirs, "{:?}: {:?}", String::from_utf8_lossy(&bytes), found.first());
    }

    #[test]
    fn nothing_panics_and_each_span_lies_in_the_source(edits in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..6), which in 0usize..5) {
        let sources: [(&str, &[u8]); 5] = [
            ("jackfield.json", include_bytes!("../../../../tests/cases/manifest/t06-full/input.json")),
            ("toju-plugin.json", include_bytes!("../../../../tests/cases/manifest/t06-full/input.json")),
            ("plugin.json", include_bytes!("../../../../tests/cases/manifest/import-toru/metadata.json")),
            ("package.json", include_bytes!("../../../../tests/cases/manifest/import-jcode/package.json")),
            ("plugin.toml", include_bytes!("../../../../tests/cases/manifest/import-thoth-url/plugin.toml")),
        ];
        let (name, source) = sources[which];
        let bytes = mutated(source.to_vec(), &edits);
        let imported = import::import(name, &bytes, Options::default());
        let refused = imported.violations.iter().any(|violation| violation.severity == Severity::Error);
        prop_assert_eq!(imported.manifest.is_none(), refused);
        for violation in &imported.violations {
            prop_assert!(violation.span.start <= violation.span.end && violation.span.end <= bytes.len(), "{:?}", violation);
            prop_assert!(violation.position(&bytes) >= (1, 1));
        }
        if let Some(manifest) = imported.manifest {
            prop_assert!(parse(manifest.text().as_bytes()).is_ok(), "{}", manifest.text());
        }
    }
}

#[test]
fn size_is_bounded_before_anything_is_read() {
    let padded = |bytes: usize| {
        let mut text = minimal().to_string();
        text.push_str(&" ".repeat(bytes - text.len()));
        text.into_bytes()
    };
    assert!(parse(&padded(limits::manifest::BYTES_MAX)).is_ok());
    assert_eq!(
        codes(&padded(limits::manifest::BYTES_MAX + 1)),
        ["TOO_LARGE"]
    );
    let huge = vec![b'['; 100 << 20];
    assert!(fastest(|| assert_eq!(codes(&huge), ["TOO_LARGE"])) < Duration::from_millis(5) * BUSY);
}

#[test]
fn lists_and_reports_are_bounded() {
    let mut manifest = minimal();
    manifest["capabilities"] = vec![json!("foo.bar"); 10_000].into();
    assert_eq!(codes(manifest.to_string().as_bytes()), ["TOO_LARGE"]);
    manifest["capabilities"] = vec![json!("a.b"); 1_001].into();
    assert_eq!(codes(manifest.to_string().as_bytes()), ["TOO_MANY"]);
    manifest["capabilities"] = vec![json!("a.b"); 1_000].into();
    let violations = parse(manifest.to_string().as_bytes()).violations;
    assert_eq!(violations.len(), limits::manifest::VIOLATIONS_MAX + 1);
    let last = violations.last().unwrap();
    assert_eq!(
        (last.code, last.message.as_str()),
        (Code::MoreViolations, "900 more violations are not listed")
    );
}

#[test]
fn hostile_texts_of_the_largest_size_end_at_once() {
    let fill = |unit: &str| unit.repeat(60_000 / unit.len());
    let keys: String = (0..4_000)
        .map(|number| format!("\"capab{number:04}\":0,"))
        .collect();
    let hostile = [
        format!("{{{keys}\"z\":0}}"),
        format!("{{\"capabilities\":[{}1]}}", fill("\"messages.sen\",")),
        format!(
            "{{\"relationships\":{{\"requires\":[{}1]}}}}",
            fill("{\"id\":\"a.b\",\"versionRange\":\"^1||^2\"},")
        ),
        format!(
            "{{\"capabilities\":[{}1]}}",
            "\"messages.sen\",".repeat(999)
        ),
        format!(
            "{{\"capabilities\":[{}1]}}",
            "{\"id\":\"http.fetch\",\"names\":[1]},".repeat(999)
        ),
        format!("{{\"hooks\":[{}1]}}", "\"PreToolUsed\",".repeat(999)),
        format!("{{\"id\":\"{}\"}}", fill("a")),
        format!("{{\"{}\":1}}", fill("a")),
        fill("["),
        format!("\"{}", fill("\\u0000")),
    ];
    for text in &hostile {
        let took = fastest(|| assert!(!parse(text.as_bytes()).is_ok()));
        assert!(
            took < Duration::from_millis(100) * BUSY,
            "{} took {took:?}",
            &text[..40]
        );
    }
}

#[test]
fn hostile_ranges_end_at_once() {
    let hostile = [
        vec!["1.0.0"; 30_000].join("||"),
        format!("1.0.0-{}", "a.".repeat(100_000)),
        " ".repeat(200_000),
        "~>x||>= 10.3.0-beta.1".to_owned(),
        "|".repeat(256),
        "~ ".repeat(128),
        "x-".repeat(128),
    ];
    for range in &hostile {
        assert!(
            fastest(|| drop(VersionRange::new(range.as_str()))) < Duration::from_millis(5) * BUSY,
            "{}",
            &range[..20]
        );
    }
}

#[test]
fn unknown_keys_are_errors_when_strict() {
    let mut manifest = minimal();
    manifest["titel"] = json!(1);
    manifest["x-titel"] = json!(1);
    let text = manifest.to_string();
    assert!(parse(text.as_bytes()).is_ok());
    let strict = parse_with(text.as_bytes(), Options { strict: true });
    assert_eq!(
        strict
            .violations
            .iter()
            .map(|violation| (violation.code, violation.severity))
            .collect::<Vec<_>>(),
        [(Code::UnknownKey, Severity::Error)]
    );
}

#[test]
fn the_generated_documents_are_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference/manifest.md");
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, reference_markdown()).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == reference_markdown(),
        "docs/reference/manifest.md is old; UPDATE_EXPECT=1 rewrites it"
    );
    let schema = json_schema();
    assert!(jsonschema::meta::is_valid(&schema), "the schema is one");
    assert!(
        !schema.to_string().contains("null"),
        "no definition was left open"
    );
    assert!(jsonschema::is_valid(&schema, &minimal()));
}
