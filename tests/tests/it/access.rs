//! Joining servers over the WebSocket, and what happens to connected members when the rules change.

use serde_json::{Value, json};
use std::time::Instant;
use tests::{
    client::Client,
    host::{Host, Settings},
};

fn join(server: &str) -> Value {
    json!({"type": "join_server", "serverId": server})
}

fn with(mut envelope: Value, key: &str, value: &str) -> Value {
    envelope[key] = value.into();
    envelope
}

#[test]
fn an_invite_opens_a_private_server_and_makes_a_member() {
    let host = Host::start();
    let _ = host
        .act(
            "olga",
            "POST",
            "/api/servers",
            &json!({"id": "hidden", "name": "Hidden", "private": true}),
        )
        .expect(201);
    let mut guest = Client::identified(&host, "guest");
    let denied = guest.refused(with(join("hidden"), "requestId", "j1"), "INVITE_REQUIRED");
    assert_eq!(
        (&denied["type"], &denied["serverId"], &denied["requestId"]),
        (&json!("access_denied"), &json!("hidden"), &json!("j1"))
    );
    assert!(denied["reason"].is_string());
    guest.refused(
        json!({"type": "view_server", "serverId": "hidden"}),
        "INVITE_REQUIRED",
    );
    guest.refused(
        with(join("hidden"), "inviteToken", "no-such-invite"),
        "INVITE_INVALID",
    );

    let invite = host
        .act("olga", "POST", "/api/servers/hidden/invites", &json!({}))
        .expect(200)
        .json();
    guest.send(with(
        join("hidden"),
        "inviteToken",
        invite["code"].as_str().expect("a code"),
    ));
    guest.expect("plugin_requirements");
    guest.close();
    drop(Client::joined(&host, "guest", "hidden"));
}

#[test]
fn a_password_admits_and_guesses_are_limited() {
    let host = Host::start();
    let _ = host
        .act(
            "olga",
            "POST",
            "/api/servers",
            &json!({"id": "guarded", "name": "Guarded", "password": "open sesame"}),
        )
        .expect(201);
    let mut guest = Client::identified(&host, "guest");
    guest.refused(join("guarded"), "PASSWORD_REQUIRED");
    guest.refused(
        with(join("guarded"), "password", "open barley"),
        "PASSWORD_INVALID",
    );
    guest.send(with(join("guarded"), "password", "open sesame"));
    guest.expect("server_users");

    let mut guesser = Client::identified(&host, "guesser");
    let begun = Instant::now();
    for _ in 0..limits::directory::PASSWORD_ATTEMPTS_PER_MINUTE {
        guesser.refused(
            with(join("guarded"), "password", "a guess"),
            "PASSWORD_INVALID",
        );
    }
    let limited = guesser.refused(
        with(join("guarded"), "password", "open sesame"),
        "RATE_LIMITED",
    );
    // The minute began with the first guess, at whatever second of the clock that was.
    let wait_ms = limited["retryAfterMs"].as_u64().unwrap_or(0);
    let passed_ms = begun.elapsed().as_millis() as u64;
    let window_ms = limits::directory::ATTEMPT_WINDOW_MS;
    assert!(
        wait_ms <= window_ms && wait_ms + passed_ms + 1 >= window_ms,
        "{limited} after {passed_ms} ms"
    );
}

#[test]
fn a_request_waits_for_approval() {
    let host = Host::start();
    let _ = host
        .act(
            "olga",
            "POST",
            "/api/servers",
            &json!({"id": "asked", "name": "Asked", "private": true}),
        )
        .expect(201);
    let _ = host
        .act(
            "guest",
            "POST",
            "/api/servers/asked/join-requests",
            &json!({"message": "let me in"}),
        )
        .expect(200);
    let mut guest = Client::identified(&host, "guest");
    guest.refused(join("asked"), "REQUEST_PENDING");
    let _ = host
        .act(
            "olga",
            "POST",
            "/api/servers/asked/join-requests/guest/approve",
            &json!({}),
        )
        .expect(200);
    guest.join("asked");
}

#[test]
fn a_ban_takes_effect_on_an_open_socket() {
    let host = Host::start();
    host.create_server("olga", "banning");
    let mut witness = Client::joined(&host, "witness", "banning");
    let mut troll = Client::joined(&host, "troll", "banning");
    witness.expect("user_joined");
    let _ = host
        .act(
            "olga",
            "PUT",
            "/api/servers/banning/bans/troll",
            &json!({"reason": "spam"}),
        )
        .expect(200);
    troll.refusal("BANNED");
    assert_eq!(witness.expect("user_left")["oderId"], "troll");
    troll.refused(
        json!({"type": "chat_message", "serverId": "banning", "message": "still here?"}),
        "NOT_A_MEMBER",
    );
    troll.refused(join("banning"), "BANNED");
    host.create_server("olga", "elsewhere");
    troll.join("elsewhere");
}

#[test]
fn a_required_plugin_refuses_only_clients_that_declare_their_plugins() {
    let host = Host::start();
    host.create_server("olga", "demanding");
    host.require(
        "olga",
        "demanding",
        "example.polls",
        &json!({"status": "required"}),
    );
    let mut without = Client::connect(&host, "without");
    without.identify(json!({"plugins": []}));
    let denied = without.refused(join("demanding"), "PLUGIN_REQUIRED");
    assert!(
        denied["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("example.polls")),
        "{denied}"
    );
    let mut equipped = Client::connect(&host, "equipped");
    equipped.identify(json!({"plugins": [{"id": "example.polls", "version": "1.2.0"}]}));
    equipped.join("demanding");
    drop(Client::joined(&host, "silent", "demanding"));
}

#[test]
fn a_plugin_in_a_version_outside_the_range_is_not_there() {
    let host = Host::start();
    host.create_server("olga", "ranged");
    let _ = host
        .act(
            "olga",
            "PUT",
            "/api/servers/ranged/plugins/example.polls/requirement",
            &json!({"status": "required", "versionRange": "^1.2"}),
        )
        .expect(200);
    let identified = |version: &str| {
        let mut client = Client::connect(&host, "guest");
        client.identify(json!({"plugins": [{"id": "example.polls", "version": version}]}));
        client
    };
    let denied = identified("1.1.0").refused(join("ranged"), "PLUGIN_REQUIRED");
    let reason = denied["reason"].as_str().expect("a sentence");
    assert!(
        reason.contains("'^1.2'") && reason.contains("'1.1.0'"),
        "{reason}"
    );
    let mut client = identified("1.2.0");
    client.send(join("ranged"));
    client.expect("server_users");
}

#[test]
fn a_public_server_admits_no_more_users_than_it_says() {
    let host = Host::start();
    let _ = host
        .act(
            "olga",
            "POST",
            "/api/servers",
            &json!({"id": "small", "name": "Small", "maxMembers": 2}),
        )
        .expect(201);
    let _first = Client::joined(&host, "first", "small");
    let _second = Client::joined(&host, "second", "small");
    let mut third = Client::identified(&host, "third");
    third.refused(join("small"), "FULL");
    third.send(json!({"type": "view_server", "serverId": "small"}));
    third.expect("server_users");
    // A further connection of a user needs no place, and a member has one.
    let _again = Client::joined(&host, "second", "small");
    let mut owner = Client::connect(&host, "olga");
    owner.identify(json!({"token": host.token("olga", "client")}));
    owner.join("small");
}

#[test]
fn a_viewer_gets_the_roster_and_is_not_in_it() {
    let host = Host::start();
    host.create_server("olga", "watched");
    let mut member = Client::joined(&host, "member", "watched");
    let mut viewer = Client::identified(&host, "viewer");
    viewer.send(json!({"type": "view_server", "serverId": "watched"}));
    assert_eq!(
        viewer.expect("server_users")["users"][0]["oderId"],
        "member"
    );
    viewer.expect("plugin_requirements");
    viewer.refused(
        json!({"type": "chat_message", "serverId": "watched", "message": "psst"}),
        "NOT_A_MEMBER",
    );

    let mut late = Client::identified(&host, "late");
    let (users, _) = late.join("watched");
    assert_eq!(
        users["users"].as_array().map(Vec::len),
        Some(1),
        "a viewer is in no roster: {users}"
    );
    late.send(json!({"type": "chat_message", "serverId": "watched", "message": "for members"}));
    member.expect("chat_message");
    assert!(
        !member
            .settled()
            .iter()
            .any(|frame| frame["oderId"] == "viewer")
    );
    // The requirement reaches viewers too; a chat message would have arrived before it.
    host.require(
        "olga",
        "watched",
        "example.polls",
        &json!({"status": "optional"}),
    );
    viewer.find("the requirement", |frame| {
        frame["type"] == "plugin_requirements" && frame["requirements"] != json!([])
    });
    assert!(!viewer.waiting_types().contains(&"chat_message"));
}

#[test]
fn members_are_notified_when_their_server_is_deleted() {
    let host = Host::start();
    host.create_server("olga", "ending");
    let mut member = Client::joined(&host, "member", "ending");
    let _ = host
        .act("olga", "DELETE", "/api/servers/ending", &json!({}))
        .expect(200);
    member.refusal("NOT_FOUND");
    member.refused(
        json!({"type": "chat_message", "serverId": "ending", "message": "hello?"}),
        "NOT_A_MEMBER",
    );
    member.refused(join("ending"), "NOT_FOUND");
}

#[test]
fn a_blocked_sender_gets_the_answer_for_an_absent_user() {
    let host = Settings::new()
        .config("[rates]\ndirect = { per_second = 10000, burst = 10000 }\n")
        .start();
    let mut bob = Client::identified(&host, "bob");
    assert!(bob.settled().is_empty());
    let mut mallory = Client::identified(&host, "mallory");
    mallory.send(json!({"type": "direct-message", "targetUserId": "bob", "text": "hi"}));
    assert_eq!(bob.expect("direct-message")["fromUserId"], "mallory");
    let _ = host
        .act("bob", "PUT", "/api/users/me/blocks/mallory", &json!({}))
        .expect(200);
    let unreachable = tests::until("the block to hold", || {
        mallory.send(json!({"type": "direct-message", "targetUserId": "bob", "text": "hi?", "requestId": "dm"}));
        mallory
            .settled()
            .into_iter()
            .find(|frame| frame["code"] == "NOT_REACHABLE")
    });
    let absent = mallory.refused(
        json!({"type": "direct-message", "targetUserId": "nobody", "requestId": "dm"}),
        "NOT_REACHABLE",
    );
    assert_eq!(unreachable, absent);
}

#[test]
fn a_locked_name_needs_proof() {
    let host = Host::start();
    let mut first = Client::identified(&host, "lena");
    assert!(
        first.settled().is_empty(),
        "a name that is not locked needs no proof"
    );
    first.close();
    let _ = host
        .act("lena", "PUT", "/api/users/me/lock", &json!({}))
        .expect(200);
    let mut thief = tests::until("the lock to hold", || {
        let mut thief = Client::identified(&host, "lena");
        let refused = thief
            .settled()
            .iter()
            .any(|frame| frame["code"] == "IDENTITY_PROOF_REQUIRED");
        refused.then_some(thief)
    });
    thief.refused(
        json!({"type": "typing", "isTyping": true}),
        "NOT_IDENTIFIED",
    );
    let mut owner = Client::connect(&host, "lena");
    owner.identify(json!({"token": host.token("lena", "client")}));
    assert!(owner.settled().is_empty());
}
