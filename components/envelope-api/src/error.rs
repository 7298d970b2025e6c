//! The error codes of this component.

use rest::{BodyError, ErrorCode};

/// An error of a request.
pub(crate) type Error = rest::Error<Code>;

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BadJson,
    InvalidBody,
    NotFound,
    MethodNotAllowed,
    BodyTooLarge,
    UnsupportedMediaType,
}

impl ErrorCode for Code {
    fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "BAD_JSON",
            Self::InvalidBody => "INVALID_BODY",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::BodyTooLarge => "BODY_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
        }
    }

    fn status(self) -> u16 {
        match self {
            Self::BadJson | Self::InvalidBody => 400,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::BodyTooLarge => 413,
            Self::UnsupportedMediaType => 415,
        }
    }
}

/// The error of a body that is not taken.
pub(crate) fn body_error(error: BodyError) -> Error {
    match error {
        BodyError::TooLarge { max } => Error::new(
            Code::BodyTooLarge,
            format!("the body has more than {max} bytes"),
        ),
        BodyError::MediaType => Error::new(
            Code::UnsupportedMediaType,
            "the body must be application/json, not encoded",
        ),
    }
}
