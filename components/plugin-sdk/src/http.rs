//! Requests on the plugin's route, and answers to them.

use crate::{
    Error, ErrorCode, Result,
    bindings::{
        exports::jackfield::plugin::http_handler,
        jackfield::plugin::http_body::{Reader, Writer},
    },
};
use serde::{Serialize, de::DeserializeOwned};

/// Longest body that is read as a whole.
const BODY_BYTES_MAX: usize = 1 << 20;
/// A piece of a body.
const PIECE_BYTES: u32 = 64 << 10;

/// A request.
#[derive(Debug)]
pub struct Request {
    /// The method, upper case.
    pub method: String,
    /// The path below the route; `/` when there is none.
    pub path: String,
    /// The text after the question mark.
    pub query: Option<String>,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The user that sent it.
    pub user_id: String,
    /// `admin` or `client`.
    pub role: String,
    /// The body, piece by piece.
    pub body: Reader,
}

impl Request {
    pub(crate) fn new(request: http_handler::Request, body: Reader) -> Self {
        let http_handler::Request {
            method,
            path,
            query,
            headers,
            user_id,
            role,
        } = request;
        Self {
            method,
            path,
            query,
            headers,
            user_id,
            role,
            body,
        }
    }

    /// The first header field of a name in lower case, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok()
    }

    /// Path segments, decoded as they came: `/a/b` is `["a", "b"]`.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect()
    }

    /// The whole body, at most 1 MiB.
    ///
    /// # Errors
    /// It is longer, or the client broke off.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.body.read(PIECE_BYTES)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > BODY_BYTES_MAX {
                return Err(Error::new(
                    ErrorCode::TooLarge,
                    format!("the body exceeds the limit of {BODY_BYTES_MAX} bytes"),
                ));
            }
        }
        Ok(bytes)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// As [`Request::bytes`], or it is not what is expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_slice(&self.bytes()?)?)
    }
}

/// An answer as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, 200 to 599.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer with a content type.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.as_bytes().to_vec())],
            body: body.into(),
        }
    }

    /// Text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(200, "text/plain; charset=utf-8", text.into())
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// JSON with a status.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn json(status: u16, value: &impl Serialize) -> Result<Self> {
        Ok(Self::new(
            status,
            "application/json",
            serde_json::to_vec(value)?,
        ))
    }

    /// An error in the form of the host: `{"error", "code"}`.
    #[must_use]
    pub fn error(status: u16, code: &str, text: &str) -> Self {
        Self::new(
            status,
            "application/json",
            serde_json::json!({"error": text, "code": code}).to_string(),
        )
    }
}

/// An answer that is written piece by piece.
#[derive(Debug)]
pub struct Answer(Writer);

impl Answer {
    pub(crate) fn new(writer: Writer) -> Self {
        Self(writer)
    }

    /// Sends status and headers; once.
    ///
    /// # Errors
    /// The status or a header cannot be sent.
    pub fn start(&self, status: u16, headers: &[(String, Vec<u8>)]) -> Result<()> {
        self.0.start(status, headers)
    }

    /// Sends a piece; waits while the client is slow.
    ///
    /// # Errors
    /// The client is gone, or the answer is too long.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        self.0.write(bytes)
    }

    /// Sends a whole answer.
    ///
    /// # Errors
    /// As [`Answer::start`] and [`Answer::write`].
    pub fn send(&self, response: Response) -> Result<()> {
        let mut headers = response.headers;
        if !headers.iter().any(|(name, _)| name == "content-length") {
            headers.push((
                "content-length".to_owned(),
                response.body.len().to_string().into_bytes(),
            ));
        }
        self.start(response.status, &headers)?;
        response
            .body
            .chunks(PIECE_BYTES as usize)
            .try_for_each(|piece| self.write(piece))
    }
}
