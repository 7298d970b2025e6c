//! Permissions, over every route of the document.

use crate::{Fixture, token};
use bytes::Bytes;
use http::Request;
use identity::Role;
use serde_json::{Value, json};

/// Every operation of the document: method, path with the placeholders filled, permission.
fn operations() -> Vec<(String, String, String)> {
    let document = plugin_api::openapi().into_json();
    let mut all = Vec::new();
    let of_plugins = |path: &str| {
        ![
            "/api/servers",
            "/api/users",
            "/api/audit",
            "/api/internal",
            "/api/openapi",
        ]
        .iter()
        .any(|other| path.starts_with(other))
    };
    let paths = document["paths"].as_object().expect("paths");
    for (path, methods) in paths.iter().filter(|(path, _)| of_plugins(path)) {
        for (method, operation) in methods.as_object().expect("methods") {
            let permission = operation["x-permission"]
                .as_str()
                .expect("every operation states its permission")
                .to_owned();
            let path = path
                .replace("{pluginId}", "first.plugin")
                .replace("{consentId}", "x")
                .replace("{route}", "r")
                .replace("{path}", "p");
            let path = path.replace("{tool}", "t").replace("{hook}", "Stop");
            all.push((method.to_uppercase(), path, permission));
        }
    }
    all
}

#[tokio::test]
async fn every_route_needs_a_credential_and_the_right_one() {
    let fixture = Fixture::new().await;
    let own = fixture
        .done("POST", "/api/plugins/first.plugin/token", Value::Null)
        .await["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let client = token("carla", Role::Client);
    let all = operations();
    assert!(all.len() > 30);
    for (method, path, permission) in all {
        for bad in [None, Some("nonsense"), Some("jfp_nonsense")] {
            let status = fixture
                .send(bad, &method, &path, Bytes::new())
                .await
                .status()
                .as_u16();
            assert_eq!(status, 401, "{method} {path} {bad:?}");
        }
        let (as_client, _) = fixture.with(&client, &method, &path, Value::Null).await;
        assert_eq!(
            as_client == 403,
            permission != "client",
            "{method} {path} as client: {as_client}"
        );
        let (as_plugin, _) = fixture.with(&own, &method, &path, Value::Null).await;
        assert_eq!(
            as_plugin == 403,
            !path.ends_with("/kv"),
            "{method} {path} as a plugin: {as_plugin}"
        );
    }
    let audit = "/api/plugins/audit?recent=5";
    assert_eq!(
        fixture
            .send(None, "GET", audit, Bytes::new())
            .await
            .status(),
        401
    );
    assert_eq!(
        fixture.with(&client, "GET", audit, Value::Null).await.0,
        403
    );
}

#[tokio::test]
async fn a_plugins_token_opens_its_own_values_alone() {
    let fixture = Fixture::new().await;
    let make = async || {
        fixture
            .done("POST", "/api/plugins/first.plugin/token", Value::Null)
            .await["token"]
            .as_str()
            .expect("a token")
            .to_owned()
    };
    let first = make().await;
    let set = json!({"action": "set", "key": "k", "value": "v"});
    assert_eq!(
        fixture
            .with(&first, "POST", "/api/plugins/first.plugin/kv", set.clone())
            .await,
        (200, json!({"value": "v"}))
    );
    for other in ["second.plugin", "un.known"] {
        let (status, answer) = fixture
            .with(
                &first,
                "POST",
                &format!("/api/plugins/{other}/kv"),
                set.clone(),
            )
            .await;
        assert_eq!(
            (status, &answer["code"]),
            (403, &json!("FORBIDDEN")),
            "{other}"
        );
    }
    let second = make().await;
    assert_eq!(
        fixture
            .with(&first, "POST", "/api/plugins/first.plugin/kv", set.clone())
            .await
            .0,
        401,
        "a new token ends the former one"
    );
    let fixture = fixture.again().await;
    assert_eq!(
        fixture
            .with(&second, "POST", "/api/plugins/first.plugin/kv", set.clone())
            .await
            .0,
        200,
        "it survives a restart"
    );
    assert_eq!(
        fixture
            .done("DELETE", "/api/plugins/first.plugin/token", Value::Null)
            .await["removed"],
        1
    );
    assert_eq!(
        fixture
            .with(&second, "POST", "/api/plugins/first.plugin/kv", set)
            .await
            .0,
        401
    );
}

#[tokio::test]
async fn expired_tokens_and_other_schemes_are_refused() {
    let fixture = Fixture::new().await;
    for credential in ["Basic b2xnYTp4", "Bearer", "Bearer ", "bearer x.y.z"] {
        let request = Request::get("/api/plugins").header("authorization", credential);
        let request = request.body(Bytes::new()).expect("a request");
        let response = fixture.api.answer(request).await;
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["www-authenticate"].as_bytes()
            ),
            (401, &b"Bearer"[..]),
            "{credential}"
        );
    }
}

#[tokio::test]
async fn pages_of_configured_origins_may_read_answers() {
    let fixture = Fixture::new().await;
    for (origin, admitted) in [
        ("https://app.example", true),
        ("https://evil.example", false),
    ] {
        let request = Request::options("/api/plugins/first.plugin/grants")
            .header("origin", origin)
            .header("access-control-request-method", "PUT");
        let request = request.body(Bytes::new()).expect("a request");
        let response = fixture.api.answer(request).await;
        assert_eq!(response.status(), 204);
        assert_eq!(
            response.headers()["allow"],
            "GET, PUT, DELETE, HEAD, OPTIONS"
        );
        assert_eq!(
            response
                .headers()
                .contains_key("access-control-allow-origin"),
            admitted,
            "{origin}"
        );
    }
}
