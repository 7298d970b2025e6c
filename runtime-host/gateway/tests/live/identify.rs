//! `identify` with an answer of the directory.

use crate::fixture::{Fixture, PROTECTED, SERVER, SHY, UNANSWERED};
use identity::SigningKey;
use serde_json::{Value, json};

#[test]
fn a_refusal_after_a_question_to_the_directory_names_the_request() {
    let fixture = Fixture::start(1, None);
    let mut client = fixture.connect();
    client.send(
        json!({"type": "identify", "oderId": PROTECTED, "displayName": "P", "requestId": "r1"}),
    );
    let refusal = client.expect("error");
    assert_eq!(
        (&refusal["code"], &refusal["requestId"]),
        (&json!("IDENTITY_PROOF_REQUIRED"), &json!("r1"))
    );
}

#[test]
fn a_wait_for_the_directory_ends_at_the_gateways_deadline() {
    // The deadline is half of the silence.
    let fixture = Fixture::with(1, None, |config| config.socket.silence_max_ms = 5_000);
    let mut client = fixture.connect();
    client.send(json!({"type": "identify", "oderId": UNANSWERED, "requestId": "r1"}));
    client.send(json!({"type": "keepalive"}));
    let refusal = client.expect("error");
    assert_eq!(
        (
            &refusal["code"],
            &refusal["ref"],
            &refusal["requestId"],
            refusal["retryAfterMs"].is_u64()
        ),
        (
            &json!("EDGE_UNAVAILABLE"),
            &json!("identify"),
            &json!("r1"),
            true
        )
    );
    assert!(!client.has("keepalive"), "envelopes keep their order");
    client.expect("keepalive");
}

/// The proof of `key` for the connection that `connected` opened.
fn proof(fixture: &Fixture, key: &SigningKey, user: &str, connected: &Value) -> String {
    let message = identity::proof::message(
        &fixture.hub.origin(),
        &identifiers::UserId::new(user).expect("a name"),
        connected["connectionId"].as_str().expect("an id"),
        connected["serverTime"].as_u64().expect("a time"),
    );
    identity::proof::sign(key, &message)
}

#[test]
fn a_bound_key_proves_the_name_before_the_feed_tells_of_it() {
    let fixture = Fixture::start(1, None);
    let mut witness = fixture.join("witness");
    let key = SigningKey::from_seed(&[7; 32]);
    let mut connected_before = Vec::new();
    for (lock, verified) in [(true, false), (false, true)] {
        let mut client = fixture.connect();
        let connected = client.expect("connected");
        client.send(json!({
            "type": "identify",
            "oderId": "free",
            "key": key.public_key().to_string(),
            "proof": proof(&fixture, &key, "free", &connected),
            "lock": lock,
        }));
        client.send(json!({"type": "join_server", "serverId": SERVER}));
        let seen = witness.expect("user_joined");
        assert_eq!(seen["verified"], verified, "{seen}");
        client.send(json!({"type": "leave_server", "serverId": SERVER}));
        witness.expect("user_left");
        connected_before.push(client);
    }
}

#[test]
fn a_user_that_binds_a_key_keeps_its_blocks() {
    let fixture = Fixture::start(1, None);
    let mut witness = fixture.join("witness");
    let mut friend = fixture.join("friend");
    let mut shy = fixture.connect();
    let connected = shy.expect("connected");
    let key = SigningKey::from_seed(&[7; 32]);
    shy.send(json!({
        "type": "identify",
        "oderId": SHY,
        "key": key.public_key().to_string(),
        "proof": proof(&fixture, &key, SHY, &connected),
        "lock": true,
    }));
    shy.send(json!({"type": "join_server", "serverId": SERVER}));
    shy.expect("plugin_requirements");
    for sender in [&mut witness, &mut friend] {
        sender.send(json!({"type": "direct-message", "targetUserId": SHY}));
        sender.send(json!({"type": "keepalive"}));
        sender.expect("keepalive");
    }
    let first = shy.expect("direct-message");
    assert_eq!(first["fromUserId"], "friend", "{first}");
}
