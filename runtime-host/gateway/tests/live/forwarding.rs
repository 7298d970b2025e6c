//! Envelopes from one user to another.

use crate::fixture::Fixture;
use serde_json::json;

#[test]
fn a_direct_message_does_not_redirect_a_call() {
    for shards in [1, 2] {
        let fixture = Fixture::start(shards, None);
        // The newest connection gets an offer.
        let [mut alice, mut phone, mut laptop] =
            ["alice", "bob", "bob"].map(|name| fixture.join(name));
        alice.send(json!({"type": "offer", "targetUserId": "bob"}));
        laptop.expect("offer");
        laptop.send(json!({"type": "answer", "targetUserId": "alice"}));
        alice.expect("answer");
        phone.send(json!({"type": "direct-message", "targetUserId": "alice"}));
        alice.expect("direct-message");
        alice.send(json!({"type": "ice_candidate", "targetUserId": "bob"}));
        // Every connection gets this one, after the candidate.
        alice.send(json!({"type": "direct-message", "targetUserId": "bob"}));
        laptop.expect("direct-message");
        phone.expect("direct-message");
        assert!(laptop.has("ice_candidate") && !phone.has("ice_candidate"));
    }
}
