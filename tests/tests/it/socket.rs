//! The socket: first frame, protocol violations, sizes, origins, the connection limit.

use serde_json::json;
use tests::{
    client::{Client, Native, Transport as _},
    host::{Host, Settings},
    http::Request,
    raw::Raw,
    until,
};

#[test]
fn connected_comes_first_on_both_paths() {
    let host = Host::start();
    for path in ["/ws", "/"] {
        let client = Client::new(
            "ann",
            Box::new(Native::open(&host, path, &[]).expect("a socket")),
        );
        let connected = client.connected();
        let id = connected["connectionId"].as_str().expect("an id");
        assert_eq!(
            (id.len(), &id[14..15]),
            (36, "4"),
            "a UUID of version 4: {id}"
        );
        assert!(
            connected["serverTime"]
                .as_u64()
                .is_some_and(|now| now > 1_700_000_000_000),
            "{connected}"
        );
        assert_eq!(
            connected["protocol"]["version"],
            envelope::catalogue::PROTOCOL_VERSION
        );
    }
}

#[test]
fn a_plain_request_for_the_socket_is_answered_as_http() {
    let host = Host::start();
    let answer = host.get("/ws");
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    assert!(answer.json()["code"].is_string());
}

#[test]
fn frames_that_break_the_protocol_end_the_connection() {
    let host = Host::start();
    let cases: [(&str, u8, &[u8], u16); 6] = [
        ("a reserved bit", 0xc1, b"{}", 1002),
        ("a reserved opcode", 0x83, b"{}", 1002),
        ("a continuation of nothing", 0x80, b"{}", 1002),
        ("a fragmented ping", 0x09, b"", 1002),
        ("binary", 0x82, b"{}", 1003),
        ("text that is not UTF-8", 0x81, b"\xff", 1007),
    ];
    for (what, first_byte, payload, code) in cases {
        let mut raw = Raw::connect(&host);
        raw.frame(first_byte, payload);
        assert_eq!(raw.closed(), code, "{what}");
    }
    let mut unmasked = Raw::connect(&host);
    unmasked.write(b"\x81\x02{}");
    assert_eq!(unmasked.closed(), 1002, "an unmasked frame");
}

#[test]
fn a_message_in_fragments_with_a_ping_between_is_one_message() {
    let host = Host::start();
    let mut raw = Raw::connect(&host);
    raw.frame(0x01, br#"{"type":"chat_"#);
    raw.frame(0x89, b"are you there");
    raw.frame(0x80, br#"message"}"#);
    let mut seen = Vec::new();
    until("pong and refusal", || {
        let frame = raw.next_frame().expect("an open connection");
        seen.push((
            frame.opcode,
            String::from_utf8_lossy(&frame.payload).into_owned(),
        ));
        (seen.len() == 3).then_some(())
    });
    assert!(seen.contains(&(10, "are you there".into())), "{seen:?}");
    assert!(
        seen.iter().any(|(_, text)| text.contains("NOT_IDENTIFIED")),
        "{seen:?}"
    );
}

#[test]
fn the_size_cap_passes_a_message_of_its_size_and_ends_a_larger_one() {
    let host = Settings::new()
        .config("[socket]\nmessage_bytes_max = 65536\n")
        .start();
    let of_size = |bytes: usize| {
        format!(
            "{{\"type\":\"typing\",\"x\":\"{}\"}}",
            "x".repeat(bytes - 24)
        )
    };
    let mut client = Client::identified(&host, "sizer");
    assert_eq!(of_size(65_536).len(), 65_536);
    client.send_text(&of_size(65_536));
    client.refusal("PAYLOAD_TOO_LARGE");
    client.send_text(&of_size(65_537));
    assert_eq!(client.closed().0, 1009);

    let mut liar = Raw::connect(&host);
    liar.write(&[
        0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
    ]);
    assert_eq!(liar.closed(), 1009, "a header that claims 2^63 bytes");
}

#[test]
fn a_fragment_bomb_ends_only_its_connection() {
    let host = Host::start();
    let mut bystander = Client::identified(&host, "bystander");
    let mut raw = Raw::connect(&host);
    raw.frame(0x01, b" ");
    for _ in 0..2 * limits::socket::FRAGMENTS_MAX {
        raw.frame(0x00, b" ");
    }
    assert_eq!(raw.closed(), 1009);
    bystander.settled();
}

#[test]
fn the_cap_answers_503_before_the_upgrade() {
    let host = Settings::new()
        .config("[socket]\nconnections_max = 3\n")
        .start();
    let mut clients: Vec<Client> = (0..3)
        .map(|at| Client::identified(&host, &format!("early-{at}")))
        .collect();
    clients.iter_mut().for_each(|client| drop(client.settled()));
    let (_, head) = Raw::shake(&host, "");
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert!(head.to_ascii_lowercase().contains("retry-after:"), "{head}");
    // A closed connection makes room.
    clients.pop().expect("a client").close();
    until("a free place", || {
        Raw::shake(&host, "")
            .1
            .starts_with("HTTP/1.1 101")
            .then_some(())
    });
}

#[test]
fn origins_are_restricted_by_configuration_only() {
    let open = Host::start();
    for origin in ["https://chat.example", "null", "app://desktop"] {
        Native::open(&open, "/ws", &[("origin", origin)])
            .unwrap_or_else(|error| panic!("{origin}: {error}"));
    }
    let strict = Settings::new()
        .config("[socket]\norigins = [\"https://chat.example\", \"null\"]\n")
        .start();
    for (origin, status) in [
        ("https://chat.example", "101"),
        ("null", "101"),
        ("https://evil.example", "403"),
        ("https://chat.example.evil", "403"),
    ] {
        let (_, head) = Raw::shake(&strict, &format!("origin: {origin}\r\n"));
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{origin}: {head}"
        );
    }
    let no_browser = Native::open(&strict, "/ws", &[]);
    assert!(
        no_browser.is_ok(),
        "a request without origin is no browser's"
    );
}

#[test]
fn compression_is_not_negotiated() {
    let host = Host::start();
    let (_, head) = Raw::shake(
        &host,
        "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n",
    );
    let head = head.to_ascii_lowercase();
    assert!(
        head.starts_with("http/1.1 101") && !head.contains("sec-websocket-extensions"),
        "{head}"
    );
}

#[test]
fn http_and_sockets_share_the_port() {
    let host = Host::start();
    assert_eq!(host.get("/healthz").status, 200);
    assert_eq!(host.get("/readyz").status, 200);
    let metrics = host.get("/metrics").expect(200);
    assert!(metrics.text().contains("# TYPE"), "{}", metrics.text());
    let nowhere = host.get("/no/such/path").expect(404).json();
    assert!(nowhere["error"].is_string() && nowhere["code"].is_string());
    let huge =
        host.send(&Request::new("GET", "/healthz").header("x-long", &"x".repeat(16 * limits::KIB)));
    assert_eq!(huge.status, 431);
    // The largest token that a socket takes is read over REST as well, and found to be none.
    let token = "x".repeat(limits::identity::TOKEN_BYTES_MAX);
    let asked = host.send(&Request::new("GET", "/api/servers").bearer(&token));
    assert_eq!(asked.expect(401).json()["code"], "INVALID_TOKEN");
}

#[test]
fn one_users_flood_does_not_limit_another() {
    let host = Host::start();
    host.create_server("olga", "flooded");
    let mut flooder = Client::joined(&host, "flooder", "flooded");
    let mut bystander = Client::joined(&host, "bystander", "flooded");
    for at in 0..2_000 {
        flooder.send(json!({"type": "chat_message", "serverId": "flooded", "message": format!("flood {at}")}));
    }
    flooder.refusal("RATE_LIMITED");
    bystander.settled();
    let mut native = Native::open(&host, "/ws", &[]).expect("new clients get in");
    native.close();
}
