//! The HTTP head at the start of a socket: an upgrade to WebSocket (RFC 6455 section 4), or something for the HTTP server.

use crate::{config::Socket, hub::NoPlace};
use base64::{Engine, engine::general_purpose::STANDARD};
use limits::socket::{HEAD_BYTES_MAX, HEADERS_MAX, RETRY_AFTER_SECONDS};
use sha1::{Digest, Sha1};
use std::net::IpAddr;

/// What a request head asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// More bytes are needed.
    Partial,
    /// An upgrade that may be accepted.
    Upgrade {
        /// The answer that completes it.
        answer: String,
        /// The client's address, as far as trusted proxies tell.
        address: IpAddr,
        /// Bytes of the head; what follows are frames.
        head_bytes: usize,
    },
    /// An ordinary request: for the HTTP server, with all bytes read so far.
    Http,
    /// An upgrade, or something that is no HTTP, that is refused with this answer.
    Refused {
        /// For the counter.
        reason: &'static str,
        /// The whole answer.
        response: String,
    },
}

/// The subprotocol that a client may offer and never needs to.
const SUBPROTOCOL: &str = "jackfield.v1";
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Reads the head at the start of `bytes`, sent by `peer`.
#[must_use]
pub(crate) fn read(bytes: &[u8], peer: IpAddr, config: &Socket) -> Request {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let head_bytes = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Request::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return refused(
                "head",
                431,
                "Request Header Fields Too Large",
                "HEAD_TOO_LARGE",
                "the request head is limited to 8192 bytes and 64 headers",
                "",
            );
        }
        Err(_) => {
            return refused(
                "http",
                400,
                "Bad Request",
                "BAD_REQUEST",
                "this is no HTTP/1.1 request",
                "",
            );
        }
    };
    let all = |name: &'static str| {
        head.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
    };
    let header = |name: &'static str| {
        all(name)
            .next()
            .and_then(|header| std::str::from_utf8(header.value).ok())
    };
    if !header("upgrade").is_some_and(|value| lists(value, "websocket")) {
        return Request::Http;
    }
    let path = head
        .path
        .unwrap_or_default()
        .split('?')
        .next()
        .unwrap_or_default();
    if !matches!(path, "/" | "/ws") {
        return refused(
            "path",
            404,
            "Not Found",
            "NOT_FOUND",
            "WebSockets are at /ws and at /",
            "",
        );
    }
    if head.method != Some("GET")
        || head.version != Some(1)
        || !header("connection").is_some_and(|value| lists(value, "upgrade"))
    {
        return refused(
            "upgrade",
            400,
            "Bad Request",
            "BAD_UPGRADE",
            "an upgrade is a GET of HTTP/1.1 with Connection: Upgrade",
            "",
        );
    }
    if header("sec-websocket-version") != Some("13") {
        return refused(
            "version",
            426,
            "Upgrade Required",
            "BAD_UPGRADE",
            "only WebSocket version 13 is spoken",
            "Sec-WebSocket-Version: 13\r\n",
        );
    }
    let key = header("sec-websocket-key").unwrap_or_default().trim();
    if all("sec-websocket-key").count() != 1
        || STANDARD.decode(key).map_or(true, |nonce| nonce.len() != 16)
    {
        return refused(
            "key",
            400,
            "Bad Request",
            "BAD_UPGRADE",
            "Sec-WebSocket-Key must be 16 bytes in base64",
            "",
        );
    }
    // Every one, legible or not: an allowed origin does not vouch for another beside it.
    if !all("origin").all(|header| {
        std::str::from_utf8(header.value).is_ok_and(|origin| origin_allowed(origin, config))
    }) {
        return refused(
            "origin",
            403,
            "Forbidden",
            "ORIGIN_NOT_ALLOWED",
            "this origin is not allowed to connect",
            "",
        );
    }
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
    let mut protocols =
        all("sec-websocket-protocol").filter_map(|header| std::str::from_utf8(header.value).ok());
    let spoken = protocols.any(|value| lists(value, SUBPROTOCOL));
    let forwarded = all("x-forwarded-for").map(|header| header.value);
    Request::Upgrade {
        answer: accepted(&accept, spoken),
        address: client_address(peer, forwarded, config),
        head_bytes,
    }
}

/// The answer that completes an upgrade; it names the subprotocol where the client offers it, since browsers insist on an answer.
fn accepted(accept: &str, subprotocol: bool) -> String {
    let protocol = if subprotocol {
        format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n")
    } else {
        String::new()
    };
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    )
}

/// The answer to a connection over a limit, before the upgrade; the time to come back is spread.
#[must_use]
pub(crate) fn no_place(why: NoPlace) -> Request {
    let (reason, status, phrase, code, message, wait_seconds) = match why {
        NoPlace::Draining => (
            "draining",
            503,
            "Service Unavailable",
            "DRAINING",
            "the server is shutting down",
            0,
        ),
        NoPlace::Address => (
            "address",
            503,
            "Service Unavailable",
            "CONNECTIONS_FULL",
            "too many connections from this address",
            0,
        ),
        NoPlace::Full => (
            "full",
            503,
            "Service Unavailable",
            "CONNECTIONS_FULL",
            "the server has reached its connection limit",
            0,
        ),
        NoPlace::TooFast(wait_ms) => (
            "rate",
            429,
            "Too Many Requests",
            "RATE_LIMITED",
            "too many handshakes from this address",
            u64::from(wait_ms.div_ceil(1_000)),
        ),
    };
    let spread = u64::from(uuid::Uuid::new_v4().as_fields().0) % RETRY_AFTER_SECONDS;
    refused(
        reason,
        status,
        phrase,
        code,
        message,
        &format!(
            "Retry-After: {}\r\n",
            wait_seconds + RETRY_AFTER_SECONDS + spread
        ),
    )
}

fn refused(
    reason: &'static str,
    status: u16,
    phrase: &str,
    code: &str,
    message: &str,
    headers: &str,
) -> Request {
    let body = format!(r#"{{"error":"{message}","code":"{code}"}}"#);
    let response = format!(
        "HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    );
    Request::Refused { reason, response }
}

fn lists(value: &str, token: &str) -> bool {
    value
        .split(',')
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

fn origin_allowed(origin: &str, config: &Socket) -> bool {
    config
        .origins
        .iter()
        .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin.trim()))
}

/// The last address in the lines of `X-Forwarded-For` that is not a trusted proxy's, when the peer is one. Several lines are one list
/// (RFC 9110 section 5.3): a proxy may add a line of its own below what a client made up.
#[must_use]
pub fn client_address<'l>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'l [u8]>,
    config: &Socket,
) -> IpAddr {
    let trusted = |address: &IpAddr| {
        config
            .trusted_proxies
            .iter()
            .any(|net| net.contains(address))
    };
    if !trusted(&peer) {
        return peer;
    }
    let hops = forwarded
        .rev()
        .flat_map(|line| std::str::from_utf8(line).unwrap_or("?").rsplit(','));
    let mut last = peer;
    for hop in hops {
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        last = address;
        if !trusted(&address) {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::{Request, read};
    use crate::config::Socket;
    use std::net::{IpAddr, Ipv4Addr};

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const HEAD: &str = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    fn upgrade(extra: &str, config: &Socket) -> Request {
        read(format!("{HEAD}{extra}\r\n").as_bytes(), PEER, config)
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let Request::Upgrade {
            answer,
            address,
            head_bytes,
        } = upgrade("", &Socket::default())
        else {
            panic!("not accepted")
        };
        assert!(
            answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{answer}"
        );
        assert_eq!((address, head_bytes), (PEER, HEAD.len() + 2));
        assert!(!answer.contains("Sec-WebSocket-Protocol"), "{answer}");
    }

    #[test]
    fn the_subprotocol_is_named_where_it_is_offered() {
        let answered = |offer: &str| match upgrade(
            &format!("Sec-WebSocket-Protocol: {offer}\r\n"),
            &Socket::default(),
        ) {
            Request::Upgrade { answer, .. } => {
                answer.contains("Sec-WebSocket-Protocol: jackfield.v1\r\n")
            }
            other => panic!("{other:?}"),
        };
        assert!(answered("jackfield.v1") && answered("chat, jackfield.v1"));
        assert!(!answered("jackfield.v2") && !answered("mqtt"));
    }

    #[test]
    fn every_cut_is_partial_and_plain_requests_are_http() {
        let whole = format!("{HEAD}\r\n");
        for cut in 0..whole.len() {
            assert_eq!(
                read(&whole.as_bytes()[..cut], PEER, &Socket::default()),
                Request::Partial,
                "{cut} bytes"
            );
        }
        assert_eq!(
            read(
                b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
                PEER,
                &Socket::default()
            ),
            Request::Http
        );
    }

    #[test]
    fn refusals_say_why() {
        let strict = Socket {
            origins: vec!["https://chat.example".into(), "null".into()],
            ..Socket::default()
        };
        let reason = |request| match request {
            Request::Refused { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            reason(upgrade("Origin: https://evil.example\r\n", &strict)),
            "origin"
        );
        assert!(matches!(
            upgrade("Origin: null\r\n", &strict),
            Request::Upgrade { .. }
        ));
        assert!(matches!(upgrade("", &strict), Request::Upgrade { .. }));
        assert_eq!(
            reason(read(
                format!("{}\r\n", HEAD.replace("/ws", "/chat")).as_bytes(),
                PEER,
                &strict
            )),
            "path"
        );
        assert_eq!(
            reason(read(
                format!("{}\r\n", HEAD.replace("13", "8")).as_bytes(),
                PEER,
                &strict
            )),
            "version"
        );
        assert_eq!(
            reason(read(
                format!("{}\r\n", HEAD.replace("dGhl", "****")).as_bytes(),
                PEER,
                &strict
            )),
            "key"
        );
        assert_eq!(
            reason(upgrade(
                "Origin: null\r\nOrigin: https://evil.example\r\n",
                &strict
            )),
            "origin"
        );
        assert_eq!(
            reason(read(
                &[HEAD.as_bytes(), b"Origin: \xff\r\n\r\n"].concat(),
                PEER,
                &strict
            )),
            "origin"
        );
        assert_eq!(
            reason(upgrade(
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                &strict
            )),
            "key"
        );
        assert_eq!(reason(read(&vec![b'a'; 9000], PEER, &strict)), "head");
        assert_eq!(
            reason(read(b"\x16\x03\x01\x02\x00\x01\x00", PEER, &strict)),
            "http"
        );
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let config = Socket {
            trusted_proxies: vec![
                "127.0.0.0/8".parse().unwrap(),
                "10.0.0.0/8".parse().unwrap(),
            ],
            ..Socket::default()
        };
        let seen = |extra: &str, config: &Socket| match upgrade(extra, config) {
            Request::Upgrade { address, .. } => address.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            seen(
                "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.2\r\n",
                &config
            ),
            "203.0.113.7"
        );
        assert_eq!(
            seen("X-Forwarded-For: 203.0.113.7\r\n", &Socket::default()),
            "127.0.0.1"
        );
        assert_eq!(seen("X-Forwarded-For: nonsense\r\n", &config), "127.0.0.1");
        assert_eq!(
            seen(
                "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.7\r\n",
                &config
            ),
            "203.0.113.7",
            "the last line counts"
        );
    }
}
