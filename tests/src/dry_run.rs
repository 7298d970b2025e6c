//! The envelope cases (tests/cases/envelopes) over HTTP: `POST /api/envelopes/validate` must answer
//! like the validator in native code.
//!
//! A case contains the whole context; the dry run derives a part of it like a gateway does (which
//! server the envelope names). Cases whose context a gateway could not have built are left out and
//! counted.

use crate::{case::Target, http::Request};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use std::{fs, path::Path};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[allow(dead_code, reason = "says to readers what the file is about")]
    about: String,
    context: Map<String, Value>,
    #[serde(default)]
    learn: Vec<Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    context: Map<String, Value>,
    envelope: Box<RawValue>,
    expect: Value,
}

/// The answer, with the bytes that would be sent kept as they are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    verdict: String,
    #[serde(default)]
    effects: Vec<Value>,
    outgoing: Option<Box<RawValue>>,
    reply: Option<Value>,
}

/// Result of a run.
pub struct Outcome {
    /// Cases that took part.
    pub asked: usize,
    /// Cases whose context no gateway could have built.
    pub left_out: usize,
    /// Differences to the native answers.
    pub failures: Vec<String>,
}

/// Runs every case of a folder.
///
/// # Panics
/// When a file does not contain cases or the host does not answer.
#[must_use]
pub fn run(folder: &Path, target: &dyn Target) -> Outcome {
    let mut outcome = Outcome {
        asked: 0,
        left_out: 0,
        failures: Vec::new(),
    };
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("a folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file: File = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in &file.cases {
            let Some(question) = question(&file, case) else {
                outcome.left_out += 1;
                continue;
            };
            outcome.asked += 1;
            let request = Request::new("POST", "/api/envelopes/validate").json(&question);
            let answer = request
                .send(&target.address())
                .unwrap_or_else(|error| panic!("{}: {error}", case.name))
                .expect(200);
            let said: Said = serde_json::from_slice(&answer.body)
                .unwrap_or_else(|error| panic!("{}: {error}", answer.text()));
            if let Some(why) = difference(&case.expect, &said) {
                outcome
                    .failures
                    .push(format!("{}: {}: {why}", path.display(), case.name));
            }
        }
    }
    outcome
}

/// The request of a case; `None` if a gateway could not have built its context.
fn question(file: &File, case: &Case) -> Option<Value> {
    let mut context = Map::from_iter([
        ("nowMs".into(), json!(1_777_470_000_000_u64)),
        (
            "connectionId".into(),
            json!("6f0f8dc4-7d59-4d5a-9f0c-0a4a8f0b3a11"),
        ),
        ("userId".into(), json!("alice")),
        ("displayName".into(), json!("Alice")),
        ("membership".into(), json!("none")),
    ]);
    context.extend(file.context.clone());
    context.extend(case.context.clone());
    let text = serde_json::from_str::<String>(case.envelope.get())
        .unwrap_or_else(|_| case.envelope.get().to_owned());
    let text = expand(&text);
    let server = context
        .get("serverId")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let implied = context
        .get("serverImplied")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let scan = envelope::Scan::new(text.as_bytes());
    let as_a_gateway = match (scan.server_id().as_deref(), server.as_deref()) {
        (Some(named), Some(server)) => named == server && !implied,
        (None, Some(_)) => implied,
        (Some(_), None) => false,
        (None, None) => scan
            .type_name()
            .as_deref()
            .is_some_and(|kind| NEEDS_NO_SERVER.contains(&kind)),
    };
    let learned = file
        .learn
        .iter()
        .find(|learn| server.is_some() && learn["serverId"].as_str() == server.as_deref());
    let current = learned.is_none_or(|learn| {
        learn["revision"].as_u64() >= context.get("serverRevision").and_then(Value::as_u64)
    });
    if !as_a_gateway
        || !current
        || case.expect["verdict"] == "need-snapshot"
        || text.len() > limits::rest::BODY_BYTES_MAX / 2
    {
        return None;
    }
    context.remove("serverImplied");
    context.remove("serverRevision");
    let rows = |key: &str, row: fn(&Value) -> Value| -> Vec<Value> {
        learned
            .and_then(|learn| learn[key].as_array())
            .into_iter()
            .flatten()
            .map(row)
            .collect()
    };
    Some(json!({
        "context": context,
        "requirements": rows("requirements", requirement),
        "definitions": rows("definitions", definition),
        "envelope": text,
    }))
}

/// Types that are validated without a server.
const NEEDS_NO_SERVER: [&str; 6] = [
    "identify",
    "keepalive",
    "status_update",
    "offer",
    "answer",
    "direct-message",
];

/// A requirement as the REST API stores it, from which the definitions of the case are derived.
fn requirement(learn: &Value) -> Value {
    let publishes = learn["publishes"].as_bool();
    let user = &learn["pluginUserId"];
    let manifest = (publishes.is_some() || !user.is_null()).then(|| {
        let capabilities = if publishes == Some(false) {
            json!([])
        } else {
            json!(["events.server.publish"])
        };
        json!({"capabilities": capabilities, "pluginUser": {"id": user}})
    });
    let status = if learn["blocked"] == true {
        "blocked"
    } else {
        "optional"
    };
    json!({"pluginId": learn["pluginId"], "status": status, "manifest": manifest})
}

fn definition(learn: &Value) -> Value {
    let mut definition = json!({"direction": "serverRelay", "scope": "server"});
    for (key, value) in learn.as_object().into_iter().flatten() {
        definition[key] = value.clone();
    }
    definition
}

fn difference(expect: &Value, said: &Said) -> Option<String> {
    if expect["verdict"] != said.verdict.as_str() {
        return Some(format!(
            "wanted {}, said {} {:?}",
            expect["verdict"], said.verdict, said.reply
        ));
    }
    if expect.get("reply") != said.reply.as_ref() {
        return Some(format!("wanted {}, said {:?}", expect["reply"], said.reply));
    }
    let wanted = expect["effects"].as_array().map_or(&[][..], Vec::as_slice);
    if wanted.len() != said.effects.len()
        || wanted
            .iter()
            .zip(&said.effects)
            .any(|(wanted, said)| !same_effect(wanted, said))
    {
        return Some(format!("wanted {wanted:?}, said {:?}", said.effects));
    }
    let wanted = expect["outgoing"].as_str().map(expand);
    let sent = said.outgoing.as_ref().map(|raw| raw.get().to_owned());
    if wanted.is_some() && wanted.as_deref().map(str::trim) != sent.as_deref() {
        return Some(format!("wanted {wanted:?}, said {sent:?}"));
    }
    None
}

/// The dry run hides secrets, so effects are compared by these members.
fn same_effect(wanted: &Value, said: &Value) -> bool {
    [
        "effect",
        "serverId",
        "userId",
        "class",
        "status",
        "pluginId",
        "updatedAt",
        "rosterOffset",
        "displayName",
    ]
    .iter()
    .all(|key| wanted.get(key) == said.get(key))
}

/// Expands `%x*3%` to `xxx`.
fn expand(text: &str) -> String {
    let pattern = regex::Regex::new(r"%([^%*]+)\*(\d+)%").expect("a sound pattern");
    let times = |found: &regex::Captures<'_>| found[1].repeat(found[2].parse().expect("a number"));
    pattern.replace_all(text, times).into_owned()
}
