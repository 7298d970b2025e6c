//! Errors over HTTP: a stable code for programs, a text for people, and every violation at its place in the body.

use crate::answer::Answer;
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// The body of every error: `{"error","code",…}`. `error` is for people, `code` for programs; further members depend on
/// the code.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorBody {
    error: String,
    code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<Violation>,
    #[serde(flatten)]
    details: Map<String, Value>,
}

impl ErrorBody {
    /// A body without details.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            error: message.into(),
            code,
            violations: Vec::new(),
            details: Map::new(),
        }
    }

    /// Adds a member to the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

impl fmt::Display for ErrorBody {
    /// The JSON text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

/// One rule that a body breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// The code for programs.
    pub code: String,
    /// The text for people.
    pub message: String,
}

/// The codes of one interface, each with its status.
pub trait ErrorCode: Copy {
    /// The code on the wire. It never changes once released.
    fn as_str(self) -> &'static str;
    /// The HTTP status.
    fn status(self) -> u16;
    /// Seconds after which the same request may succeed, where that is known from the code alone.
    fn retry_after_seconds(self) -> Option<u64> {
        None
    }
}

/// A status with a code: the errors that a host answers itself, before or instead of an interface with codes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostCode {
    status: StatusCode,
    code: &'static str,
}

impl ErrorCode for HostCode {
    fn as_str(self) -> &'static str {
        self.code
    }

    fn status(self) -> u16 {
        self.status.as_u16()
    }

    fn retry_after_seconds(self) -> Option<u64> {
        let passes = matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        passes.then_some(1)
    }
}

/// An error that a host answers itself.
pub type HostError = Error<HostCode>;

impl Error<HostCode> {
    /// An error with a status, a code and a text.
    #[must_use]
    pub fn of_host(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(HostCode { status, code }, message)
    }
}

/// An error of a request: what went wrong, and what its answer says.
#[derive(Debug, Clone, PartialEq)]
pub struct Error<C> {
    /// The kind of error.
    pub code: C,
    /// The text for people: lower case, naming the thing and the limit.
    pub message: String,
    /// The rules that the body breaks.
    pub violations: Vec<Violation>,
    /// Further members of the body.
    pub details: Map<String, Value>,
}

impl<C: ErrorCode> Error<C> {
    /// An error with a text.
    #[must_use]
    pub fn new(code: C, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            violations: Vec::new(),
            details: Map::new(),
        }
    }

    /// Adds a member to the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The body on the wire.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            error: self.message.clone(),
            code: self.code.as_str(),
            violations: self.violations.clone(),
            details: self.details.clone(),
        }
    }

    /// The answer: the body, and the headers that follow from status and details (`WWW-Authenticate`, `Allow`,
    /// `Retry-After`).
    #[must_use]
    pub fn answer(&self) -> Answer {
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = Answer::text(status, self.body().to_string());
        if status == StatusCode::UNAUTHORIZED {
            answer = answer.header(header::WWW_AUTHENTICATE, "Bearer");
        }
        if let Some(allow) = self.details.get("allow").and_then(Value::as_str) {
            answer = answer.header(header::ALLOW, allow);
        }
        let wait = self
            .details
            .get("retryAfterMs")
            .and_then(Value::as_u64)
            .map(|wait_ms| wait_ms.div_ceil(1_000))
            .or(self.code.retry_after_seconds());
        match wait {
            Some(seconds) => answer.header(header::RETRY_AFTER, &seconds.to_string()),
            None => answer,
        }
    }
}

impl<C: ErrorCode> fmt::Display for Error<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl<C: ErrorCode + fmt::Debug> std::error::Error for Error<C> {}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorCode, Violation};
    use serde_json::json;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Busy;

    impl ErrorCode for Busy {
        fn as_str(self) -> &'static str {
            "BUSY"
        }
        fn status(self) -> u16 {
            503
        }
        fn retry_after_seconds(self) -> Option<u64> {
            Some(1)
        }
    }

    #[test]
    fn the_body_has_all_that_is_known() {
        let mut error = Error::new(Busy, "too much to do").with("max", 7);
        assert_eq!(
            serde_json::to_value(error.body()).unwrap(),
            json!({"error": "too much to do", "code": "BUSY", "max": 7})
        );
        error.violations.push(Violation {
            pointer: "/a".to_owned(),
            code: "BUSY".to_owned(),
            message: "a is busy".to_owned(),
        });
        assert_eq!(
            serde_json::to_value(error.body()).unwrap()["violations"],
            json!([{"pointer": "/a", "code": "BUSY", "message": "a is busy"}])
        );
    }

    #[test]
    fn headers_follow_from_the_error() {
        let wait = |error: Error<Busy>| {
            let response = error.answer().into_response();
            assert_eq!(response.status(), 503);
            response.headers()["retry-after"]
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(wait(Error::new(Busy, "x")), "1");
        assert_eq!(wait(Error::new(Busy, "x").with("retryAfterMs", 2_001)), "3");
    }
}
