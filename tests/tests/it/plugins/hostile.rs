//! Plugins that misbehave: each may end its own instance, and other plugins and clients must not
//! notice.

use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tests::{
    bystander::{Bystander, STEADY},
    host::Host,
    plugins::Directory,
    until,
};

fn fixture(directory: &Directory) -> (Host, Bystander) {
    directory.install("plugin-probe", |_| {});
    directory.install("polls", |_| {});
    let host = directory.settings().config(STEADY).start();
    host.plugin_in("tests.probe", "loaded");
    host.plugin_in("jackfield.polls", "loaded");
    host.grant_all("tests.probe");
    host.grant_all("jackfield.polls");
    let bystander = Bystander::start(&host, "calm");
    (host, bystander)
}

/// Asks for an action that must end the instance, and waits until the plugin has been restarted.
fn dies(host: &Host, deed: &str, why: &str) {
    let answer = host.ask_plugin("GET", &format!("/probe/{deed}"), b"");
    assert_eq!(answer.status, 502, "{deed}: {}", answer.text());
    assert_eq!(
        host.ask_plugin("GET", "/polls/", b"").status,
        200,
        "another plugin goes on"
    );
    let began = std::time::Instant::now();
    loop {
        let events = host
            .admin("GET", "/api/plugins/tests.probe/events", &Value::Null)
            .expect(200)
            .text();
        if events.contains("crashed") && events.contains(why) {
            break;
        }
        assert!(began.elapsed() < tests::PATIENCE, "{deed}: {events}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    host.plugin_in("tests.probe", "loaded");
}

#[test]
fn traps_memory_and_recursion_end_only_the_instance() {
    let directory = Directory::default();
    let (host, bystander) = fixture(&directory);
    dies(&host, "panic", "unreachable");
    dies(&host, "recurse", "stack");
    let hog = host.ask_plugin("GET", "/probe/hog/200", b"");
    assert_eq!(hog.status, 502, "{}", hog.text());
    assert!(
        hog.text().contains("no memory after"),
        "growth is refused at the limit, the guest goes on: {}",
        hog.text()
    );
    host.plugin_in("tests.probe", "loaded");
    bystander.undisturbed();
}

#[test]
fn a_spinning_plugin_runs_out_of_fuel_and_delays_no_client() {
    let directory = Directory::default();
    directory.install("plugin-probe", |manifest| {
        manifest["limits"] = json!({"fuelPerCall": 500_000_000})
    });
    directory.install("polls", |_| {});
    let host = directory.settings().config(STEADY).start();
    host.plugin_in("tests.probe", "loaded");
    host.plugin_in("jackfield.polls", "loaded");
    host.grant_all("jackfield.polls");
    let bystander = Bystander::start(&host, "calm");
    dies(&host, "spin", "fuel");
    dies(&host, "spin-calling", "fuel");
    bystander.undisturbed();
}

#[test]
fn endless_answers_are_cut() {
    let directory = Directory::default();
    let (host, bystander) = fixture(&directory);
    let request = tests::http::Request::new("GET", "/api/plugins/route/probe/endless")
        .bearer(&host.token("alice", "client"));
    // The status is sent before the limit is reached, so the body must break off.
    assert!(
        request.send(&host.address()).is_err(),
        "a cut answer must not look complete"
    );
    assert_eq!(host.ask_plugin("GET", "/probe/status/418", b"").status, 418);
    bystander.undisturbed();
}

#[test]
fn logs_are_bounded_and_escaped() {
    let directory = Directory::default();
    let (host, _bystander) = fixture(&directory);
    let _ = host
        .ask_plugin(
            "POST",
            "/probe/log/1",
            b"\x1b[31mred\x1b]0;title\x07\nsecond",
        )
        .expect(200);
    let _ = host
        .ask_plugin("POST", "/probe/log/2000", &[b'x'; 4_000])
        .expect(200);
    let _ = host
        .ask_plugin("POST", "/probe/log/1", b"afterwards")
        .expect(200);
    let page = |at: usize| {
        host.admin(
            "GET",
            &format!("/api/plugins/tests.probe/logs?page={at}&page_size=100"),
            &Value::Null,
        )
        .expect(200)
    };
    let first = page(0).json();
    assert!(
        first["total"].as_u64().unwrap_or(u64::MAX) < 200,
        "too many lines are kept: {}",
        first["total"]
    );
    let all: String = (0..3).map(|at| page(at).text()).collect();
    assert!(
        !all.contains('\u{1b}') && !all.contains("\\u001b"),
        "an escape sequence is kept in the log"
    );
}

#[test]
fn storage_has_a_quota_and_writes_are_atomic() {
    let directory = Directory::default();
    let (host, _bystander) = fixture(&directory);
    let full = host
        .ask_plugin("GET", "/probe/kv-many/70", b"")
        .expect(200)
        .json();
    assert_eq!(
        full["error"], "ErrorCode::QuotaExceeded",
        "the quota must be enforced: {full}"
    );
    let answer = host.ask_plugin("GET", "/probe/kv-then-panic/half", b"");
    assert_eq!(answer.status, 502);
    assert_eq!(
        host.ask_plugin_again("GET", "/probe/kv-get/half")
            .expect(200)
            .json(),
        Value::Null,
        "half of a write was kept"
    );
    let long = host
        .ask_plugin("POST", &format!("/probe/kv-set/{}", "k".repeat(600)), b"v")
        .json();
    assert_eq!(long["error"], "ErrorCode::InvalidArgument", "{long}");
    for key in ["../polls/1", "a%00b"] {
        let answer = host
            .ask_plugin("POST", &format!("/probe/kv-set/{key}"), b"v")
            .expect(200)
            .json();
        assert!(
            answer.is_null() || answer["error"] == "ErrorCode::InvalidArgument",
            "a strange key must be an ordinary key or be refused: {answer}"
        );
    }
    assert_eq!(
        host.ask_plugin("GET", "/polls/", b"").json(),
        json!({"polls": []}),
        "another plugin's values were touched"
    );
}

#[test]
fn the_lower_limit_of_manifest_and_operator_is_enforced() {
    let directory = Directory::default();
    directory.install("plugin-probe", |manifest| {
        manifest["limits"] = json!({"maxHostcallsPerSec": 10_000, "maxBytesWritten": 100})
    });
    let start = |limits: &str| {
        let host = directory
            .settings()
            .config(&format!("[plugins.limits]\n{limits}\n"))
            .start();
        host.plugin_in("tests.probe", "loaded");
        host.grant_all("tests.probe");
        host
    };
    let host = start("");
    let set = |bytes: usize| {
        host.ask_plugin("POST", "/probe/kv-set/long", &vec![b'v'; bytes])
            .expect(200)
            .json()
    };
    assert_eq!(set(60), Value::Null);
    assert_eq!(
        set(60)["error"],
        "ErrorCode::QuotaExceeded",
        "maxBytesWritten must be enforced"
    );
    assert_eq!(set(40), Value::Null);
    drop(host);
    directory.install("plugin-probe", |_| {});
    let host = start("host_calls_per_second = 1");
    let many = host
        .ask_plugin("GET", "/probe/kv-many/70", b"")
        .expect(200)
        .json();
    assert_eq!(
        many["error"], "ErrorCode::RateLimited",
        "host_calls_per_second must be enforced: {many}"
    );
    drop(host);
    let host = directory
        .settings()
        .config("[plugins.limits]\nfuel_per_call = 1000\n")
        .start();
    let failed = host.plugin_in("tests.probe", "failed");
    assert!(
        failed["lastError"]
            .as_str()
            .is_some_and(|why| why.contains("(1000 instructions)")),
        "the operator's fuel limit must be in force: {failed}"
    );
}

#[test]
fn the_sandbox_shows_no_environment_and_reaches_no_private_address() {
    let directory = Directory::default();
    let (host, _bystander) = fixture(&directory);
    assert_eq!(
        host.ask_plugin("GET", "/probe/environment", b"").json(),
        json!({"variables": 0, "arguments": 0}),
        "the sandbox shows environment or arguments"
    );
    for url in [
        "http://127.0.0.1:1/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "file:///etc/passwd",
        "http://u:p@allowed.test/",
    ] {
        let answer = host
            .ask_plugin("POST", "/probe/fetch", url.as_bytes())
            .expect(200)
            .json();
        let code = answer["error"].as_str().unwrap_or_default();
        assert!(
            [
                "ErrorCode::Denied",
                "ErrorCode::InvalidArgument",
                "ErrorCode::NotDeclared"
            ]
            .contains(&code),
            "{url}: {answer}"
        );
    }
}

#[test]
fn a_failed_activation_is_retried_after_a_second() {
    let directory = Directory::default();
    // Too little fuel to activate. Ten crashes in a row are tested in `crashes`.
    directory.install("plugin-probe", |manifest| {
        manifest["limits"] = json!({"fuelPerCall": 1_000})
    });
    let host = directory.settings().start();
    let failed = host.plugin_in("tests.probe", "failed");
    assert!(
        failed["retryAt"].is_string() || failed["retryAt"].is_u64(),
        "{failed}"
    );
    // The state is known before its record is stored.
    until("a restart that is scheduled after a second", || {
        let events = host
            .admin("GET", "/api/plugins/tests.probe/events", &Value::Null)
            .expect(200)
            .text();
        (events.contains("restarting") && events.contains("\"delay_ms\":1000")).then_some(())
    });
}

/// A local server that redirects every request to `elsewhere` and counts requests.
fn redirects(elsewhere: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let came = Arc::new(AtomicUsize::new(0));
    let counting = came.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            counting.fetch_add(1, Ordering::Relaxed);
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request);
            let answer = format!(
                "HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, came)
}

/// A destination that is declared and granted is still checked by address, on every hop.
#[test]
fn redirects_are_checked_like_requests() {
    let directory = Directory::default();
    directory.install("plugin-probe", |manifest| {
        let capabilities = manifest["capabilities"].as_array_mut().expect("a list");
        capabilities.retain(|capability| capability["id"] != "http.fetch");
        capabilities.push(
            json!({"id": "http.fetch", "hosts": ["127.0.0.1", "169.254.169.254", "10.0.0.1"]}),
        );
    });
    let host = directory
        .settings()
        .config("[plugins.network]\nopen = [\"127.0.0.1\"]\n")
        .start();
    host.plugin_in("tests.probe", "loaded");
    host.grant_all("tests.probe");
    let fetch = |url: &str| {
        host.ask_plugin("POST", "/probe/fetch", url.as_bytes())
            .expect(200)
            .json()
    };
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
    ] {
        assert_eq!(
            fetch(url)["error"],
            "ErrorCode::Denied",
            "a forbidden address was contacted: {url}"
        );
    }
    for (elsewhere, code) in [
        (
            "http://169.254.169.254/latest/meta-data",
            "ErrorCode::Denied",
        ),
        ("http://10.0.0.1/", "ErrorCode::Denied"),
        ("http://elsewhere.test/", "ErrorCode::NotDeclared"),
        ("file:///etc/passwd", "ErrorCode::Denied"),
    ] {
        let (url, came) = redirects(elsewhere);
        let answer = fetch(&url);
        assert_eq!(answer["error"], code, "redirect to {elsewhere}: {answer}");
        assert_eq!(came.load(Ordering::Relaxed), 1, "the first hop was allowed");
    }
}
