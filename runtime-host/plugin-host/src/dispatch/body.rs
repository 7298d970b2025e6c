//! Bodies of requests on a plugin's route: read from the client when the plugin reads, sent to the client as the plugin
//! writes.
//!
//! At most [`bounds::BODY_PIECES_MAX`] pieces wait for a slow client; then the plugin's writes wait.

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use limits::plugin as bounds;
use tokio::sync::{mpsc, oneshot};

/// Bodies in and out.
pub type Body = UnsyncBoxBody<Bytes, anyhow::Error>;

/// Why a piece was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The bound of a body.
    #[error("the body exceeds the limit of {0} bytes")]
    TooLarge(usize),
    /// The client went away, or broke off.
    #[error("the client is gone")]
    Gone,
    /// A status or header that cannot be sent.
    #[error("{0}")]
    Bad(String),
    /// `start` came too late.
    #[error("the answer has begun already")]
    Begun,
}

/// The body of a request.
#[allow(
    unreachable_pub,
    reason = "a part of the generated bindings, which are public in a private module"
)]
pub struct BodyReader {
    body: Body,
    /// What came and was not asked for yet.
    rest: Bytes,
    left: usize,
}

impl std::fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyReader")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl BodyReader {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            left: bounds::REQUEST_BYTES_MAX,
        }
    }

    /// The next piece of at most `bytes_max` bytes; none at the end.
    pub(crate) async fn read(&mut self, bytes_max: usize) -> Result<Option<Bytes>, BodyError> {
        let bytes_max = bytes_max.clamp(1, bounds::BODY_PIECE_BYTES_MAX);
        while self.rest.is_empty() {
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let Ok(data) = frame.map_err(|_| BodyError::Gone)?.into_data() else {
                continue;
            };
            self.left = self
                .left
                .checked_sub(data.len())
                .ok_or(BodyError::TooLarge(bounds::REQUEST_BYTES_MAX))?;
            self.rest = data;
        }
        Ok(Some(
            self.rest.split_to(bytes_max.min(self.rest.remaining())),
        ))
    }
}

/// Status and headers of an answer.
pub(crate) type Head = (StatusCode, HeaderMap);

/// The answer to a request.
#[derive(Debug)]
#[allow(
    unreachable_pub,
    reason = "a part of the generated bindings, which are public in a private module"
)]
pub struct BodyWriter {
    head: Option<oneshot::Sender<Head>>,
    pieces: mpsc::Sender<Bytes>,
    left: usize,
}

/// The other end of a [`BodyWriter`]: what the client is sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: oneshot::Receiver<Head>,
    pub(crate) pieces: mpsc::Receiver<Bytes>,
}

impl BodyWriter {
    pub(crate) fn new() -> (Self, Answer) {
        let (head, head_out) = oneshot::channel();
        let (pieces, pieces_out) = mpsc::channel(bounds::BODY_PIECES_MAX);
        (
            Self {
                head: Some(head),
                pieces,
                left: bounds::RESPONSE_BYTES_MAX,
            },
            Answer {
                head: head_out,
                pieces: pieces_out,
            },
        )
    }

    /// Sends status and headers; once.
    pub(crate) fn start(
        &mut self,
        status: u16,
        fields: Vec<(String, Vec<u8>)>,
    ) -> Result<(), BodyError> {
        let bad = || BodyError::Bad(format!("status {status} is not between 200 and 599"));
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| (200..600).contains(&status.as_u16()))
            .ok_or_else(bad)?;
        let mut headers = HeaderMap::with_capacity(fields.len());
        for (name, value) in fields {
            let known = HeaderName::try_from(name.as_str())
                .map_err(|_| BodyError::Bad(format!("header {name:?} has no valid name")))?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| BodyError::Bad(format!("header {name:?} has no valid value")))?;
            if !outbound::is_hop_by_hop(&known) {
                headers.append(known, value);
            }
        }
        self.head
            .take()
            .ok_or(BodyError::Begun)?
            .send((status, headers))
            .map_err(|_| BodyError::Gone)
    }

    /// Sends a piece; waits while the client is slow.
    pub(crate) async fn write(&mut self, bytes: Vec<u8>) -> Result<(), BodyError> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or(BodyError::TooLarge(bounds::RESPONSE_BYTES_MAX))?;
        if self.head.is_some() {
            self.start(200, Vec::new())?;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.pieces
            .send(Bytes::from(bytes))
            .await
            .map_err(|_| BodyError::Gone)
    }
}
