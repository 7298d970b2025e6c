//! Each row of `components/core/limits/limits.toml` against a running host: its setting is a key of the configuration and
//! in `/limits`, its counter is a measurement. That each constant has a row, `cargo xtask gen` checks.

use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tests::host::{Host, jackfield, run};

/// A row: what is refused, or that with the setting and the counter.
#[derive(Deserialize)]
#[serde(untagged)]
enum Row {
    Word(String),
    Table {
        at: String,
        setting: Option<String>,
        counter: Option<String>,
    },
}

impl Row {
    fn setting(&self) -> Option<&str> {
        match self {
            Self::Word(_) => None,
            Self::Table { setting, .. } => setting.as_deref(),
        }
    }

    fn counter(&self) -> Option<&str> {
        let word = match self {
            Self::Table {
                counter: Some(counter),
                ..
            } => return Some(counter),
            Self::Word(word) | Self::Table { at: word, .. } => word,
        };
        match word.as_str() {
            "connection" => Some("connections_closed"),
            "envelope" => Some("envelopes_refused"),
            "request" | "component" => Some("http_responses"),
            "guest" => Some("plugin_refusals"),
            "file" | "inner" => None,
            other => panic!("{other:?} is not a word of the table"),
        }
    }
}

type Rows = BTreeMap<String, BTreeMap<String, Row>>;

fn rows() -> Rows {
    let path = test_support::root().join("components/core/limits/limits.toml");
    let text = std::fs::read_to_string(path).expect("a table");
    toml::from_str(&text).expect("rows")
}

/// Where measurements get their names. `/metrics` shows one with labels only after it was counted.
fn measurements() -> String {
    [
        "gateway/src/metrics.rs",
        "jackfield/src/component_metrics.rs",
    ]
    .map(|file| {
        let path = test_support::root().join("runtime-host").join(file);
        std::fs::read_to_string(path).expect("a source file")
    })
    .concat()
}

/// Numbers of the configuration without a constant: the host computes what is in force from its machine, or there is no
/// limit unless the operator sets one.
const WITHOUT: [&str; 3] = [
    "socket.shards",
    "socket.connections_max",
    "plugins.limits.host_calls_per_second",
];

/// The keys below a table that are numbers, or pairs of numbers.
fn settings(below: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) if !members.contains_key("per_second") => {
            for (key, value) in members {
                let key = format!("{below}.{key}");
                settings(key.trim_start_matches('.'), value, found);
            }
        }
        _ => {
            found.insert(below.to_owned());
        }
    }
}

#[test]
fn every_limit_is_configured_shown_and_counted_as_its_row_says() {
    let output = run(jackfield().args(["config", "default"]));
    let defaults: Value = toml::from_str(&String::from_utf8(output.stdout).expect("text"))
        .expect("the default configuration");
    let host = Host::start();
    let shown = host.get("/limits").expect(200).json()["configuration"].clone();
    let measurements = measurements();
    let rows = rows();
    let mut set = BTreeSet::new();
    for (module, rows) in &rows {
        for (name, row) in rows {
            let limit = format!("{module}::{name}");
            if let Some(counter) = row.counter() {
                assert!(
                    measurements.contains(&format!("\"{counter}\"")),
                    "{limit}: there is no measurement {counter}"
                );
            }
            if let Some(setting) = row.setting() {
                let pointer = format!("/{}", setting.replace('.', "/"));
                let default = defaults.pointer(&pointer);
                assert!(default.is_some(), "{limit}: there is no key {setting}");
                assert!(
                    shown.pointer(&pointer).is_some(),
                    "{limit}: {setting} is not in /limits"
                );
                set.insert(setting.to_owned());
            }
        }
    }
    let mut configured = BTreeSet::new();
    settings("", &shown, &mut configured);
    let without: Vec<&String> = configured
        .iter()
        .filter(|key| !set.contains(*key) && !WITHOUT.contains(&key.as_str()))
        .collect();
    assert!(without.is_empty(), "settings without a row: {without:?}");
}
