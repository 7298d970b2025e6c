//! Answers: status, JSON, headers; every one with a content length, because a chunked answer is written in pieces and waits for the peer.

use bytes::Bytes;
use serde_json::{Value, json};
use spin_sdk::http::{FullBody, HeaderName, HeaderValue, StatusCode};

/// What the server runs on the wire.
pub(crate) type Response = http::Response<FullBody<Bytes>>;

/// An answer in the making.
pub(crate) struct Answer {
    status: u16,
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

/// Which origins browsers may call from.
pub(crate) enum Origins {
    /// All. No cookies are ever used (D12), so that this gives nothing away.
    Any,
    /// These.
    Listed(Vec<String>),
}

impl Origins {
    /// Reads the variable `cors_origins`: `*`, or a list with commas.
    pub(crate) fn parse(text: &str) -> Self {
        match text.trim() {
            "*" => Self::Any,
            list => Self::Listed(
                list.split(',')
                    .map(str::trim)
                    .filter(|origin| !origin.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
        }
    }

    fn admits(&self, origin: Option<&str>) -> Option<String> {
        match self {
            Self::Any => Some("*".to_owned()),
            Self::Listed(listed) => origin
                .filter(|origin| listed.iter().any(|known| known == origin))
                .map(str::to_owned),
        }
    }
}

impl Answer {
    /// Any status with JSON.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    /// Any status with a JSON text.
    pub(crate) fn text(status: u16, body: String) -> Self {
        Self {
            status,
            body: body.into_bytes(),
            headers: vec![("content-type", "application/json".to_owned())],
        }
    }

    /// `{"error","code"}` (decision: errors over HTTP).
    pub(crate) fn refusal(status: u16, code: &str, error: &str) -> Self {
        Self::json(status, &json!({"error": error, "code": code}))
    }

    /// The answer to `OPTIONS`.
    pub(crate) fn preflight(methods: &'static str) -> Self {
        let answer = Self {
            status: 204,
            body: Vec::new(),
            headers: Vec::new(),
        };
        answer
            .header("allow", methods)
            .header("access-control-allow-methods", methods)
            .header("access-control-allow-headers", "content-type")
            .header("access-control-max-age", "600")
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The HTTP form.
    pub(crate) fn into_response(
        self,
        origins: &Origins,
        origin: Option<&str>,
        is_head: bool,
    ) -> Response {
        let length = self.body.len();
        let body = if is_head {
            Bytes::new()
        } else {
            Bytes::from(self.body)
        };
        let mut response = Response::new(FullBody::new(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let admitted = origins
            .admits(origin)
            .map(|origin| ("access-control-allow-origin", origin));
        let varies = matches!(origins, Origins::Listed(_)).then(|| ("vary", "origin".to_owned()));
        for (name, value) in self.headers.into_iter().chain(admitted).chain(varies) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        headers.insert("cache-control", HeaderValue::from_static("no-cache"));
        if self.status != 204 {
            headers.insert("content-length", HeaderValue::from(length));
            headers.insert(
                "x-content-type-options",
                HeaderValue::from_static("nosniff"),
            );
        }
        response
    }
}
