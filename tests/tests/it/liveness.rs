//! Pings and silent connections. Configuration shortens the intervals; no test asserts a duration.

use serde_json::json;
use tests::{
    client::Client,
    host::{Host, Settings},
    raw::Raw,
    until,
};

const FAST: &str = "[socket]\nping_interval_ms = 200\nsilence_max_ms = 3000\n";

fn host() -> Host {
    let host = Settings::new().config(FAST).start();
    host.create_server("olga", "alive");
    host
}

#[test]
fn the_server_pings() {
    let host = host();
    let mut raw = Raw::connect(&host);
    let mut pings = 0;
    until("two pings", || {
        let frame = raw.next_frame().expect("an open connection");
        if frame.opcode == 9 {
            raw.frame(0x8a, &frame.payload);
            pings += 1;
        }
        (pings == 2).then_some(())
    });
}

#[test]
fn a_silent_connection_is_reaped_and_leaves_its_servers() {
    let host = host();
    let mut witness = Client::joined(&host, "witness", "alive");
    // After an answered ping the connection is idle, and its deadlines are others.
    for answers in [0, 2] {
        let mut silent = Raw::connect(&host);
        silent.text(
            &json!({"type": "identify", "oderId": "silent", "displayName": "Silent"}).to_string(),
        );
        silent.text(&json!({"type": "join_server", "serverId": "alive"}).to_string());
        assert_eq!(witness.expect("user_joined")["oderId"], "silent");
        let mut answered = 0;
        until("the pings", || {
            if answered == answers {
                return Some(());
            }
            let frame = silent.next_frame().expect("an open connection");
            if frame.opcode == 9 {
                silent.frame(0x8a, &frame.payload);
                answered += 1;
            }
            None
        });
        // The witness answers pings by reading; the silent client reads no more.
        assert_eq!(witness.expect("user_left")["oderId"], "silent");
        while let Some(frame) = silent.next_frame() {
            assert_ne!(frame.opcode, 10, "it was never pinged");
        }
    }
}

#[test]
fn keepalives_without_pongs_keep_a_connection() {
    let host = host();
    let mut raw = Raw::connect(&host);
    // More pings than the silence limit allows, each answered by a keepalive instead of a pong.
    let (mut pings, mut keepalives) = (0, 0);
    while pings < 25 {
        let frame = raw.next_frame().expect("an open connection");
        match frame.opcode {
            9 => {
                pings += 1;
                raw.text(r#"{"type":"keepalive"}"#);
            }
            1 if frame.payload == br#"{"type":"keepalive"}"# => keepalives += 1,
            _ => {}
        }
    }
    assert!(keepalives >= 1, "keepalives are answered");
    assert!(
        keepalives <= pings + 1,
        "at most once for each ping interval: {keepalives}"
    );
}
