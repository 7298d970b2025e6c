//! Answers: JSON, and refusals as `{"error","code",…}`.
//!
//! Invariant: a refusal's text names what is wrong and never holds a token, a value or a secret.

use bytes::Bytes;
use capability::UnknownCapability;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use plugin_host::plugin::AdminError;
use plugin_store::StoreError;
use serde_json::{Map, Value, json};

/// Bodies in and out.
pub type Body = UnsyncBoxBody<Bytes, anyhow::Error>;

/// Why a request is not done.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    code: &'static str,
    message: String,
    more: Map<String, Value>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            more: Map::new(),
        }
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

    /// The text of the seeds.
    pub(crate) fn plugin_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "PLUGIN_NOT_FOUND",
            "Plugin not found",
        )
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut body = json!({"error": self.message, "code": self.code});
        if let Some(object) = body.as_object_mut() {
            object.extend(self.more);
        }
        let mut response = status(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            StoreError::QuotaExceeded { .. } => StatusCode::INSUFFICIENT_STORAGE,
            StoreError::InvalidKey { .. } => StatusCode::BAD_REQUEST,
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
    status(StatusCode::OK, body)
}

pub(crate) fn status(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = bytes(Bytes::from(body.to_string()), "application/json");
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
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

/// RFC 3339 in UTC with milliseconds, as the seeds write times.
pub(crate) fn timestamp(at_ms: u64) -> String {
    let at = i64::try_from(at_ms)
        .ok()
        .and_then(chrono::DateTime::from_timestamp_millis)
        .unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
