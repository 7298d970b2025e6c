//! Answers: status, JSON, headers; every one with a content length, because a chunked answer is written in pieces and waits for the peer.

use bytes::Bytes;
use directory::{Code, Refusal, etag};
use serde_json::Value;
use spin_sdk::http::{FullBody, HeaderName, HeaderValue};

/// What the server runs on the wire.
pub(crate) type Response = http::Response<FullBody<Bytes>>;

/// An answer in the making.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    body: Option<Vec<u8>>,
    headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// `200` with JSON.
    pub(crate) fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    /// Any status with JSON.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    /// Any status with a JSON text, whose members keep their order.
    pub(crate) fn text(status: u16, body: String) -> Self {
        Self {
            status,
            body: Some(body.into_bytes()),
            headers: vec![("content-type", "application/json".to_owned())],
        }
    }

    /// A status without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            body: None,
            headers: Vec::new(),
        }
    }

    /// `{"ok":true,"revision":n}`: what deletes answer (D3).
    pub(crate) fn done(revision: u64) -> Self {
        Self::ok(&serde_json::json!({"ok": true, "revision": revision})).etag(revision)
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds the entity tag of a revision.
    pub(crate) fn etag(self, revision: u64) -> Self {
        self.header("etag", etag::of(revision))
    }

    /// The HTTP form.
    pub(crate) fn into_response(self) -> Response {
        let body = self.body.unwrap_or_default();
        let length = body.len();
        let mut response = Response::new(FullBody::new(Bytes::from(body)));
        *response.status_mut() = spin_sdk::http::StatusCode::from_u16(self.status)
            .unwrap_or(spin_sdk::http::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        if !matches!(self.status, 204 | 304) {
            headers.insert("content-length", HeaderValue::from(length));
            headers.insert(
                "x-content-type-options",
                HeaderValue::from_static("nosniff"),
            );
        }
        if !headers.contains_key("cache-control") {
            headers.insert("cache-control", HeaderValue::from_static("no-cache"));
        }
        response
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let mut answer = Self::json(refusal.code.status(), &refusal.to_json());
        if refusal.code.status() == 401 {
            answer = answer.header("www-authenticate", "Bearer");
        }
        if let Some(allow) = refusal.details.get("allow").and_then(Value::as_str) {
            answer = answer.header("allow", allow);
        }
        if let Some(wait_ms) = refusal.details.get("retryAfterMs").and_then(Value::as_u64) {
            answer = answer.header("retry-after", wait_ms.div_ceil(1_000).to_string());
        }
        if matches!(
            refusal.code,
            Code::DatabaseUnavailable | Code::KeySetUnavailable
        ) {
            answer = answer.header("retry-after", "1");
        }
        answer
    }
}
