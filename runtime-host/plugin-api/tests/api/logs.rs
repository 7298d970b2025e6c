//! Logs, lifecycle events and decisions.

use crate::{Fixture, token};
use bytes::Bytes;
use http_body_util::BodyExt;
use identity::Role;
use plugin_store::{AuditDecision, AuditEntry, Level, LifecycleEvent, LogEntry};
use serde_json::{Value, json};

fn line(at_ms: u64, level: Level, message: &str) -> LogEntry {
    LogEntry {
        plugin: "first.plugin".into(),
        at_ms,
        level,
        message: message.into(),
        fields: None,
    }
}

#[tokio::test]
async fn pages_levels_and_times() {
    let fixture = Fixture::new().await;
    let logs = |query: &str| format!("/api/plugins/first.plugin/logs{query}");
    let before = fixture.done("GET", &logs(""), Value::Null).await["total"]
        .as_u64()
        .expect("a number");
    for at in 0..250 {
        let level = if at % 5 == 0 {
            Level::Warn
        } else {
            Level::Debug
        };
        fixture
            .store()
            .log(line(1_600_000_000_000 + at, level, &at.to_string()));
    }
    for (page, count) in [(0, 100), (1, 100), (2, 50 + before.min(50))] {
        let found = fixture
            .done("GET", &logs(&format!("?page={page}")), Value::Null)
            .await;
        assert_eq!(
            (found["logs"].as_array().map(Vec::len), &found["page_size"]),
            (Some(count as usize), &json!(100))
        );
        assert_eq!(
            (&found["page"], &found["total"]),
            (&json!(page), &json!(250 + before))
        );
    }
    let first = fixture
        .done("GET", &logs("?page_size=1"), Value::Null)
        .await;
    let expected = json!({"timestamp": "2020-09-13T12:26:40.249Z", "level": "Debug", "message": "249", "plugin": "first.plugin"});
    assert_eq!(first["logs"], json!([expected]));
    let warnings = fixture
        .done("GET", &logs("?level=WARN&since=1600000000200"), Value::Null)
        .await;
    assert_eq!(
        warnings["total"].as_u64().map(|total| total >= 10),
        Some(true)
    );
    assert!(
        warnings["logs"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|line| line["level"] == "Warn" || line["level"] == "Error")
    );
    let by_text = fixture
        .done(
            "GET",
            &logs("?level=warn&since=2020-09-13T12:26:40.2Z"),
            Value::Null,
        )
        .await;
    assert_eq!(by_text, warnings);
    for bad in [
        "?page=x",
        "?page=-1",
        "?page_size=0",
        "?level=loud",
        "?since=yesterday",
        "?follow=maybe",
    ] {
        assert_eq!(
            fixture.admin("GET", &logs(bad), Value::Null).await.0,
            400,
            "{bad}"
        );
    }
    assert_eq!(
        fixture
            .done("GET", &logs("?page_size=100000"), Value::Null)
            .await["page_size"],
        1_000
    );
    assert_eq!(
        fixture
            .admin("GET", "/api/plugins/un.known/logs", Value::Null)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn a_log_is_followed() {
    let fixture = Fixture::new().await;
    for at in 0..3 {
        fixture
            .store()
            .log(line(at, Level::Info, &format!("before {at}\nx")));
    }
    let path = "/api/plugins/first.plugin/logs?follow=true&lines=2&level=info";
    let response = fixture
        .send(Some(&token("olga", Role::Admin)), "GET", path, Bytes::new())
        .await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    fixture.store().log(line(9, Level::Debug, "too quiet"));
    fixture.store().log(LogEntry {
        plugin: "second.plugin".into(),
        ..line(9, Level::Error, "of another")
    });
    fixture.store().log(LogEntry {
        fields: Some(r#"{"error":"E1"}"#.into()),
        ..line(9, Level::Error, "after")
    });
    let mut events = Vec::new();
    while events.len() < 3 {
        let data = body
            .frame()
            .await
            .expect("an event")
            .expect("no error")
            .into_data()
            .expect("bytes");
        let text = String::from_utf8(data.to_vec()).expect("text");
        let data = text
            .strip_prefix("event: log\ndata: ")
            .and_then(|rest| rest.strip_suffix("\n\n"))
            .unwrap_or_else(|| panic!("{text:?}"));
        events.push(serde_json::from_str::<Value>(data).expect("JSON"));
    }
    let messages: Vec<&str> = events
        .iter()
        .map(|event| event["message"].as_str().expect("text"))
        .collect();
    assert_eq!(messages, ["before 1\\nx", "before 2\\nx", "after"]);
    assert_eq!(events[2]["error"], "E1");
}

#[tokio::test]
async fn too_many_followers_are_refused_and_leave_their_place() {
    let fixture = Fixture::new().await;
    let (admin, path) = (
        token("olga", Role::Admin),
        "/api/plugins/first.plugin/logs?follow=1",
    );
    let mut following = Vec::new();
    for _ in 0..limits::plugin_api::FOLLOWERS_MAX {
        let response = fixture.send(Some(&admin), "GET", path, Bytes::new()).await;
        assert_eq!(response.status(), 200);
        following.push(response);
    }
    assert_eq!(
        fixture
            .send(Some(&admin), "GET", path, Bytes::new())
            .await
            .status(),
        503
    );
    following.pop();
    assert_eq!(
        fixture
            .send(Some(&admin), "GET", path, Bytes::new())
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn events_are_listed() {
    let fixture = Fixture::new().await;
    let details = json!({"reason": "max_restarts_exceeded", "restart_count": 10});
    let at_ms = crate::now_s() * 1_000 + 60_000;
    let event = LifecycleEvent {
        plugin: "first.plugin".into(),
        at_ms,
        kind: "disabled_after_max_restarts".into(),
        details: details.clone(),
    };
    fixture.store().event(event).await.expect("an event");
    let found = fixture
        .done(
            "GET",
            "/api/plugins/first.plugin/events?page_size=1",
            Value::Null,
        )
        .await;
    let event = &found["events"][0];
    assert_eq!(
        (&event["event_type"], &event["details"], &event["plugin_id"]),
        (
            &json!("disabled_after_max_restarts"),
            &details,
            &json!("first.plugin")
        )
    );
    assert!(
        event["timestamp"]
            .as_str()
            .is_some_and(|text| text.ends_with('Z'))
    );
}

#[tokio::test]
async fn decisions_are_listed_newest_first() {
    let fixture = Fixture::new().await;
    for at in 0..30 {
        fixture.store().audit(AuditEntry {
            at_ms: crate::now_s() * 1_000,
            plugin: if at % 3 == 0 {
                "second.plugin"
            } else {
                "first.plugin"
            }
            .into(),
            capability: "http.fetch".into(),
            target: Some(format!("h{at}.example:443")),
            action: "call".into(),
            decision: AuditDecision::NeedsApproval,
            layer: 5,
            reason: "prompt mode".into(),
            duration_us: Some(1_500),
            by: None,
        });
    }
    let recent = fixture
        .done("GET", "/api/plugins/audit?recent=", Value::Null)
        .await;
    assert_eq!(recent["entries"].as_array().map(Vec::len), Some(20));
    let newest = &recent["entries"][0];
    assert_eq!(
        (
            &newest["resource"],
            &newest["decision"],
            &newest["duration_ms"]
        ),
        (
            &json!("h29.example:443"),
            &json!("needs_approval"),
            &json!(1.5)
        )
    );
    let second = fixture
        .done(
            "GET",
            "/api/plugins/audit?plugin=second.plugin&recent=500",
            Value::Null,
        )
        .await;
    assert_eq!(second["total"], 10);
    let stored = fixture
        .done(
            "GET",
            "/api/plugins/first.plugin/audit?page_size=5",
            Value::Null,
        )
        .await;
    assert_eq!(
        (&stored["total"], stored["entries"].as_array().map(Vec::len)),
        (&json!(20), Some(5))
    );
    assert!(
        !plugin_api::PluginApi::takes(&"/api/audit?recent=5".parse().expect("a path")),
        "the directory's own audit stays the directory's"
    );
}
