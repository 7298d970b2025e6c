//! Bodies of requirements, events, servers, invites: what is taken, what is refused, and with which words.

use directory::{
    Code, Kind, State,
    body::Body,
    event, invite, requirement, role,
    server::{self, Form},
};
use identifiers::{EventName, PluginId, ServerId, UserId};
use serde_json::{Value, json};

fn body(value: &Value) -> Body {
    Body::parse(value.to_string().as_bytes()).unwrap()
}

fn me() -> UserId {
    UserId::new("me").unwrap()
}

fn parsed(
    value: &Value,
) -> Result<(server_state::Requirement, Vec<directory::Violation>), directory::Refusal> {
    requirement::parse(
        body(value),
        &ServerId::new("s1").unwrap(),
        &PluginId::new("x.y").unwrap(),
        &me(),
        1_777_470_000_000,
    )
}

#[test]
fn a_requirement_has_the_wire_shape() {
    let (row, warnings) = parsed(&json!({"status": "required", "installUrl": "https://a.example", "versionRange": ">=1.2 <2"})).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(
        serde_json::to_value(row.without_internal()).unwrap(),
        json!({"pluginId": "x.y", "serverId": "s1", "status": "required", "installUrl": "https://a.example", "sourceUrl": null, "manifest": null,
            "versionRange": ">=1.2 <2", "updatedAt": 1_777_470_000_000_u64, "updatedBy": "me"})
    );
    assert_eq!(row.publishes, None);
}

#[test]
fn what_gateways_need_is_read_from_manifests_with_violations_too() {
    let manifest = json!({"id": "x.y", "capabilities": ["messages.send", {"id": "events.server.publish"}], "pluginUser": {"id": "bot", "displayName": 7}});
    let (row, warnings) = parsed(&json!({"status": "optional", "manifest": manifest})).unwrap();
    assert!(
        warnings
            .iter()
            .all(|warning| warning.pointer.starts_with("/manifest"))
            && !warnings.is_empty()
    );
    assert_eq!(
        (row.publishes, row.plugin_user_id.as_deref()),
        (Some(true), Some("bot"))
    );
    let (row, _) = parsed(
        &json!({"status": "optional", "manifest": {"capabilities": "events.server.publish"}}),
    )
    .unwrap();
    assert_eq!((row.publishes, row.plugin_user_id), (Some(false), None));
}

#[test]
fn a_manifest_keeps_order_and_numbers() {
    let text = br#"{"status":"required","manifest":{"zebra":1.50,"apple":10000000000000000000000,"id":"x.y"}}"#;
    let (row, _) = requirement::parse(
        Body::parse(text).unwrap(),
        &ServerId::new("s").unwrap(),
        &PluginId::new("x.y").unwrap(),
        &me(),
        1,
    )
    .unwrap();
    let stored = serde_json::to_string(&row).unwrap();
    assert!(
        stored.contains(r#"{"zebra":1.50,"apple":10000000000000000000000,"id":"x.y"}"#),
        "{stored}"
    );
    let read: server_state::Requirement = serde_json::from_str(&stored).unwrap();
    assert!(
        serde_json::to_string(&read).unwrap() == stored,
        "what is stored is read as it was"
    );
}

#[test]
fn all_violations_come_at_once_and_the_first_gives_the_code() {
    let refusal = parsed(&json!({"status": "forced", "installUrl": "x", "versionRange": "a b c", "manifest": {"id": "z.z"}})).unwrap_err();
    let pointers: Vec<_> = refusal
        .violations
        .iter()
        .map(|violation| violation.pointer.as_str())
        .collect();
    assert_eq!(
        pointers,
        ["/status", "/installUrl", "/versionRange", "/manifest/id"]
    );
    assert_eq!(refusal.code, Code::InvalidStatus);
    assert_eq!(refusal.code, Code::InvalidStatus);
}

#[test]
fn event_schemas_are_compiled_and_texts_are_unwrapped() {
    let (plugin, name) = (
        PluginId::new("x.y").unwrap(),
        EventName::new("a:b").unwrap(),
    );
    let parsed = |value: &Value| event::parse(body(value), &plugin, &name);
    let base = json!({"direction": "serverRelay", "scope": "server"});
    let with = |schema: Value| {
        let mut value = base.clone();
        value["schema"] = schema;
        parsed(&value)
    };
    assert_eq!(parsed(&base).unwrap().max_payload_bytes, 65_536);
    assert_eq!(
        with(json!(" {\"type\": \"object\"} "))
            .unwrap()
            .schema
            .unwrap()
            .get(),
        "{\"type\": \"object\"}"
    );
    assert_eq!(with(json!(false)).unwrap().schema.unwrap().get(), "false");
    for schema in [
        json!({"type": "odd"}),
        json!(7),
        json!("7"),
        json!("{"),
        json!({"$ref": "http://a.example"}),
    ] {
        let refusal = with(schema.clone()).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.code.status()),
            (Code::SchemaInvalid, 422),
            "{schema}"
        );
    }
    assert_eq!(event::key(&plugin, &name), "x.y/a:b");
}

#[test]
fn forms_of_a_server() {
    let patch = server::parse(body(&json!({"name": "Room"})), Form::Replace).unwrap();
    assert_eq!(
        (patch.description, patch.private, patch.password),
        (Some(None), Some(false), None),
        "a password stays"
    );
    let patch = server::parse(
        body(&json!({"description": null, "password": ""})),
        Form::Patch,
    )
    .unwrap();
    assert_eq!(
        (patch.name, patch.description, patch.password, patch.private),
        (None, Some(None), Some(None), None)
    );
    assert!(
        server::parse(body(&json!({})), Form::Create).is_err()
            && server::parse(body(&json!({"name": null})), Form::Replace).is_err()
    );
    assert!(
        server::parse(
            body(&json!({"name": "a", "password": "ä".repeat(129)})),
            Form::Create
        )
        .is_err(),
        "bytes count, not letters"
    );
}

#[test]
fn invites_last_ten_days_and_count_down() {
    let invite = invite::parse_invite(body(&json!({})), &me(), 1_000).unwrap();
    assert_eq!(
        (invite.expires_at, invite.uses_left),
        (1_000 + 10 * 24 * 3_600_000, None)
    );
    assert!(invite.is_open(invite.expires_at - 1) && !invite.is_open(invite.expires_at));
    assert!(
        !invite::Invite {
            uses_left: Some(0),
            ..invite.clone()
        }
        .is_open(1_000)
    );
    assert!(invite::parse_invite(body(&json!({"expiresInMs": 0})), &me(), 1).is_err());
}

#[test]
fn a_role_that_goes_is_taken_from_its_holders() {
    let entry = |kind, key: &str, doc: Value| directory::Entry {
        kind,
        key: key.to_owned(),
        version: 1,
        doc: doc.to_string(),
    };
    let state = State {
        entries: vec![
            entry(Kind::Role, "a", json!({"name": "A", "permissions": []})),
            entry(Kind::Grant, "one", json!({"roles": ["a"]})),
            entry(Kind::Grant, "two", json!({"roles": ["a", "b"]})),
            entry(Kind::Grant, "three", json!({"roles": ["b"]})),
        ],
        ..State::default()
    };
    let transaction = directory::Transaction::new(
        directory::Scope::Server(ServerId::new("s").unwrap()),
        "me",
        "role.delete",
        "a",
    );
    let transaction = role::delete(transaction, &state, "a").unwrap();
    let edits: Value = serde_json::from_str(&transaction.edits_json()).unwrap();
    assert_eq!(
        edits,
        json!([
            {"kind": "grant", "key": "one"},
            {"kind": "grant", "key": "two", "doc": "{\"roles\":[\"b\"]}"},
            {"kind": "role", "key": "a"},
        ])
    );
    assert_eq!(transaction.users_json(), r#"["one","two"]"#);
    assert!(
        transaction.checks_json().contains("\"revision\""),
        "no grant may slip in between"
    );
}

#[test]
fn every_code_has_a_status_and_words() {
    for code in Code::ALL {
        assert!((400..600).contains(&code.status()) && !code.meaning().is_empty());
        assert!(
            code.as_str()
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        );
        assert!(
            Code::ALL
                .iter()
                .filter(|other| other.as_str() == code.as_str())
                .count()
                == 1
        );
    }
}
