//! Requests, answers, and components that fail.

use crate::support::{Answer, App, get, load, logged, options, probe_manifest, send};
use bytes::Bytes;
use edge_host::{Application, ClientAddress, EdgeHost, Options};
use futures::future::join_all;
use http::{
    Method, Request, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::BodyExt;
use limits::edge_host as bounds;
use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread")]
async fn components_see_spins_headers_and_no_forged_ones() {
    let app = App::probe("").await;
    let mut request = Request::get("/probe/headers?a=1")
        .header("host", "edge.example:8443")
        .header("spin-client-addr", "6.6.6.6:6")
        .header("spin-anything", "forged")
        .header("connection", "keep-alive")
        .header("x-own", "kept")
        .body(Bytes::new())
        .expect("request");
    request
        .extensions_mut()
        .insert(ClientAddress("192.0.2.7:4711".parse().expect("address")));
    let answer = app.host.handle(request).await;
    let body = answer.into_body().collect().await.expect("body").to_bytes();
    let seen: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let header = |name: &str| {
        let headers = seen["headers"].as_array().expect("headers").iter();
        let found: Vec<&str> = headers
            .filter(|header| header[0] == name)
            .filter_map(|header| header[1].as_str())
            .collect();
        found.join("|")
    };
    for (name, value) in [
        ("spin-path-info", "/headers"),
        (
            "spin-full-url",
            "http://edge.example:8443/probe/headers?a=1",
        ),
        ("spin-matched-route", "/probe/..."),
        ("spin-raw-component-route", "/probe/..."),
        ("spin-component-route", "/probe"),
        ("spin-base-path", "/"),
        ("spin-client-addr", "192.0.2.7:4711"),
        ("spin-anything", ""),
        ("host", "edge.example:8443"),
        ("connection", ""),
        ("x-own", "kept"),
    ] {
        assert_eq!(header(name), value, "{name} of {seen}");
    }
    assert_eq!(seen["uri"], "http://edge.example:8443/probe/headers?a=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn short_answers_have_a_length_and_long_ones_come_in_chunks() {
    let app = App::probe("").await;
    for (bytes, length) in [
        (0, Some("0")),
        (1, Some("1")),
        (bounds::RESPONSE_BUFFER_BYTES, Some("65536")),
        (300_000, None),
    ] {
        let answer = get(&app.host, &format!("/probe/bytes/{bytes}")).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, bytes));
        let found = answer
            .headers
            .get(CONTENT_LENGTH)
            .map(|value| value.to_str().expect("text"));
        assert!(
            found == length || (length.is_none() && found == Some("300000")),
            "{bytes}: {found:?}"
        );
    }
    assert_eq!(
        get(&app.host, "/probe/status/204")
            .await
            .headers
            .get(CONTENT_LENGTH),
        None
    );
    assert_eq!(
        get(&app.host, "/probe/status/404").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded() {
    let app = App::probe("").await;
    let body = vec![b'a'; bounds::REQUEST_BYTES_MAX];
    let answer = send(&app.host, Method::POST, "/probe/echo", &[], body.clone()).await;
    assert_eq!(
        (answer.status, answer.body.len()),
        (StatusCode::OK, body.len())
    );
    let announced = send(
        &app.host,
        Method::POST,
        "/probe/echo",
        &[],
        vec![b'a'; bounds::REQUEST_BYTES_MAX + 1],
    )
    .await;
    announced.is_error(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_contradicting_hosts_are_json_errors() {
    let app = App::probe("").await;
    let answer = get(&app.host, "/elsewhere").await;
    answer.is_error(404, "NOT_FOUND");
    assert_eq!(
        answer.headers.get(CONTENT_TYPE).expect("type"),
        "application/json"
    );
    let answer = send(
        &app.host,
        Method::GET,
        "http://a.example/probe/seen",
        &[("host", "b.example")],
        "",
    )
    .await;
    answer.is_error(400, "BAD_REQUEST");
    assert!(
        app.host.serves("/probe") && app.host.serves("/probe/x/y") && !app.host.serves("/prob")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_reused_and_then_replaced() {
    let app = App::probe("").await;
    let mut seen = Vec::new();
    for _ in 0..bounds::REQUESTS_PER_INSTANCE_MAX + 2 {
        seen.push(
            get(&app.host, "/probe/seen")
                .await
                .json()
                .as_u64()
                .expect("number"),
        );
    }
    assert_eq!(
        seen.iter().max(),
        Some(&(bounds::REQUESTS_PER_INSTANCE_MAX as u64))
    );
    assert!(
        seen.iter().filter(|count| **count == 1).count() >= 2,
        "{seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_give_every_request_an_instance_of_its_own() {
    let app = App::probe("").await;
    let dir = tempfile::tempdir().expect("directory");
    let manifest = Application::read(&app.dir.path().join("spin.toml")).expect("manifest");
    let options = Options {
        requests_per_instance_max: 1,
        ..options(dir.path(), manifest, BTreeMap::new())
    };
    let host = EdgeHost::load(options.clone()).await.expect("application");
    for _ in 0..3 {
        assert_eq!(
            get(&host, "/probe/seen").await.json(),
            1,
            "no instance has seen another request"
        );
    }
    drop(host);
    let too_many = Options {
        requests_per_instance_max: bounds::REQUESTS_PER_INSTANCE_MAX + 1,
        ..options
    };
    let refusal = EdgeHost::load(too_many)
        .await
        .err()
        .expect("a refusal")
        .to_string();
    assert_eq!(
        refusal,
        "an instance may serve at most 128 requests, not 129"
    );
}

/// Requests that arrive one after the other share instances; a burst gets an instance each.
async fn later(host: &EdgeHost, at: u64, path: &str) -> Answer {
    tokio::time::sleep(Duration::from_millis(10 * at)).await;
    get(host, path).await
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_requests_share_instances() {
    let app = App::probe("").await;
    let answers = join_all((0..64).map(|at| later(&app.host, at, "/probe/sleep/400"))).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert!(
        answers
            .iter()
            .any(|answer| answer.json().as_u64() > Some(1)),
        "no instance took two"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_answered_and_costs_only_its_instance() {
    let app = App::probe("").await;
    get(&app.host, "/probe/panic")
        .await
        .is_error(502, "INTERNAL");
    assert_eq!(
        get(&app.host, "/probe/seen").await.json(),
        1,
        "a new instance answers"
    );
    get(&app.host, "/probe/fail")
        .await
        .is_error(502, "INTERNAL");
    // Requests that share the instance end with it, each with an answer; all others go on.
    let (slow, _) = tokio::join!(
        join_all((0..40).map(|at| later(&app.host, at, "/probe/sleep/900"))),
        async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            get(&app.host, "/probe/panic").await
        }
    );
    let died = slow
        .iter()
        .filter(|answer| answer.status != StatusCode::OK)
        .count();
    slow.iter()
        .filter(|answer| answer.status != StatusCode::OK)
        .for_each(|answer| answer.is_error(502, "INTERNAL"));
    assert!(
        (1..bounds::CONCURRENT_PER_INSTANCE_MAX).contains(&died),
        "{died} of 40 died"
    );
    assert!(
        logged().contains("told to panic"),
        "the component's own words are in the log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_computes_for_ever_is_stopped_and_others_are_served_meanwhile() {
    let app = App::probe("").await;
    let began = Instant::now();
    let order = Mutex::new(Vec::new());
    let (spun, answers) = tokio::join!(
        async {
            let spun = get(&app.host, "/probe/spin").await;
            order.lock().expect("order").push("spin");
            spun
        },
        async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let answers = join_all((0..20).map(|_| get(&app.host, "/probe/seen"))).await;
            order.lock().expect("order").push("others");
            answers
        }
    );
    spun.is_error(502, "INTERNAL");
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert_eq!(
        *order.lock().expect("order"),
        ["others", "spin"],
        "no request waited for the component that computes for ever"
    );
    assert!(
        began.elapsed() >= Duration::from_millis(bounds::BUSY_TIMEOUT_MS),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute"]
async fn a_late_component_is_a_timeout() {
    let app = App::probe("").await;
    get(&app.host, "/probe/sleep/60000")
        .await
        .is_error(504, "TIMEOUT");
    assert_eq!(get(&app.host, "/probe/seen").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_and_the_instance_survives_the_refusal() {
    let app = App::probe("").await;
    let refused = get(&app.host, "/probe/hog/1000").await.json()["refused"]
        .as_u64()
        .expect("a refusal");
    assert!(
        refused > 32 && refused < (bounds::MEMORY_BYTES_MAX >> 20) as u64,
        "{refused}"
    );
    assert_eq!(get(&app.host, "/probe/seen").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_environment_and_log_belong_to_the_component() {
    let dir = tempfile::tempdir().expect("directory");
    let head =
        "[variables]\nname = { default = \"d\" }\nsecret = { required = true, secret = true }";
    let grants = "variables = { greeting = \"hello {{ name }}\", key = \"{{ secret }}\" }\nenvironment = { A = \"1\" }";
    let manifest = probe_manifest(head, grants);
    let missing = load(dir.path(), &manifest, &[])
        .await
        .err()
        .expect("refusal")
        .to_string();
    assert!(
        missing.contains("variable `secret` is required: set SPIN_VARIABLE_SECRET"),
        "{missing}"
    );
    let host = load(dir.path(), &manifest, &[("secret", "s"), ("name", "you")])
        .await
        .expect("application");
    assert_eq!(
        get(&host, "/probe/variable/greeting").await.json()["value"],
        "hello you"
    );
    assert_eq!(get(&host, "/probe/variable/key").await.json()["value"], "s");
    for (name, error) in [("name", "Undefined"), ("NAME", "InvalidName")] {
        let answer = get(&host, &format!("/probe/variable/{name}")).await.json();
        assert!(
            answer["error"].as_str().expect("error").contains(error),
            "{answer}"
        );
    }
    assert_eq!(
        get(&host, "/probe/environment").await.json(),
        serde_json::json!([["A", "1"]])
    );
    get(&host, "/probe/print/some-words").await;
    let log = logged();
    assert!(
        log.contains("component=\"probe\"")
            && log.contains("out: some-words")
            && log.contains("err: some-words"),
        "{log}"
    );
}
