//! Clients that claim other identities, address users they may not reach, are banned, or come from
//! a foreign origin.

use crate::hostile::attacked;
use serde_json::json;
use tests::{
    bystander::Bystander, client::Client, host::Host, limits_raised, measures::Counters, raw::Raw,
};

const SERVER: &str = "identities";
const PLUGIN: &str = "example.polls";

#[test]
fn no_client_can_impersonate_another_user() {
    let host = attacked(limits_raised());
    host.create_server("olga", SERVER);
    host.define(
        "olga",
        SERVER,
        PLUGIN,
        "vote:cast",
        &json!({"direction": "serverRelay", "scope": "server"}),
    );
    let bystander = Bystander::start(&host, "talk-identities");
    let before = Counters::of(&host);

    // Olga owns a server, so her name needs proof; in mode `claimed` other names are accepted and
    // shown as unverified.
    let mut thief = Client::connect(&host, "olga");
    thief.identify(json!({}));
    thief.refusal("IDENTITY_PROOF_REQUIRED");
    let mut victim = Client::joined(&host, "victim", SERVER);

    // A new identity after joining is refused, and no membership moves to it.
    let mut mallory = Client::joined(&host, "mallory", SERVER);
    victim.find("mallory", |frame| {
        frame["type"] == "user_joined" && frame["oderId"] == "mallory"
    });
    mallory.identify(json!({"oderId": "victim"}));
    mallory.refusal("IDENTITY_FIXED");
    mallory.send(json!({"type": "leave_server", "serverId": SERVER}));
    mallory.identify(json!({"oderId": "mallory-2"}));
    mallory.refused(
        json!({"type": "chat_message", "serverId": SERVER, "message": "still in?"}),
        "NOT_A_MEMBER",
    );
    mallory.identify(json!({}));
    mallory.join(SERVER);

    // Receivers see the connection's identity, whatever the envelope says about its sender.
    for (envelope, key) in [
        (
            json!({"type": "chat_message", "message": "hi", "senderId": "victim", "senderName": "VICTIM"}),
            "senderId",
        ),
        (
            json!({"type": "typing", "isTyping": true, "oderId": "victim", "displayName": "VICTIM"}),
            "oderId",
        ),
        (
            json!({"type": "voice_state", "muted": true, "oderId": "victim", "displayName": "VICTIM", "connectionId": "x"}),
            "oderId",
        ),
        (
            json!({"type": "status_update", "status": "busy", "oderId": "victim"}),
            "oderId",
        ),
    ] {
        let (mut envelope, kind) = (
            envelope.clone(),
            envelope["type"].as_str().expect("a type").to_owned(),
        );
        envelope["serverId"] = SERVER.into();
        mallory.send(envelope);
        let seen = victim.expect(&kind);
        assert_eq!(seen[key], "mallory", "a forged sender was relayed: {seen}");
        assert!(
            !seen.to_string().contains("VICTIM"),
            "a forged name was relayed: {seen}"
        );
    }

    // The source of a plugin event is the connection, its time the server's, and no other plugin
    // can be impersonated.
    mallory.send(json!({
        "type": "plugin_event", "serverId": SERVER, "pluginId": PLUGIN, "eventName": "vote:cast", "payload": {},
        "sourceUserId": "victim", "sourcePluginUserId": "plugin:another.one", "emittedAt": 32_503_680_000_000_u64,
    }));
    let event = victim.expect("plugin_event");
    assert_eq!(event["sourceUserId"], "mallory");
    assert!(
        event["emittedAt"]
            .as_u64()
            .is_some_and(|at| at < 32_503_680_000_000),
        "{event}"
    );
    assert_ne!(event["sourcePluginUserId"], "plugin:another.one", "{event}");

    for code in ["IDENTITY_PROOF_REQUIRED", "IDENTITY_FIXED", "NOT_A_MEMBER"] {
        assert_eq!(
            before.growth(&host, "envelopes_refused_total", code),
            1.0,
            "{code}"
        );
    }
    bystander.undisturbed();
}

#[test]
fn mode_open_accepts_names_as_unverified_and_required_refuses_them() {
    let open = attacked("[identity]\nmode = \"open\"\n");
    open.create_server("olga", SERVER);
    let mut witness = Client::joined(&open, "witness", SERVER);
    let mut claimed = Client::connect(&open, "olga");
    claimed.identify(json!({}));
    claimed.join(SERVER);
    let seen = witness.find("olga", |frame| {
        frame["type"] == "user_joined" && frame["oderId"] == "olga"
    });
    assert_eq!(
        seen["verified"], false,
        "mode open accepts the name and marks it"
    );

    let required = attacked("[identity]\nmode = \"required\"\n");
    let before = Counters::of(&required);
    let mut unproven = Client::connect(&required, "ann");
    unproven.identify(json!({}));
    unproven.refusal("IDENTITY_PROOF_REQUIRED");
    assert_eq!(
        before.growth(
            &required,
            "envelopes_refused_total",
            "IDENTITY_PROOF_REQUIRED"
        ),
        1.0
    );
    let mut proven = Client::connect(&required, "ann");
    proven.identify(json!({"token": required.token("ann", "client")}));
    assert!(proven.settled().is_empty());
}

/// A fresh key proves that the client holds it, not that the name belongs to the client.
#[test]
fn a_first_key_binding_proves_no_name() {
    let key = identity::SigningKey::from_seed(&[7; 32]);
    let proof = |client: &Client, host: &Host, name: &str| {
        let connected = client.connected();
        let origin = format!("http://{}", host.address());
        let user = identifiers::UserId::new(name).expect("a name");
        let (connection, at) = (
            connected["connectionId"].as_str().expect("an id"),
            connected["serverTime"].as_u64().expect("a time"),
        );
        let message = identity::proof::message(&origin, &user, connection, at);
        json!({"key": key.public_key().to_string(), "proof": identity::proof::sign(&key, &message), "lock": true})
    };
    let required = attacked("[identity]\nmode = \"required\"\n");
    for name in ["victim", "olga"] {
        let mut thief = Client::connect(&required, name);
        let offered = proof(&thief, &required, name);
        thief.identify(offered);
        thief.refusal("IDENTITY_PROOF_REQUIRED");
        thief.refused(
            json!({"type": "typing", "isTyping": true}),
            "NOT_IDENTIFIED",
        );
    }
    // With a token the key is bound, and from the next connection on the key alone is enough.
    for further in [
        json!({"token": required.token("victim", "client")}),
        json!({}),
    ] {
        let mut victim = Client::connect(&required, "victim");
        let mut offered = proof(&victim, &required, "victim");
        if let (Some(offered), Some(further)) = (offered.as_object_mut(), further.as_object()) {
            offered.extend(further.clone());
        }
        victim.identify(offered);
        assert!(victim.settled().is_empty(), "{further}");
        victim.close();
    }

    // In mode `claimed` a free name can be bound this way; it counts as proven from the next
    // connection on.
    let claimed = attacked("");
    claimed.create_server("olga", SERVER);
    let mut witness = Client::joined(&claimed, "witness", SERVER);
    for verified in [false, true] {
        let mut first = Client::connect(&claimed, "free");
        let offered = proof(&first, &claimed, "free");
        first.identify(offered);
        first.join(SERVER);
        let seen = witness.find("free", |frame| {
            frame["type"] == "user_joined" && frame["oderId"] == "free"
        });
        assert_eq!(seen["verified"], verified);
        first.close();
        witness.find("free", |frame| {
            frame["type"] == "user_left" && frame["oderId"] == "free"
        });
    }
}

#[test]
fn unreachable_users_cannot_be_told_from_unknown_ones() {
    let host = attacked(limits_raised());
    host.create_server("olga", SERVER);
    let bystander = Bystander::start(&host, "talk-reach");
    let before = Counters::of(&host);
    let mut alone = Client::identified(&host, "alone");
    assert!(alone.settled().is_empty());
    let mut mallory = Client::joined(&host, "mallory", SERVER);
    // A user without a shared server and an unknown user get the same answer.
    for kind in [
        "offer",
        "answer",
        "ice_candidate",
        "server_icon_peer_request",
        "server_icon_peer_data",
    ] {
        let [there, absent] = ["alone", "unknown"].map(|target| {
            mallory.refused(
                json!({"type": kind, "targetUserId": target, "serverId": SERVER, "requestId": "r"}),
                "NOT_REACHABLE",
            )
        });
        assert_eq!(there, absent, "{kind} tells whether the user exists");
    }
    // Names with a meaning in other systems are ordinary unknown names.
    for target in ["__proto__", "constructor", "../alone", "ALONE", "аlone"] {
        let answer = mallory.refused(
            json!({"type": "offer", "targetUserId": target, "requestId": "r"}),
            "NOT_REACHABLE",
        );
        assert_eq!(answer["requestId"], "r", "{target:?}");
    }
    for target in ["alone\u{0}", "alone ", ""] {
        mallory.refused(
            json!({"type": "offer", "targetUserId": target}),
            "INVALID_FIELD",
        );
    }
    assert!(alone.settled().is_empty(), "nothing of it arrived");
    assert!(before.growth(&host, "forwards_unreachable_total", "") >= 15.0);

    // A message to one's own identity reaches its other connections once each, and never the
    // sending one.
    mallory.refused(
        json!({"type": "direct-message", "targetUserId": "mallory", "text": "me"}),
        "NOT_REACHABLE",
    );
    let mut devices: Vec<Client> = (0..limits::socket::CONNECTIONS_PER_IDENTITY_MAX)
        .map(|_| Client::identified(&host, "many"))
        .collect();
    devices
        .iter_mut()
        .for_each(|device| assert!(device.settled().is_empty()));
    let mut one_more = Client::identified(&host, "many");
    one_more.refusal("LIMIT_REACHED");
    devices[0]
        .send(json!({"type": "direct-message", "targetUserId": "many", "text": "to my devices"}));
    assert!(
        devices[0].settled().is_empty(),
        "the sending connection got its own message"
    );
    for device in &mut devices[1..] {
        assert_eq!(device.expect("direct-message")["fromUserId"], "many");
        assert!(device.settled().is_empty());
    }
    bystander.undisturbed();
}

#[test]
fn every_type_needs_identify_first() {
    let host = attacked(limits_raised());
    host.create_server("olga", SERVER);
    let bystander = Bystander::start(&host, "talk-before");
    let before = Counters::of(&host);
    let mut client = Client::connect(&host, "nameless");
    // All types of the catalogue that need an identity.
    let mut refused = 0.0;
    for envelope in envelope::catalogue::CATALOGUE
        .iter()
        .filter(|envelope| envelope.direction.from_client())
    {
        if matches!(envelope.name, "identify" | "keepalive") {
            continue;
        }
        client.refused(json!({"type": envelope.name, "serverId": SERVER, "targetUserId": "olga", "pluginId": PLUGIN}), "NOT_IDENTIFIED");
        refused += 1.0;
    }
    assert_eq!(
        before.growth(&host, "envelopes_refused_total", "NOT_IDENTIFIED"),
        refused
    );
    client.identify(json!({}));
    client.join(SERVER);
    bystander.undisturbed();
}

#[test]
fn a_ban_ends_the_rights_of_a_connected_client() {
    let host = attacked(limits_raised());
    host.create_server("olga", SERVER);
    let bystander = Bystander::start(&host, "talk-bans");
    let before = Counters::of(&host);
    let mut witness = Client::joined(&host, "witness", SERVER);
    let mut troll = Client::joined(&host, "troll", SERVER);
    witness.expect("user_joined");
    let ban = host.send(
        &tests::http::Request::new("PUT", &format!("/api/servers/{SERVER}/bans/troll"))
            .bearer(&host.token("olga", "client"))
            .json(&json!({"reason": "spam"})),
    );
    let _ = ban.expect(200);
    troll.refusal("BANNED");
    assert_eq!(witness.expect("user_left")["oderId"], "troll");
    for envelope in [
        json!({"type": "chat_message", "serverId": SERVER, "message": "still here?"}),
        json!({"type": "typing", "serverId": SERVER, "isTyping": true}),
    ] {
        troll.refused(envelope, "NOT_A_MEMBER");
    }
    troll.refused(
        json!({"type": "offer", "targetUserId": "witness"}),
        "NOT_REACHABLE",
    );
    troll.refused(json!({"type": "join_server", "serverId": SERVER}), "BANNED");
    troll.refused(json!({"type": "view_server", "serverId": SERVER}), "BANNED");
    assert!(witness.settled().is_empty());
    assert_eq!(
        before.growth(&host, "envelopes_refused_total", "access_denied"),
        3.0
    );
    bystander.undisturbed();
}

#[test]
fn foreign_origins_are_refused() {
    let host = attacked("[socket]\norigins = [\"https://chat.example\"]\n");
    let before = Counters::of(&host);
    let foreign = [
        "https://evil.example",
        "https://chat.example.evil.example",
        "http://chat.example",
        "https://chat.example:444",
        "null",
        "",
    ];
    for origin in foreign {
        let (_, head) = Raw::shake(&host, &format!("origin: {origin}\r\n"));
        assert!(head.starts_with("HTTP/1.1 403"), "{origin:?}: {head}");
    }
    let two = refused_with_two_origins(&host);
    assert!(
        two.starts_with("HTTP/1.1 4"),
        "an allowed origin beside a foreign one: {two}"
    );
    assert!(before.growth(&host, "handshakes_refused_total", "origin") >= foreign.len() as f64);
    let bystander = Bystander::start(&host, "talk-origins");
    bystander.undisturbed();
}

fn refused_with_two_origins(host: &Host) -> String {
    Raw::shake(
        host,
        "origin: https://chat.example\r\norigin: https://evil.example\r\n",
    )
    .1
}
