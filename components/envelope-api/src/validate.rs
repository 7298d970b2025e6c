//! `POST /api/envelopes/validate`: the validator's verdict about an envelope, in a situation that the caller describes.
//!
//! The validator keeps the definitions that it is given, and other requests run in the same instance. Therefore a
//! request's definitions are given, used and wiped without a pause in between; afterwards the validator answers as if
//! it had never had them.

use crate::{
    bindings::{definitions, judge, types},
    error::{Code, Error},
    verdict,
};
use envelope::Scan;
use http::StatusCode;
use limits::plugin_event::{
    DEFINITIONS_PER_SERVER_MAX, PAYLOAD_BYTES_DEFAULT, PAYLOAD_BYTES_MAX,
    REQUIREMENTS_PER_SERVER_MAX,
};
use rest::Answer;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::time::{SystemTime, UNIX_EPOCH};

/// The body. Unknown members are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    #[serde(default)]
    context: Situation,
    #[serde(default)]
    definitions: Vec<Definition>,
    #[serde(default)]
    requirements: Vec<Requirement>,
    /// The envelope, or its text.
    #[serde(borrow)]
    envelope: &'a RawValue,
}

/// The connection and the moment. Members that are left out describe an identified member of the server.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Situation {
    now_ms: Option<u64>,
    connection_id: Option<String>,
    /// Missing: `user-1`; null: not identified.
    #[serde(deserialize_with = "present")]
    user_id: Option<Option<String>>,
    display_name: Option<String>,
    server_id: Option<String>,
    membership: Option<Membership>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
enum Membership {
    None,
    Viewing,
    Joined,
}

/// As the REST side shows and takes event definitions.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    plugin_id: String,
    event_name: String,
    direction: Direction,
    scope: Scope,
    #[serde(default)]
    schema: Value,
    max_payload_bytes: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Direction {
    ClientToServer,
    ServerRelay,
    P2pHint,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Scope {
    Server,
    Channel,
    User,
    Plugin,
}

/// As the REST side shows and takes requirements.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Requirement {
    plugin_id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    manifest: Value,
}

fn present<'de, D: serde::Deserializer<'de>>(
    reader: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(reader).map(Some)
}

/// The revision under which the request's definitions are given to the validator.
const REVISION: u64 = 1;
/// The server that an envelope without `serverId` means when the context names none.
const SERVER: &str = "server-1";

/// Answers one question.
pub(crate) fn dry_run(body: &[u8]) -> Result<Answer, Error> {
    let bad = |message: &str| Error::new(Code::InvalidBody, message);
    let question: Question<'_> =
        serde_json::from_slice(body).map_err(|error| bad(&error.to_string()))?;
    if question.definitions.len() > DEFINITIONS_PER_SERVER_MAX {
        return Err(bad(&format!(
            "definitions has more than {DEFINITIONS_PER_SERVER_MAX} entries"
        )));
    }
    if question.requirements.len() > REQUIREMENTS_PER_SERVER_MAX {
        return Err(bad(&format!(
            "requirements has more than {REQUIREMENTS_PER_SERVER_MAX} entries"
        )));
    }
    let envelope = match serde_json::from_str::<String>(question.envelope.get()) {
        Ok(text) => text.into_bytes(),
        Err(_) => question.envelope.get().as_bytes().to_vec(),
    };
    let context = context(question.context, &envelope);
    let server_id = context.server_id.clone().unwrap_or_default();
    let snapshot = types::Snapshot {
        server_id: server_id.clone(),
        revision: REVISION,
        requirements: question.requirements.into_iter().map(requirement).collect(),
        definitions: question
            .definitions
            .into_iter()
            .map(definition)
            .collect::<Result<_, _>>()
            .map_err(|error| bad(&error))?,
    };
    definitions::learn(&snapshot);
    let verdict = judge::judge(&context, &envelope);
    let nothing = types::Snapshot {
        server_id,
        revision: 0,
        requirements: Vec::new(),
        definitions: Vec::new(),
    };
    definitions::learn(&nothing);
    Ok(Answer::text(
        StatusCode::OK,
        verdict::to_json(verdict, &envelope),
    ))
}

/// The context as a gateway builds it, with the caller's values where there are any.
fn context(situation: Situation, envelope: &[u8]) -> types::Context {
    let named = Scan::new(envelope)
        .server_id()
        .map(std::borrow::Cow::into_owned);
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    };
    types::Context {
        now_ms: situation.now_ms.unwrap_or_else(now),
        connection_id: situation
            .connection_id
            .unwrap_or_else(|| "00000000-0000-4000-8000-000000000000".to_owned()),
        user_id: situation
            .user_id
            .unwrap_or_else(|| Some("user-1".to_owned())),
        display_name: situation
            .display_name
            .unwrap_or_else(|| "User 1".to_owned()),
        server_implied: named.is_none(),
        server_id: Some(
            named
                .or(situation.server_id)
                .unwrap_or_else(|| SERVER.to_owned()),
        ),
        server_revision: REVISION,
        membership: match situation.membership.unwrap_or(Membership::Joined) {
            Membership::None => types::Membership::None,
            Membership::Viewing => types::Membership::Viewing,
            Membership::Joined => types::Membership::Joined,
        },
    }
}

fn requirement(requirement: Requirement) -> types::Requirement {
    let manifest = requirement.manifest.as_object();
    let capabilities = |manifest: &serde_json::Map<String, Value>| {
        let declared = manifest.get("capabilities").and_then(Value::as_array);
        declared.is_some_and(|declared| {
            declared
                .iter()
                .any(|capability| capability == "events.server.publish")
        })
    };
    types::Requirement {
        blocked: matches!(requirement.status.as_str(), "blocked" | "incompatible"),
        publishes: manifest.map(capabilities),
        plugin_user_id: requirement
            .manifest
            .pointer("/pluginUser/id")
            .and_then(Value::as_str)
            .map(str::to_owned),
        plugin_id: requirement.plugin_id,
    }
}

fn definition(definition: Definition) -> Result<types::Definition, String> {
    let payload_bytes_max = definition
        .max_payload_bytes
        .unwrap_or(PAYLOAD_BYTES_DEFAULT as u32);
    if payload_bytes_max as usize > PAYLOAD_BYTES_MAX {
        return Err(format!(
            "maxPayloadBytes of {} is more than {PAYLOAD_BYTES_MAX}",
            definition.event_name
        ));
    }
    Ok(types::Definition {
        plugin_id: definition.plugin_id,
        event_name: definition.event_name,
        direction: match definition.direction {
            Direction::ClientToServer => types::Direction::ClientToServer,
            Direction::ServerRelay => types::Direction::ServerRelay,
            Direction::P2pHint => types::Direction::P2pHint,
        },
        scope: match definition.scope {
            Scope::Server => types::Scope::Server,
            Scope::Channel => types::Scope::Channel,
            Scope::User => types::Scope::User,
            Scope::Plugin => types::Scope::Plugin,
        },
        schema: (!definition.schema.is_null()).then(|| definition.schema.to_string()),
        payload_bytes_max,
    })
}
