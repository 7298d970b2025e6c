//! The documents hold for what the server really says, and for what old clients really send.
#![allow(missing_docs)]

use envelope::{CATALOGUE, reply};
use envelope_docs::{Direction, asyncapi, markdown, schema, schemas, typescript};
use serde_json::{Value, json};

fn check(name: &str, direction: Direction, instance: &Value) -> Vec<String> {
    let schema = schema(name, direction).expect("a schema of this type and direction");
    let validator = jsonschema::validator_for(&schema).expect("a sound schema");
    validator
        .iter_errors(instance)
        .map(|error| error.to_string())
        .collect()
}

fn sound(name: &str, direction: Direction, instance: &Value) {
    assert_eq!(
        check(name, direction, instance),
        [""; 0],
        "{name}: {instance}"
    );
}

#[test]
fn every_schema_is_valid_and_named_after_its_type() {
    for (path, schema) in schemas() {
        assert!(jsonschema::meta::is_valid(&schema), "{path}");
        let title = schema["title"].as_str().expect("a title");
        assert!(path.ends_with(&format!("/{title}.json")), "{path}");
        assert_eq!(schema["properties"]["type"]["const"], title);
    }
}

#[test]
fn a_schema_exists_exactly_where_the_table_lets_a_type_go() {
    for envelope in CATALOGUE {
        let ways: Vec<Direction> = Direction::ALL
            .into_iter()
            .filter(|direction| schema(envelope.name, *direction).is_some())
            .collect();
        assert_eq!(
            ways.contains(&Direction::ClientToServer),
            envelope.direction.from_client(),
            "{}",
            envelope.name
        );
        assert!(!ways.is_empty());
    }
    assert!(schema("nonsense", Direction::ClientToServer).is_none());
    assert!(schema("connected", Direction::ClientToServer).is_none());
    assert_eq!(
        Direction::parse("server-to-client"),
        Some(Direction::ServerToClient)
    );
}

#[test]
fn the_servers_own_words_satisfy_their_schemas() {
    let parse = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).expect("JSON");
    let connected = reply::connected(
        "0b5f6c9e-52d4-4f3e-9d6f-0d2f5a6f8f11",
        1_777_470_000_000,
        &reply::protocol(&json!({"messageBytesMax": 1})),
    );
    sound("connected", Direction::ServerToClient, &parse(connected));
    sound(
        "error",
        Direction::ServerToClient,
        &parse(reply::error(
            "BAD_JSON",
            "not a JSON object",
            None,
            None,
            None,
        )),
    );
    sound(
        "error",
        Direction::ServerToClient,
        &parse(reply::error(
            "RATE_LIMITED",
            "too fast",
            Some("typing"),
            Some("1"),
            Some(200),
        )),
    );
    sound(
        "access_denied",
        Direction::ServerToClient,
        &parse(reply::access_denied(
            "s1",
            "BANNED",
            "you are banned",
            Some("1"),
            Some(5),
        )),
    );
}

#[test]
fn old_clients_forms_are_allowed() {
    let direction = Direction::ClientToServer;
    sound("identify", direction, &json!({"type": "identify"}));
    sound(
        "identify",
        direction,
        &json!({"type": "identify", "oderId": null, "displayName": "A", "profileUpdatedAt": "2026-01-01T00:00:00Z"}),
    );
    sound(
        "chat_message",
        direction,
        &json!({"type": "chat_message", "message": {"id": 1}, "timestamp": "2026-01-01T00:00:00Z"}),
    );
    sound(
        "chat_message",
        direction,
        &json!({"type": "chat_message", "message": "hi", "senderId": "x", "serverId": null}),
    );
    sound(
        "voice_state",
        direction,
        &json!({"type": "voice_state", "muted": true, "roomId": "r"}),
    );
    sound(
        "offer",
        direction,
        &json!({"type": "offer", "targetUserId": "b", "sdp": {"type": "offer"}}),
    );
}

#[test]
fn wrong_forms_are_named() {
    let direction = Direction::ClientToServer;
    assert!(
        !check(
            "typing",
            direction,
            &json!({"type": "typing", "isTyping": "yes"})
        )
        .is_empty()
    );
    assert!(
        !check(
            "status_update",
            direction,
            &json!({"type": "status_update", "status": "sleeping"})
        )
        .is_empty()
    );
    assert!(
        !check(
            "plugin_event",
            direction,
            &json!({"type": "plugin_event", "serverId": "s", "pluginId": "Ab", "eventName": "abc"})
        )
        .is_empty()
    );
    assert!(!check("offer", direction, &json!({"type": "offer"})).is_empty());
    let relayed =
        json!({"type": "chat_message", "message": "hi", "senderId": "a", "senderName": "A"});
    assert!(
        !check("chat_message", Direction::ServerToClient, &relayed).is_empty(),
        "an implied server is named on the direction out"
    );
}

#[test]
fn the_asyncapi_document_refers_only_to_what_it_defines() {
    let document = asyncapi();
    let mut refs = Vec::new();
    collect_refs(&document, &mut refs);
    assert!(refs.len() > CATALOGUE.len());
    for pointer in refs {
        assert!(
            document
                .pointer(pointer.strip_prefix('#').expect("a local reference"))
                .is_some(),
            "{pointer}"
        );
    }
}

fn collect_refs(value: &Value, refs: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref") {
                refs.push(target.clone());
            }
            map.values().for_each(|value| collect_refs(value, refs));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_refs(value, refs)),
        _ => {}
    }
}

#[test]
fn the_pages_name_every_type() {
    let (page, types) = (markdown(), typescript());
    for envelope in CATALOGUE {
        assert!(
            page.contains(&format!("\n## {}\n", envelope.name)),
            "{}",
            envelope.name
        );
        assert!(
            types.contains(&format!("  type: {:?};", envelope.name)),
            "{}",
            envelope.name
        );
    }
}
