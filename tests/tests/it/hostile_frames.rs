//! Frames that break the protocol or its limits, one connection after the other, beside an
//! undisturbed pair of clients.

use crate::hostile::{attacked, many, measured};
use serde_json::json;
use tests::{
    bystander::Bystander,
    client::Client,
    limits_raised,
    measures::{Counters, resident_bytes},
    raw::{Raw, masked},
    until,
};

/// Growth of memory that is allowed after an attack: caches of the allocator.
const GROWTH_MAX: usize = 24 * limits::MIB;

#[test]
fn illegal_frames_close_the_connection_and_hold_no_memory() {
    let host = attacked("");
    let bystander = Bystander::start(&host, "talk-frames");
    let (before, resident) = (Counters::of(&host), resident_bytes(&host));

    // Endless continuation frames of one byte.
    let mut raw = Raw::connect(&host);
    raw.frame(0x01, b" ");
    let bomb = masked(0x00, b" ").repeat(1_000);
    for _ in 0..many(100, 1_000) {
        if raw.try_write(&bomb).is_err() {
            break;
        }
    }
    assert_eq!(raw.closed(), 1009, "endless fragments");

    // Lengths that are only announced.
    for (length, code) in [
        (u64::MAX, 1002),
        (1 << 63, 1002),
        ((1 << 63) - 1, 1009),
        (1 << 32, 1009),
    ] {
        let mut raw = Raw::connect(&host);
        raw.write(&[0x81, 0xff]);
        raw.write(&length.to_be_bytes());
        assert_eq!(raw.closed(), code, "announced length {length:#x}");
    }
    // Many connections announce the largest legal message and send little of it.
    let claims: Vec<Raw> = (0..200)
        .map(|_| {
            let mut raw = Raw::connect(&host);
            raw.write(&masked(0x81, &vec![b' '; limits::socket::MESSAGE_BYTES_MAX])[..1_000]);
            raw
        })
        .collect();
    measured(&host, "200 MiB announced", resident, GROWTH_MAX);
    drop(claims);

    // One byte over 16 MiB, in one frame and in many.
    let mut raw = Raw::connect(&host);
    let whole = masked(0x81, &vec![b' '; 16 * limits::MIB + 1]);
    let mut writer = raw.twin();
    let writing = std::thread::spawn(move || writer.write(&whole));
    assert_eq!(raw.closed(), 1009, "a frame over 16 MiB");
    drop(raw);
    writing.join().expect("the writer ends");
    let mut raw = Raw::connect(&host);
    let mut writer = raw.twin();
    let writing = std::thread::spawn(move || {
        writer.frame(0x01, b" ");
        for _ in 0..260 {
            writer.frame(0x00, &vec![b' '; 64 * limits::KIB]);
        }
    });
    assert_eq!(raw.closed(), 1009, "fragments over 16 MiB");
    drop(raw);
    writing.join().expect("the writer ends");

    // Frames that RFC 6455 forbids.
    let frames: [(&str, Vec<u8>); 9] = [
        ("unmasked", b"\x81\x02{}".to_vec()),
        ("reserved bit 1", masked(0xc1, b"{}")),
        ("reserved bit 2", masked(0xa1, b"{}")),
        ("reserved bit 3", masked(0x91, b"{}")),
        ("reserved data opcode", masked(0x83, b"{}")),
        ("reserved control opcode", masked(0x8b, b"")),
        ("a control frame over 125 bytes", masked(0x89, &[0; 126])),
        ("a fragmented control frame", masked(0x09, b"")),
        ("a continuation of nothing", masked(0x80, b"{}")),
    ];
    let protocol = Counters::of(&host);
    for (what, frame) in &frames {
        let mut raw = Raw::connect(&host);
        raw.write(frame);
        assert_eq!(raw.closed(), 1002, "{what}");
    }
    protocol.until_grown(
        &host,
        "connections_closed_total",
        "1002",
        frames.len() as f64,
    );

    // A code point whose second byte never comes, and one whose second byte is wrong.
    let mut raw = Raw::connect(&host);
    raw.frame(0x01, "ä".as_bytes().split_at(1).0);
    raw.frame(0x80, b"");
    assert_eq!(raw.closed(), 1007, "an unfinished code point");
    let mut raw = Raw::connect(&host);
    raw.frame(0x01, "ä".as_bytes().split_at(1).0);
    raw.frame(0x00, b"a");
    assert_eq!(raw.closed(), 1007, "a broken code point");

    // Compression is offered, not negotiated, and used nevertheless.
    let (mut raw, head) = Raw::shake(&host, "sec-websocket-extensions: permessage-deflate\r\n");
    assert!(
        !head
            .to_ascii_lowercase()
            .contains("sec-websocket-extensions"),
        "{head}"
    );
    raw.frame(
        0xc1,
        &[
            0xaa, 0x56, 0x2a, 0xa9, 0x2c, 0x48, 0x55, 0xb2, 0x52, 0x50, 0xaa, 0x05, 0x00,
        ],
    );
    assert_eq!(raw.closed(), 1002, "a compressed frame");

    before.until_grown(&host, "connections_closed_total", "1009", 5.0);
    before.until_grown(&host, "connections_closed_total", "1007", 2.0);
    measured(&host, "all frames", resident, GROWTH_MAX);
    bystander.undisturbed();
}

#[test]
fn a_flood_of_pings_ends_its_connection() {
    let host = attacked("");
    let bystander = Bystander::start(&host, "talk-pings");
    let before = Counters::of(&host);
    let mut raw = Raw::connect(&host);
    let mut writer = raw.twin();
    let flooding = std::thread::spawn(move || {
        let pings = masked(0x89, b"flood").repeat(100);
        // About 10,000 pings a second until the connection ends.
        while writer.try_write(&pings).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
    let mut pongs = 0.0;
    let code = loop {
        let frame = raw.next_frame().expect("a close frame comes first");
        if let Some((code, _)) = frame.close() {
            break code;
        }
        pongs += f64::from(u8::from(frame.opcode == 10));
    };
    assert_eq!(code, 4008, "a flood of pings");
    drop(raw);
    flooding.join().expect("the flood ends");
    let limited = before.growth(&host, "rate_limited_total", "all");
    assert!(
        limited > 0.0 && pongs > 0.0 && limited > pongs,
        "{limited} pings were not answered, {pongs} were"
    );
    before.until_grown(&host, "connections_closed_total", "4008", 1.0);
    bystander.undisturbed();
}

#[test]
fn pongs_keep_only_their_own_connection_alive() {
    // The bystanders answer pings because they read all the time.
    let host = attacked("[socket]\nping_interval_ms = 300\nsilence_max_ms = 3000\n");
    let bystander = Bystander::start(&host, "talk-pongs");
    let before = Counters::of(&host);
    let mut witness = Client::joined(&host, "talk-witness", "talk-pongs");
    let mut identify = |name: &str| {
        let mut raw = Raw::connect(&host);
        raw.text(&json!({"type": "identify", "oderId": name, "displayName": name}).to_string());
        raw.text(&json!({"type": "join_server", "serverId": "talk-pongs"}).to_string());
        witness.find(name, |frame| {
            frame["type"] == "user_joined" && frame["oderId"] == name
        });
        raw
    };
    let (mut spoofer, silent) = (identify("spoofer"), identify("silent"));
    // A pong that answers no ping counts as a sign of life of its own connection.
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (stopped, mut writer) = (stop.clone(), spoofer.twin());
    let spoofing = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            writer.frame(0x8a, b"not what was asked");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    // The witness answers pings by reading.
    witness.find("the end of the silent connection", |frame| {
        frame["type"] == "user_left" && frame["oderId"] == "silent"
    });
    before.until_grown(&host, "connections_closed_total", "silent", 1.0);
    spoofer.frame(0x89, b"still here");
    until("the spoofer's pong", || {
        let frame = spoofer
            .next_frame()
            .expect("the spoofer's connection is open");
        (frame.opcode == 10 && frame.payload == b"still here").then_some(())
    });
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    spoofing.join().expect("the spoofer ends");
    drop(silent);
    bystander.undisturbed();
}

#[test]
fn messages_that_are_no_envelopes_are_refused_one_by_one() {
    let host = attacked(limits_raised());
    let bystander = Bystander::start(&host, "talk-nonsense");
    let before = Counters::of(&host);
    let mut client = Client::identified(&host, "nonsense");
    let long = format!(
        r#"{{"type":"{}"}}"#,
        "x".repeat(limits::socket::MESSAGE_BYTES_MAX - 11)
    );
    let broken = [
        "[]",
        "null",
        "1",
        "1e400",
        "\"text\"",
        "true",
        "",
        " ",
        r#"{"type":{}}"#,
        r#"{"type":[]}"#,
        r#"{"type":null}"#,
        r#"{"type":1}"#,
    ];
    for text in broken {
        client.send_text(text);
        client.refusal("BAD_JSON");
    }
    for text in [
        r#"{"type":"__proto__"}"#,
        r#"{"type":"constructor"}"#,
        r#"{"type":""}"#,
        &long,
    ] {
        let unknown = Counters::of(&host);
        client.send_text(text);
        // Answered at most once a second; counted every time.
        unknown.until_grown(&host, "envelopes_refused_total", "UNKNOWN_TYPE", 1.0);
    }
    client.refusal("UNKNOWN_TYPE");
    let left = client.settled();
    assert!(
        left.iter().all(|frame| frame["code"] == "UNKNOWN_TYPE"),
        "{left:?}"
    );
    assert_eq!(
        before.growth(&host, "envelopes_refused_total", "BAD_JSON"),
        broken.len() as f64
    );
    bystander.undisturbed();
}
