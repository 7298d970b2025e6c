//! Plugin events and chat: which plugins get them, which decide, and how loops end.

use serde_json::{Value, json};
use tests::{client::Client, host::Host, plugins::Directory};

const SERVER: &str = "plaza";

/// A host with the probe plugin, its events registered on a server, and two users there.
fn fixture(directory: &Directory) -> (Host, Client, Client) {
    configured(directory, "")
}

/// The same, with more configuration.
fn configured(directory: &Directory, config: &str) -> (Host, Client, Client) {
    directory.install("plugin-probe", |_| {});
    let host = directory.settings().config(config).start();
    host.plugin_in("tests.probe", "loaded");
    host.grant_all("tests.probe");
    host.create_server("olga", SERVER);
    host.require(
        "olga",
        SERVER,
        "tests.probe",
        &json!({"status": "optional"}),
    );
    host.define(
        "olga",
        SERVER,
        "tests.probe",
        "ask",
        &json!({"direction": "clientToServer", "scope": "server"}),
    );
    host.define(
        "olga",
        SERVER,
        "tests.probe",
        "tell",
        &json!({"direction": "serverRelay", "scope": "server"}),
    );
    let alice = Client::joined(&host, "alice", SERVER);
    let bob = Client::joined(&host, "bob", SERVER);
    (host, alice, bob)
}

/// Waits until the probe plugin has been started again so many times.
fn restarted(host: &Host, times: usize) {
    tests::until("the plugin to be back", || {
        let events = host
            .admin("GET", "/api/plugins/tests.probe/events", &Value::Null)
            .expect(200)
            .text();
        (events.matches("\"restarted\"").count() == times).then_some(())
    });
}

fn ask(payload: Value) -> Value {
    json!({"type": "plugin_event", "serverId": SERVER, "pluginId": "tests.probe", "eventName": "ask", "payload": payload})
}

fn chat(text: &str) -> Value {
    json!({"type": "chat_message", "serverId": SERVER, "message": text})
}

#[test]
fn a_plugin_sees_client_events_first_and_decides() {
    let directory = Directory::default();
    let (_host, mut alice, mut bob) = fixture(&directory);
    alice.send(ask(json!({"n": 1})));
    assert_eq!(bob.expect("plugin_event")["payload"]["n"], 1, "relayed");
    alice.send(ask(json!({"do": "consume", "n": 2})));
    alice.send(ask(json!({"n": 3})));
    assert_eq!(
        bob.expect("plugin_event")["payload"]["n"],
        3,
        "the one in between was consumed"
    );
    let refused = alice.refused(ask(json!({"do": "reject"})), "PLUGIN_REFUSED");
    assert!(refused.to_string().contains("told to"), "{refused}");
}

#[test]
fn a_slow_plugin_fails_within_the_gateways_limit() {
    let directory = Directory::default();
    let (host, mut alice, mut bob) = configured(
        &directory,
        "[socket]\ndecision_max_ms = 500\n[plugins]\nrestart_ms = 1000\n",
    );
    let refused = alice.refused(chat("!sleep"), "PLUGIN_UNAVAILABLE");
    assert!(refused["retryAfterMs"].is_u64(), "{refused}");
    // Not even while the moderator is being started again.
    let _ = alice.refused(chat("unseen"), "PLUGIN_UNAVAILABLE");
    restarted(&host, 1);
    alice.send(chat("seen"));
    assert_eq!(bob.expect("chat_message")["message"], "seen");
    let refused = alice.refused(ask(json!({"do": "sleep"})), "PLUGIN_UNAVAILABLE");
    assert!(refused["retryAfterMs"].is_u64(), "{refused}");
    restarted(&host, 2);
    let refused = alice.refused(ask(json!({"do": "panic"})), "PLUGIN_UNAVAILABLE");
    assert!(refused["retryAfterMs"].is_u64(), "{refused}");
    assert!(
        bob.waiting_types()
            .iter()
            .all(|kind| *kind != "plugin_event"),
        "no event goes on that its plugin has not decided about"
    );
    let late = host.metric("jackfield_plugin_decisions_total{kind=\"deadline\"}");
    assert_eq!(late, 0.0, "the gateway's own deadline is not reached");
}

#[test]
fn a_plugin_sends_under_its_own_identity() {
    let directory = Directory::default();
    let (_host, mut alice, mut bob) = fixture(&directory);
    alice.send(ask(json!({"do": "say", "text": "from the plugin"})));
    let said = bob.expect("chat_message");
    assert_eq!(
        (&said["message"], &said["senderId"]),
        (&json!("from the plugin"), &json!("plugin:tests.probe")),
        "the sender must be the plugin's own identity"
    );
    assert_eq!(alice.expect("chat_message")["message"], "from the plugin");
}

#[test]
fn loops_are_cut() {
    let directory = Directory::default();
    let (host, mut alice, mut bob) = fixture(&directory);
    alice.send(ask(json!({"do": "echo", "n": 0})));
    let mut heard = 0;
    // The loop ends by the hop limit; a marker sent afterwards arrives after all of it.
    loop {
        let event = bob.expect("plugin_event");
        if event["eventName"] == "tell" {
            heard += 1;
            if heard >= 7 {
                break;
            }
        }
    }
    alice.send(chat("marker"));
    bob.find("the marker", |frame| frame["message"] == "marker");
    assert!(
        host.metric("jackfield_plugin_publications_total") > 0.0 || heard <= 9,
        "{heard} events of a loop arrived"
    );
    host.plugin_in("tests.probe", "loaded");
}

#[test]
fn chat_is_rewritten_refused_and_flagged_and_the_rest_is_untouched() {
    let directory = Directory::default();
    let (host, mut alice, mut bob) = fixture(&directory);
    alice.send(json!({"type": "chat_message", "serverId": SERVER, "message": "!rewrite this", "zebra": [1, 2], "apple": null}));
    let got = bob.expect("chat_message");
    assert_eq!(
        (&got["message"], &got["zebra"], &got["apple"]),
        (&json!("rewritten this"), &json!([1, 2]), &Value::Null)
    );
    alice.send(json!({"type": "chat_message", "serverId": SERVER, "message": {"content": "!rewrite that", "format": "plain"}}));
    assert_eq!(
        bob.expect("chat_message")["message"],
        json!({"content": "rewritten that", "format": "plain"}),
        "the other members of a message object must stay"
    );
    let refused = alice.refused(chat("!refuse too rude"), "PLUGIN_REFUSED");
    assert!(refused.to_string().contains("too rude"), "{refused}");
    alice.send(chat("!flag look"));
    assert_eq!(bob.expect("chat_message")["message"], "!flag look");
    let logs = host
        .admin("GET", "/api/plugins/tests.probe/logs", &Value::Null)
        .expect(200)
        .text();
    assert!(logs.contains("flagged a message"), "{logs}");
}

#[test]
fn instances_of_two_servers_share_values_and_nothing_else() {
    let directory = Directory::default();
    let (host, mut alice, mut bob) = fixture(&directory);
    host.create_server("olga", "annex");
    for event in ["ask", "tell"] {
        let direction = if event == "ask" {
            "clientToServer"
        } else {
            "serverRelay"
        };
        host.define(
            "olga",
            "annex",
            "tests.probe",
            event,
            &json!({"direction": direction, "scope": "server"}),
        );
    }
    let mut carol = Client::joined(&host, "carol", "annex");
    let mut dave = Client::joined(&host, "dave", "annex");
    alice.send(ask(json!({"secret": "of the plaza"})));
    bob.expect("plugin_event");
    carol.send(
        json!({"type": "plugin_event", "serverId": "annex", "pluginId": "tests.probe", "eventName": "ask", "payload": {"do": "heard"}}),
    );
    let told = dave.find("what the instance heard", |frame| {
        frame["eventName"] == "tell"
    });
    let heard = told["payload"].to_string();
    assert!(
        heard.contains("annex") && !heard.contains("of the plaza"),
        "an instance saw another server's events: {heard}"
    );
}

#[test]
fn the_bus_replays_to_its_own_server_alone() {
    let directory = Directory::default();
    let (_host, mut alice, mut bob) = fixture(&directory);
    for n in 0..3 {
        alice.send(ask(json!({"do": "publish", "message": {"n": n}})));
        bob.expect("plugin_event");
    }
    alice.send(ask(json!({"do": "subscribe", "replay": 2})));
    bob.expect("plugin_event");
    alice.send(ask(json!({"do": "heard"})));
    let told = bob.find("what the instance heard", |frame| {
        frame["eventName"] == "tell"
    });
    let messages: Vec<u64> = told["payload"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|heard| heard["what"] == "message")
        .filter_map(|heard| heard["details"]["payload"]["n"].as_u64())
        .collect();
    assert_eq!(
        messages,
        [1, 2],
        "the latest two messages are replayed, in order"
    );
}

#[test]
fn polls_count_votes_and_show_results() {
    let directory = Directory::default();
    directory.install("polls", |_| {});
    let host = directory.settings().start();
    host.plugin_in("jackfield.polls", "loaded");
    host.grant_all("jackfield.polls");
    host.create_server("olga", SERVER);
    for (event, direction) in [("vote", "clientToServer"), ("results", "serverRelay")] {
        host.define(
            "olga",
            SERVER,
            "jackfield.polls",
            event,
            &json!({"direction": direction, "scope": "server"}),
        );
    }
    let mut alice = Client::joined(&host, "alice", SERVER);
    let mut bob = Client::joined(&host, "bob", SERVER);
    let asked = json!({"server": SERVER, "question": "tea?", "choices": ["yes", "no"]}).to_string();
    let poll = host
        .ask_plugin("POST", "/polls/", asked.as_bytes())
        .expect(201)
        .json()["poll"]
        .as_str()
        .expect("an id")
        .to_owned();
    let vote = |choice: u64| {
        let payload = json!({"poll": poll, "choice": choice});
        json!({"type": "plugin_event", "serverId": SERVER, "pluginId": "jackfield.polls", "eventName": "vote", "payload": payload})
    };
    alice.send(vote(1));
    let results = bob.find("the results", |frame| frame["eventName"] == "results");
    assert_eq!(results["payload"]["choices"][1]["votes"], 1);
    bob.send(vote(1));
    alice.find("both votes", |frame| frame["payload"]["votes"] == 2);
    let shown = host
        .ask_plugin("GET", &format!("/polls/{poll}"), b"")
        .expect(200)
        .json();
    assert_eq!(shown["choices"][1]["votes"], 2);
    alice.refused(vote(7), "PLUGIN_REFUSED");
}

/// What a schema admits and the plugin cannot read is refused, not relayed: its sender would choose the failure.
#[test]
fn a_payload_that_its_plugin_cannot_read_reaches_no_other_client() {
    let directory = Directory::default();
    directory.install("polls", |_| {});
    let host = directory.settings().start();
    host.plugin_in("jackfield.polls", "loaded");
    host.grant_all("jackfield.polls");
    host.create_server("olga", SERVER);
    let vote = json!({
        "direction": "clientToServer", "scope": "server",
        "schema": {"type": "object", "properties": {"choice": {"type": "integer"}}},
    });
    host.define("olga", SERVER, "jackfield.polls", "vote", &vote);
    let mut alice = Client::joined(&host, "alice", SERVER);
    let mut bob = Client::joined(&host, "bob", SERVER);
    for payload in [
        json!({"poll": "1", "choice": 1.0}),
        json!({"poll": "1", "choice": -1}),
        json!({"choice": 1}),
        json!({"poll": null}),
    ] {
        let text = format!(
            r#"{{"type":"plugin_event","serverId":"{SERVER}","pluginId":"jackfield.polls","eventName":"vote","payload":{payload}}}"#
        );
        alice.send_text(&text);
        let refused = alice.refusal("PLUGIN_REFUSED");
        assert!(refused.to_string().contains("vote"), "{payload}: {refused}");
    }
    let frames = bob.settled();
    assert!(
        frames.iter().all(|frame| frame["type"] != "plugin_event"),
        "{frames:?}"
    );
    let about = host.plugin_in("jackfield.polls", "loaded");
    assert_eq!(about["restarts"], 0, "no client can crash it: {about}");
}

#[test]
fn ungranted_subscriptions_deliver_nothing() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    host.create_server("olga", SERVER);
    host.define(
        "olga",
        SERVER,
        "tests.probe",
        "ask",
        &json!({"direction": "clientToServer", "scope": "server"}),
    );
    let mut alice = Client::joined(&host, "alice", SERVER);
    let mut bob = Client::joined(&host, "bob", SERVER);
    alice.send(chat("!refuse this"));
    assert_eq!(
        bob.expect("chat_message")["message"],
        "!refuse this",
        "it was not looked at"
    );
    alice.send(ask(json!({"do": "consume"})));
    assert_eq!(
        bob.expect("plugin_event")["payload"]["do"],
        "consume",
        "it was not heard"
    );
    let consents = host
        .admin("GET", "/api/consents?plugin=tests.probe", &Value::Null)
        .expect(200)
        .text();
    assert!(
        consents.contains("messages.moderate") && consents.contains("events.server.subscribe"),
        "a person is asked: {consents}"
    );
    host.grant_all("tests.probe");
    alice.refused(chat("!refuse this"), "PLUGIN_REFUSED");
}
