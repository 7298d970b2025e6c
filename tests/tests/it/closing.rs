//! Closing a connection: every close is answered, and no frame is cut.

use serde_json::json;
use tests::{
    client::Client,
    host::{Host, Settings},
    limits_raised,
    raw::Raw,
    until,
};

/// A raw connection that has identified.
fn identified(host: &Host, name: &str) -> Raw {
    let mut raw = Raw::connect(host);
    raw.text(&json!({"type": "identify", "oderId": name, "displayName": name}).to_string());
    raw.frame(0x89, b"here");
    until("a pong", || {
        raw.next_frame()
            .expect("an open connection")
            .opcode
            .eq(&10)
            .then_some(())
    });
    raw
}

#[test]
fn a_close_frame_and_the_end_of_the_stream_at_once_are_answered() {
    let host = Host::start();
    for _ in 0..20 {
        let mut raw = identified(&host, "hasty");
        raw.frame(0x88, &1000_u16.to_be_bytes());
        raw.finish();
        assert_eq!(raw.closed(), 1000);
        assert!(raw.ends_cleanly());
    }
}

#[test]
fn bytes_after_a_violation_do_not_suppress_the_close_frame() {
    let host = Host::start();
    for _ in 0..10 {
        let mut raw = identified(&host, "chatty");
        let mut writer = raw.twin();
        // Far more than one read takes, while the peer does not read.
        let mut bytes = tests::raw::masked(0x83, b"a reserved opcode");
        bytes.extend(vec![0x55; 4 * limits::MIB]);
        let writing = std::thread::spawn(move || {
            let whole = writer.try_write(&bytes).is_ok();
            writer.finish();
            whole
        });
        assert_eq!(raw.closed(), 1002);
        assert!(raw.ends_cleanly(), "reset instead of closed");
        assert!(
            writing.join().expect("the writer ends"),
            "what was sent was read"
        );
    }
}

#[test]
fn a_refused_handshake_is_answered_although_more_was_sent() {
    let host = Settings::new()
        .config("[socket]\norigins = [\"https://chat.example\"]\n")
        .start();
    for _ in 0..10 {
        let mut raw = Raw::dial(&host);
        let mut head = format!(
            "GET /ws HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\norigin: https://evil.example\r\n\r\n",
            host.address()
        )
        .into_bytes();
        head.extend(vec![0x55; limits::MIB]);
        raw.write(&head);
        assert!(raw.head().expect("an answer").starts_with("HTTP/1.1 403"));
        raw.rest().expect("the whole answer, and no reset");
    }
}

#[test]
fn the_rest_of_a_frame_is_discarded_while_closing() {
    let host = Host::start();
    let mut raw = identified(&host, "binary");
    let frame = tests::raw::masked(0x82, &[0xfe; 100_000]);
    raw.write(&frame[..1_000]);
    assert_eq!(raw.closed(), 1003);
    raw.write(&frame[1_000..]);
    raw.frame(0x88, &1003_u16.to_be_bytes());
    assert!(
        raw.ends_cleanly(),
        "the peer's close frame was found behind the rest"
    );
}

#[test]
fn a_close_frame_behind_a_full_queue_comes_after_whole_frames() {
    let host = Settings::new()
        .config(limits_raised())
        .config("[socket]\nqueue_bytes_max = 67108864\nwrite_stall_max_ms = 600000\n")
        .start();
    let mut stalled = identified(&host, "stalled");
    let mut sender = Client::identified(&host, "sender");
    const COUNT: usize = 64;
    let text = "x".repeat(250 * limits::KIB);
    for at in 0..COUNT {
        sender.send(
            json!({"type": "direct-message", "targetUserId": "stalled", "at": at, "text": text}),
        );
    }
    assert!(sender.settled().is_empty(), "all were sent on");
    stalled.frame(0x88, &1000_u16.to_be_bytes());
    for at in 0..COUNT {
        let frame = stalled.next_frame().expect("a whole frame");
        let envelope: serde_json::Value =
            serde_json::from_slice(&frame.payload).expect("a whole envelope");
        assert_eq!(
            (
                frame.opcode,
                &envelope["at"],
                envelope["text"].as_str().map(str::len)
            ),
            (1, &json!(at), Some(text.len()))
        );
    }
    assert_eq!(
        stalled
            .next_frame()
            .and_then(|frame| frame.close())
            .map(|(code, _)| code),
        Some(1000)
    );
    assert!(stalled.ends_cleanly());
}

#[test]
fn pings_are_answered_in_order_under_load() {
    let host = Settings::new().config(limits_raised()).start();
    host.create_server("olga", "busy");
    let mut raw = identified(&host, "pinger");
    raw.text(&json!({"type": "join_server", "serverId": "busy"}).to_string());
    // It must be connected before the messages are sent, otherwise it would miss some.
    while !raw
        .next_frame()
        .expect("an open connection")
        .payload
        .windows(14)
        .any(|window| window == br#""server_users""#)
    {}
    let mut talker = Client::joined(&host, "talker", "busy");
    let talking = std::thread::spawn(move || {
        for at in 0..2_000 {
            talker.send(json!({"type": "chat_message", "serverId": "busy", "message": "x".repeat(1_000), "at": at}));
        }
        assert!(
            talker
                .settled()
                .iter()
                .all(|frame| frame["type"] != "error")
        );
    });
    let (mut pings, mut heard) = (0_u32, 0);
    let mut asked = false;
    while heard < 2_000 || pings < 50 {
        if !asked {
            raw.frame(0x89, &pings.to_be_bytes());
            asked = true;
        }
        let frame = raw.next_frame().expect("an open connection");
        match frame.opcode {
            10 => {
                assert_eq!(frame.payload, pings.to_be_bytes());
                pings += 1;
                asked = false;
            }
            1 if frame.payload.windows(5).any(|window| window == br#""at":"#) => heard += 1,
            _ => {}
        }
    }
    talking.join().expect("the talker was not refused");
}
