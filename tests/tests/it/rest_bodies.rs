//! Oversized, slow and encoded request bodies over REST.

use serde_json::{Value, json};
use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpStream},
};
use tests::{PATIENCE, host::Host, http::Request, measures::resident_bytes};

const PATH: &str = "/api/servers/contested/plugins/x.y/requirement";

fn installed(at: u64) -> Value {
    json!({"status": "required", "installUrl": format!("https://p.example/{at}")})
}

/// A body that was sent: bytes that the host accepted, and its answer.
struct Sent {
    bytes: usize,
    status: u16,
    code: String,
}

/// Sends a head and then `chunk` repeatedly, up to `most` bytes, until the host answers or closes.
fn pour(host: &Host, head: &str, chunk: &[u8], most: usize) -> Sent {
    let mut stream = TcpStream::connect(host.address()).expect("the host listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket takes a timeout");
    stream
        .set_write_timeout(Some(PATIENCE))
        .expect("a socket takes a timeout");
    let mut reader = stream.try_clone().expect("a second handle");
    // The answer is read while the body is written: closing with unread bytes would reset the
    // connection and lose the answer.
    let answer = std::thread::spawn(move || {
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = reader.read(&mut part) {
            bytes.extend_from_slice(&part[..count]);
            // The writing thread notices the answer by a failed write.
            let _ = reader.shutdown(Shutdown::Write);
        }
        bytes
    });
    let mut write = || -> io::Result<usize> {
        stream.write_all(head.as_bytes())?;
        let mut sent = 0;
        while sent < most {
            if stream.write_all(chunk).is_err() {
                break;
            }
            sent += chunk.len();
        }
        Ok(sent)
    };
    let bytes = write().unwrap_or(0);
    let answer = String::from_utf8_lossy(&answer.join().expect("a reader")).into_owned();
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let code = serde_json::from_str::<Value>(body)
        .ok()
        .and_then(|body| Some(body["code"].as_str()?.to_owned()))
        .unwrap_or_default();
    Sent {
        bytes,
        status,
        code,
    }
}

fn head(host: &Host, token: &str, method: &str, path: &str, more: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n{more}\r\n",
        host.address()
    )
}

const HUGE: usize = 300 * limits::MIB;
/// More than the buffers of the system hold on both sides of a connection.
const IN_BUFFERS: usize = 24 * limits::MIB;

/// Three hundred mebibytes, announced, in chunks, and to paths without a body: refused early, never
/// held in memory.
#[test]
fn an_endless_body_is_refused_and_not_held() {
    let host = Host::start();
    host.create_server("olga", "contested");
    let token = host.token("olga", "client");
    let _ = host.get("/api/servers").expect(200);
    let before = resident_bytes(&host);
    let announced = format!("content-length: {HUGE}\r\n");
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    for (method, path) in [
        ("PUT", PATH),
        ("POST", "/api/servers"),
        ("PATCH", "/api/servers/contested"),
    ] {
        let sent = pour(
            &host,
            &head(&host, &token, method, path, &announced),
            &[b'x'; 0x10000],
            HUGE,
        );
        assert_eq!(
            (sent.status, sent.code.as_str()),
            (413, "PAYLOAD_TOO_LARGE"),
            "{method} {path}, announced"
        );
        assert!(
            sent.bytes < IN_BUFFERS,
            "{method} {path}: {} bytes were taken",
            sent.bytes
        );
        let sent = pour(
            &host,
            &head(
                &host,
                &token,
                method,
                path,
                "transfer-encoding: chunked\r\n",
            ),
            &chunk,
            HUGE,
        );
        assert_eq!(
            sent.status, 413,
            "{method} {path}, in chunks: {}",
            sent.code
        );
        assert!(
            sent.bytes < IN_BUFFERS,
            "{method} {path}: {} bytes were taken",
            sent.bytes
        );
    }
    // These paths read no body; the answer comes without waiting for the rest.
    let unread = [
        ("GET", "/api/servers", 200),
        ("OPTIONS", "/api/servers", 204),
        ("POST", "/healthz", 405),
        ("GET", "/metrics", 200),
    ];
    for (method, path, status) in unread {
        let sent = pour(
            &host,
            &head(
                &host,
                &token,
                method,
                path,
                "transfer-encoding: chunked\r\n",
            ),
            &chunk,
            HUGE,
        );
        assert_eq!(sent.status, status, "{method} {path}: {}", sent.code);
        assert!(
            sent.bytes < IN_BUFFERS,
            "{method} {path}: {} bytes were taken",
            sent.bytes
        );
    }
    let grown = resident_bytes(&host).saturating_sub(before);
    assert!(
        grown < 64 * limits::MIB,
        "the host has grown by {grown} bytes"
    );
    let _ = host.act("olga", "PUT", PATH, &installed(1)).expect(200);
}

/// An endless body of single bytes: the client gets 408, and other clients never wait.
#[test]
fn a_dripping_body_times_out() {
    let host = Host::start();
    host.create_server("olga", "contested");
    let token = host.token("olga", "client");
    let mut stalled: Vec<TcpStream> = Vec::new();
    for more in ["content-length: 40\r\n", "transfer-encoding: chunked\r\n"] {
        let mut stream = TcpStream::connect(host.address()).expect("the host listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket takes a timeout");
        stream
            .write_all(head(&host, &token, "PUT", PATH, more).as_bytes())
            .expect("a head");
        let first = if more.starts_with("content") {
            "{"
        } else {
            "1\r\n{\r\n"
        };
        stream.write_all(first.as_bytes()).expect("a byte");
        stalled.push(stream);
    }
    let _ = host.act("olga", "PUT", PATH, &installed(1)).expect(200);
    for mut stream in stalled {
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("an answer, and then the end");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains(r#""code":"REQUEST_TIMEOUT""#), "{answer}");
    }
}

/// A request whose body does not arrive holds no place: with a single place for all of them, others are answered, and so
/// are the gateway's questions. A caller without an identity is refused all the same.
#[test]
fn a_body_that_is_waited_for_holds_no_place() {
    let settings = tests::host::Settings::new().config("[rest]\nin_flight_max = 1\n");
    let host = settings.start();
    host.create_server("olga", "contested");
    let mut waiting: Vec<TcpStream> = (0..150)
        .map(|_| {
            let mut stream = TcpStream::connect(host.address()).expect("the host listens");
            let head = "POST /api/servers HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{";
            stream.write_all(head.as_bytes()).expect("a head and a byte");
            stream
        })
        .collect();
    let _ = host.get("/api/servers").expect(200);
    let _ = host.act("olga", "PUT", PATH, &installed(1)).expect(200);
    let first = &mut waiting[0];
    first.write_all(b"        }").expect("the rest of the body");
    first
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket takes a timeout");
    let mut start = [0; 12];
    first.read_exact(&mut start).expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 401");
}

/// Compressed bodies are not decompressed, and foreign content types are refused.
#[test]
fn compressed_and_foreign_bodies_are_refused() {
    let host = Host::start();
    host.create_server("olga", "contested");
    let token = host.token("olga", "client");
    let before = resident_bytes(&host);
    // A gzip header and a stored block, which is not JSON.
    let bomb = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(), &[0; 1000]].concat();
    let put = |headers: &[(&str, &str)], body: &[u8]| {
        let mut request = Request::new("PUT", PATH).bearer(&token);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body = Some(body.to_vec());
        host.send(&request)
    };
    let json = installed(1).to_string().into_bytes();
    for coding in [
        "gzip",
        "deflate",
        "br",
        "zstd",
        "gzip, identity",
        "x-gzip",
        "aws-chunked",
    ] {
        let answer = put(
            &[
                ("content-type", "application/json"),
                ("content-encoding", coding),
            ],
            &bomb,
        );
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (415, &json!("UNSUPPORTED_MEDIA_TYPE")),
            "{coding}"
        );
    }
    for kind in [
        "text/json",
        "application/json-patch+json",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "",
    ] {
        assert_eq!(
            put(&[("content-type", kind)], &json).status,
            415,
            "{kind:?}"
        );
    }
    // gzip as a transfer coding is not supported.
    let coded = head(
        &host,
        &token,
        "PUT",
        PATH,
        "transfer-encoding: gzip, chunked\r\n",
    );
    let sent = pour(&host, &coded, b"5\r\n\x1f\x8b\x08\0\0\r\n0\r\n\r\n", 1);
    assert!(
        (400..=501).contains(&sent.status),
        "{} {}",
        sent.status,
        sent.code
    );
    assert!(
        host.get("/api/servers/contested/plugins").json()["requirements"]
            .as_array()
            .is_some_and(Vec::is_empty),
        "nothing was stored"
    );
    let grown = resident_bytes(&host).saturating_sub(before);
    assert!(
        grown < 32 * limits::MIB,
        "the host has grown by {grown} bytes"
    );
}

/// `…/data/:key` answers 410, whatever body is sent.
#[test]
fn plugin_data_answers_410_without_reading_the_body() {
    let host = Host::start();
    let token = host.token("olga", "client");
    let announced = format!("content-length: {HUGE}\r\n");
    for method in ["GET", "PUT", "DELETE"] {
        for key in [
            "k",
            "a%2Fb",
            "..%2f..%2fservers",
            "__proto__",
            &"k".repeat(2000),
        ] {
            let path = format!("/api/servers/none/plugins/x.y/data/{key}");
            let answer = host.send(&Request::new(method, &path).bearer(&token));
            assert_eq!(
                (answer.status, &answer.json()["code"]),
                (410, &json!("PLUGIN_DATA_DISABLED")),
                "{method} {key}"
            );
            let answer = host.send(
                &Request::new(method, &path)
                    .header("content-type", "image/png")
                    .header("content-encoding", "gzip"),
            );
            assert_eq!(answer.status, 410, "{method} {key}");
        }
        let sent = pour(
            &host,
            &head(
                &host,
                &token,
                method,
                "/api/servers/none/plugins/x.y/data/k",
                &announced,
            ),
            &[b'x'; 0x10000],
            HUGE,
        );
        assert!(
            [410, 413].contains(&sent.status),
            "{method}: {} {}",
            sent.status,
            sent.code
        );
        assert!(
            sent.bytes < IN_BUFFERS,
            "{method}: {} bytes were taken",
            sent.bytes
        );
    }
}
