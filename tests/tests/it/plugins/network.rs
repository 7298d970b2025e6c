//! Requests of plugins to other machines: what the operator cannot open, how many there may be, and how they are counted.

use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};
use tests::{host::Host, plugins::Directory};

/// A local server that gives every request this answer; its URL.
fn server(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

fn ok() -> String {
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_owned()
}

fn host(directory: &Directory, config: &str) -> Host {
    directory.install("plugin-probe", |_| {});
    let open = "[plugins.network]\nopen = [\"127.0.0.0/8\", \"localhost\", \"::1\"]\n";
    let host = directory.settings().config(open).config(config).start();
    host.plugin_in("tests.probe", "loaded");
    host.grant_all("tests.probe");
    host
}

fn fetch(host: &Host, url: &str) -> Value {
    let answer = host.ask_plugin("POST", "/probe/fetch", url.as_bytes());
    answer.expect(200).json()
}

#[test]
fn the_hosts_own_socket_stays_closed_whatever_is_open() {
    let directory = Directory::default();
    let host = host(&directory, "");
    assert_eq!(
        fetch(&host, &server(ok()))["status"],
        200,
        "loopback is open"
    );
    let address = host.address();
    let port = address.rsplit(':').next().expect("a port");
    let own = format!("http://127.0.0.1:{port}/healthz");
    let leads_here = format!(
        "HTTP/1.1 302 Found\r\nlocation: {own}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    for url in [own, server(leads_here)] {
        let refused = fetch(&host, &url);
        assert_eq!(refused["error"], "ErrorCode::Denied", "{url}: {refused}");
        assert!(refused.to_string().contains("own-socket"), "{refused}");
    }
    let counted = host.metric(
        "jackfield_plugin_network_refusals_total{plugin=\"tests.probe\",rule=\"own-socket\"}",
    );
    assert_eq!(counted, 2.0);
    let denied = "jackfield_plugin_refusals_total{plugin=\"tests.probe\",code=\"denied\"}";
    assert_eq!(host.metric(denied), 2.0);
    let audit = host.admin("GET", "/api/plugins/audit?plugin=tests.probe", &Value::Null);
    assert!(audit.expect(200).text().contains("own-socket"));
}

#[test]
fn the_lower_of_the_manifests_and_the_operators_rate_counts() {
    for (manifest, operator, expected) in [(None, 3, 3), (Some(2), 3, 2), (Some(100), 3, 3)] {
        let directory = Directory::default();
        directory.install("plugin-probe", |probe| {
            if let Some(rate) = manifest {
                probe["network"] = json!({"rate_limit_rpm": rate});
            }
        });
        let host = directory
            .settings()
            .config("[plugins.network]\nopen = [\"127.0.0.1\"]\n")
            .config(&format!(
                "[plugins.limits]\nrequests_per_minute = {operator}\n"
            ))
            .start();
        host.plugin_in("tests.probe", "loaded");
        host.grant_all("tests.probe");
        let url = server(ok());
        for at in 0..expected {
            assert_eq!(
                fetch(&host, &url)["status"],
                200,
                "request {at} of {expected}"
            );
        }
        let limited = fetch(&host, &url);
        assert_eq!(limited["error"], "ErrorCode::RateLimited", "{limited}");
        let text = limited.to_string();
        assert!(
            text.contains(&format!("{expected} ")),
            "it names the limit: {text}"
        );
        let limited =
            "jackfield_plugin_refusals_total{plugin=\"tests.probe\",code=\"rate-limited\"}";
        assert_eq!(host.metric(limited), 1.0);
        let requests = "jackfield_plugin_requests_total{plugin=\"tests.probe\"}";
        assert_eq!(host.metric(requests), f64::from(expected + 1));
    }
}

#[test]
fn dropped_log_lines_and_used_quotas_are_counted() {
    let directory = Directory::default();
    directory.install("plugin-probe", |manifest| {
        manifest["limits"] = json!({"maxBytesWritten": 4});
    });
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    host.grant_all("tests.probe");
    let full = host.ask_plugin("POST", "/probe/kv-set/key", b"12345");
    assert_eq!(full.expect(200).json()["error"], "ErrorCode::QuotaExceeded");
    let quota = "jackfield_plugin_refusals_total{plugin=\"tests.probe\",code=\"quota-exceeded\"}";
    assert_eq!(host.metric(quota), 1.0);
    let dropped = "jackfield_plugin_log_lines_dropped_total{plugin=\"tests.probe\"}";
    assert_eq!(host.metric(dropped), 0.0);
    let line = vec![b'x'; 4_096];
    let _ = host
        .ask_plugin("POST", "/probe/log/10000", &line)
        .expect(200);
    let lines = host.metric(dropped);
    assert!((1.0..10_000.0).contains(&lines), "{lines}");
}
