//! Runs the cases of `tests/cases/envelopes` against any validator, so that the native function and the component give
//! the same verdicts.
//!
//! A file holds a context, snapshots to learn, and cases; a case overrides members of the context. `%x*70000%` in an
//! envelope stands for 70,000 times `x`. `UPDATE_EXPECT=1` writes the verdicts into the files; look at the difference
//! before committing it.
#![allow(clippy::disallowed_methods, reason = "cases are files")]

use envelope::{
    Context, Verdict,
    verdict::{
        Access, Definition, Effect, EventDirection, EventScope, ForwardClass, Membership, Patch,
        Requirement, Snapshot, Validator, apply,
    },
};
use identifiers::{EventName, PluginId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::RawValue};
use std::path::{Path, PathBuf};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    context: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    learn: Vec<Box<RawValue>>,
    cases: Vec<Case>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    context: Map<String, Value>,
    envelope: Box<RawValue>,
    #[serde(default)]
    expect: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Situation {
    now_ms: u64,
    connection_id: String,
    user_id: Option<String>,
    display_name: String,
    server_id: Option<String>,
    server_implied: bool,
    server_revision: u64,
    membership: String,
}

impl Default for Situation {
    fn default() -> Self {
        Self {
            now_ms: 1_777_470_000_000,
            connection_id: "6f0f8dc4-7d59-4d5a-9f0c-0a4a8f0b3a11".to_owned(),
            user_id: Some("alice".to_owned()),
            display_name: "Alice".to_owned(),
            server_id: None,
            server_implied: false,
            server_revision: 0,
            membership: "none".to_owned(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Learn {
    server_id: String,
    revision: u64,
    #[serde(default)]
    requirements: Vec<LearnRequirement>,
    #[serde(default)]
    definitions: Vec<LearnDefinition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LearnRequirement {
    plugin_id: PluginId,
    #[serde(default)]
    blocked: bool,
    publishes: Option<bool>,
    plugin_user_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LearnDefinition {
    plugin_id: PluginId,
    event_name: EventName,
    #[serde(default)]
    direction: String,
    #[serde(default)]
    scope: String,
    schema: Option<Box<RawValue>>,
    #[serde(default)]
    max_payload_bytes: u32,
}

/// The folder of the cases.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|dir| dir.join("tests/cases").exists())
        .expect("the repository")
        .join("tests/cases/envelopes")
}

/// Runs every case of every file against a fresh validator each.
///
/// # Panics
/// A case fails, a file is no file of cases, or the folder holds anything else.
pub(crate) fn run(mut fresh: impl FnMut() -> Box<dyn Validator>) -> usize {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let (mut count, mut failures) = (0, Vec::new());
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        assert!(
            path.extension()
                .is_some_and(|extension| extension == "json"),
            "{} is read by nobody",
            path.display()
        );
        let text = std::fs::read_to_string(&path).expect("readable");
        let mut file: File = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let snapshots: Vec<Snapshot> = file.learn.iter().map(|learn| snapshot(learn)).collect();
        for case in &mut file.cases {
            let mut validator = fresh();
            for snapshot in &snapshots {
                validator.update_definitions(snapshot).expect("learns");
            }
            let said = say(&mut *validator, &file.context, case);
            count += 1;
            if said != case.expect {
                failures.push(format!(
                    "{}: {}\n  expected {}\n  said     {said}",
                    path.display(),
                    case.name,
                    case.expect
                ));
                case.expect = said;
            }
        }
        if update {
            let text = serde_json::to_string_pretty(&file).expect("serializes");
            std::fs::write(&path, text + "\n").expect("writable");
        }
    }
    assert!(
        update || failures.is_empty(),
        "{} cases differ (UPDATE_EXPECT=1 accepts):\n{}",
        failures.len(),
        failures.join("\n")
    );
    count
}

fn say(validator: &mut dyn Validator, shared: &Map<String, Value>, case: &Case) -> Value {
    let mut merged = shared.clone();
    merged.extend(case.context.clone());
    let situation: Situation = serde_json::from_value(Value::Object(merged))
        .unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let context = Context {
        now_ms: situation.now_ms,
        connection_id: &situation.connection_id,
        user_id: situation.user_id.as_deref(),
        display_name: &situation.display_name,
        server_id: situation.server_id.as_deref(),
        server_implied: situation.server_implied,
        server_revision: situation.server_revision,
        membership: match situation.membership.as_str() {
            "none" => Membership::None,
            "viewing" => Membership::Viewing,
            "joined" => Membership::Joined,
            other => panic!("{}: membership {other}", case.name),
        },
    };
    // A string is the envelope's text, anything else is the envelope.
    let text = serde_json::from_str::<String>(case.envelope.get())
        .unwrap_or_else(|_| case.envelope.get().to_owned());
    let bytes = expand(&text).into_bytes();
    let verdict = validator
        .validate(&context, &bytes)
        .unwrap_or_else(|error| panic!("{}: {error}", case.name));
    describe(&verdict, &bytes)
}

fn describe(verdict: &Verdict, original: &[u8]) -> Value {
    match verdict {
        Verdict::Pass => json!({"verdict": "pass"}),
        Verdict::Rewrite(bytes) => json!({"verdict": "rewrite", "outgoing": text(bytes)}),
        Verdict::Route(decision) => {
            let effects: Vec<Value> = decision.effects.iter().map(effect).collect();
            let mut said = json!({"verdict": "route", "effects": effects});
            if decision
                .patches
                .iter()
                .any(|patch: &Patch| patch.remove > 0 || !patch.insert.is_empty())
            {
                let outgoing = apply(original, &decision.patches).expect("patches fit");
                envelope::Envelope::decode(&outgoing).expect("a patched envelope is one");
                said["outgoing"] = text(&outgoing).into();
            }
            said
        }
        Verdict::Refuse(refusal) => {
            let reply: Value = serde_json::from_slice(&refusal.reply).expect("a reply is JSON");
            assert_eq!(
                reply["code"],
                refusal.code.as_str(),
                "the code and the reply agree"
            );
            json!({"verdict": "refuse", "reply": reply})
        }
        Verdict::NeedSnapshot(server_id) => {
            json!({"verdict": "need-snapshot", "serverId": server_id})
        }
        Verdict::Later(ticket) => json!({"verdict": "later", "ticket": ticket}),
    }
}

fn text(bytes: &[u8]) -> String {
    collapse(std::str::from_utf8(bytes).expect("UTF-8"))
}

fn effect(effect: &Effect) -> Value {
    let access = |name: &str, access: &Access| json!({"effect": name, "serverId": access.server_id, "password": access.password, "invite": access.invite, "rosterOffset": access.roster_offset});
    match effect {
        Effect::Identify(identify) => json!({
            "effect": "identify", "userId": identify.user_id, "displayName": identify.display_name,
            "connectionScope": identify.connection_scope, "description": identify.description,
            "profileUpdatedAt": identify.profile_updated_at, "token": identify.token, "key": identify.key, "proof": identify.proof,
            "lock": identify.lock, "plugins": identify.plugins, "features": identify.features,
        }),
        Effect::Keepalive => json!({"effect": "keepalive"}),
        Effect::SetStatus(status) => json!({"effect": "set-status", "status": status.as_str()}),
        Effect::Join(wish) => access("join", wish),
        Effect::View(wish) => access("view", wish),
        Effect::Leave(server_id) => json!({"effect": "leave", "serverId": server_id}),
        Effect::Broadcast(server_id) => json!({"effect": "broadcast", "serverId": server_id}),
        Effect::SendToMember { server_id, user_id } => {
            json!({"effect": "send-to-member", "serverId": server_id, "userId": user_id})
        }
        Effect::SendToPlugin {
            server_id,
            plugin_id,
        } => json!({"effect": "send-to-plugin", "serverId": server_id, "pluginId": plugin_id}),
        Effect::Forward { user_id, class } => {
            json!({"effect": "forward", "userId": user_id, "class": match class {
                ForwardClass::Offer => "offer",
                ForwardClass::Reply => "reply",
                ForwardClass::Direct => "direct",
                ForwardClass::Icon => "icon",
            }})
        }
        Effect::IconAvailable {
            server_id,
            updated_at,
        } => {
            json!({"effect": "icon-available", "serverId": server_id, "updatedAt": updated_at})
        }
        Effect::IconPeers {
            server_id,
            updated_at,
        } => json!({"effect": "icon-peers", "serverId": server_id, "updatedAt": updated_at}),
    }
}

fn snapshot(learn: &RawValue) -> Snapshot {
    let learn: Learn = serde_json::from_str(learn.get()).expect("a snapshot");
    Snapshot {
        server_id: learn.server_id,
        revision: learn.revision,
        requirements: learn
            .requirements
            .into_iter()
            .map(|requirement| Requirement {
                plugin_id: requirement.plugin_id,
                blocked: requirement.blocked,
                publishes: requirement.publishes,
                plugin_user_id: requirement.plugin_user_id,
            })
            .collect(),
        definitions: learn.definitions.into_iter().map(definition).collect(),
    }
}

fn definition(learn: LearnDefinition) -> Definition {
    Definition {
        plugin_id: learn.plugin_id,
        event_name: learn.event_name,
        direction: match learn.direction.as_str() {
            "clientToServer" => EventDirection::ClientToServer,
            "p2pHint" => EventDirection::P2pHint,
            _ => EventDirection::ServerRelay,
        },
        scope: match learn.scope.as_str() {
            "channel" => EventScope::Channel,
            "user" => EventScope::User,
            "plugin" => EventScope::Plugin,
            _ => EventScope::Server,
        },
        schema: learn.schema.map(|schema| schema.get().to_owned()),
        payload_bytes_max: if learn.max_payload_bytes == 0 {
            65_536
        } else {
            learn.max_payload_bytes
        },
    }
}

/// Replaces `%x*3%` by `xxx`.
fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((inner, behind)) = rest.split_once('%') else {
            break;
        };
        let (unit, times) = inner.rsplit_once('*').expect("%unit*times%");
        out.push_str(&unit.repeat(times.parse().expect("a number")));
        rest = behind;
    }
    out + rest
}

/// Replaces long runs of one character by what [`expand`] reads.
fn collapse(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let mut times = 1;
        while characters.next_if_eq(&character).is_some() {
            times += 1;
        }
        if times > 40 {
            out.push_str(&format!("%{character}*{times}%"));
        } else {
            out.extend(std::iter::repeat_n(character, times));
        }
    }
    out
}
