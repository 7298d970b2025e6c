//! Each refusal code that can occur, sent only to the sender, on a connection that stays open.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::{client::Client, host::Host, plugins::Directory};

const SERVER: &str = "refusals";
const PLUGIN: &str = "example.polls";

/// Codes that need another host, each with the test that provokes it.
const ELSEWHERE: [&str; 3] = [
    "INTERNAL",            // validators::a_trap_costs_one_refusal
    "EDGE_UNAVAILABLE",    // edge::the_gateway_keeps_running_when_its_edge_dies
    "KEY_SET_UNAVAILABLE", // issuer::a_new_key_is_found_and_an_outage_may_be_waited_out
];

/// Tests with clients that `cargo xtask setup` installs.
mod foreign {
    use super::{host, provoke};
    use tests::foreign::Library;

    #[test]
    fn every_code_through_ws() {
        let (_directory, host) = host();
        provoke(&host, |name| Library::Ws.connect(&host, name));
    }

    #[test]
    fn every_code_through_websockets() {
        let (_directory, host) = host();
        provoke(&host, |name| Library::Websockets.connect(&host, name));
    }
}

#[test]
fn every_code_through_our_own_client() {
    let (_directory, host) = host();
    provoke(&host, |name| Client::connect(&host, name));
}

/// Rates and limits that one test can reach, with a refill slower than any machine.
fn host() -> (Directory, Host) {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let limits = "[socket]\njoined_servers_max = 2\ndecision_max_ms = 1000\n[rates]\nmembership = { per_second = 1, burst = 40 }\n";
    let host = directory.settings().config(limits).start();
    host.plugin_in("tests.probe", "loaded");
    host.grant_all("tests.probe");
    for server in [SERVER, "second", "third"] {
        host.create_server("olga", server);
    }
    for (plugin, event, direction) in [
        (PLUGIN, "vote:cast", "serverRelay"),
        (PLUGIN, "vote:hint", "p2pHint"),
        ("example.blocked", "vote:cast", "serverRelay"),
    ] {
        let schema = json!({"type": "object", "properties": {"option": {"type": "integer"}}});
        host.define(
            "olga",
            SERVER,
            plugin,
            event,
            &json!({"direction": direction, "scope": "server", "schema": schema, "maxPayloadBytes": 64}),
        );
    }
    host.define(
        "olga",
        SERVER,
        "example.mute",
        "vote:cast",
        &json!({"direction": "serverRelay", "scope": "server"}),
    );
    host.define(
        "olga",
        SERVER,
        "tests.probe",
        "ask",
        &json!({"direction": "clientToServer", "scope": "server"}),
    );
    host.require(
        "olga",
        SERVER,
        "example.blocked",
        &json!({"status": "blocked"}),
    );
    host.require(
        "olga",
        SERVER,
        "example.mute",
        &json!({"status": "optional", "manifest": manifest("example.mute")}),
    );
    (directory, host)
}

/// A manifest that declares no capability to publish.
fn manifest(id: &str) -> Value {
    json!({
        "schemaVersion": 1, "id": id, "title": "Mute", "description": "Says nothing.", "version": "1.0.0", "kind": "client",
        "apiVersion": "1.0.0", "compatibility": {"minimumTojuVersion": "1.0.0"}, "capabilities": ["storage.local"],
    })
}

fn provoke(host: &Host, connect: impl Fn(&str) -> Client) {
    let mut seen = BTreeSet::new();
    let mut witness = connect("witness");
    witness.identify(json!({}));
    witness.join(SERVER);
    let mut ivan = connect("ivan");

    envelopes(&mut ivan, &mut seen);
    identities(&connect, &mut seen);
    ivan.join(SERVER);
    membership(&mut ivan, &mut seen);
    plugin_events(&mut ivan, &mut seen);
    deciding_plugins(host, &mut ivan, &mut seen);
    rates(&mut connect("rita"), &mut seen);

    ivan.send(json!({"type": "chat_message", "serverId": SERVER, "message": "after all that"}));
    let last = witness.find("the one legal message", |frame| {
        frame["type"] == "chat_message"
    });
    assert_eq!(last["message"], "after all that");
    assert!(
        !witness
            .waiting_types()
            .iter()
            .any(|kind| ["error", "plugin_error", "plugin_event"].contains(kind)),
        "refusals are the sender's alone"
    );

    let codes: BTreeSet<&str> = envelope::reply::code::ALL
        .iter()
        .copied()
        .filter(|code| !ELSEWHERE.contains(code))
        .collect();
    let missing: Vec<_> = codes.iter().filter(|code| !seen.contains(**code)).collect();
    assert!(
        missing.is_empty(),
        "codes that nothing provoked: {missing:?}"
    );
    assert_eq!(host.get("/healthz").status, 200);
}

fn envelopes(ivan: &mut Client, seen: &mut BTreeSet<&'static str>) {
    let early =
        ivan.refused(json!({"type": "chat_message", "serverId": SERVER, "message": "too early", "requestId": "r1"}), "NOT_IDENTIFIED");
    assert_eq!(
        (&early["ref"], &early["requestId"]),
        (&json!("chat_message"), &json!("r1"))
    );
    ivan.identify(json!({}));
    for text in [
        "{",
        "[]",
        "\"x\"",
        "null",
        "{\"type\":1}",
        "{\"type\":\"typing\",\"type\":\"typing\"}",
    ] {
        ivan.send_text(text);
        ivan.refusal("BAD_JSON");
    }
    ivan.refused(json!({"type": "nonsense"}), "UNKNOWN_TYPE");
    let invalid = ivan.refused(
        json!({"type": "status_update", "status": "asleep"}),
        "INVALID_FIELD",
    );
    assert!(
        invalid["message"]
            .as_str()
            .is_some_and(|text| text.contains("status")),
        "{invalid}"
    );
    let unreachable: Vec<Value> = ["nobody-at-all", "offline-person"]
        .iter()
        .map(|target| {
            ivan.refused(
                json!({"type": "direct-message", "targetUserId": target}),
                "NOT_REACHABLE",
            )
        })
        .collect();
    assert_eq!(
        unreachable[0], unreachable[1],
        "the same answer for whatever reason"
    );
    seen.extend([
        "NOT_IDENTIFIED",
        "BAD_JSON",
        "UNKNOWN_TYPE",
        "INVALID_FIELD",
        "NOT_REACHABLE",
    ]);
}

fn identities(connect: &impl Fn(&str) -> Client, seen: &mut BTreeSet<&'static str>) {
    let mut thief = connect("olga");
    thief.identify(json!({}));
    thief.refusal("IDENTITY_PROOF_REQUIRED");
    thief.identify(json!({"token": "no.token.atall"}));
    thief.refusal("IDENTITY_PROOF_REQUIRED");

    let mut changer = connect("first-name");
    changer.identify(json!({}));
    changer.join(SERVER);
    changer.identify(json!({"oderId": "second-name"}));
    changer.refusal("IDENTITY_FIXED");
    seen.extend(["IDENTITY_PROOF_REQUIRED", "IDENTITY_FIXED"]);
}

fn membership(ivan: &mut Client, seen: &mut BTreeSet<&'static str>) {
    ivan.refused(
        json!({"type": "chat_message", "serverId": "second", "message": "not there"}),
        "NOT_A_MEMBER",
    );
    let denied = ivan.refused(
        json!({"type": "join_server", "serverId": "no-such-server"}),
        "NOT_FOUND",
    );
    assert_eq!(
        (&denied["type"], &denied["serverId"]),
        (&json!("access_denied"), &json!("no-such-server"))
    );
    ivan.join("second");
    ivan.refused(
        json!({"type": "join_server", "serverId": "third"}),
        "LIMIT_REACHED",
    );
    ivan.send(json!({"type": "leave_server", "serverId": "second"}));
    seen.extend(["NOT_A_MEMBER", "LIMIT_REACHED"]);
}

fn plugin_events(ivan: &mut Client, seen: &mut BTreeSet<&'static str>) {
    let event = |plugin: &str, name: &str, payload: Value| json!({"type": "plugin_event", "serverId": SERVER, "pluginId": plugin, "eventName": name, "payload": payload, "requestId": "r2"});
    for (envelope, code) in [
        (
            event("Not.Legal", "vote:cast", json!({})),
            "INVALID_PLUGIN_ID",
        ),
        (event(PLUGIN, "Not Legal", json!({})), "INVALID_EVENT_NAME"),
        (
            event(PLUGIN, "vote:unknown", json!({})),
            "EVENT_NOT_REGISTERED",
        ),
        (
            event(PLUGIN, "vote:hint", json!({})),
            "DIRECTION_NOT_ALLOWED",
        ),
        (
            event("example.blocked", "vote:cast", json!({})),
            "PLUGIN_BLOCKED",
        ),
        (
            event("example.mute", "vote:cast", json!({})),
            "CAPABILITY_DENIED",
        ),
        (
            event(PLUGIN, "vote:cast", json!({"text": "x".repeat(64)})),
            "PAYLOAD_TOO_LARGE",
        ),
        (
            event(PLUGIN, "vote:cast", json!({"option": "three"})),
            "SCHEMA_VIOLATION",
        ),
    ] {
        let refusal = ivan.refused(envelope.clone(), code);
        assert_eq!(
            (&refusal["type"], &refusal["requestId"]),
            (&json!("plugin_error"), &json!("r2"))
        );
        assert_eq!(
            (&refusal["pluginId"], &refusal["eventName"]),
            (&envelope["pluginId"], &envelope["eventName"])
        );
        if code == "SCHEMA_VIOLATION" {
            assert_eq!(
                (
                    &refusal["violations"][0]["pointer"],
                    &refusal["violations"][0]["keyword"]
                ),
                (&json!("/option"), &json!("type"))
            );
        }
        seen.insert(code);
    }
}

/// A plugin that refuses, and one that does not answer in time.
fn deciding_plugins(host: &Host, ivan: &mut Client, seen: &mut BTreeSet<&'static str>) {
    let ask = |order: &str| json!({"type": "plugin_event", "serverId": SERVER, "pluginId": "tests.probe", "eventName": "ask", "payload": {"do": order}, "requestId": "r3"});
    let refusal = ivan.refused(ask("reject"), "PLUGIN_REFUSED");
    assert_eq!(
        (&refusal["requestId"], &refusal["pluginId"]),
        (&json!("r3"), &json!("tests.probe"))
    );
    assert!(
        refusal["message"]
            .as_str()
            .is_some_and(|text| text.contains("told to")),
        "{refusal}"
    );
    let refusal = ivan.refused(ask("sleep"), "PLUGIN_UNAVAILABLE");
    assert!(
        refusal["retryAfterMs"]
            .as_u64()
            .is_some_and(|wait| wait > 0),
        "{refusal}"
    );
    seen.extend(["PLUGIN_REFUSED", "PLUGIN_UNAVAILABLE"]);
    // It moderates chat too, and sleeps until its deadline.
    tests::until("the plugin to be back", || {
        let events = host
            .admin("GET", "/api/plugins/tests.probe/events", &Value::Null)
            .expect(200)
            .text();
        events.contains("restarted").then_some(())
    });
}

fn rates(rita: &mut Client, seen: &mut BTreeSet<&'static str>) {
    rita.identify(json!({}));
    for _ in 0..80 {
        rita.send(json!({"type": "leave_server", "serverId": SERVER}));
    }
    let limited = rita.refusal("RATE_LIMITED");
    assert!(
        limited["retryAfterMs"]
            .as_u64()
            .is_some_and(|wait| wait > 0),
        "{limited}"
    );
    seen.insert("RATE_LIMITED");
}
