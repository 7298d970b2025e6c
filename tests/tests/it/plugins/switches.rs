//! Switches in the environment of a running host: each restricts what it says and nothing else.

use serde_json::json;
use tests::{client::Client, host::Host, plugins::Directory};

const PROBE: &str = "tests.probe";

/// What a host with a probe that was granted everything does under a switch.
#[derive(Debug, PartialEq, Eq)]
struct Does {
    /// It answers on its route.
    serves: bool,
    /// It moderates chat.
    moderates: bool,
    /// It is asked at hooks.
    hooks: bool,
    /// Its tools can be called.
    tools: bool,
    /// It reads stored values; none where it does not serve.
    reads: Option<bool>,
}

const EVERYTHING: Does = Does {
    serves: true,
    moderates: true,
    hooks: true,
    tools: true,
    reads: Some(true),
};
const NOTHING: Does = Does {
    serves: false,
    moderates: false,
    hooks: false,
    tools: false,
    reads: None,
};

fn does(host: &Host) -> Does {
    host.create_server("olga", "plaza");
    let mut alice = Client::joined(host, "alice", "plaza");
    let mut bob = Client::joined(host, "bob", "plaza");
    alice.send(json!({"type": "chat_message", "serverId": "plaza", "message": "!refuse this"}));
    alice.send(json!({"type": "chat_message", "serverId": "plaza", "message": "marker"}));
    let first = bob.expect("chat_message")["message"].clone();
    let hook = json!({"input": {}});
    let hook = host
        .admin("POST", "/api/hooks/PreToolUse", &hook)
        .expect(200);
    let tool = host.admin("POST", "/api/tools/double", &json!({"number": 2}));
    let reads = host.ask_plugin("GET", "/probe/kv-get/key", b"");
    let serves = reads.status == 200;
    Does {
        serves,
        moderates: first == "marker",
        hooks: hook.json()["answers"] != json!([]),
        tools: tool.status == 200,
        reads: serves.then(|| reads.json()["error"].is_null()),
    }
}

fn under(variables: &[(&str, &str)], state: &str) -> Does {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let mut settings = directory.settings();
    for (name, value) in variables {
        settings = settings.variable(name, value);
    }
    let host = settings.start();
    let about = host.plugin_in(PROBE, state);
    if state == "blocked" {
        let reason = about["lastError"].as_str().unwrap_or_default();
        assert!(reason.contains("kill_switch"), "{about}");
    }
    host.grant_all(PROBE);
    let done = does(&host);
    // What the environment has turned on, no request turns off.
    let off = json!({"off": false});
    let answer = host.admin("POST", "/api/plugins/kill-switch", &off);
    assert!(answer.status < 500, "{}", answer.text());
    let _ = host.plugin_in(PROBE, state);
    done
}

#[test]
fn a_switch_that_is_off_restricts_nothing() {
    let off = [
        ("JACKFIELD_DISABLE_PLUGINS", "0"),
        ("JACKFIELD_SKIP_PLUGINS", "false"),
        ("JACKFIELD_TEAM_WORKER", ""),
        ("JACKFIELD_PLUGIN_DENY", ""),
    ];
    assert_eq!(under(&off, "loaded"), EVERYTHING);
}

#[test]
fn disabled_plugins_do_nothing_at_all() {
    let disabled = [("JACKFIELD_DISABLE_PLUGINS", "1")];
    assert_eq!(under(&disabled, "blocked"), NOTHING);
    let killed = [("JACKFIELD_PLUGIN_KILL_TESTS_PROBE", "1")];
    assert_eq!(under(&killed, "blocked"), NOTHING);
}

#[test]
fn skipped_plugins_take_part_in_nothing_and_serve_on() {
    let skipped = under(&[("JACKFIELD_SKIP_PLUGINS", "1")], "loaded");
    let expected = Does {
        moderates: false,
        hooks: false,
        ..EVERYTHING
    };
    assert_eq!(skipped, expected);
}

#[test]
fn a_team_worker_has_no_capability_and_no_tool() {
    let worker = under(&[("JACKFIELD_TEAM_WORKER", "1")], "loaded");
    assert_eq!(worker, NOTHING);
}

#[test]
fn denied_capabilities_are_denied_whatever_is_granted() {
    let denied = under(
        &[("JACKFIELD_PLUGIN_DENY", "STORAGE.KV, messages.moderate")],
        "loaded",
    );
    let expected = Does {
        moderates: false,
        reads: Some(false),
        ..EVERYTHING
    };
    assert_eq!(denied, expected);
}

#[test]
fn a_restriction_that_is_not_understood_refuses_the_start() {
    let directory = Directory::default();
    let settings = directory
        .settings()
        .variable("JACKFIELD_PLUGIN_DENY", "storage.kw");
    let failure = settings.try_start().err().expect("it is no capability");
    assert!(failure.log.contains("storage.kw"), "{}", failure.log);
    assert_eq!(failure.status.code(), Some(1));
}
