//! Envelopes about which a validator decides later.

use crate::fixture::{Fixture, chat};
use serde_json::json;

#[test]
fn a_validator_is_asked_again_and_no_other_connection_waits() {
    let fixture = Fixture::start(1, None);
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| fixture.join(name));
    alice.send(chat("later 2"));
    alice.send(chat("after it"));
    bob.send(json!({"type": "keepalive"}));
    bob.expect("keepalive");
    assert!(!bob.has("chat_message"), "the sender is paused");
    assert_eq!(bob.chats(2), ["later 2", "after it"]);
    assert!(!alice.has("error"));
}

#[test]
fn an_undecided_envelope_is_refused_at_the_deadline() {
    let fixture = Fixture::with(1, None, |config| config.socket.decision_max_ms = 1);
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| fixture.join(name));
    alice.send(chat("later 1000"));
    alice.send(chat("after it"));
    let refusal = alice.expect("error");
    assert_eq!(
        (&refusal["code"], &refusal["ref"], &refusal["requestId"]),
        (&json!("INTERNAL"), &json!("chat_message"), &json!("r"))
    );
    assert_eq!(bob.chats(1), ["after it"]);
    assert_eq!(
        fixture.metric("jackfield_validator_failures_total{kind=\"undecided\"}"),
        1
    );
    // A connection may end while it waits.
    alice.send(chat("later 1000"));
    drop(alice);
    assert_eq!(bob.expect("user_left")["oderId"], "alice");
    bob.send(chat("fine"));
    bob.send(json!({"type": "keepalive"}));
    bob.expect("keepalive");
}
