//! Grants, questions, settings.

use crate::Fixture;
use capability::CapabilityId;
use plugin_store::NewConsent;
use serde_json::{Value, json};

const GRANTS: &str = "/api/plugins/first.plugin/grants";

/// What would be decided about a fetch from a host now.
async fn fetch(fixture: &Fixture, host: &str) -> (String, String) {
    let ask = json!({"plugin": "first.plugin", "capability": "http.fetch", "target": {"host": host, "port": 443}});
    let decision = fixture.done("POST", "/api/capabilities/check", ask).await;
    let text = |name: &str| decision[name].as_str().expect("text").to_owned();
    (text("outcome"), text("reason"))
}

#[tokio::test]
async fn only_what_is_declared_can_be_granted() {
    let fixture = Fixture::new().await;
    let (status, answer) = fixture
        .admin("PUT", GRANTS, json!({"capability": "messages.send"}))
        .await;
    assert_eq!((status, &answer["code"]), (409, &json!("NOT_DECLARED")));
    for (bad, words) in [
        (json!({"capability": "http.fetsh"}), "http.fetch"),
        (
            json!({"capability": "storage.kv", "scope": {"hosts": ["a.example"]}}),
            "takes no scope",
        ),
        (
            json!({"capability": "http.fetch", "scope": {"hosts": ["https://a"]}}),
            "without scheme",
        ),
        (json!({}), "name a 'capability'"),
        (
            json!({"all": true, "capability": "storage.kv"}),
            "name a 'capability'",
        ),
        (
            json!({"capability": "storage.kv", "expiresInMs": 0}),
            "expiresInMs",
        ),
        (
            json!({"capability": "storage.kv", "expires": 5}),
            "unknown field",
        ),
    ] {
        let (status, answer) = fixture.admin("PUT", GRANTS, bad.clone()).await;
        assert!(
            status == 400
                && answer["error"]
                    .as_str()
                    .is_some_and(|error| error.contains(words)),
            "{bad}: {answer}"
        );
    }
    assert_eq!(
        fixture.done("GET", GRANTS, Value::Null).await["grants"],
        json!([])
    );
}

#[tokio::test]
async fn grants_act_at_once_and_survive_a_restart() {
    let fixture = Fixture::new().await;
    assert_eq!(
        fetch(&fixture, "a.example.org").await,
        ("ask".into(), "prompt mode".into())
    );
    let granted = fixture
        .done(
            "PUT",
            GRANTS,
            json!({"capability": "http.fetch", "scope": {"hosts": ["a.example.org"]}}),
        )
        .await;
    assert_eq!(
        (
            granted["grants"].as_array().map(Vec::len),
            &granted["grants"][0]["by"]
        ),
        (Some(1), &json!("olga"))
    );
    assert_eq!(granted["declared"].as_array().map(Vec::len), Some(2));
    assert_eq!(fetch(&fixture, "a.example.org").await.0, "allow");
    assert_eq!(fetch(&fixture, "b.example.org").await.0, "ask");
    assert_eq!(
        fetch(&fixture, "other.net").await,
        ("deny".into(), "outside the declared scope".into())
    );
    let fixture = fixture.again().await;
    assert_eq!(fetch(&fixture, "a.example.org").await.0, "allow");
    fixture
        .done(
            "PUT",
            GRANTS,
            json!({"capability": "http.fetch", "deny": true}),
        )
        .await;
    assert_eq!(
        fetch(&fixture, "a.example.org").await,
        ("deny".into(), "denied by plugin deny list".into())
    );
    assert_eq!(
        fixture
            .done(
                "DELETE",
                &format!("{GRANTS}?capability=http.fetch"),
                Value::Null
            )
            .await["removed"],
        2
    );
    assert_eq!(fetch(&fixture, "a.example.org").await.0, "ask");
    fixture
        .done("PUT", GRANTS, json!({"all": true, "expiresInMs": 60_000}))
        .await;
    let all = fixture.done("GET", GRANTS, Value::Null).await;
    assert!(all["grants"].as_array().is_some_and(
        |all| all.len() == 2 && all.iter().all(|grant| grant["expiresAt"].is_string())
    ));
    let scope = json!({"hosts": ["x.example.org"]});
    fixture
        .done(
            "PUT",
            GRANTS,
            json!({"capability": "http.fetch", "scope": scope}),
        )
        .await;
    assert_eq!(
        fixture
            .done("DELETE", &format!("{GRANTS}?capability=http.fetch"), scope)
            .await["removed"],
        1,
        "a scope in the body"
    );
    assert_eq!(fixture.admin("DELETE", GRANTS, Value::Null).await.0, 400);
}

#[tokio::test]
async fn questions_are_answered() {
    let fixture = Fixture::new().await;
    let ask = async |host: &str| {
        let capability = CapabilityId::HttpFetch;
        let question = NewConsent {
            plugin: "first.plugin".into(),
            capability,
            target: format!("{host}:443"),
            reason: Some("to tell".into()),
        };
        fixture
            .store()
            .ask_consent(question)
            .await
            .expect("a question")
            .id
    };
    let (first, second) = (ask("a.example.org").await, ask("b.example.org").await);
    let waiting = fixture
        .done(
            "GET",
            "/api/consents?state=pending&plugin=first.plugin",
            Value::Null,
        )
        .await;
    assert_eq!(waiting["consents"].as_array().map(Vec::len), Some(2));
    let decide = |id: &str| format!("/api/consents/{id}");
    let answered = fixture
        .done(
            "POST",
            &decide(&first),
            json!({"decision": "allow", "remember": true}),
        )
        .await;
    assert_eq!(
        (&answered["state"], &answered["by"], &answered["target"]),
        (
            &json!("allowed"),
            &json!("olga"),
            &json!("a.example.org:443")
        )
    );
    assert_eq!(
        fetch(&fixture, "a.example.org").await,
        ("allow".into(), "allowed by plugin allow list".into())
    );
    assert_eq!(
        fixture
            .admin("POST", &decide(&first), json!({"decision": "deny"}))
            .await
            .0,
        409,
        "answered is answered"
    );
    fixture
        .done("POST", &decide(&second), json!({"decision": "deny"}))
        .await;
    assert_eq!(fetch(&fixture, "b.example.org").await.0, "deny");
    let grants = fixture.done("GET", GRANTS, Value::Null).await["grants"].clone();
    let of = |host: &str| {
        grants
            .as_array()
            .expect("a list")
            .iter()
            .find(|grant| grant["scope"]["hosts"][0] == host)
            .expect("a grant")
            .clone()
    };
    assert_eq!(
        (
            &of("a.example.org")["deny"],
            &of("a.example.org")["expiresAt"]
        ),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        (
            &of("b.example.org")["deny"],
            of("b.example.org")["expiresAt"].is_string()
        ),
        (&json!(true), true),
        "not remembered"
    );
    assert_eq!(of("a.example.org")["scope"]["ports"], json!([443]));
    for (path, body, status) in [
        (decide("unknown"), json!({"decision": "allow"}), 404),
        (decide(&first), json!({"decision": "perhaps"}), 400),
        (decide(&first), json!({}), 400),
    ] {
        assert_eq!(fixture.admin("POST", &path, body).await.0, status, "{path}");
    }
    assert_eq!(
        fixture.done("GET", &decide(&first), Value::Null).await["state"],
        "allowed"
    );
    assert_eq!(
        fixture
            .admin("GET", "/api/consents?state=open", Value::Null)
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn settings_are_checked_and_secrets_never_shown() {
    let fixture = Fixture::new().await;
    let path = "/api/plugins/first.plugin/settings";
    let before = fixture.done("GET", path, Value::Null).await["settings"].clone();
    assert_eq!(
        (
            &before["limit"]["value"],
            &before["limit"]["set"],
            &before["key"]["value"]
        ),
        (&json!(3), &json!(false), &Value::Null)
    );
    let after = fixture
        .done("PUT", path, json!({"limit": 7, "key": "hunter2"}))
        .await["settings"]
        .clone();
    assert_eq!(
        (
            &after["limit"]["value"],
            &after["key"]["set"],
            &after["key"]["value"]
        ),
        (&json!(7), &json!(true), &Value::Null)
    );
    for bad in [
        json!({"limit": 11}),
        json!({"limit": "7"}),
        json!({"other": 1}),
        json!([]),
    ] {
        assert_eq!(
            fixture.admin("PUT", path, bad.clone()).await.0,
            400,
            "{bad}"
        );
    }
    let fixture = fixture.again().await;
    let shown = fixture.done("GET", path, Value::Null).await;
    assert!(shown["settings"]["limit"]["value"] == 7 && !shown.to_string().contains("hunter2"));
    assert!(
        !fixture
            .done("GET", "/api/plugins/first.plugin", Value::Null)
            .await
            .to_string()
            .contains("hunter2")
    );
    assert_eq!(
        fixture.done("PUT", path, json!({"limit": null})).await["settings"]["limit"]["value"],
        3,
        "null restores the default"
    );
}

#[tokio::test]
async fn what_users_change_is_in_the_audit() {
    let fixture = Fixture::new().await;
    let grants = "/api/plugins/first.plugin/grants";
    let grant =
        json!({"capability": "storage.kv", "scope": {"names": ["a"]}, "expiresInMs": 5_000});
    let _ = fixture.done("PUT", grants, grant).await;
    let denial = json!({"capability": "storage.kv", "deny": true});
    let _ = fixture.done("PUT", grants, denial).await;
    let query = format!("{grants}?capability=storage.kv");
    let _ = fixture.done("DELETE", &query, Value::Null).await;
    let settings = "/api/plugins/first.plugin/settings";
    let values = json!({"limit": 4, "key": "hidden"});
    let _ = fixture.done("PUT", settings, values).await;
    let refused = fixture.admin("PUT", settings, json!({"limit": 400})).await;
    assert_eq!(refused.0, 400);
    let disable = "/api/plugins/first.plugin/disable";
    let _ = fixture.done("POST", disable, Value::Null).await;
    let question = NewConsent {
        plugin: "second.plugin".into(),
        capability: CapabilityId::HttpFetch,
        target: "a.example.org:443".into(),
        reason: None,
    };
    let consent = fixture
        .store()
        .ask_consent(question)
        .await
        .expect("a question");
    let path = format!("/api/consents/{}", consent.id);
    let _ = fixture
        .done("POST", &path, json!({"decision": "allow"}))
        .await;
    let audit = fixture
        .done("GET", "/api/plugins/audit?recent=20", Value::Null)
        .await;
    let entries = audit["entries"].as_array().expect("a list");
    let seen: Vec<Value> = entries
        .iter()
        .rev()
        .map(|entry| {
            assert_eq!(entry["by"], "olga", "{entry}");
            assert!(entry["duration_ms"].is_number(), "{entry}");
            let names = ["plugin_id", "capability", "resource", "action", "decision"];
            names.iter().map(|name| entry[*name].clone()).collect()
        })
        .collect();
    assert_eq!(
        json!(seen),
        json!([
            [
                "first.plugin",
                "storage.kv",
                "{\"names\":[\"a\"]}",
                "grant",
                "allowed"
            ],
            ["first.plugin", "storage.kv", null, "deny", "allowed"],
            ["first.plugin", "storage.kv", null, "revoke", "allowed"],
            [
                "first.plugin",
                "settings",
                "key, limit",
                "change",
                "allowed"
            ],
            ["first.plugin", "settings", "limit", "change", "denied"],
            [
                "first.plugin",
                "administration",
                null,
                "disablePlugin",
                "allowed"
            ],
            [
                "second.plugin",
                "http.fetch",
                "a.example.org:443",
                "consent",
                "allowed"
            ],
        ])
    );
    assert!(!audit.to_string().contains("hidden"));
    let until: Vec<&str> = entries
        .iter()
        .rev()
        .filter_map(|entry| entry["reason"].as_str())
        .collect();
    assert_eq!(until[..2], ["for 5000 ms", "until it is revoked"]);
}
