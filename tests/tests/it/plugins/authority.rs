//! What an operator says about a plugin acts at once, whatever the plugin or another one does, and what cannot be
//! understood is refused where it enters.

use super::calls;
use serde_json::{Value, json};
use tests::{client::Client, host::Host, http::Response, plugins::Directory, until};

fn host(directory: &Directory, limits: Value) -> Host {
    directory.install("plugin-probe", |manifest| manifest["limits"] = limits);
    directory.install("polls", |_| {});
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    host.plugin_in("jackfield.polls", "loaded");
    host
}

fn put_grant(host: &Host, body: &Value) -> Response {
    host.admin("PUT", "/api/plugins/tests.probe/grants", body)
}

fn kill(host: &Host, plugin: &str, off: bool) -> Response {
    let body = json!({"plugin": plugin, "off": off});
    host.admin("POST", "/api/plugins/kill-switch", &body)
}

#[test]
fn a_rule_that_could_never_match_is_refused_and_stops_nothing() {
    let directory = Directory::default();
    let host = host(&directory, json!({}));
    for (scope, named) in [
        (json!({"names": ["a*b"]}), "names[0]"),
        (json!({"name": ["a"]}), "name"),
        (json!({"names": []}), "names"),
        (json!({"hosts": ["a.example"]}), "hosts"),
    ] {
        for deny in [false, true] {
            let body = json!({"capability": "storage.kv", "scope": scope, "deny": deny});
            let refused = put_grant(&host, &body).expect(400);
            assert!(refused.text().contains(named), "{}", refused.text());
        }
    }
    let grants = host.admin("GET", "/api/plugins/tests.probe/grants", &Value::Null);
    assert_eq!(grants.expect(200).json()["grants"], json!([]));
    let _ = kill(&host, "jackfield.polls", true).expect(200);
    assert_ne!(host.ask_plugin("GET", "/polls/", b"").status, 200);
    let _ = kill(&host, "jackfield.polls", false).expect(200);
    host.plugin_in("jackfield.polls", "loaded");
}

#[test]
fn a_kill_switch_ends_a_running_call() {
    let directory = Directory::default();
    let host = host(&directory, json!({"responseTimeoutMs": 30_000}));
    let before = calls(&host);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| host.ask_plugin("GET", "/probe/sleep", b""));
        until("the call to run", || (calls(&host) > before).then_some(()));
        let _ = kill(&host, "tests.probe", true).expect(200);
        let ended = running.join().expect("an answer");
        assert_eq!(ended.expect(502).json()["code"], "PLUGIN_FAILED");
    });
    let events = until("the record of the stop", || {
        let events = host.admin("GET", "/api/plugins/tests.probe/events", &Value::Null);
        let events = events.expect(200).text();
        events.contains("stopped").then_some(events)
    });
    assert!(
        !events.contains("crashed"),
        "its deadline did not end it: {events}"
    );
}

#[test]
fn a_grant_ends_when_it_expires() {
    let directory = Directory::default();
    let host = super::strict(&directory);
    let value = || {
        let answer = host.ask_plugin("GET", "/probe/kv-get/a", b"");
        answer.expect(200).json()
    };
    let grant = json!({"capability": "storage.kv", "expiresInMs": 3_600_000});
    let _ = put_grant(&host, &grant).expect(200);
    assert!(value()["error"].is_null(), "the grant acts");
    let grant = json!({"capability": "storage.kv", "expiresInMs": 1_000});
    let _ = put_grant(&host, &grant).expect(200);
    until("the grant to expire", || {
        (value()["error"] == "ErrorCode::NotGranted").then_some(())
    });
}

/// What the host does not deliver, and what network rules refuse, leaves an entry in the audit.
#[test]
fn every_refusal_is_in_the_audit() {
    let directory = Directory::default();
    let host = super::strict(&directory);
    host.create_server("olga", "plaza");
    let _ = host.admin("POST", "/api/tools/double", &json!({"number": 1}));
    let _ = host.admin("POST", "/api/hooks/PreToolUse", &json!({"input": {}}));
    let mut alice = Client::joined(&host, "alice", "plaza");
    alice.send(json!({"type": "chat_message", "serverId": "plaza", "message": "hello"}));
    let _ = put_grant(&host, &json!({"capability": "http.fetch"})).expect(200);
    let fetched = host.ask_plugin("POST", "/probe/fetch", b"http://127.0.0.1:1/");
    assert_eq!(fetched.expect(200).json()["error"], "ErrorCode::Denied");
    let wanted = [
        ("tools.register", "denied"),
        ("hooks.subscribe", "denied"),
        ("messages.moderate", "denied"),
        ("http.fetch", "denied"),
    ];
    until("the refusals in the audit", || {
        let path = "/api/plugins/audit?recent=100&plugin=tests.probe";
        let audit = host.admin("GET", path, &Value::Null).expect(200).json();
        let entries = audit["entries"].as_array().cloned().unwrap_or_default();
        let has = |capability: &str, decision: &str| {
            entries.iter().any(|entry| {
                entry["capability"] == capability
                    && entry["decision"] == decision
                    && entry["by"].is_null()
            })
        };
        wanted
            .iter()
            .all(|(capability, decision)| has(capability, decision))
            .then_some(())
    });
}

#[test]
fn a_denial_holds_however_its_target_is_written_and_found() {
    let directory = Directory::default();
    let host = super::strict(&directory);
    let _ = put_grant(&host, &json!({"capability": "storage.kv"})).expect(200);
    for key in ["open", "hidden"] {
        let path = format!("/probe/kv-set/{key}");
        assert!(host.ask_plugin("POST", &path, b"1").json().is_null());
    }
    let deny = json!({"capability": "storage.kv", "scope": {"names": ["hidden"]}, "deny": true});
    let _ = put_grant(&host, &deny).expect(200);
    let keys = host.ask_plugin("GET", "/probe/kv-keys/", b"").expect(200);
    assert_eq!(keys.json(), json!(["open"]));
    let deny = json!({"capability": "http.serve", "scope": {"paths": ["/status/*"]}, "deny": true});
    let _ = put_grant(&host, &deny).expect(200);
    for path in [
        "/status/418",
        "/%73tatus/418",
        "/x/..%2F%73tatus/418",
        "//status/418",
        "/s%74atus%2f418",
    ] {
        let refused = host.ask_plugin("GET", &format!("/probe{path}"), b"");
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
    }
    let _ = host.ask_plugin("GET", "/probe/context", b"").expect(200);
}
