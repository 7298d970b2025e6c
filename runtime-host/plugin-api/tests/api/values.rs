//! A plugin's values.

use crate::Fixture;
use bytes::Bytes;
use limits::plugin_store::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use serde_json::{Value, json};

const KV: &str = "/api/plugins/first.plugin/kv";

#[tokio::test]
async fn set_get_delete_as_the_seed_has_it() {
    let fixture = Fixture::new().await;
    for (body, answer) in [
        (json!({"action": "get", "key": "k"}), json!({"value": null})),
        (
            json!({"action": "set", "key": "k", "value": "v ä 🦀"}),
            json!({"value": "v ä 🦀"}),
        ),
        (
            json!({"action": "Get", "key": "k"}),
            json!({"value": "v ä 🦀"}),
        ),
        (
            json!({"action": "delete", "key": "k"}),
            json!({"value": null}),
        ),
        (
            json!({"action": "delete", "key": "k"}),
            json!({"value": null}),
        ),
        (json!({"action": "get", "key": "k"}), json!({"value": null})),
        (
            json!({"action": "set", "key": "k", "value": ""}),
            json!({"value": ""}),
        ),
    ] {
        assert_eq!(
            fixture.admin("POST", KV, body.clone()).await,
            (200, answer),
            "{body}"
        );
    }
    let other = fixture
        .admin(
            "POST",
            "/api/plugins/second.plugin/kv",
            json!({"action": "get", "key": "k"}),
        )
        .await;
    assert_eq!(
        other,
        (200, json!({"value": null})),
        "the same key in two plugins is two values"
    );
    let fixture = fixture.again().await;
    assert_eq!(
        fixture
            .admin("POST", KV, json!({"action": "get", "key": "k"}))
            .await,
        (200, json!({"value": ""}))
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_words_of_the_seed() {
    let fixture = Fixture::new().await;
    let long = "x".repeat(KEY_BYTES_MAX + 1);
    for (body, status, error) in [
        (
            json!({"action": "set", "key": "k"}),
            400,
            "Missing 'value' field for set operation",
        ),
        (
            json!({"action": "steal", "key": "k"}),
            400,
            "Invalid action: steal",
        ),
        (json!({"key": "k"}), 400, "Missing 'action' field"),
        (json!({"action": "get"}), 400, "Missing 'key' field"),
        (
            json!({"action": "get", "key": 5}),
            400,
            "'key' must be a string",
        ),
        (
            json!({"action": "set", "key": "k", "value": 5}),
            400,
            "'value' must be a string",
        ),
        (
            json!({"action": "get", "key": ""}),
            400,
            "key must be 1 to 512 bytes without control characters",
        ),
        (
            json!({"action": "get", "key": "a\u{0}b"}),
            400,
            "key must be 1 to 512 bytes without control characters",
        ),
        (
            json!({"action": "get", "key": long}),
            400,
            "key must be 1 to 512 bytes without control characters",
        ),
        (
            json!({"action": "cas", "key": "k"}),
            400,
            "Missing 'expected' field for cas operation; null means absent",
        ),
        (
            json!({"action": "list", "limit": 0}),
            400,
            "'limit' must be a whole number from 1 to 1000",
        ),
        (
            json!({"action": "set", "key": "k", "value": "x".repeat(VALUE_BYTES_MAX + 1)}),
            413,
            "value exceeds the limit of 1048576 bytes",
        ),
    ] {
        let (found, answer) = fixture.admin("POST", KV, body).await;
        assert_eq!((found, &answer["error"]), (status, &json!(error)));
        assert!(answer["code"].is_string());
    }
    let token = crate::token("olga", identity::Role::Admin);
    for (body, status) in [("{", 400), ("[]", 400), ("", 400)] {
        assert_eq!(
            fixture
                .send(Some(&token), "POST", KV, Bytes::from(body))
                .await
                .status(),
            status,
            "{body}"
        );
    }
    assert_eq!(
        fixture
            .send(Some(&token), "POST", KV, vec![b' '; 5 * limits::MIB].into())
            .await
            .status(),
        413
    );
    let unknown = fixture
        .admin(
            "POST",
            "/api/plugins/un.known/kv",
            json!({"action": "get", "key": "k"}),
        )
        .await;
    assert_eq!(
        (unknown.0, &unknown.1["error"]),
        (404, &json!("Plugin not found"))
    );
    assert_eq!(fixture.admin("GET", KV, Value::Null).await.0, 405);
}

#[tokio::test]
async fn lists_swaps_and_bytes() {
    let fixture = Fixture::new().await;
    for key in ["a/1", "a/2", "b"] {
        fixture
            .done(
                "POST",
                KV,
                json!({"action": "set", "key": key, "value": "1"}),
            )
            .await;
    }
    let list =
        |cursor: Value| json!({"action": "list", "prefix": "a/", "limit": 1, "cursor": cursor});
    assert_eq!(
        fixture.done("POST", KV, list(Value::Null)).await,
        json!({"keys": ["a/1"], "next": "a/1"})
    );
    assert_eq!(
        fixture.done("POST", KV, list("a/1".into())).await,
        json!({"keys": ["a/2"], "next": null})
    );
    let swap = |expected: Value, value: Value| json!({"action": "cas", "key": "b", "expected": expected, "value": value});
    assert_eq!(
        fixture.done("POST", KV, swap(json!("2"), json!("3"))).await,
        json!({"swapped": false, "value": "1"})
    );
    assert_eq!(
        fixture.done("POST", KV, swap(json!("1"), json!("3"))).await,
        json!({"swapped": true, "value": "3"})
    );
    assert_eq!(
        fixture
            .done("POST", KV, swap(json!("3"), Value::Null))
            .await,
        json!({"swapped": true, "value": null})
    );
    // What a component keeps need not be text.
    let bytes = json!({"action": "set", "key": "raw", "value": "AP8=", "encoding": "base64"});
    assert_eq!(
        fixture.done("POST", KV, bytes).await,
        json!({"value": "AP8=", "encoding": "base64"})
    );
    assert_eq!(
        fixture
            .store()
            .kv_get("first.plugin", "raw")
            .await
            .expect("a value")
            .as_deref(),
        Some(&[0, 255][..])
    );
    assert_eq!(
        fixture
            .done("POST", KV, json!({"action": "get", "key": "raw"}))
            .await,
        json!({"value": "AP8=", "encoding": "base64"})
    );
}
