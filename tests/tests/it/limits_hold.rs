//! Every limit of `[socket]` and `[rates]` that a client can reach takes effect when configuration
//! lowers it, and has a counter.
//!
//! A new setting needs a row in a group whose other settings do not interfere, or a reason in
//! [`NOT_REACHED`].

use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tests::{
    client::Client,
    host::{Host, jackfield, run},
    measures::Counters,
    plugins::Directory,
    raw::Raw,
};

/// Settings that are no limits or that a client cannot reach, each with the reason.
const NOT_REACHED: [(&str, &str); 5] = [
    ("socket.shards", "threads of the host"),
    ("socket.linger_ms", "batching, not a limit"),
    (
        "socket.ping_interval_ms",
        "liveness::the_server_pings; nothing is refused by it",
    ),
    (
        "socket.trusted_proxies",
        "covered by the row of connections_per_address_max",
    ),
    (
        "socket.compat",
        "which clients get refusals; the row of rates.all covers `guarded`",
    ),
];

/// One host, and the limits that its configuration lowers.
struct Group {
    config: &'static str,
    rows: &'static [Row],
}

/// One limit.
struct Row {
    setting: &'static str,
    /// Reaches the limit and checks the answer.
    reach: fn(&Host),
    /// The counter that must have grown, and its label; `None` if an answer is shortened and
    /// nothing is refused.
    counter: Option<(&'static str, &'static str)>,
}

const GROUPS: &[Group] = &[
    Group {
        config: "[socket]\njoined_servers_max = 2\nviewed_servers_max = 1\nconnections_per_identity_max = 2\nroster_entries_max = 2\n\
                 message_bytes_max = 16384\n\
                 [rates]\nbytes_per_second = 4096\nnew_targets_per_minute = 3\n\
                 typing = { per_second = 1, burst = 2 }\nchat = { per_second = 1, burst = 2 }\n\
                 membership = { per_second = 1, burst = 12 }\nsignalling = { per_second = 1, burst = 2 }\n\
                 direct = { per_second = 1, burst = 8 }\nplugin_event = { per_second = 1, burst = 2 }\n",
        rows: &[
            Row {
                setting: "socket.joined_servers_max",
                reach: joined,
                counter: Some(("envelopes_refused_total", "access_denied")),
            },
            Row {
                setting: "socket.viewed_servers_max",
                reach: viewed,
                counter: Some(("envelopes_refused_total", "access_denied")),
            },
            Row {
                setting: "socket.connections_per_identity_max",
                reach: devices,
                counter: Some(("envelopes_refused_total", "LIMIT_REACHED")),
            },
            Row {
                setting: "socket.roster_entries_max",
                reach: roster,
                counter: None,
            },
            Row {
                setting: "socket.message_bytes_max",
                reach: message,
                counter: Some(("connections_closed_total", "1009")),
            },
            Row {
                setting: "rates.bytes_per_second",
                reach: bytes,
                counter: Some(("rate_limited_total", "bytes")),
            },
            Row {
                setting: "rates.new_targets_per_minute",
                reach: targets,
                counter: Some(("rate_limited_total", "new targets")),
            },
            Row {
                setting: "rates.typing",
                reach: typing,
                counter: Some(("rate_limited_total", "typing")),
            },
            Row {
                setting: "rates.chat",
                reach: chat,
                counter: Some(("rate_limited_total", "chat")),
            },
            Row {
                setting: "rates.membership",
                reach: membership,
                counter: Some(("rate_limited_total", "membership")),
            },
            Row {
                setting: "rates.signalling",
                reach: signalling,
                counter: Some(("rate_limited_total", "signalling")),
            },
            Row {
                setting: "rates.direct",
                reach: direct,
                counter: Some(("rate_limited_total", "direct")),
            },
            Row {
                setting: "rates.plugin_event",
                reach: plugin_event,
                counter: Some(("rate_limited_total", "plugin_event")),
            },
        ],
    },
    Group {
        config: "[socket]\norigins = [\"https://chat.example\"]\nconnections_per_address_max = 3\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
                 [rates]\nstrikes_max = 0\nall = { per_second = 1, burst = 5 }\n",
        rows: &[
            Row {
                setting: "socket.origins",
                reach: origin,
                counter: Some(("handshakes_refused_total", "origin")),
            },
            Row {
                setting: "socket.connections_per_address_max",
                reach: address,
                counter: Some(("handshakes_refused_total", "address")),
            },
            Row {
                setting: "rates.strikes_max",
                reach: strikes,
                counter: Some(("connections_closed_total", "4008")),
            },
        ],
    },
    Group {
        config: "[socket]\nconnections_max = 4\nhandshakes_per_address = { per_second = 1, burst = 6 }\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
                 accepts = { per_second = 200, burst = 1 }\n[rates]\nall = { per_second = 1, burst = 5 }\n",
        rows: &[
            Row {
                setting: "socket.handshakes_per_address",
                reach: handshakes,
                counter: Some(("handshakes_refused_total", "rate")),
            },
            Row {
                setting: "socket.connections_max",
                reach: connections,
                counter: Some(("handshakes_refused_total", "full")),
            },
            Row {
                setting: "socket.accepts",
                reach: accepts,
                counter: Some(("accepts_paced_total", "")),
            },
            Row {
                setting: "rates.all",
                reach: all,
                counter: Some(("rate_limited_total", "all")),
            },
        ],
    },
    Group {
        config: "[socket]\nhead_timeout_ms = 300\nidentify_timeout_ms = 300\nsilence_max_ms = 3000\nping_interval_ms = 500\n\
                 [identity]\nmode = \"required\"\n",
        rows: &[
            Row {
                setting: "socket.head_timeout_ms",
                reach: head,
                counter: Some(("handshakes_refused_total", "timeout")),
            },
            Row {
                setting: "socket.identify_timeout_ms",
                reach: identify,
                counter: Some(("connections_closed_total", "1008")),
            },
            Row {
                setting: "socket.silence_max_ms",
                reach: silence,
                counter: Some(("connections_closed_total", "silent")),
            },
        ],
    },
    Group {
        config: "[socket]\nqueue_bytes_max = 1000000000\nwrite_stall_max_ms = 300\n",
        rows: &[Row {
            setting: "socket.write_stall_max_ms",
            reach: stalled,
            counter: Some(("connections_closed_total", "4013")),
        }],
    },
    Group {
        config: "[socket]\nqueue_bytes_max = 65536\nwrite_stall_max_ms = 600000\n",
        rows: &[Row {
            setting: "socket.queue_bytes_max",
            reach: stalled,
            counter: Some(("connections_closed_total", "4013")),
        }],
    },
    Group {
        config: "[socket]\ndecision_max_ms = 300\n",
        rows: &[Row {
            setting: "socket.decision_max_ms",
            reach: decision,
            counter: Some(("envelopes_refused_total", "PLUGIN_UNAVAILABLE")),
        }],
    },
];

#[test]
fn each_lowered_limit_takes_effect() {
    for group in GROUPS {
        // Rates outside the group are raised; each row uses its own identities.
        let directory = Directory::default();
        directory.install("plugin-probe", |_| {});
        let host = directory
            .settings()
            .config(tests::limits_raised())
            .config(group.config)
            .start();
        for server in ["one", "two", "three"] {
            host.create_server("olga", server);
        }
        for row in group.rows {
            let before = Counters::of(&host);
            (row.reach)(&host);
            if let Some((name, kind)) = row.counter {
                before.until_grown(&host, name, kind, 1.0);
            }
        }
    }
}

#[test]
fn every_setting_has_a_row_or_a_reason() {
    let output = run(jackfield().args(["config", "default"]));
    let config: toml::Table = String::from_utf8(output.stdout)
        .expect("text")
        .parse()
        .expect("TOML");
    let keys = |room: &str| -> Vec<String> {
        config[room]
            .as_table()
            .expect("a table")
            .keys()
            .map(|key| format!("{room}.{key}"))
            .collect()
    };
    let all: BTreeSet<String> = keys("socket").into_iter().chain(keys("rates")).collect();
    let rows = GROUPS
        .iter()
        .flat_map(|group| group.rows)
        .map(|row| row.setting.to_owned());
    let known: BTreeSet<String> = rows
        .chain(NOT_REACHED.iter().map(|(setting, _)| (*setting).to_owned()))
        .collect();
    assert_eq!(
        all, known,
        "settings of the configuration and rows of this table differ"
    );
}

// ---- users and servers

fn view(server: &str) -> Value {
    json!({"type": "view_server", "serverId": server})
}

fn joined(host: &Host) {
    let mut client = Client::joined(host, "joiner", "one");
    client.join("two");
    client.refused(
        json!({"type": "join_server", "serverId": "three"}),
        "LIMIT_REACHED",
    );
}

fn viewed(host: &Host) {
    let mut client = Client::identified(host, "viewer");
    client.send(view("one"));
    client.expect("server_users");
    client.refused(view("two"), "LIMIT_REACHED");
}

fn devices(host: &Host) {
    let mut devices: Vec<Client> = (0..2).map(|_| Client::identified(host, "many")).collect();
    devices
        .iter_mut()
        .for_each(|device| assert!(device.settled().is_empty()));
    Client::identified(host, "many").refusal("LIMIT_REACHED");
}

fn roster(host: &Host) {
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

// ---- messages

fn message(host: &Host) {
    let mut client = Client::identified(host, "large");
    client.send(json!({"type": "nonsense", "x": "x".repeat(16_384)}));
    assert_eq!(client.closed().0, 1009);
}

/// Sends `envelope` until it is refused; the first one must pass, and the refusal must name `what`.
fn exceeds(client: &mut Client, what: &str, envelope: impl Fn(usize) -> Value) {
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

fn bytes(host: &Host) {
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

fn targets(host: &Host) {
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

fn typing(host: &Host) {
    let mut client = Client::joined(host, "typist", "one");
    exceeds(
        &mut client,
        "typing",
        |_| json!({"type": "typing", "serverId": "one", "isTyping": true}),
    );
}

fn chat(host: &Host) {
    let mut client = Client::joined(host, "talker", "one");
    exceeds(
        &mut client,
        "chat",
        |at| json!({"type": "chat_message", "serverId": "one", "message": at.to_string()}),
    );
}

fn membership(host: &Host) {
    let mut client = Client::identified(host, "restless");
    exceeds(
        &mut client,
        "membership",
        |_| json!({"type": "leave_server", "serverId": "one"}),
    );
}

fn signalling(host: &Host) {
    let _receiver = Client::joined(host, "callee", "one");
    let mut client = Client::joined(host, "caller", "one");
    exceeds(
        &mut client,
        "signalling",
        |_| json!({"type": "ice_candidate", "targetUserId": "callee", "candidate": {}}),
    );
}

fn direct(host: &Host) {
    let mut receiver = Client::identified(host, "penfriend");
    assert!(receiver.settled().is_empty());
    let mut client = Client::identified(host, "writer");
    exceeds(
        &mut client,
        "direct",
        |_| json!({"type": "direct-message", "targetUserId": "penfriend"}),
    );
}

fn plugin_event(host: &Host) {
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

fn all(host: &Host) {
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

fn strikes(host: &Host) {
    let mut raw = from(host, "203.0.113.31");
    for _ in 0..20 {
        raw.text(r#"{"type":"nonsense"}"#);
    }
    assert_eq!(raw.closed(), 4008, "no strike is allowed");
}

// ---- connections

fn shake_from(host: &Host, address: &str) -> (Raw, String) {
    Raw::shake(host, &format!("x-forwarded-for: {address}\r\n"))
}

fn from(host: &Host, address: &str) -> Raw {
    let (raw, head) = shake_from(host, address);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    raw
}

fn no_place(head: &str) {
    assert!(
        head.starts_with("HTTP/1.1 503") || head.starts_with("HTTP/1.1 429"),
        "{head}"
    );
    assert!(head.to_ascii_lowercase().contains("retry-after:"), "{head}");
}

fn origin(host: &Host) {
    let (_, head) = Raw::shake(host, "origin: https://evil.example\r\n");
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
}

fn address(host: &Host) {
    let _here: Vec<Raw> = (0..3).map(|_| from(host, "203.0.113.1")).collect();
    no_place(&shake_from(host, "203.0.113.1").1);
    drop(from(host, "203.0.113.2"));
}

fn handshakes(host: &Host) {
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

fn connections(host: &Host) {
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

fn accepts(host: &Host) {
    let _dialled: Vec<Raw> = (0..20).map(|_| Raw::dial(host)).collect();
}

// ---- times

fn head(host: &Host) {
    let mut raw = Raw::dial(host);
    raw.write(b"GET /ws HTTP/1.1\r\n");
    assert!(
        raw.rest().map_or(true, |rest| rest.is_empty()),
        "dropped without a word"
    );
}

fn identify(host: &Host) {
    assert_eq!(Raw::connect(host).closed(), 1008);
}

fn silence(host: &Host) {
    let mut raw = Raw::connect(host);
    raw.text(
        &json!({"type": "identify", "oderId": "silent", "token": host.token("silent", "client")})
            .to_string(),
    );
    assert_eq!(raw.closed(), 1006, "a dead peer gets no close frame");
}

fn stalled(host: &Host) {
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

fn decision(host: &Host) {
    host.plugin_in("tests.probe", "loaded");
    host.grant_all("tests.probe");
    let mut client = Client::joined(host, "asker", "one");
    client.refused(
        json!({"type": "chat_message", "serverId": "one", "message": "!sleep"}),
        "PLUGIN_UNAVAILABLE",
    );
}
