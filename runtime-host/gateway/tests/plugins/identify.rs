//! Identities that need an answer of the directory.

use crate::ground::{Ground, PROTECTED};
use serde_json::json;

#[test]
fn a_refusal_after_a_question_to_the_directory_names_the_request() {
    let ground = Ground::start(1, None);
    let mut client = ground.connect();
    client.send(
        json!({"type": "identify", "oderId": PROTECTED, "displayName": "P", "requestId": "r1"}),
    );
    let refusal = client.expect("error");
    assert_eq!(
        (&refusal["code"], &refusal["requestId"]),
        (&json!("IDENTITY_PROOF_REQUIRED"), &json!("r1"))
    );
}
