//! Capabilities, stored values, settings and the audit of one plugin.

use serde_json::{Value, json};
use tests::{host::Host, http::Request, plugins::Directory};

fn probe(directory: &Directory) -> Host {
    directory.install("plugin-probe", |_| {});
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    host
}

#[test]
fn an_ungranted_capability_waits_for_consent_and_then_acts_at_once() {
    let directory = Directory::default();
    directory.install("plugin-probe", |manifest| {
        let capabilities = manifest["capabilities"].as_array_mut().expect("a list");
        capabilities.retain(|id| id != "storage.kv");
        capabilities.push(json!({"id": "storage.kv", "reason": "keeps the scores"}));
    });
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    let refused = host
        .ask_plugin("POST", "/probe/kv-set/a", b"1")
        .expect(200)
        .json();
    assert_eq!(refused["error"], "ErrorCode::ConsentPending", "{refused}");
    let again = host
        .ask_plugin("POST", "/probe/kv-set/b", b"1")
        .expect(200)
        .json();
    assert_eq!(
        refused["details"], again["details"],
        "one question for the capability, not one for each key"
    );
    let details: Value =
        serde_json::from_str(refused["details"].as_str().expect("details")).expect("JSON");
    let id = details["consent"]
        .as_str()
        .expect("the question's id")
        .to_owned();
    let consents = host
        .admin("GET", "/api/consents?plugin=tests.probe", &Value::Null)
        .expect(200)
        .text();
    assert!(consents.contains(&id), "{consents}");
    assert!(
        consents.contains("keeps the scores"),
        "the request must say what the manifest gives as reason: {consents}"
    );
    let _ = host
        .admin(
            "POST",
            &format!("/api/consents/{id}"),
            &json!({"decision": "allow", "remember": true}),
        )
        .expect(200);
    assert_eq!(
        host.ask_plugin("POST", "/probe/kv-set/a", b"1")
            .expect(200)
            .json(),
        Value::Null,
        "a consent must act at the next call, without a restart"
    );
    assert_eq!(
        host.ask_plugin("GET", "/probe/kv-get/a", b"")
            .expect(200)
            .json(),
        "1"
    );
    let _ = host
        .admin(
            "DELETE",
            "/api/plugins/tests.probe/grants?capability=storage.kv",
            &Value::Null,
        )
        .expect(200);
    let revoked = host
        .ask_plugin("GET", "/probe/kv-get/a", b"")
        .expect(200)
        .json();
    assert_eq!(
        revoked["error"], "ErrorCode::ConsentPending",
        "a revocation must act at the next call"
    );
    let audit = host
        .admin(
            "GET",
            "/api/plugins/audit?recent=100&plugin=tests.probe",
            &Value::Null,
        )
        .expect(200)
        .text();
    assert!(
        audit.contains("needs_approval")
            && audit.contains("allowed")
            && audit.contains("storage.kv"),
        "the audit must name the capability and both decisions: {audit}"
    );
}

#[test]
fn counted_calls_are_in_the_audit_when_their_instance_has_ended() {
    let directory = Directory::default();
    let host = probe(&directory);
    host.grant_all("tests.probe");
    for _ in 0..4 {
        let _ = host.ask_plugin("POST", "/probe/kv-set/a", b"1").expect(200);
    }
    let _ = host
        .admin("POST", "/api/plugins/tests.probe/disable", &Value::Null)
        .expect(200);
    tests::until("the calls after the first one to be recorded", || {
        let audit = host
            .admin(
                "GET",
                "/api/plugins/audit?recent=100&plugin=tests.probe",
                &Value::Null,
            )
            .expect(200)
            .text();
        audit.contains("3 calls").then_some(())
    });
}

#[test]
fn not_declared_and_not_granted_are_different_refusals() {
    let directory = Directory::default();
    let host = super::strict(&directory);
    let asked = host
        .ask_plugin("GET", "/probe/kv-get/a", b"")
        .expect(200)
        .json();
    assert_eq!(asked["error"], "ErrorCode::NotGranted", "{asked}");
    let fetch = host
        .ask_plugin("POST", "/probe/fetch", b"https://elsewhere.test/")
        .expect(200)
        .json();
    assert_eq!(fetch["error"], "ErrorCode::NotDeclared", "{fetch}");
    let undeclared = host.admin(
        "PUT",
        "/api/plugins/tests.probe/grants",
        &json!({"capability": "shell.exec"}),
    );
    assert_eq!(
        undeclared.status,
        409,
        "an undeclared capability was granted: {}",
        undeclared.text()
    );
    let check = host
        .ask_plugin("GET", "/probe/check/storage.kv", b"")
        .expect(200)
        .json();
    assert_eq!(
        (&check["layer"], &check["reason"]),
        (&json!(5), &json!("strict mode"))
    );
}

#[test]
fn values_are_isolated_per_plugin_and_survive_a_kill() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    directory.install("polls", |_| {});
    let data = tempfile::tempdir().unwrap();
    let host = directory.settings().data(data.path()).start();
    host.plugin_in("tests.probe", "loaded");
    host.plugin_in("jackfield.polls", "loaded");
    host.grant_all("tests.probe");
    let _ = host
        .ask_plugin("POST", "/probe/kv-set/kept", b"value")
        .expect(200);
    let act = |host: &Host, body: Value| host.admin("POST", "/api/plugins/tests.probe/kv", &body);
    assert_eq!(
        act(&host, json!({"action": "get", "key": "kept"}))
            .expect(200)
            .json()["value"],
        "value",
        "REST must read what the plugin stored"
    );
    let other = host.admin(
        "POST",
        "/api/plugins/jackfield.polls/kv",
        &json!({"action": "get", "key": "kept"}),
    );
    assert_eq!(
        other.expect(200).json()["value"],
        Value::Null,
        "another plugin sees the value"
    );
    let token = host
        .admin("POST", "/api/plugins/jackfield.polls/token", &Value::Null)
        .expect(200)
        .json();
    let token = token["token"].as_str().unwrap_or_else(|| panic!("{token}"));
    let foreign = Request::new("POST", "/api/plugins/tests.probe/kv")
        .bearer(token)
        .json(&json!({"action": "get", "key": "kept"}));
    assert_eq!(
        host.send(&foreign).status,
        403,
        "a plugin's token opens another plugin's values"
    );
    host.kill();
    let host = directory.settings().data(data.path()).start();
    assert_eq!(
        act(&host, json!({"action": "get", "key": "kept"}))
            .expect(200)
            .json()["value"],
        "value",
        "the value must survive a kill"
    );
}

#[test]
fn a_plugin_is_notified_of_changed_settings_and_values() {
    let directory = Directory::default();
    // It keeps in memory what it hears.
    directory.install("plugin-probe", |manifest| {
        manifest["limits"] = json!({"requestInstances": 1})
    });
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    host.grant_all("tests.probe");
    assert_eq!(
        host.ask_plugin("GET", "/probe/setting/greeting", b"")
            .json(),
        "hello",
        "the manifest's default"
    );
    let _ = host
        .admin(
            "PUT",
            "/api/plugins/tests.probe/settings",
            &json!({"greeting": "hi"}),
        )
        .expect(200);
    assert_eq!(
        host.ask_plugin("GET", "/probe/setting/greeting", b"")
            .json(),
        "hi"
    );
    let _ = host
        .admin(
            "POST",
            "/api/plugins/tests.probe/kv",
            &json!({"action": "set", "key": "k", "value": "v"}),
        )
        .expect(200);
    let heard = host
        .ask_plugin("GET", "/probe/heard", b"")
        .json()
        .to_string();
    assert!(
        heard.contains(r#""greeting":"hi""#),
        "the plugin was not told of its settings: {heard}"
    );
    assert!(
        heard.contains(r#""key":"k""#),
        "the plugin was not told of the changed value: {heard}"
    );
}

#[test]
fn secrets_are_encrypted_at_rest() {
    let directory = Directory::default();
    let host = probe(&directory);
    host.grant_all("tests.probe");
    let _ = host
        .ask_plugin("POST", "/probe/secret-set/key", b"very-secret-value")
        .expect(200);
    assert_eq!(
        host.ask_plugin("GET", "/probe/secret-get/key", b"").json(),
        "very-secret-value"
    );
    let bytes = std::fs::read(host.data().join("plugins.db")).unwrap();
    let log = std::fs::read(host.data().join("plugins.db-wal")).unwrap_or_default();
    let open = [bytes, log]
        .concat()
        .windows(17)
        .any(|window| window == b"very-secret-value");
    assert!(!open, "the database holds the secret in clear");
}

#[test]
fn tools_are_called_and_hooks_fired() {
    let directory = Directory::default();
    let host = probe(&directory);
    assert_eq!(
        host.admin("POST", "/api/tools/double", &json!({"number": 21}))
            .status,
        403,
        "a tool whose capability is not granted is not called"
    );
    host.grant_all("tests.probe");
    assert_eq!(
        host.admin("POST", "/api/tools/double", &json!({"number": 21}))
            .expect(200)
            .json()["result"],
        42
    );
    assert_eq!(
        host.admin("POST", "/api/tools/double", &json!({})).status,
        422
    );
    assert_eq!(
        host.admin("GET", "/api/tools", &Value::Null)
            .expect(200)
            .json()["tools"][0]["tier"],
        "read"
    );
    let fire = |hook: &str, body: Value| host.admin("POST", &format!("/api/hooks/{hook}"), &body);
    let round = fire(
        "PreToolUse",
        json!({"input": {"tool_name": "allowed"}, "output": 1}),
    )
    .expect(200)
    .json();
    assert_eq!(
        (&round["answers"][0]["action"], &round["output"]),
        (&json!("continue"), &json!({"seen": 1})),
        "the hook's output is the plugin's"
    );
    let round = fire(
        "PreToolUse",
        json!({"input": {"tests.probe": {"action": "block", "reason": "told to"}}}),
    )
    .expect(200)
    .json();
    assert_eq!(
        (
            &round["answers"][0]["action"],
            &round["answers"][0]["reason"]
        ),
        (&json!("block"), &json!("told to")),
        "a block carries the plugin's reason"
    );
    assert_eq!(
        fire("TurnEnd", json!({"input": {}})).expect(200).json()["answers"][0]["action"],
        "continue"
    );
    assert_eq!(
        fire("Stop", json!({"input": {}})).expect(200).json()["answers"],
        json!([]),
        "no plugin takes part in this hook"
    );
    assert_eq!(
        fire("PreTooluse", json!({"input": {}})).status,
        404,
        "hook names are case sensitive"
    );
    assert_eq!(
        host.admin("GET", "/api/hooks", &Value::Null).json()["hooks"]
            .as_array()
            .map(Vec::len),
        Some(27),
        "all hooks are listed"
    );
}
