//! Which calls of tools a user has to allow first.

use serde::Deserialize;
use serde_json::{Value, json};
use tests::{host::Host, http::Response, plugins::Directory, root};

/// A mode, and what becomes of calls by the tier of the tool.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mode {
    /// Requirement that the case proves; metadata.
    #[serde(rename = "case")]
    _case: String,
    mode: String,
    read: String,
    write: String,
    exec: String,
}

fn start(configuration: &str) -> (Directory, Host) {
    let directory = Directory::default();
    directory.install("plugin-probe", |manifest| {
        manifest["tools"] = json!([
            {"name": "read", "description": "", "tier": "read"},
            {"name": "write", "description": "", "tier": "write"},
            {"name": "exec", "description": ""},
        ]);
    });
    let host = directory.settings().config(configuration).start();
    host.plugin_in("tests.probe", "loaded");
    host.grant_all("tests.probe");
    (directory, host)
}

fn call(host: &Host, tool: &str, mode: &str) -> Response {
    let path = format!("/api/tools/{tool}?mode={mode}");
    host.admin("POST", &path, &json!({}))
}

/// `allow`, `deny` or `ask`.
fn outcome(answer: &Response) -> &'static str {
    match (answer.status, answer.json()["code"].as_str()) {
        (200, _) => "allow",
        (403, Some("DENIED")) => "deny",
        (403, Some("CONSENT_PENDING")) => "ask",
        _ => panic!("{}", answer.text()),
    }
}

/// Answers the consent that a call waits for.
fn decide(host: &Host, waits: &Response, decision: &str) {
    let id = waits.json()["details"]["consent"].clone();
    let id = id
        .as_str()
        .unwrap_or_else(|| panic!("{}", waits.text()))
        .to_owned();
    let consent = host.admin("GET", &format!("/api/consents/{id}"), &Value::Null);
    assert_eq!(
        consent.expect(200).json()["target"],
        "plugin:tests.probe:write"
    );
    let body = json!({"decision": decision, "remember": true});
    let _ = host
        .admin("POST", &format!("/api/consents/{id}"), &body)
        .expect(200);
}

#[test]
fn the_mode_of_a_session_and_the_tier_of_a_tool_say_what_is_asked_about() {
    let (_directory, host) = start("");
    let text = std::fs::read_to_string(root().join("tests/cases/hooks/modes.json"));
    let modes: Vec<Mode> = serde_json::from_str(&text.expect("cases")).expect("a list of modes");
    for case in modes {
        for (tool, expected) in [
            ("read", &case.read),
            ("write", &case.write),
            ("exec", &case.exec),
        ] {
            let found = outcome(&call(&host, tool, &case.mode));
            assert_eq!(found, expected, "{tool} in mode {}", case.mode);
        }
    }
    assert_eq!(
        outcome(&call(&host, "read", "")),
        "allow",
        "the mode is `default`"
    );
    assert_eq!(
        outcome(&call(&host, "write", "")),
        "ask",
        "the mode is `default`"
    );
    let unknown = call(&host, "read", "careless").expect(400);
    assert!(unknown.text().contains("acceptEdits"), "{}", unknown.text());
    let path = "/api/plugins/audit?recent=1000&plugin=tests.probe";
    let audit = host.admin("GET", path, &Value::Null).expect(200).text();
    assert!(audit.contains("mode dontAsk, tier exec"), "{audit}");
}

#[test]
fn what_a_user_says_about_a_tool_holds_in_every_mode() {
    let (_directory, host) = start("");
    decide(&host, &call(&host, "write", "plan"), "allow");
    for mode in ["plan", "default", "dontAsk"] {
        assert_eq!(outcome(&call(&host, "write", mode)), "allow", "mode {mode}");
    }
    assert_eq!(outcome(&call(&host, "exec", "plan")), "ask", "another tool");
    let path = "/api/plugins/tests.probe/grants";
    let said = json!({
        "capability": "tools.register", "scope": {"names": ["plugin:tests.probe:write"]}, "deny": true,
    });
    let _ = host.admin("PUT", path, &said).expect(200);
    assert_eq!(outcome(&call(&host, "write", "bypass")), "deny");
    assert_eq!(
        outcome(&call(&host, "exec", "bypass")),
        "allow",
        "another tool"
    );
}

#[test]
fn a_refused_consent_is_a_denial() {
    let (_directory, host) = start("");
    decide(&host, &call(&host, "write", "default"), "deny");
    assert_eq!(outcome(&call(&host, "write", "bypass")), "deny");
}

#[test]
fn what_the_operator_says_about_a_tool_holds_in_every_mode() {
    let tools = "[plugins]\ntool_mode = \"bypass\"\n[plugins.by_id.\"tests.probe\".tools]\n\
        read = \"ask\"\nwrite = \"deny\"\n";
    let (_directory, host) = start(tools);
    assert_eq!(outcome(&call(&host, "read", "bypass")), "ask");
    assert_eq!(outcome(&call(&host, "write", "bypass")), "deny");
    assert_eq!(
        outcome(&call(&host, "exec", "")),
        "allow",
        "the operator's mode"
    );
    assert_eq!(
        outcome(&call(&host, "exec", "plan")),
        "ask",
        "the caller's mode"
    );
    let grants = "/api/plugins/tests.probe/grants?capability=tools.register";
    let _ = host.admin("DELETE", grants, &Value::Null).expect(200);
    assert_eq!(
        call(&host, "exec", "bypass").status,
        403,
        "no mode replaces the grant"
    );
}
