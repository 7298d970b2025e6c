//! What a client takes its time for is not the plugin's time: no client can make a plugin miss a deadline.

use super::calls;
use serde_json::{Value, json};
use tests::{host::Host, plugins::Directory, raw::Raw, until};

fn host(directory: &Directory, limits: Value) -> Host {
    directory.install("plugin-probe", |manifest| manifest["limits"] = limits);
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    host
}

/// A connection that has sent a request to the probe and neither sends nor reads any more.
fn stalled(host: &Host, request: &str, headers: &str, body: &str) -> Raw {
    let (address, token) = (host.address(), host.known_token("alice", "client"));
    let mut raw = Raw::dial(host);
    raw.write(
        format!(
            "{request} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{headers}\r\n{body}"
        )
        .as_bytes(),
    );
    raw
}

#[test]
fn a_client_that_neither_sends_nor_reads_costs_the_plugin_nothing() {
    let directory = Directory::default();
    let host = host(&directory, json!({"responseTimeoutMs": 2_000}));
    let before = calls(&host);
    let withheld: Vec<Raw> = (0..4)
        .map(|_| {
            let request = "POST /api/plugins/route/probe/request";
            stalled(&host, request, "content-length: 100\r\n", "x")
        })
        .collect();
    // More bytes than the plugin's unread answers may have: the last of them wait for their clients.
    let unread: Vec<Raw> = (0..6)
        .map(|_| stalled(&host, "GET /api/plugins/route/probe/endless", "", ""))
        .collect();
    until("the long answers to be asked for", || {
        (calls(&host) >= before + 4).then_some(())
    });
    until("an answer for a client that reads", || {
        (host.ask_plugin("GET", "/probe/context", b"").status == 200).then_some(())
    });
    // Each of them is cut: by its own length, or because it was not read in time.
    unread.into_iter().for_each(|mut raw| drop(raw.rest()));
    let _ = host.ask_plugin("GET", "/probe/context", b"").expect(200);
    let events = host.admin("GET", "/api/plugins/tests.probe/events", &Value::Null);
    let events = events.expect(200).text();
    assert!(!events.contains("crashed"), "{events}");
    drop(withheld);
}

#[test]
fn each_failure_of_a_call_has_its_own_status() {
    let directory = Directory::default();
    let host = host(&directory, json!({"responseTimeoutMs": 300}));
    for deed in ["spin", "sleep"] {
        let late = host.ask_plugin("GET", &format!("/probe/{deed}"), b"");
        assert_eq!(late.expect(504).json()["code"], "PLUGIN_TIMEOUT");
        let _ = host.ask_plugin_again("GET", "/probe/context").expect(200);
    }
    for (deed, says) in [("panic", "unreachable"), ("fail", "told to fail")] {
        let failed = host.ask_plugin("GET", &format!("/probe/{deed}"), b"");
        let failed = failed.expect(502).json();
        assert_eq!(failed["code"], "PLUGIN_FAILED");
        assert!(failed["error"].to_string().contains(says), "{failed}");
        let _ = host.ask_plugin_again("GET", "/probe/context").expect(200);
    }
    let large = vec![b'x'; limits::plugin::REQUEST_BYTES_MAX + 1];
    let _ = host.ask_plugin("POST", "/probe/stream", &large).expect(413);
}

#[test]
fn a_call_that_waits_keeps_no_other_waiting() {
    let directory = Directory::default();
    directory.install("plugin-probe", |manifest| {
        manifest["hooks"] = json!(["PermissionRequest", "PreToolUse"]);
    });
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    host.grant_all("tests.probe");
    let before = calls(&host);
    let slow = json!({"input": {"tests.probe": {"do": "sleep"}}});
    let hook = |name: &str, body: &Value| host.admin("POST", &format!("/api/hooks/{name}"), body);
    std::thread::scope(|scope| {
        for _ in 1..limits::plugin::REQUEST_INSTANCES_DEFAULT {
            scope.spawn(|| host.ask_plugin("GET", "/probe/sleep", b""));
        }
        scope.spawn(|| hook("PermissionRequest", &slow));
        let waiting = limits::plugin::REQUEST_INSTANCES_DEFAULT as u64;
        until("the calls to wait", || {
            (calls(&host) >= before + waiting).then_some(())
        });
        let _ = host.ask_plugin("GET", "/probe/context", b"").expect(200);
        let double = host.admin("POST", "/api/tools/double", &json!({"number": 2}));
        assert_eq!(double.expect(200).json()["result"], 4);
        let quick = hook("PreToolUse", &json!({"input": {}})).expect(200).json();
        assert_eq!(quick["answers"][0]["action"], "continue", "{quick}");
        let more = hook("PermissionRequest", &json!({"input": {}}));
        let more = more.expect(200).json();
        assert_eq!(more["answers"][0]["action"], "continue", "{more}");
        let off = json!({"plugin": "tests.probe", "off": true});
        let _ = host
            .admin("POST", "/api/plugins/kill-switch", &off)
            .expect(200);
    });
}

#[test]
fn a_plugin_with_one_instance_for_requests_gets_one() {
    let directory = Directory::default();
    let limits = json!({"requestInstances": 1, "responseTimeoutMs": 2_000});
    let host = host(&directory, limits);
    let before = calls(&host);
    std::thread::scope(|scope| {
        let late = scope.spawn(|| host.ask_plugin("GET", "/probe/sleep", b""));
        until("the call to wait", || (calls(&host) > before).then_some(()));
        // It waits for its turn, which the crash of the first one takes away.
        let other = host.ask_plugin("GET", "/probe/context", b"");
        assert!(matches!(other.status, 503 | 504), "{}", other.text());
        let late = late.join().expect("an answer");
        assert_eq!(late.expect(504).json()["code"], "PLUGIN_TIMEOUT");
    });
}
