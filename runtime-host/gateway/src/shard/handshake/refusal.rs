//! The HTTP answers to upgrades that are refused.

use crate::hub::AdmissionError;
use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use limits::socket::{HEAD_BYTES_MAX, HEADERS_MAX};
use rest::{Answer, HostError};

/// A refused upgrade.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The label in the counter of refused handshakes.
    pub reason: &'static str,
    /// The answer.
    pub answer: Box<Answer>,
}

impl Refusal {
    fn new(reason: &'static str, status: StatusCode, code: &'static str, message: &str) -> Self {
        let answer = HostError::of_host(status, code, message).answer().into();
        Self { reason, answer }
    }

    pub(super) fn head_too_large() -> Self {
        let message = format!(
            "the request head is limited to {HEAD_BYTES_MAX} bytes and {HEADERS_MAX} headers"
        );
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new("head", status, "HEAD_TOO_LARGE", &message)
    }

    pub(super) fn not_http() -> Self {
        let message = "this is no HTTP/1.1 request";
        Self::new("http", StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(super) fn path() -> Self {
        let message = "WebSockets are at /ws and at /";
        Self::new("path", StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(super) fn upgrade() -> Self {
        let message = "an upgrade is a GET of HTTP/1.1 with Connection: Upgrade";
        Self::new("upgrade", StatusCode::BAD_REQUEST, "BAD_UPGRADE", message)
    }

    pub(super) fn version() -> Self {
        let message = "only WebSocket version 13 is spoken";
        let status = StatusCode::UPGRADE_REQUIRED;
        let mut refusal = Self::new("version", status, "BAD_UPGRADE", message);
        let spoken = HeaderName::from_static("sec-websocket-version");
        refusal.answer = refusal.answer.header(spoken, "13").into();
        refusal
    }

    pub(super) fn key() -> Self {
        let message = "Sec-WebSocket-Key must be 16 bytes in base64";
        Self::new("key", StatusCode::BAD_REQUEST, "BAD_UPGRADE", message)
    }

    pub(super) fn origin() -> Self {
        let message = "this origin is not allowed to connect";
        let status = StatusCode::FORBIDDEN;
        Self::new("origin", status, "ORIGIN_NOT_ALLOWED", message)
    }
}

impl From<AdmissionError> for Refusal {
    fn from(error: AdmissionError) -> Self {
        Self {
            reason: error.reason(),
            answer: error.answer().answer().into(),
        }
    }
}

/// The bytes of an answer after which the connection is closed.
pub(crate) fn last_answer(answer: Answer) -> Bytes {
    let response = answer.header(header::CONNECTION, "close").into_response();
    let status = response.status();
    let phrase = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {phrase}\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(response.body());
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::{Refusal, last_answer};
    use crate::hub::AdmissionError;
    use std::collections::BTreeSet;

    fn text(refusal: Refusal) -> (BTreeSet<String>, String) {
        let text = String::from_utf8(last_answer(*refusal.answer).to_vec()).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        (
            head.split("\r\n").map(str::to_owned).collect(),
            body.to_owned(),
        )
    }

    #[test]
    fn a_refusal_is_a_whole_http_answer() {
        let (head, body) = text(Refusal::version());
        for line in [
            "HTTP/1.1 426 Upgrade Required",
            "content-type: application/json",
            "content-length: 68",
            "connection: close",
            "sec-websocket-version: 13",
        ] {
            assert!(head.contains(line), "{line} in {head:?}");
        }
        assert_eq!(
            body,
            r#"{"error":"only WebSocket version 13 is spoken","code":"BAD_UPGRADE"}"#
        );
        let (head, body) = text(AdmissionError::HandshakeRate { wait_ms: 2_500 }.into());
        assert!(head.contains("HTTP/1.1 429 Too Many Requests"), "{head:?}");
        let seconds = head
            .iter()
            .find_map(|line| line.strip_prefix("retry-after: "))
            .expect("a time to wait");
        assert!((8..13).contains(&seconds.parse::<u64>().expect("seconds")));
        assert!(
            body.starts_with(
                r#"{"error":"too many handshakes from this address","code":"RATE_LIMITED","retryAfterMs":"#
            ),
            "{body}"
        );
    }
}
