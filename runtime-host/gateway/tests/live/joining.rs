//! Joins that the directory decides.

use crate::{
    client::PATIENCE,
    fixture::{Fixture, PLUGIN, SERVER, definition, event},
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
fn a_public_server_lets_in_as_many_users_as_it_admits() {
    let fixture = Fixture::start(2, None);
    let mut limited = Fixture::row("limited", 1, &[]);
    limited["maxMembers"] = json!(2);
    fixture.change("limited", limited);
    let enter = |name: &str, kind: &str| {
        let mut client = fixture.connect();
        client.send(json!({"type": "identify", "oderId": name, "displayName": name}));
        client.send(json!({"type": kind, "serverId": "limited", "requestId": "r1"}));
        if kind == "join_server" {
            fixture.join_asked();
            fixture.allow_join();
        }
        let (answer, _) = client.next_of(&["server_users", "access_denied"]);
        (client, answer)
    };
    let (mut first, _) = enter("first", "join_server");
    let (_second, _) = enter("second", "join_server");
    let (_, answer) = enter("first", "join_server");
    assert_eq!(answer["type"], "server_users", "the user is there already");
    let (mut third, answer) = enter("third", "view_server");
    assert_eq!(answer["type"], "server_users", "viewers are not counted");
    let (_, answer) = enter("third", "join_server");
    let names = (&answer["code"], &answer["requestId"], &answer["serverId"]);
    assert_eq!(names, (&json!("FULL"), &json!("r1"), &json!("limited")));
    // A viewer that is not let in goes on to view.
    let join = json!({"type": "join_server", "serverId": "limited"});
    third.send(join.clone());
    fixture.join_asked();
    fixture.allow_join();
    assert_eq!(third.expect("access_denied")["code"], "FULL");
    let mut renamed = Fixture::row("limited", 2, &[]);
    renamed["maxMembers"] = json!(2);
    renamed["requirements"] = json!([{
        "serverId": "limited", "pluginId": "example.polls", "status": "optional", "installUrl": null,
        "sourceUrl": null, "manifest": null, "versionRange": null, "updatedAt": 1, "updatedBy": "olga",
    }]);
    fixture.change("limited", renamed);
    while third.expect("plugin_requirements")["revision"] != 2 {}
    first.send(json!({"type": "leave_server", "serverId": "limited"}));
    first.send(json!({"type": "typing", "isTyping": "perhaps"}));
    first.expect("error");
    third.send(join);
    fixture.join_asked();
    fixture.allow_join();
    third.expect("server_users");
}

#[test]
fn a_version_outside_the_range_is_a_plugin_that_is_lacking() {
    let fixture = Fixture::start(1, None);
    let required = json!([{"pluginId": PLUGIN, "status": "required", "versionRange": ">=1.2 <2"}]);
    fixture.revise(2, &[], json!({"requirements": required}));
    let join = |plugins: serde_json::Value| {
        let mut client = fixture.connect();
        client.send(
            json!({"type": "identify", "oderId": "bob", "displayName": "Bob", "plugins": plugins}),
        );
        client.send(json!({"type": "join_server", "serverId": SERVER}));
        client.next_of(&["server_users", "access_denied"]).0
    };
    let version = |version: &str| json!([{"id": PLUGIN, "version": version}]);
    let denied = join(version("1.0.0"));
    assert_eq!(denied["code"], "PLUGIN_REQUIRED");
    let reason = denied["reason"].as_str().expect("a sentence");
    assert!(
        reason.contains(">=1.2 <2") && reason.contains("'1.0.0'"),
        "{reason}"
    );
    assert_eq!(join(json!([]))["code"], "PLUGIN_REQUIRED");
    assert_eq!(join(version("1.2.3"))["type"], "server_users");
    assert_eq!(join(json!([PLUGIN]))["type"], "server_users", "any version");
}

#[test]
fn servers_whose_answers_hang_delay_no_ban_of_another() {
    let fixture = Fixture::start(1, None);
    let mut eve = fixture.join("eve");
    // One more, and all that are fetched at one time would hang.
    for at in 1..limits::directory::REFRESHES_MAX {
        let hanging = format!("hanging-{at}");
        fixture.change(&hanging, Fixture::row(&hanging, 1, &[]));
        eve.send(json!({"type": "join_server", "serverId": hanging}));
        eve.expect("plugin_requirements");
        fixture.hang(&hanging);
        fixture.change(&hanging, Fixture::row(&hanging, 2, &["eve"]));
    }
    fixture.change(SERVER, Fixture::row(SERVER, 2, &["eve"]));
    let denied = eve.expect("access_denied");
    assert_eq!(
        (&denied["serverId"], &denied["code"]),
        (&json!(SERVER), &json!("BANNED"))
    );
    assert_eq!(
        fixture.metric("jackfield_directory_overdue"),
        0,
        "the answers still hang: the ban did not wait for their time limit"
    );
}

#[test]
fn users_whose_answers_hang_delay_no_ban() {
    let fixture = Fixture::start(1, None);
    let mut eve = fixture.join("eve");
    let names = (0..=limits::directory::REFRESHES_MAX).map(|at| format!("hanging-{at}"));
    let hanging: Vec<_> = names.map(|name| (fixture.join(&name), name)).collect();
    for (_, name) in &hanging {
        fixture.hang(name);
        fixture.change_user(name, 1);
    }
    fixture.change(SERVER, Fixture::row(SERVER, 2, &["eve"]));
    assert_eq!(eve.expect("access_denied")["code"], "BANNED");
    assert_eq!(
        fixture.metric("jackfield_directory_overdue"),
        0,
        "the answers still hang: the ban did not wait for their time limit"
    );
}

#[test]
fn a_user_that_changes_its_own_data_is_asked_for_no_memberships() {
    let fixture = Fixture::start(1, None);
    let mut row = Fixture::row(SERVER, 2, &[]);
    row["private"] = true.into();
    fixture.change_silently(SERVER, row);
    let mut eve = fixture.connect();
    eve.send(json!({"type": "identify", "oderId": "eve", "displayName": "Eve"}));
    eve.send(json!({"type": "join_server", "serverId": SERVER}));
    fixture.join_asked();
    fixture.allow_join();
    eve.expect("plugin_requirements");
    let told = |revision: u64, asked: usize| {
        fixture.change_user("eve", revision);
        let began = std::time::Instant::now();
        while fixture.asked_about_user("eve") < asked {
            assert!(began.elapsed() < PATIENCE, "the change is fetched");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    // The gateway does not know her revision before the first change.
    told(5, 1);
    told(6, 2);
    told(7, 3);
    assert!(!eve.has("access_denied"));
    // A server has changed what concerns her.
    told(7, 4);
    let began = std::time::Instant::now();
    while fixture.members_asked().len() < 2 {
        assert!(began.elapsed() < PATIENCE, "the membership is asked for");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(fixture.members_asked(), [SERVER, SERVER]);
}

#[test]
fn what_could_not_be_fetched_is_restated_when_it_can() {
    let fixture = Fixture::start(1, None);
    fixture.change("other", Fixture::row("other", 5, &[]));
    fixture.change(SERVER, Fixture::row(SERVER, 5, &[]));
    let mut eve = fixture.join("eve");
    eve.send(json!({"type": "join_server", "serverId": "other"}));
    eve.expect("plugin_requirements");
    // Overdue before the directory is restored, and afterwards still.
    let unreadable = json!({"serverId": "what is this?"});
    fixture.change("other", unreadable.clone());
    let began = std::time::Instant::now();
    while fixture.metric("jackfield_directory_overdue") != 1 {
        assert!(began.elapsed() < PATIENCE, "it is overdue");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let restored = Fixture::row(SERVER, 2, &["eve"]);
    fixture.restore(&[(SERVER, restored), ("other", unreadable)]);
    let denied = eve.expect("access_denied");
    let names = (&denied["serverId"], &denied["code"]);
    assert_eq!(names, (&json!(SERVER), &json!("BANNED")), "an older state");
    fixture.change_silently("other", Fixture::row("other", 1, &["eve"]));
    let denied = eve.expect("access_denied");
    let names = (&denied["serverId"], &denied["code"]);
    assert_eq!(names, (&json!("other"), &json!("BANNED")), "the older one");
}

#[test]
fn the_validator_takes_the_definitions_of_a_restored_directory() {
    let fixture = Fixture::start(1, None);
    let (mut alice, mut bob) = (fixture.join("alice"), fixture.join("bob"));
    let plugins = |name: &str, revision: u64| {
        let mut row = Fixture::row(SERVER, revision, &[]);
        row["eventDefinitions"] = json!([definition(name, "serverRelay", "server")]);
        row
    };
    fixture.change(SERVER, plugins("vote:new", 5));
    while alice.expect("plugin_requirements")["revision"] != 5 {}
    alice.send(event("vote:new", 1));
    bob.expect("plugin_event");
    fixture.restore(&[(SERVER, plugins("vote:old", 2))]);
    while alice.expect("plugin_requirements")["revision"] != 2 {}
    alice.send(event("vote:old", 1));
    assert_eq!(bob.expect("plugin_event")["eventName"], "vote:old");
    alice.send(event("vote:new", 1));
    let refused = alice.expect("plugin_error");
    assert_eq!(refused["code"], "EVENT_NOT_REGISTERED");
}

#[test]
fn a_ban_does_not_send_the_plugins_again() {
    let fixture = Fixture::start(1, None);
    let mut witness = fixture.join("witness");
    let mut eve = fixture.join("eve");
    fixture.revise(2, &[], json!({"pluginsRevision": 1, "bans": ["eve"]}));
    assert_eq!(eve.expect("access_denied")["code"], "BANNED");
    assert_eq!(fixture.left_out(), [SERVER]);
    witness.send(json!({"type": "typing", "isTyping": "perhaps"}));
    witness.expect("error");
    assert!(!witness.has("plugin_requirements"), "they are the same");
    let mut late = fixture.connect();
    late.send(json!({"type": "identify", "oderId": "late", "displayName": "Late"}));
    late.send(json!({"type": "join_server", "serverId": SERVER}));
    let plugins = late.expect("plugin_requirements");
    assert_eq!(plugins["revision"], 2);
    assert_eq!(plugins["requirements"][0]["pluginId"], PLUGIN);
    assert_eq!(
        plugins["eventDefinitions"].as_array().map(Vec::len),
        Some(6)
    );
    // The validator goes on with what it knows.
    late.send(event("vote:tally", 1));
    assert_eq!(witness.expect("plugin_event")["eventName"], "vote:tally");
    let required = json!([{"pluginId": "example.other", "status": "optional"}]);
    fixture.revise(3, &[], json!({"requirements": required}));
    let plugins = witness.expect("plugin_requirements");
    assert_eq!(plugins["requirements"][0]["pluginId"], "example.other");
    assert_eq!(fixture.left_out(), [SERVER], "these have changed");
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
    while fixture.metric("jackfield_directory_overdue") != 1 {
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
