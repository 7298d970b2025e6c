//! Joins that the directory decides.

use crate::{
    client::PATIENCE,
    fixture::{Fixture, SERVER},
};
use serde_json::json;

/// Asks to join a guarded server, changes the server by `change`, which a witness in it notices by an envelope of type
/// `notice`, and then lets the directory allow the join. Returns the refusal.
fn refused_after(change: impl FnOnce(&Fixture), notice: &str) -> serde_json::Value {
    let fixture = Fixture::start(1, None);
    let mut witness = fixture.join("witness");
    let plugin = |id| json!([{"pluginId": id, "status": "optional"}]);
    let guarded = json!({"private": true, "requirements": plugin("example.guarded")});
    fixture.revise(2, &[], guarded);
    witness.expect("plugin_requirements");
    let mut bob = fixture.connect();
    bob.send(json!({"type": "identify", "oderId": "bob", "displayName": "Bob"}));
    bob.send(json!({"type": "join_server", "serverId": SERVER, "requestId": "r1"}));
    fixture.join_asked();
    change(&fixture);
    witness.expect(notice);
    fixture.allow_join();
    bob.expect("access_denied")
}

#[test]
fn a_ban_holds_that_came_while_the_directory_decided() {
    let ban = |fixture: &Fixture| {
        let banned = json!({"private": true, "bans": ["bob"]});
        fixture.revise(3, &[], banned);
    };
    let refusal = refused_after(ban, "plugin_requirements");
    assert_eq!(
        (&refusal["code"], &refusal["requestId"]),
        (&json!("BANNED"), &json!("r1"))
    );
    assert!(refusal["retryAfterMs"].is_null(), "a retry is of no use");
}

#[test]
fn a_join_may_be_tried_again_if_the_server_changed_while_the_directory_decided() {
    let refusal = refused_after(Fixture::delete, "access_denied");
    assert_eq!(
        (&refusal["code"], &refusal["requestId"]),
        (&json!("EDGE_UNAVAILABLE"), &json!("r1"))
    );
    assert!(refusal["retryAfterMs"].is_u64());
}

#[test]
fn one_server_that_cannot_be_fetched_keeps_no_other_waiting() {
    let fixture = Fixture::start(1, None);
    fixture.change("other", Fixture::row("other", 1, &[]));
    let mut eve = fixture.join("eve");
    eve.send(json!({"type": "join_server", "serverId": "other"}));
    eve.expect("plugin_requirements");
    fixture.change("other", json!({"serverId": "what is this?"}));
    fixture.change(SERVER, Fixture::row(SERVER, 2, &["eve"]));
    let denied = eve.expect("access_denied");
    assert_eq!(
        (&denied["serverId"], &denied["code"]),
        (&json!(SERVER), &json!("BANNED"))
    );
    let began = std::time::Instant::now();
    while fixture.metric("jackfield_edge_overdue") != 1 {
        assert!(began.elapsed() < PATIENCE, "it is overdue");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // No connection enters by rules that may be old.
    let mut late = fixture.join("late");
    late.send(json!({"type": "join_server", "serverId": "other"}));
    assert_eq!(late.expect("access_denied")["code"], "EDGE_UNAVAILABLE");
    // It is asked for again, without another change.
    fixture.change_silently("other", Fixture::row("other", 2, &["eve"]));
    let denied = eve.expect("access_denied");
    assert_eq!(
        (&denied["serverId"], &denied["code"]),
        (&json!("other"), &json!("BANNED"))
    );
}
