//! HTTP connections: how many an address may have, which of them give way, and how long they are kept.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
};
use tests::{
    PATIENCE,
    host::{Host, Settings},
    measures::Counters,
    raw::Raw,
    until,
};

/// A connection that carries several requests.
struct KeptAlive(BufReader<TcpStream>);

impl KeptAlive {
    fn dial(host: &Host) -> Self {
        let stream = TcpStream::connect(host.address()).expect("the host listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket takes a timeout");
        Self(BufReader::new(stream))
    }

    fn write(&mut self, bytes: &str) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_bytes())
    }

    /// Sends a request without a body and reads its answer: the status, the head and the body.
    fn ask(&mut self, request_line: &str, headers: &str) -> io::Result<(u16, String, String)> {
        self.write(&format!("{request_line}\r\nhost: x\r\n{headers}\r\n"))?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<(u16, String, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head
            .split_once("content-length: ")
            .and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body)?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok((status.unwrap_or(0), head, body))
    }

    /// Reads a short frame and returns its opcode.
    fn frame(&mut self) -> u8 {
        let mut start = [0; 2];
        self.0.read_exact(&mut start).expect("a frame");
        let length = match start[1] {
            126 => {
                let mut length = [0; 2];
                self.0.read_exact(&mut length).expect("a length");
                u16::from_be_bytes(length).into()
            }
            length => usize::from(length),
        };
        self.0.read_exact(&mut vec![0; length]).expect("a payload");
        start[0] & 0x0f
    }

    /// Whether the host ends the connection.
    fn ends(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

const GET: &str = "GET /healthz HTTP/1.1";

/// Idle connections of one address give way to its own WebSockets and to newer connections, the longest idle first.
#[test]
fn idle_connections_give_way() {
    let host = Settings::new()
        .config("[socket]\nconnections_per_address_max = 4\n")
        .start();
    let before = Counters::of(&host);
    let mut idle: Vec<KeptAlive> = (0..40).map(|_| KeptAlive::dial(&host)).collect();
    for connection in &mut idle {
        assert_eq!(connection.ask(GET, "").expect("an answer").0, 200);
    }
    let _web_sockets: Vec<Raw> = (0..4)
        .map(|_| {
            until("a place", || {
                let (raw, head) = Raw::shake(&host, "");
                head.starts_with("HTTP/1.1 101").then_some(raw)
            })
        })
        .collect();
    assert!(idle[0].ends() && idle[20].ends());
    before.until_grown(&host, "http_idle_closed_total", "", 28.0);
    // A health check beside them is still answered.
    assert_eq!(KeptAlive::dial(&host).ask(GET, "").expect("one").0, 200);
}

/// No number of sockets, idle, within a head or with an open request, takes the descriptors of the host's own files.
#[test]
fn clients_do_not_take_the_descriptors_of_the_host() {
    const SOCKETS: usize = 150;
    let host = Settings::new().open_files(400).start();
    let serves = |server: &str| {
        until(server, || {
            let body = serde_json::json!({"id": server, "name": server});
            let made = host.act("olga", "POST", "/api/servers", &body);
            (made.status == 201).then_some(())
        });
        drop(Raw::connect(&host));
    };
    let idle: Vec<KeptAlive> = (0..SOCKETS)
        .map(|_| {
            let mut connection = KeptAlive::dial(&host);
            assert_eq!(connection.ask(GET, "").expect("an answer").0, 200);
            connection
        })
        .collect();
    serves("beside-idle");
    drop(idle);
    let begun: Vec<Raw> = (0..SOCKETS)
        .map(|_| {
            let mut raw = Raw::dial(&host);
            let _ = raw.try_write(b"GET /ws HTTP/1.1\r\n");
            raw
        })
        .collect();
    serves("beside-heads");
    drop(begun);
    // The sockets before may still have their places, so that requests are opened until one is refused.
    let mut open = Vec::new();
    until("a refusal", || {
        let mut connection = KeptAlive::dial(&host);
        // One beyond the limit is refused, perhaps while this is written.
        let _ = connection.write(
            "POST /api/servers HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n",
        );
        open.push(connection);
        let answer = KeptAlive::dial(&host).ask(GET, "");
        answer.is_ok_and(|(status, ..)| status == 503).then_some(())
    });
    drop(open);
    serves("after-requests");
    let log = host.log();
    assert!(!log.contains("open files"), "{log}");
}

/// Open requests hold their places: an address gets no more of them, by whatever connection, and others do.
#[test]
fn open_requests_count_for_their_address() {
    const OPEN: usize = 3;
    let host = Settings::new()
        .config(&format!(
            "[socket]\nconnections_per_address_max = {OPEN}\ntrusted_proxies = [\"127.0.0.1\"]\n"
        ))
        .start();
    let before = Counters::of(&host);
    let from = |address: &str| format!("x-forwarded-for: {address}\r\n");
    let open = || {
        let mut connection = KeptAlive::dial(&host);
        let head = format!(
            "POST /api/servers HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n{}\r\n",
            from("203.0.113.1")
        );
        connection.write(&head).expect("a head");
        connection
    };
    let mut waiting: Vec<KeptAlive> = (0..OPEN).map(|_| open()).collect();
    let mut proxy = KeptAlive::dial(&host);
    let (head, body) = until("a refusal", || {
        let asked = proxy.ask("GET /limits HTTP/1.1", &from("203.0.113.1"));
        let (status, head, body) = asked.expect("an answer");
        if status == 503 {
            return Some((head, body));
        }
        // The question itself may have had the place of one of them.
        waiting.push(open());
        None
    });
    assert!(head.contains("retry-after: "), "{head}");
    assert!(body.contains("CONNECTIONS_FULL"), "{body}");
    let (_, refused) = Raw::shake(&host, &from("203.0.113.1"));
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    before.until_grown(&host, "http_refused_total", "address", 1.0);
    let mut ask = |address| {
        let answer = proxy.ask("GET /limits HTTP/1.1", &from(address));
        answer.expect("an answer").0
    };
    assert_eq!(ask("203.0.113.2"), 200, "another client of the same proxy");
    drop(waiting);
    until("the places back", || {
        (ask("203.0.113.1") == 200).then_some(())
    });
}

/// The time between two requests and the time for a head are separate.
#[test]
fn a_connection_is_kept_between_requests_and_not_within_a_head() {
    let host = Settings::new()
        .config("[socket]\nhead_timeout_ms = 300\n")
        .start();
    let mut connection = KeptAlive::dial(&host);
    assert_eq!(connection.ask(GET, "").expect("an answer").0, 200);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(connection.ask(GET, "").expect("kept").0, 200);
    connection.write("GET /heal").expect("part of a head");
    assert!(connection.ends());
    drop(host);
    let host = Settings::new()
        .config("[rest]\nkeep_alive_ms = 300\n")
        .start();
    let mut connection = KeptAlive::dial(&host);
    assert_eq!(connection.ask(GET, "").expect("an answer").0, 200);
    assert!(connection.ends());
}

/// A WebSocket may begin on a connection that has carried requests, as proxies do that reuse connections.
#[test]
fn an_upgrade_is_decided_for_each_request() {
    let host = Settings::new()
        .config("[socket]\nconnections_per_address_max = 1\n")
        .start();
    let mut connection = KeptAlive::dial(&host);
    for _ in 0..2 {
        assert_eq!(connection.ask(GET, "").expect("an answer").0, 200);
    }
    let plain = connection.ask("GET /ws HTTP/1.1", "").expect("an answer");
    assert_eq!(plain.0, 426);
    // The first frame comes in one piece with the head, whose lists have several lines.
    let head = "GET http://chat.example/ws HTTP/1.1\r\nhost: chat.example\r\nconnection: keep-alive\r\n\
        connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let ping = tests::raw::masked(0x89, b"here");
    let stream = connection.0.get_mut();
    stream
        .write_all(&[head.as_bytes(), &ping].concat())
        .expect("an upgrade");
    let (status, head, _) = connection.answer().expect("an answer");
    assert_eq!(status, 101, "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{head}"
    );
    let mut opcodes = Vec::new();
    while opcodes.last() != Some(&10) {
        opcodes.push(connection.frame());
    }
    assert_eq!(opcodes, [1, 10], "`connected`, and the answer to the ping");
    // It has the place of its connection, and keeps it.
    let (_, refused) = Raw::shake(&host, "");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    drop(connection);
    until("the place back", || {
        let (_, head) = Raw::shake(&host, "");
        head.starts_with("HTTP/1.1 101").then_some(())
    });
}

/// Later heads of a connection have the bound of the first one.
#[test]
fn every_head_of_a_connection_is_bounded() {
    let host = Host::start();
    let header = |bytes| format!("x-long: {}\r\n", "x".repeat(bytes));
    let mut connection = KeptAlive::dial(&host);
    for _ in 0..2 {
        let half = header(limits::socket::HEAD_BYTES_MAX / 2);
        assert_eq!(connection.ask(GET, &half).expect("an answer").0, 200);
    }
    let whole = header(limits::socket::HEAD_BYTES_MAX);
    let (status, _, body) = connection.ask(GET, &whole).expect("an answer");
    assert_eq!(status, 431);
    assert!(body.contains("HEAD_TOO_LARGE"), "{body}");
    assert!(connection.ends());
}

/// A refused upgrade on such a connection says why, and an upgrade of HTTP/1.0 is none.
#[test]
fn upgrades_that_cannot_be_are_refused_on_any_request() {
    let host = Host::start();
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 8\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut connection = KeptAlive::dial(&host);
    assert_eq!(connection.ask(GET, "").expect("an answer").0, 200);
    let (status, head, body) = connection
        .ask("GET /ws HTTP/1.1", upgrade)
        .expect("an answer");
    assert_eq!(status, 426);
    assert!(head.contains("sec-websocket-version: 13"), "{head}");
    assert!(body.contains("BAD_UPGRADE"), "{body}");
    assert!(connection.ends());
    let mut old = KeptAlive::dial(&host);
    let (status, _, body) = old.ask("GET /ws HTTP/1.0", upgrade).expect("an answer");
    assert_eq!(status, 426);
    assert!(body.contains("proxy_http_version 1.1"), "{body}");
}

/// Where all clients of a proxy count as one address, the log says what to configure.
#[test]
fn a_proxy_that_hides_its_clients_is_named_in_the_log() {
    let cases = [
        (
            "",
            "x-forwarded-for: 203.0.113.1\r\n",
            "socket.trusted_proxies",
        ),
        (
            "trusted_proxies = [\"127.0.0.1\"]\n",
            "",
            "must send X-Forwarded-For",
        ),
    ];
    for (config, headers, remedy) in cases {
        let host = Settings::new()
            .config(&format!(
                "[socket]\nconnections_per_address_max = 1\n{config}"
            ))
            .start();
        let (_first, head) = Raw::shake(&host, headers);
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let (_, head) = Raw::shake(&host, headers);
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
        until("the warning", || host.log().contains(remedy).then_some(()));
    }
}
