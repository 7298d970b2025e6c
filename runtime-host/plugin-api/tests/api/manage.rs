//! Listing, switching, routes, scripts, checks, kill switches.

use crate::{Fixture, manifest, token};
use bytes::Bytes;
use http_body_util::BodyExt;
use identity::Role;
use serde_json::{Value, json};
use std::fs;

#[tokio::test]
async fn plugins_are_listed_in_the_words_of_the_seed() {
    let fixture = Fixture::new().await;
    let client = token("carla", Role::Client);
    let (status, list) = fixture
        .with(&client, "GET", "/api/plugins", Value::Null)
        .await;
    let list = list.as_array().expect("a list").clone();
    assert_eq!((status, list.len()), (200, 2));
    let names = [
        "id",
        "name",
        "version",
        "author",
        "icon",
        "enabled",
        "running",
        "health",
        "pid",
        "socket_path",
        "state",
        "kind",
        "route",
    ];
    assert!(
        names.iter().all(|name| list[0].get(name).is_some()),
        "{}",
        list[0]
    );
    assert_eq!(
        (&list[0]["id"], &list[0]["name"], &list[0]["author"]),
        (
            &json!("first.plugin"),
            &json!("Plugin first.plugin"),
            &json!("Ada")
        )
    );
    let details = fixture
        .done("GET", "/api/plugins/first.plugin", Value::Null)
        .await;
    assert_eq!(
        (&details["manifest"], &details["runsHere"]),
        (&manifest("first.plugin"), &json!(false))
    );
    assert_eq!(
        (&details["servers"], &details["onFailure"]),
        (&json!("public"), &json!("refuse"))
    );
    let missing = fixture
        .admin("GET", "/api/plugins/un.known", Value::Null)
        .await;
    assert_eq!(
        (missing.0, &missing.1["error"]),
        (404, &json!("Plugin not found"))
    );
    assert_eq!(
        fixture
            .done("GET", "/api/plugins/first.plugin/health", Value::Null)
            .await["enabled"],
        true
    );
}

#[tokio::test]
async fn a_disabled_plugin_stays_disabled_and_is_listed() {
    let fixture = Fixture::new().await;
    let (enable, disable) = (
        "/api/plugins/first.plugin/enable",
        "/api/plugins/first.plugin/disable",
    );
    for _ in 0..2 {
        let answer = fixture.done("POST", disable, Value::Null).await;
        assert_eq!(
            (
                &answer["success"],
                &answer["plugin"]["enabled"],
                &answer["plugin"]["health"]
            ),
            (&json!(true), &json!(false), &json!("disabled"))
        );
    }
    let fixture = fixture.again().await;
    let list = fixture.done("GET", "/api/plugins", Value::Null).await;
    assert_eq!(
        (&list[0]["state"], &list[1]["enabled"]),
        (&json!("disabled"), &json!(true))
    );
    for _ in 0..2 {
        assert_eq!(
            fixture.done("POST", enable, Value::Null).await["plugin"]["enabled"],
            true
        );
    }
    for verb in ["enable", "disable", "reload"] {
        assert_eq!(
            fixture
                .admin(
                    "POST",
                    &format!("/api/plugins/un.known/{verb}"),
                    Value::Null
                )
                .await
                .0,
            404,
            "{verb}"
        );
    }
}

#[tokio::test]
async fn nothing_in_a_path_leads_out() {
    let fixture = Fixture::new().await;
    for path in [
        "/api/plugins/route/..%2Fx/",
        "/api/plugins/route/%2e%2e/x",
        "/api/plugins/route/a%2Fb",
        "/api/plugins/route/a%5Cb",
    ] {
        assert_eq!(
            fixture.admin("GET", path, Value::Null).await.0,
            400,
            "{path}"
        );
    }
    for id in ["..%2F..", "a%2Fb", "a%5Cb", "%00", "..", "%ff"] {
        assert_eq!(
            fixture
                .admin("GET", &format!("/api/plugins/{id}/bundle.js"), Value::Null)
                .await
                .0,
            400,
            "{id}"
        );
    }
    let (status, answer) = fixture
        .admin("GET", "/api/plugins/route/unknown/x?y=%20", Value::Null)
        .await;
    assert_eq!((status, &answer["code"]), (404, &json!("ROUTE_NOT_FOUND")));
    assert_eq!(
        fixture
            .admin("GET", "/api/plugins/first.plugin/nothing", Value::Null)
            .await
            .0,
        404
    );
    // Decoded once: what is left of a doubly encoded name is a name that no plugin has.
    assert_eq!(
        fixture
            .admin("GET", "/api/plugins/%252e%252e/bundle.js", Value::Null)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn scripts_are_served_while_a_plugin_is_enabled() {
    let fixture = Fixture::new().await;
    let path = "/api/plugins/first.plugin/bundle.js";
    let get = async || {
        let response = fixture
            .send(
                Some(&token("carla", Role::Client)),
                "GET",
                path,
                Bytes::new(),
            )
            .await;
        let (head, body) = response.into_parts();
        (
            head.status.as_u16(),
            head.headers,
            body.collect().await.expect("a body").to_bytes(),
        )
    };
    let (status, headers, body) = get().await;
    assert_eq!((status, &*body), (200, &b"// first.plugin"[..]));
    assert_eq!(headers["content-type"], "application/javascript");
    assert_eq!(
        headers["cache-control"],
        "no-store, no-cache, must-revalidate"
    );
    let folder = fixture.folder.path().join("plugins/first.plugin");
    let secret = fixture.folder.path().join("secret");
    fs::write(&secret, "not for pages").expect("a file");
    std::os::unix::fs::symlink(&secret, folder.join("bundle.js")).expect("a link");
    assert_eq!(
        &*get().await.2,
        b"// first.plugin",
        "a link that leads out is not followed"
    );
    fs::remove_file(folder.join("bundle.js")).expect("a link");
    fs::write(folder.join("bundle.js"), "bundled").expect("a file");
    assert_eq!(&*get().await.2, b"bundled");
    fixture
        .done("POST", "/api/plugins/first.plugin/disable", Value::Null)
        .await;
    assert_eq!(get().await.0, 404);
}

#[tokio::test]
async fn manifests_are_checked() {
    let fixture = Fixture::new().await;
    let good = fixture
        .done("POST", "/api/plugins/check", manifest("some.plugin"))
        .await;
    assert_eq!(
        (&good["ok"], &good["id"]),
        (&json!(true), &json!("some.plugin")),
        "{good}"
    );
    let bad = fixture
        .done("POST", "/api/plugins/check", json!({"id": "X"}))
        .await;
    assert!(
        bad["ok"] == false
            && bad["violations"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["pointer"] == "/id")),
        "{bad}"
    );
    let toml = fixture
        .done("POST", "/api/plugins/check?name=plugin.toml", json!({}))
        .await;
    assert_eq!(
        (&toml["ok"], &toml["form"]),
        (&json!(false), &json!("thoth"))
    );
    let large = fixture
        .done(
            "POST",
            "/api/plugins/check",
            json!({"x": "y".repeat(limits::manifest::BYTES_MAX - 8)}),
        )
        .await;
    assert_eq!(large["ok"], false);
    fs::create_dir(fixture.folder.path().join("plugins/broken")).expect("a folder");
    fs::write(
        fixture.folder.path().join("plugins/broken/jackfield.json"),
        "{",
    )
    .expect("a file");
    fixture.plugins.scan().await.expect("a look");
    assert!(
        fixture.done("GET", "/api/plugins/check", Value::Null).await["errors"]["broken"]
            .is_string()
    );
}

#[tokio::test]
async fn kill_switches_act_at_once() {
    let fixture = Fixture::new().await;
    let (path, ask) = (
        "/api/plugins/kill-switch",
        json!({"plugin": "first.plugin", "capability": "storage.kv"}),
    );
    let reason = async || {
        fixture
            .done("POST", "/api/capabilities/check", ask.clone())
            .await["reason"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    fixture
        .done(
            "PUT",
            "/api/plugins/first.plugin/grants",
            json!({"capability": "storage.kv"}),
        )
        .await;
    assert_eq!(reason().await, "allowed by plugin allow list");
    assert_eq!(
        fixture
            .done("POST", path, json!({"plugin": "first.plugin", "off": true}))
            .await["plugins"],
        json!(["first.plugin"])
    );
    assert_eq!(reason().await, "disabled (kill switch)");
    let list = fixture.done("GET", "/api/plugins", Value::Null).await;
    assert_eq!(
        (&list[0]["state"], list[1]["state"] == list[0]["state"]),
        (&json!("blocked"), false)
    );
    fixture
        .done(
            "POST",
            path,
            json!({"plugin": "first.plugin", "off": false}),
        )
        .await;
    assert_eq!(reason().await, "allowed by plugin allow list");
    assert_eq!(
        fixture.done("POST", path, json!({"off": true})).await["all"],
        "REST, by olga"
    );
    assert_eq!(reason().await, "disabled (kill switch)");
    assert_eq!(
        fixture.done("POST", path, json!({"off": false})).await["all"],
        Value::Null
    );
    assert_eq!(
        fixture
            .admin("POST", path, json!({"plugin": "un.known", "off": true}))
            .await
            .0,
        404
    );
    fixture
        .done(
            "POST",
            path,
            json!({"plugin": "second.plugin", "off": true}),
        )
        .await;
    let fixture = fixture.again().await;
    let kept = fixture.done("GET", path, Value::Null).await;
    assert_eq!(
        (&kept["plugins"], &kept["all"]),
        (&json!(["second.plugin"]), &Value::Null),
        "what was switched off stays off"
    );
    fixture
        .done(
            "POST",
            path,
            json!({"plugin": "second.plugin", "off": false}),
        )
        .await;
    let fixture = fixture.again().await;
    assert_eq!(
        fixture.done("GET", path, Value::Null).await["plugins"],
        json!([])
    );
    let audit = fixture
        .done("GET", "/api/plugins/audit?recent=10", Value::Null)
        .await;
    assert_eq!(
        audit["entries"].as_array().map(|all| all
            .iter()
            .filter(|entry| entry["capability"] == "kill-switch")
            .count()),
        Some(7),
        "six changes and a refused one"
    );
}

#[tokio::test]
async fn the_policy_is_shown_as_it_acts() {
    let fixture = Fixture::new().await;
    let policy = fixture.done("GET", "/api/capabilities", Value::Null).await;
    assert_eq!(policy["mode"], "prompt");
    let about = |capability: &str| {
        let all = policy["decisions"].as_array().expect("a list");
        let of = |decision: &&Value| {
            decision["capabilities"]
                .as_array()
                .is_some_and(|ids| ids.contains(&capability.into()))
        };
        all.iter()
            .find(of)
            .unwrap_or_else(|| panic!("{capability}: {policy}"))
            .clone()
    };
    assert_eq!(
        (
            &about("storage.kv")["outcome"],
            &about("storage.kv")["reason"]
        ),
        (&json!("ask"), &json!("prompt mode"))
    );
    fixture
        .done("POST", "/api/plugins/kill-switch", json!({"off": true}))
        .await;
    let killed = fixture.done("GET", "/api/capabilities", Value::Null).await;
    assert_eq!(killed["decisions"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (
            &killed["decisions"][0]["outcome"],
            &killed["decisions"][0]["reason"]
        ),
        (&json!("deny"), &json!("disabled (kill switch)"))
    );
    let (status, _) = fixture
        .with(
            &token("mike", Role::Client),
            "GET",
            "/api/capabilities",
            Value::Null,
        )
        .await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn questions_about_capabilities_say_what_is_meant() {
    let fixture = Fixture::new().await;
    let ask = |capability: &str| json!({"plugin": "first.plugin", "capability": capability});
    let found = fixture
        .done("POST", "/api/capabilities/check", ask(" Storage.KV "))
        .await;
    assert_eq!(
        (
            &found["outcome"],
            &found["capability"],
            &found["layer"],
            &found["target"]
        ),
        (&json!("ask"), &json!("storage.kv"), &json!(5), &json!("*"))
    );
    let (status, answer) = fixture
        .admin("POST", "/api/capabilities/check", ask("http.fetsh"))
        .await;
    assert!(
        status == 400
            && answer["error"]
                .as_str()
                .is_some_and(|error| error.contains("http.fetch")),
        "{answer}"
    );
    assert_eq!(
        fixture
            .done("POST", "/api/capabilities/check", ask("messages.send"))
            .await["reason"],
        "not declared"
    );
}
