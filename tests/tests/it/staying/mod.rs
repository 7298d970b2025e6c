//! Whether an open session may stay what it is and where it is, when users, servers and memberships change.

mod history;

use identity::{NewToken, Role, SigningKey};
use serde_json::{Value, json};
use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};
use tests::{client::Client, host::Host, http::Request};

const OWNER: &str = "olga";

fn act(host: &Host, user: &str, method: &str, path: &str, body: &Value) {
    let token = host.known_token(user, "client");
    let request = Request::new(method, path).bearer(&token).json(body);
    let answer = host.send(&request);
    assert!(
        matches!(answer.status, 200 | 201),
        "{method} {path}: {}",
        answer.text()
    );
}

fn create(host: &Host, server: Value) {
    act(host, OWNER, "POST", "/api/servers", &server);
}

fn patch(host: &Host, server: &str, change: Value) {
    let path = format!("/api/servers/{server}");
    act(host, OWNER, "PATCH", &path, &change);
}

/// Makes a user a member, and joins on the socket.
fn member(host: &Host, name: &str, server: &str) -> Client {
    let mut client = Client::identified(host, name);
    client.send(
        json!({"type": "join_server", "serverId": server, "inviteToken": invite(host, server)}),
    );
    client.expect("plugin_requirements");
    client
}

fn invite(host: &Host, server: &str) -> String {
    let path = format!("/api/servers/{server}/invites");
    let token = host.known_token(OWNER, "client");
    let answer = host.send(&Request::new("POST", &path).bearer(&token).json(&json!({})));
    answer.expect(200).json()["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

/// A session of the owner, which proves its name.
fn owner(host: &Host) -> Client {
    let mut owner = Client::connect(host, OWNER);
    owner.identify(json!({"token": host.known_token(OWNER, "client")}));
    owner
}

fn say(client: &mut Client, server: &str, text: &str) {
    client.send(json!({"type": "chat_message", "serverId": server, "message": text}));
}

fn hears(client: &mut Client, text: &str) {
    client.find(text, |frame| frame["message"] == text);
}

#[test]
fn an_ended_membership_ends_the_stay_on_a_private_server() {
    let host = Host::start();
    create(&host, json!({"id": "den", "name": "Den", "private": true}));
    let mut owner = owner(&host);
    owner.join("den");
    let (mut ada, mut bob, mut cyd) = (
        member(&host, "ada", "den"),
        member(&host, "bob", "den"),
        member(&host, "cyd", "den"),
    );
    act(
        &host,
        OWNER,
        "DELETE",
        "/api/servers/den/members/ada",
        &json!({}),
    );
    ada.refusal("NOT_A_MEMBER");
    act(&host, "bob", "POST", "/api/servers/den/leave", &json!({}));
    bob.refusal("NOT_A_MEMBER");
    say(&mut owner, "den", "only for members");
    hears(&mut cyd, "only for members");
    for gone in [&mut ada, &mut bob] {
        gone.refused(
            json!({"type": "chat_message", "serverId": "den", "message": "still here?"}),
            "NOT_A_MEMBER",
        );
        gone.refused(
            json!({"type": "join_server", "serverId": "den"}),
            "INVITE_REQUIRED",
        );
        assert!(
            !gone
                .settled()
                .iter()
                .any(|frame| frame["type"] == "chat_message"),
            "it hears what is said after its end"
        );
    }
}

#[test]
fn a_server_that_becomes_private_keeps_its_members_alone() {
    let host = Host::start();
    create(&host, json!({"id": "yard", "name": "Yard"}));
    act(&host, "mia", "POST", "/api/servers/yard/join", &json!({}));
    let mut mia = Client::joined(&host, "mia", "yard");
    let mut passer = Client::joined(&host, "passer", "yard");
    let mut viewer = Client::identified(&host, "viewer");
    viewer.send(json!({"type": "view_server", "serverId": "yard"}));
    viewer.expect("plugin_requirements");
    patch(&host, "yard", json!({"private": true}));
    passer.refusal("NOT_A_MEMBER");
    viewer.refusal("NOT_A_MEMBER");
    assert_eq!(
        mia.find("the leaver", |frame| frame["type"] == "user_left")["oderId"],
        "passer"
    );
    let mut owner = owner(&host);
    owner.join("yard");
    say(&mut owner, "yard", "indoors");
    hears(&mut mia, "indoors");
}

#[test]
fn a_viewer_by_password_stays_until_the_password_changes() {
    let host = Host::start();
    create(
        &host,
        json!({"id": "hall", "name": "Hall", "password": "open sesame"}),
    );
    let mut ada = Client::identified(&host, "ada");
    ada.send(json!({"type": "join_server", "serverId": "hall", "password": "open sesame"}));
    ada.expect("plugin_requirements");
    let mut viewer = Client::identified(&host, "viewer");
    viewer.send(json!({"type": "view_server", "serverId": "hall", "password": "open sesame"}));
    viewer.expect("plugin_requirements");
    // Neither another's end nor a new name concerns it.
    act(
        &host,
        OWNER,
        "DELETE",
        "/api/servers/hall/members/ada",
        &json!({}),
    );
    ada.refusal("NOT_A_MEMBER");
    patch(&host, "hall", json!({"name": "Great hall"}));
    host.require(
        OWNER,
        "hall",
        "example.polls",
        &json!({"status": "optional"}),
    );
    viewer.find("the requirement", |frame| {
        frame["type"] == "plugin_requirements" && frame["requirements"] != json!([])
    });
    patch(&host, "hall", json!({"password": "other words"}));
    viewer.refusal("NOT_A_MEMBER");
}

#[test]
fn a_lock_takes_the_name_from_sessions_that_cannot_prove_it() {
    let host = Host::start();
    create(&host, json!({"id": "plaza", "name": "Plaza"}));
    let mut witness = Client::joined(&host, "witness", "plaza");
    let mut thief = Client::joined(&host, "lena", "plaza");
    let mut lena = Client::connect(&host, "lena");
    lena.identify(json!({"token": host.known_token("lena", "client")}));
    lena.join("plaza");
    act(&host, "lena", "PUT", "/api/users/me/lock", &json!({}));
    let refusal = thief.refusal("IDENTITY_PROOF_REQUIRED");
    assert_eq!(refusal["type"], "error");
    // A client that knows no errors sees it by its servers.
    let left = thief.refusal("IDENTITY_PROOF_REQUIRED");
    assert_eq!(
        (&left["type"], &left["serverId"]),
        (&json!("access_denied"), &json!("plaza"))
    );
    thief.refused(
        json!({"type": "chat_message", "serverId": "plaza", "message": "it is me"}),
        "NOT_IDENTIFIED",
    );
    witness.send(json!({"type": "direct-message", "targetUserId": "lena", "text": "for lena"}));
    assert_eq!(lena.expect("direct-message")["text"], "for lena");
    say(&mut lena, "plaza", "here");
    hears(&mut witness, "here");
    let heard = thief.settled();
    assert!(
        !heard
            .iter()
            .any(|frame| frame["type"] == "direct-message" || frame["type"] == "chat_message"),
        "{heard:?}"
    );
    // The session goes on under a name that needs no proof.
    thief.identify(json!({"oderId": "tom"}));
    thief.join("plaza");
}

#[test]
fn a_session_ends_with_its_token() {
    let host = Host::start();
    create(&host, json!({"id": "plaza", "name": "Plaza"}));
    let mut witness = Client::joined(&host, "witness", "plaza");
    let (short, long) = (
        token_for(&host, "tess", 4),
        host.known_token("tess", "client"),
    );
    let mut brief = Client::connect(&host, "tess");
    brief.identify(json!({"token": short}));
    brief.join("plaza");
    // One that identifies again in time goes on.
    let mut renewed = Client::connect(&host, "tess");
    renewed.identify(json!({"token": short}));
    renewed.join("plaza");
    renewed.identify(json!({"token": long}));
    let refusal = brief.refusal("IDENTITY_PROOF_REQUIRED");
    assert!(
        refusal["message"]
            .as_str()
            .is_some_and(|text| text.contains("expired")),
        "{refusal}"
    );
    say(&mut witness, "plaza", "after the end");
    hears(&mut renewed, "after the end");
    assert!(
        !brief
            .settled()
            .iter()
            .any(|frame| frame["type"] == "chat_message")
    );
    brief.identify(json!({"token": long}));
    brief.join("plaza");
}

/// A token that the host takes for some `seconds` more: it has expired, and the host tolerates differing clocks.
fn token_for(host: &Host, user: &str, seconds: u64) -> String {
    let pem = fs::read_to_string(host.data().join("signing-key.pem")).expect("the signing key");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let token = NewToken {
        user_id: identifiers::UserId::new(user).expect("a name"),
        role: Role::Client,
        issued_at_s: now.as_secs() - limits::identity::TOKEN_LEEWAY_SECONDS,
        lifetime_s: seconds,
        audience: None,
        issuer: None,
    };
    let key = SigningKey::from_pem(&pem).expect("a key");
    identity::sign(&key, &token).expect("a token")
}
