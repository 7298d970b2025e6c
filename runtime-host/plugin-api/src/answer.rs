//! Answers: JSON, and errors as `{"error","code",…}`. An error's text names what is wrong and never holds a token, a
//! value or a secret.

use bytes::Bytes;
use capability::UnknownCapability;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use plugin_host::AdminError;
use plugin_store::StoreError;
use rest::{Answer, ErrorCode};
use serde_json::Value;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, anyhow::Error>;

/// The kind of an error: its status and its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    status: StatusCode,
    code: &'static str,
}

impl ErrorCode for Kind {
    fn as_str(self) -> &'static str {
        self.code
    }

    fn status(self) -> u16 {
        self.status.as_u16()
    }

    fn retry_after_seconds(self) -> Option<u64> {
        (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(1)
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal(rest::Error<Kind>);

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self(rest::Error::new(Kind { status, code }, message))
    }

    /// Something in the path, the query or the body breaks a rule.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", message)
    }

    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    pub(crate) fn plugin_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "PLUGIN_NOT_FOUND",
            "Plugin not found",
        )
    }

    pub(crate) fn with(self, name: &str, value: impl Into<Value>) -> Self {
        Self(self.0.with(name, value))
    }

    /// The text for people.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        response(self.0.answer().header(header::CACHE_CONTROL, "no-store"))
    }
}

/// The HTTP form of an answer.
pub(crate) fn response(answer: Answer) -> Response<Body> {
    answer.into_response().map(full)
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            StoreError::QuotaExceeded { .. } => StatusCode::INSUFFICIENT_STORAGE,
            StoreError::InvalidKey { .. } | StoreError::BadScope(_) => StatusCode::BAD_REQUEST,
            StoreError::NotFound { .. } => StatusCode::NOT_FOUND,
            StoreError::Conflict { .. } | StoreError::NotANumber | StoreError::OutOfRange => {
                StatusCode::CONFLICT
            }
            StoreError::SecretUnreadable
            | StoreError::Unusable(_)
            | StoreError::Database { .. }
            | StoreError::Closed => {
                tracing::warn!(%error, "the plugin store failed");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<UnknownCapability> for Refusal {
    fn from(error: UnknownCapability) -> Self {
        let meant = error
            .suggestion
            .map(|id| format!("; did you mean {id}?"))
            .unwrap_or_default();
        Self::bad(format!("{error}{meant}"))
    }
}

impl From<AdminError> for Refusal {
    fn from(refused: AdminError) -> Self {
        match refused {
            AdminError::NotFound => Self::plugin_not_found(),
            AdminError::Conflict(message) => Self::conflict("PLUGIN_STATE", message),
            AdminError::Failed(error) => {
                tracing::error!("a request about a plugin failed: {error:#}");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "PLUGIN_HOST_FAILED",
                    format!("{error:#}"),
                )
            }
        }
    }
}

/// 200 with JSON.
pub(crate) fn ok(body: &Value) -> Response<Body> {
    response(Answer::ok(body).header(header::CACHE_CONTROL, "no-store"))
}

/// 200 with anything.
pub(crate) fn bytes(body: Bytes, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(full(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

pub(crate) fn full(body: Bytes) -> Body {
    Full::new(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn timestamp(at_ms: u64) -> String {
    let at = i64::try_from(at_ms)
        .ok()
        .and_then(chrono::DateTime::from_timestamp_millis)
        .unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
