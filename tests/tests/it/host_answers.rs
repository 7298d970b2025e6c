//! What the host answers itself: pages of other origins can read it, and it says what to do.

use tests::{
    host::{Host, Settings},
    http::{Request, Response},
};

const PAGE: &str = "https://chat.example";

fn from_page(host: &Host, method: &str, path: &str) -> Response {
    let request = Request::new(method, path).header("origin", PAGE);
    request.send(&host.address()).expect("an answer")
}

/// Every kind of answer of the host has the headers for a page of another origin.
#[test]
fn pages_read_what_the_host_answers_itself() {
    let host = Settings::new()
        .config(&format!("[rest]\ncors_origins = [\"{PAGE}\"]\n"))
        .start();
    for (method, path, status) in [
        ("GET", "/limits", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/api/nowhere", 404),
        ("POST", "/limits", 405),
        ("GET", "/api/connections", 401),
        ("OPTIONS", "/limits", 204),
        ("OPTIONS", "/api/connections", 204),
        ("OPTIONS", "/api/servers", 204),
        ("GET", "/ws", 426),
        ("GET", "/api/asyncapi.json", 200),
    ] {
        let answer = from_page(&host, method, path).expect(status);
        let admitted = answer.header("access-control-allow-origin");
        assert_eq!(admitted, Some(PAGE), "{method} {path}");
        let varies = answer
            .headers
            .iter()
            .any(|(name, value)| name == "vary" && value == "origin");
        assert!(varies, "{method} {path}: {:?}", answer.headers);
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
        let other = Request::new(method, path).header("origin", "https://evil.example");
        let answer = other
            .send(&host.address())
            .expect("an answer")
            .expect(status);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

/// A page that is over its rate learns so, with the time to wait; its preflight passes.
#[test]
fn a_refusal_for_the_rate_is_readable() {
    let host = Settings::new()
        .config("[rest]\nper_address = { per_second = 1, burst = 1 }\n")
        .start();
    let refused = (0..100)
        .map(|_| from_page(&host, "GET", "/limits"))
        .find(|answer| answer.status == 429)
        .expect("a refusal");
    assert_eq!(refused.json()["code"], "RATE_LIMITED");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
    for _ in 0..5 {
        let preflight = Request::new("OPTIONS", "/api/servers")
            .header("origin", PAGE)
            .header("access-control-request-method", "POST");
        let answer = preflight.send(&host.address()).expect("an answer");
        assert_eq!(answer.status, 204);
    }
}

/// The failures that operators of proxies meet first say what to set; ambiguous requests are refused.
#[test]
fn requests_of_odd_forms_are_answered_by_what_they_are() {
    let host = Host::start();
    let answer = host.get("/ws").expect(426);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert!(
        answer.text().contains("proxy_set_header Upgrade"),
        "{}",
        answer.text()
    );
    let two_hosts = Request::new("GET", "/api/servers").header("host", "other.example");
    let answer = two_hosts.send(&host.address()).expect("an answer");
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (400, Some("BAD_REQUEST"))
    );
    let token = host.token("olga", "admin");
    let lower =
        Request::new("GET", "/api/connections").header("authorization", &format!("bearer {token}"));
    let _ = lower.send(&host.address()).expect("an answer").expect(200);
}

/// Measurements are for this machine and for operators: a request that a proxy has passed on is neither.
#[test]
fn measurements_are_for_operators() {
    let host = Host::start();
    let ask = |headers: &[(&str, &str)]| {
        let mut request = Request::new("GET", "/metrics");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send(&host.address()).expect("an answer").status
    };
    assert_eq!(ask(&[]), 200);
    for forwarded in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
        assert_eq!(ask(&[(forwarded, "127.0.0.1")]), 403, "{forwarded}");
    }
    let [admin, client] = ["admin", "client"].map(|role| host.token("olga", role));
    let with = |credential: &str| {
        let authorization = format!("Bearer {credential}");
        ask(&[("via", "1.1 proxy"), ("authorization", &authorization)])
    };
    assert_eq!(with(&admin), 200);
    assert_eq!(with(tests::host::SERVICE_CREDENTIAL), 200);
    assert_eq!((with(&client), with("x.y.z")), (403, 401));
    let proxied = Settings::new()
        .config("[socket]\ntrusted_proxies = [\"127.0.0.1\"]\n[rest]\nmetrics_from = [\"127.0.0.1\", \"203.0.113.0/24\"]\n")
        .start();
    let from = |address: &str| {
        let request = Request::new("GET", "/metrics").header("x-forwarded-for", address);
        request.send(&proxied.address()).expect("an answer").status
    };
    assert_eq!((from("203.0.113.7"), from("198.51.100.7")), (200, 403));
}
