//! The HTTP head at the start of a socket: an upgrade to WebSocket (RFC 6455 section 4), or a request for the HTTP
//! server.

mod refusal;

pub(crate) use refusal::{Refusal, last_answer};

use crate::{address::Client, config::Socket};
use base64::{Engine, engine::general_purpose::STANDARD};
use limits::socket::{HEAD_BYTES_MAX, HEADERS_MAX};
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
    let head = Head(&request);
    let client = Client::new(peer, head.values("x-forwarded-for"), config);
    if !head.lists("upgrade", "websocket") {
        return Request::Http(client);
    }
    match head.key(config) {
        Ok(key) => Request::Upgrade {
            answer: head.answer(key),
            client,
            head_bytes,
        },
        Err(refusal) => Request::Refused(refusal),
    }
}

/// A complete request head.
struct Head<'a>(&'a httparse::Request<'a, 'a>);

impl<'a> Head<'a> {
    /// The values of a header, one for each line.
    fn values(&self, name: &'static str) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a> {
        let named = move |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
        let headers = self.0.headers.iter().filter(named);
        headers.map(|header| header.value)
    }

    /// The values that are UTF-8.
    fn texts(&self, name: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.values(name)
            .filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The first value, if it is UTF-8.
    fn text(&self, name: &'static str) -> Option<&'a str> {
        std::str::from_utf8(self.values(name).next()?).ok()
    }

    /// Whether the first value of a header lists `token`.
    fn lists(&self, name: &'static str, token: &str) -> bool {
        self.text(name).is_some_and(|value| lists(value, token))
    }

    /// Checks an upgrade and returns its key.
    fn key(&self, config: &Socket) -> Result<&'a str, Refusal> {
        let path = self.0.path.unwrap_or_default().split('?').next();
        if !matches!(path, Some("/" | "/ws")) {
            return Err(Refusal::path());
        }
        if self.0.method != Some("GET")
            || self.0.version != Some(1)
            || !self.lists("connection", "upgrade")
        {
            return Err(Refusal::upgrade());
        }
        if self.text("sec-websocket-version") != Some("13") {
            return Err(Refusal::version());
        }
        let key = self.text("sec-websocket-key").unwrap_or_default().trim();
        if self.values("sec-websocket-key").count() != 1
            || STANDARD.decode(key).map_or(true, |nonce| nonce.len() != 16)
        {
            return Err(Refusal::key());
        }
        // Each line, also one that is not UTF-8: an allowed origin does not vouch for another beside it.
        let allowed =
            |origin| std::str::from_utf8(origin).is_ok_and(|origin| origin_allowed(origin, config));
        if !self.values("origin").all(allowed) {
            return Err(Refusal::origin());
        }
        Ok(key)
    }

    /// The answer that completes an upgrade. It names the subprotocol if the client offers it: browsers insist on that.
    fn answer(&self, key: &str) -> String {
        let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
        let protocol = if self
            .texts("sec-websocket-protocol")
            .any(|value| lists(value, SUBPROTOCOL))
        {
            format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n")
        } else {
            String::new()
        };
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
        )
    }
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
            client,
            head_bytes,
        } = upgrade("", &Socket::default())
        else {
            panic!("not accepted")
        };
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
        assert_eq!(reason(read(&vec![b'a'; 9000], PEER, &strict)), "head");
        assert_eq!(
            reason(read(b"\x16\x03\x01\x02\x00\x01\x00", PEER, &strict)),
            "http"
        );
    }
}
