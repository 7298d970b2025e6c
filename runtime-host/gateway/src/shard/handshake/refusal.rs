//! The HTTP answers to upgrades that are refused.

use crate::hub::AdmissionError;
use http::StatusCode;
use limits::socket::{HEAD_BYTES_MAX, HEADERS_MAX, RETRY_AFTER_SECONDS};
use rest::ErrorBody;

/// A refused upgrade.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The label in the counter of refused handshakes.
    pub reason: &'static str,
    /// The whole HTTP answer.
    pub response: String,
}

impl Refusal {
    fn new(
        reason: &'static str,
        status: StatusCode,
        code: &'static str,
        message: &str,
        headers: &str,
    ) -> Self {
        let body = ErrorBody::new(code, message).to_string();
        let phrase = status.canonical_reason().unwrap_or_default();
        let response = format!(
            "HTTP/1.1 {} {phrase}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
            status.as_u16(),
            body.len()
        );
        Self { reason, response }
    }

    pub(super) fn head_too_large() -> Self {
        let message = format!(
            "the request head is limited to {HEAD_BYTES_MAX} bytes and {HEADERS_MAX} headers"
        );
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new("head", status, "HEAD_TOO_LARGE", &message, "")
    }

    pub(super) fn not_http() -> Self {
        let message = "this is no HTTP/1.1 request";
        Self::new("http", StatusCode::BAD_REQUEST, "BAD_REQUEST", message, "")
    }

    pub(super) fn path() -> Self {
        let message = "WebSockets are at /ws and at /";
        Self::new("path", StatusCode::NOT_FOUND, "NOT_FOUND", message, "")
    }

    pub(super) fn upgrade() -> Self {
        Self::new(
            "upgrade",
            StatusCode::BAD_REQUEST,
            "BAD_UPGRADE",
            "an upgrade is a GET of HTTP/1.1 with Connection: Upgrade",
            "",
        )
    }

    pub(super) fn version() -> Self {
        Self::new(
            "version",
            StatusCode::UPGRADE_REQUIRED,
            "BAD_UPGRADE",
            "only WebSocket version 13 is spoken",
            "Sec-WebSocket-Version: 13\r\n",
        )
    }

    pub(super) fn key() -> Self {
        let message = "Sec-WebSocket-Key must be 16 bytes in base64";
        Self::new("key", StatusCode::BAD_REQUEST, "BAD_UPGRADE", message, "")
    }

    pub(super) fn origin() -> Self {
        Self::new(
            "origin",
            StatusCode::FORBIDDEN,
            "ORIGIN_NOT_ALLOWED",
            "this origin is not allowed to connect",
            "",
        )
    }
}

impl From<AdmissionError> for Refusal {
    /// The advised wait has a random part, so that refused clients do not return all at once.
    fn from(error: AdmissionError) -> Self {
        let (reason, status, code, wait_seconds) = match error {
            AdmissionError::Draining => {
                ("draining", StatusCode::SERVICE_UNAVAILABLE, "DRAINING", 0)
            }
            AdmissionError::AddressConnections => (
                "address",
                StatusCode::SERVICE_UNAVAILABLE,
                "CONNECTIONS_FULL",
                0,
            ),
            AdmissionError::Connections => (
                "full",
                StatusCode::SERVICE_UNAVAILABLE,
                "CONNECTIONS_FULL",
                0,
            ),
            AdmissionError::HandshakeRate { wait_ms } => (
                "rate",
                StatusCode::TOO_MANY_REQUESTS,
                "RATE_LIMITED",
                u64::from(wait_ms.div_ceil(1_000)),
            ),
        };
        let spread = u64::from(uuid::Uuid::new_v4().as_fields().0) % RETRY_AFTER_SECONDS;
        let seconds = wait_seconds + RETRY_AFTER_SECONDS + spread;
        let retry_after = format!("Retry-After: {seconds}\r\n");
        Self::new(reason, status, code, &error.to_string(), &retry_after)
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;
    use crate::hub::AdmissionError;

    #[test]
    fn a_refusal_is_a_whole_http_answer() {
        assert_eq!(
            Refusal::version().response,
            "HTTP/1.1 426 Upgrade Required\r\nContent-Type: application/json\r\nContent-Length: 68\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n\r\n{\"error\":\"only WebSocket version 13 is spoken\",\"code\":\"BAD_UPGRADE\"}"
        );
        let refused = Refusal::from(AdmissionError::HandshakeRate { wait_ms: 2_500 });
        let (head, body) = refused.response.split_once("\r\n\r\n").expect("a head");
        assert!(
            head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
            "{head}"
        );
        let (_, seconds) = head.split_once("Retry-After: ").expect("a time to wait");
        assert!((8..13).contains(&seconds.parse::<u64>().expect("seconds")));
        assert_eq!(
            body,
            r#"{"error":"too many handshakes from this address","code":"RATE_LIMITED"}"#
        );
    }
}
