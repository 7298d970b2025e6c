//! Request heads: an upgrade to WebSocket (RFC 6455 section 4), or a request for the HTTP server. The first head of a
//! socket is read by its shard, later ones by the HTTP server; what an upgrade needs is decided here for both.

mod refusal;

pub(crate) use refusal::{Refusal, last_answer};

use crate::{address::Client, config::Socket};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header,
    request::Parts,
};
use limits::socket::{HEAD_BYTES_MAX, HEADERS_MAX};
use rest::Answer;
use sha1::{Digest, Sha1};
use std::net::IpAddr;

/// What the first request head of a socket asks for.
#[derive(Debug)]
pub(crate) enum Request {
    /// More bytes are needed.
    Partial,
    /// An upgrade that may be accepted.
    Upgrade {
        /// What completes it.
        accepted: Accepted,
        /// The client.
        client: Client,
        /// Bytes of the head; what follows are frames.
        head_bytes: usize,
    },
    /// An ordinary request: for the HTTP server, with all bytes read so far.
    Http(Client),
    /// An upgrade that is refused, or bytes that are not HTTP.
    Refused(Refusal),
}

/// The subprotocol that a client may offer and never needs to.
const SUBPROTOCOL: &str = "jackfield.v1";
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Reads the head at the start of `bytes`, sent by `peer`.
#[must_use]
pub(crate) fn read(bytes: &[u8], peer: IpAddr, config: &Socket) -> Request {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let head_bytes = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Request::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return Request::Refused(Refusal::head_too_large());
        }
        Err(_) => return Request::Refused(Refusal::not_http()),
    };
    let Some(head) = parts(&request) else {
        return Request::Refused(Refusal::not_http());
    };
    let client = Client::of_head(peer, &head.headers, config);
    match upgrade(&head, config) {
        None => Request::Http(client),
        Some(Ok(accepted)) => Request::Upgrade {
            accepted,
            client,
            head_bytes,
        },
        Some(Err(refusal)) => Request::Refused(refusal),
    }
}

/// Checks the size of a head that the HTTP server has read, by the bounds of a socket's first one.
///
/// # Errors
/// 431 (`HEAD_TOO_LARGE`).
pub fn check_head_size(head: &Parts) -> Result<(), Box<Answer>> {
    /// Bytes of a line beside what it carries: spaces, colon, line end, version.
    const LINE_BYTES: usize = 4;
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let lines = head.headers.iter();
    let bytes = lines.fold(target, |bytes, (name, value)| {
        bytes + name.as_str().len() + value.len() + LINE_BYTES
    });
    match bytes <= HEAD_BYTES_MAX && head.headers.len() <= HEADERS_MAX {
        true => Ok(()),
        false => Err(Refusal::head_too_large().answer),
    }
}

/// The head in the form in which the HTTP server has it.
fn parts(request: &httparse::Request<'_, '_>) -> Option<Parts> {
    let version = match request.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let mut head = http::Request::builder()
        .method(request.method?)
        .uri(request.path?)
        .version(version);
    for header in request.headers.iter() {
        head = head.header(header.name, header.value);
    }
    Some(head.body(()).ok()?.into_parts().0)
}

/// Checks a head that asks for a WebSocket; `None` if it does not. An upgrade in a request of HTTP/1.0 is ignored (RFC
/// 9110 section 7.8).
pub(crate) fn upgrade(head: &Parts, config: &Socket) -> Option<Result<Accepted, Refusal>> {
    let asks =
        head.version != Version::HTTP_10 && lists(&head.headers, &header::UPGRADE, "websocket");
    asks.then(|| accept(head, config))
}

fn accept(head: &Parts, config: &Socket) -> Result<Accepted, Refusal> {
    let headers = &head.headers;
    if !matches!(head.uri.path(), "/" | "/ws") {
        return Err(Refusal::path());
    }
    if head.method != Method::GET || !lists(headers, &header::CONNECTION, "upgrade") {
        return Err(Refusal::upgrade());
    }
    if texts(headers, &header::SEC_WEBSOCKET_VERSION).next() != Some("13") {
        return Err(Refusal::version());
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) => key.to_str().map_err(|_| Refusal::key())?.trim(),
        _ => return Err(Refusal::key()),
    };
    if STANDARD.decode(key).map_or(true, |nonce| nonce.len() != 16) {
        return Err(Refusal::key());
    }
    // Each line, also one that is not text: an allowed origin does not vouch for another beside it.
    let allowed = |origin: &HeaderValue| {
        let origin = origin.to_str();
        origin.is_ok_and(|origin| origin_allowed(origin, config))
    };
    if !headers.get_all(header::ORIGIN).iter().all(allowed) {
        return Err(Refusal::origin());
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    Ok(Accepted {
        accept: STANDARD.encode(digest),
        has_subprotocol: lists(headers, &header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL),
    })
}

/// What completes an upgrade.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    accept: String,
    /// The client offers the subprotocol. The answer then names it: browsers insist on that.
    has_subprotocol: bool,
}

impl Accepted {
    /// The bytes of the answer.
    pub(crate) fn text(&self) -> String {
        let protocol = match self.has_subprotocol {
            true => format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"),
            false => String::new(),
        };
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n{protocol}\r\n",
            self.accept
        )
    }

    /// The answer for the HTTP server.
    pub(crate) fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if self.has_subprotocol {
            let name = HeaderValue::from_static(SUBPROTOCOL);
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, name);
        }
        response
    }
}

/// The lines of a header that are text.
fn texts<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter();
    lines.filter_map(|line| line.to_str().ok())
}

/// Whether a header lists `token`. Several lines are one list (RFC 9110 section 5.3).
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    texts(headers, name)
        .flat_map(|line| line.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

fn origin_allowed(origin: &str, config: &Socket) -> bool {
    config
        .origins
        .iter()
        .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin.trim()))
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES_MAX, Request, read};
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
            accepted,
            client,
            head_bytes,
        } = upgrade("", &Socket::default())
        else {
            panic!("not accepted")
        };
        let answer = accepted.text();
        assert!(
            answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{answer}"
        );
        assert_eq!((client.address, head_bytes), (PEER, HEAD.len() + 2));
        assert!(!answer.contains("Sec-WebSocket-Protocol"), "{answer}");
    }

    #[test]
    fn the_subprotocol_is_named_where_it_is_offered() {
        let answered = |offer: &str| match upgrade(
            &format!("Sec-WebSocket-Protocol: {offer}\r\n"),
            &Socket::default(),
        ) {
            Request::Upgrade { accepted, .. } => {
                let answer = accepted.text();
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
            assert!(
                matches!(
                    read(&whole.as_bytes()[..cut], PEER, &Socket::default()),
                    Request::Partial
                ),
                "{cut} bytes"
            );
        }
        let plain = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(matches!(
            read(plain, PEER, &Socket::default()),
            Request::Http(_)
        ));
    }

    #[test]
    fn refusals_say_why() {
        let strict = Socket {
            origins: vec!["https://chat.example".into(), "null".into()],
            ..Socket::default()
        };
        let reason = |request| match request {
            Request::Refused(refusal) => refusal.reason,
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
        let endless = vec![b'a'; HEAD_BYTES_MAX + 1];
        assert_eq!(reason(read(&endless, PEER, &strict)), "head");
        assert_eq!(
            reason(read(b"\x16\x03\x01\x02\x00\x01\x00", PEER, &strict)),
            "http"
        );
    }

    #[test]
    fn lists_in_several_lines_and_absolute_targets_are_read() {
        let accepts = |head: &str| {
            let read = read(head.as_bytes(), PEER, &Socket::default());
            matches!(read, Request::Upgrade { .. })
        };
        let whole = format!("{HEAD}\r\n");
        for (from, to) in [
            (
                "Connection: keep-alive, Upgrade",
                "Connection: keep-alive\r\nConnection: Upgrade",
            ),
            ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: WebSocket"),
            ("GET /ws ", "GET /ws?token=x "),
            ("GET /ws ", "GET http://chat.example/ws "),
            ("GET /ws ", "GET http://chat.example "),
            (
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: jackfield.v1",
            ),
        ] {
            assert!(accepts(&whole.replace(from, to)), "{to}");
        }
        // An upgrade of HTTP/1.0 is no upgrade, and one to something else is none to a WebSocket.
        for (from, to) in [
            ("HTTP/1.1", "HTTP/1.0"),
            ("Upgrade: websocket", "Upgrade: h2c"),
        ] {
            let head = whole.replace(from, to);
            let read = read(head.as_bytes(), PEER, &Socket::default());
            assert!(matches!(read, Request::Http(_)), "{to}");
        }
    }
}
