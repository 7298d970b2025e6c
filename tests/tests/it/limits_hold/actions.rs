//! One function for each setting: reaches the limit and checks the answer.

use serde_json::{Value, json};
use std::time::Duration;
use tests::{client::Client, host::Host, measures::Counters, raw::Raw};

// ---- users and servers

pub(super) fn view(server: &str) -> Value {
    json!({"type": "view_server", "serverId": server})
}

pub(super) fn joined(host: &Host) {
    let mut client = Client::joined(host, "joiner", "one");
    client.join("two");
    client.refused(
        json!({"type": "join_server", "serverId": "three"}),
        "LIMIT_REACHED",
    );
}

pub(super) fn viewed(host: &Host) {
    let mut client = Client::identified(host, "viewer");
    client.send(view("one"));
    client.expect("server_users");
    client.refused(view("two"), "LIMIT_REACHED");
}

pub(super) fn devices(host: &Host) {
    let mut devices: Vec<Client> = (0..2).map(|_| Client::identified(host, "many")).collect();
    devices
        .iter_mut()
        .for_each(|device| assert!(device.settled().is_empty()));
    Client::identified(host, "many").refusal("LIMIT_REACHED");
}

pub(super) fn roster(host: &Host) {
    let _people: Vec<Client> = (0..4)
        .map(|at| Client::joined(host, &format!("person-{at}"), "three"))
        .collect();
    let (users, _) = Client::identified(host, "reader").join("three");
    assert_eq!(
        (users["users"].as_array().map(Vec::len), &users["total"]),
        (Some(2), &json!(4)),
        "cut, and it says so"
    );
}

/// A client that pages rosters is told how many users come, and not which.
pub(super) fn roster_page(host: &Host) {
    let _people: Vec<Client> = (0..3)
        .map(|at| Client::joined(host, &format!("resident-{at}"), "two"))
        .collect();
    let mut pager = Client::connect(host, "pager");
    pager.identify(json!({"features": ["errors", "roster-paging"]}));
    let (users, _) = pager.join("two");
    assert_eq!(
        (users["users"].as_array().map(Vec::len), &users["total"]),
        (Some(2), &json!(3)),
        "a page"
    );
    let _latecomer = Client::joined(host, "latecomer", "two");
    pager.find("the number of users", |envelope| {
        envelope["type"] == "server_users_changed" && envelope["total"] == 4
    });
    assert!(!pager.waiting_types().contains(&"user_joined"));
}

// ---- messages

/// Three connections send twice what one may, together.
pub(super) fn identity(host: &Host) {
    let mut devices: Vec<Client> = (0..3)
        .map(|_| Client::joined(host, "crowd", "one"))
        .collect();
    // In the same time the three may send more, each of its own, than all of them together.
    let refused = (0..1_000).find_map(|at: u32| {
        let device = &mut devices[at as usize % 3];
        let text = at.to_string();
        device.send(json!({"type": "chat_message", "serverId": "one", "message": text}));
        let answers = device.settled();
        answers.into_iter().find(|answer| answer["type"] == "error")
    });
    let refusal = refused.expect("one is refused");
    assert_eq!(refusal["code"], "RATE_LIMITED");
    assert!(
        refusal["message"]
            .as_str()
            .is_some_and(|text| text.contains("'chat' of all connections of this identity")),
        "{refusal}"
    );
}

pub(super) fn message(host: &Host) {
    let mut client = Client::identified(host, "large");
    client.send(json!({"type": "nonsense", "x": "x".repeat(16_384)}));
    assert_eq!(client.closed().0, 1009);
}

/// Sends `envelope` until it is refused; the first one must pass, and the refusal must name `what`.
pub(super) fn exceeds(client: &mut Client, what: &str, envelope: impl Fn(usize) -> Value) {
    for at in 0..20 {
        client.send(envelope(at));
    }
    let refusal = client.refusal("RATE_LIMITED");
    assert!(
        refusal["message"]
            .as_str()
            .is_some_and(|text| text.contains(&format!("'{what}'"))),
        "{refusal}"
    );
    assert!(
        refusal["retryAfterMs"]
            .as_u64()
            .is_some_and(|wait| wait > 0),
        "{refusal}"
    );
}

pub(super) fn bytes(host: &Host) {
    let mut receiver = Client::identified(host, "receiver");
    assert!(receiver.settled().is_empty());
    let mut client = Client::identified(host, "loud");
    let text = "x".repeat(10_000);
    for _ in 0..3 {
        client.send(json!({"type": "direct-message", "targetUserId": "receiver", "text": text}));
    }
    let refusal = client.refusal("RATE_LIMITED");
    assert!(
        refusal["message"]
            .as_str()
            .is_some_and(|text| text.contains("'bytes'")),
        "{refusal}"
    );
    receiver.expect("direct-message");
}

pub(super) fn targets(host: &Host) {
    let mut client = Client::identified(host, "spreader");
    for at in 0..3 {
        client.refused(
            json!({"type": "direct-message", "targetUserId": format!("nobody-{at}")}),
            "NOT_REACHABLE",
        );
    }
    let refusal = client.refused(
        json!({"type": "direct-message", "targetUserId": "nobody-3"}),
        "RATE_LIMITED",
    );
    assert!(
        refusal["message"]
            .as_str()
            .is_some_and(|text| text.contains("'new targets'")),
        "{refusal}"
    );
}

pub(super) fn typing(host: &Host) {
    let mut client = Client::joined(host, "typist", "one");
    exceeds(
        &mut client,
        "typing",
        |_| json!({"type": "typing", "serverId": "one", "isTyping": true}),
    );
}

pub(super) fn chat(host: &Host) {
    let mut client = Client::joined(host, "talker", "one");
    exceeds(
        &mut client,
        "chat",
        |at| json!({"type": "chat_message", "serverId": "one", "message": at.to_string()}),
    );
}

pub(super) fn membership(host: &Host) {
    let mut client = Client::identified(host, "restless");
    exceeds(
        &mut client,
        "membership",
        |_| json!({"type": "leave_server", "serverId": "one"}),
    );
}

pub(super) fn signalling(host: &Host) {
    let _receiver = Client::joined(host, "callee", "one");
    let mut client = Client::joined(host, "caller", "one");
    exceeds(
        &mut client,
        "signalling",
        |_| json!({"type": "ice_candidate", "targetUserId": "callee", "candidate": {}}),
    );
}

pub(super) fn direct(host: &Host) {
    let mut receiver = Client::identified(host, "penfriend");
    assert!(receiver.settled().is_empty());
    let mut client = Client::identified(host, "writer");
    exceeds(
        &mut client,
        "direct",
        |_| json!({"type": "direct-message", "targetUserId": "penfriend"}),
    );
}

pub(super) fn plugin_event(host: &Host) {
    host.define(
        "olga",
        "one",
        "example.polls",
        "vote:cast",
        &json!({"direction": "serverRelay", "scope": "server"}),
    );
    let mut client = Client::identified(host, "voter");
    // The definition may reach the gateway before or after the join.
    if client.join("one").1["eventDefinitions"] == json!([]) {
        client.find("the event", |frame| {
            frame["type"] == "plugin_requirements" && frame["eventDefinitions"] != json!([])
        });
    }
    exceeds(
        &mut client,
        "plugin_event",
        |at| json!({"type": "plugin_event", "serverId": "one", "pluginId": "example.polls", "eventName": "vote:cast", "payload": at}),
    );
}

pub(super) fn all(host: &Host) {
    let mut raw = from(host, "203.0.113.30");
    for _ in 0..20 {
        raw.text(r#"{"type":"nonsense"}"#);
    }
    loop {
        let frame = raw.next_frame().expect("an open connection");
        if String::from_utf8_lossy(&frame.payload).contains("RATE_LIMITED") {
            return;
        }
    }
}

pub(super) fn strikes(host: &Host) {
    let mut raw = from(host, "203.0.113.31");
    for _ in 0..20 {
        raw.text(r#"{"type":"nonsense"}"#);
    }
    assert_eq!(raw.closed(), 4008, "no strike is allowed");
}

// ---- connections

pub(super) fn shake_from(host: &Host, address: &str) -> (Raw, String) {
    Raw::shake(host, &format!("x-forwarded-for: {address}\r\n"))
}

pub(super) fn from(host: &Host, address: &str) -> Raw {
    let (raw, head) = shake_from(host, address);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    raw
}

pub(super) fn no_place(head: &str) {
    assert!(
        head.starts_with("HTTP/1.1 503") || head.starts_with("HTTP/1.1 429"),
        "{head}"
    );
    assert!(head.to_ascii_lowercase().contains("retry-after:"), "{head}");
}

pub(super) fn origin(host: &Host) {
    let (_, head) = Raw::shake(host, "origin: https://evil.example\r\n");
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
}

pub(super) fn address(host: &Host) {
    // One address in the forms in which proxies write it.
    let forms = [
        "203.0.113.1",
        "203.0.113.1:51008",
        "\"[::ffff:203.0.113.1]:443\"",
    ];
    let _here = forms.map(|form| from(host, form));
    no_place(&shake_from(host, "203.0.113.1").1);
    drop(from(host, "203.0.113.2"));
}

pub(super) fn handshakes(host: &Host) {
    for _ in 0..20 {
        let (_, head) = shake_from(host, "203.0.113.3");
        if !head.starts_with("HTTP/1.1 101") {
            no_place(&head);
            drop(from(host, "203.0.113.4"));
            return;
        }
    }
    panic!("twenty handshakes at once from one address");
}

pub(super) fn connections(host: &Host) {
    let mut here: Vec<Raw> = Vec::new();
    for at in 0..6 {
        let (raw, head) = shake_from(host, &format!("203.0.113.{}", 10 + at));
        if !head.starts_with("HTTP/1.1 101") {
            no_place(&head);
            assert!(here.len() <= 4);
            return;
        }
        here.push(raw);
    }
    panic!("six connections where four are allowed");
}

pub(super) fn accepts(host: &Host) {
    let _dialled: Vec<Raw> = (0..20).map(|_| Raw::dial(host)).collect();
}

// ---- times

pub(super) fn head(host: &Host) {
    let mut raw = Raw::dial(host);
    raw.write(b"GET /ws HTTP/1.1\r\n");
    assert!(
        raw.rest().map_or(true, |rest| rest.is_empty()),
        "dropped without a word"
    );
}

pub(super) fn identify(host: &Host) {
    assert_eq!(Raw::connect(host).closed(), 1008);
}

pub(super) fn silence(host: &Host) {
    let mut raw = Raw::connect(host);
    raw.text(
        &json!({"type": "identify", "oderId": "silent", "token": host.token("silent", "client")})
            .to_string(),
    );
    assert_eq!(raw.closed(), 1006, "a dead peer gets no close frame");
}

pub(super) fn unfinished(host: &Host) {
    let mut raw = Raw::connect(host);
    raw.text(&json!({"type": "identify", "oderId": "unfinished"}).to_string());
    // The header of a masked text frame of 100 bytes, the mask, and two bytes of it.
    raw.write(&[0x81, 0x80 | 100, 0, 0, 0, 0, b'{', b'"']);
    assert_eq!(raw.closed(), 1009);
}

pub(super) fn stalled(host: &Host) {
    let mut raw = Raw::connect(host);
    raw.text(&json!({"type": "identify", "oderId": "stalled"}).to_string());
    raw.frame(0x89, b"here");
    while raw.next_frame().expect("an open connection").opcode != 10 {}
    let before = Counters::of(host);
    let mut sender = Client::identified(host, "sender");
    let text = "x".repeat(250 * limits::KIB);
    tests::until("the stalled one is closed", || {
        for _ in 0..8 {
            sender.send(json!({"type": "direct-message", "targetUserId": "stalled", "text": text}));
        }
        std::thread::sleep(Duration::from_millis(50));
        (before.growth(host, "connections_closed_total", "4013") >= 1.0).then_some(())
    });
}

pub(super) fn decision(host: &Host) {
    host.plugin_in("tests.probe", "loaded");
    host.grant_all("tests.probe");
    host.define(
        "olga",
        "one",
        "tests.probe",
        "ask",
        &json!({"direction": "clientToServer", "scope": "server"}),
    );
    let mut client = Client::joined(host, "asker", "one");
    client.refused(
        json!({"type": "plugin_event", "serverId": "one", "pluginId": "tests.probe", "eventName": "ask", "payload": {"do": "sleep"}}),
        "PLUGIN_UNAVAILABLE",
    );
}
