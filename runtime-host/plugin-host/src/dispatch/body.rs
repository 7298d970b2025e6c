//! Bodies of requests on a plugin's route. A request's body is whole before the plugin is called; an answer's bytes wait
//! here until its client has read them.
//!
//! What a client takes its time for costs the plugin nothing: an answer waits in memory, within bounds of bytes, while
//! the instance serves others. Only an answer that finds these bytes used up waits for a client, for at most
//! [`bounds::CLIENT_WAIT_MS`], and the call's clock stands still meanwhile.

use crate::dispatch::answer_headers;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use limits::plugin as bounds;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, anyhow::Error>;

/// Why a piece was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The bound of a body.
    #[error("the body exceeds the limit of {0} bytes")]
    TooLarge(usize),
    /// The client went away, or does not read.
    #[error("the client is gone")]
    Gone,
    /// Too many bytes of the plugin's answers wait for their clients.
    #[error("clients have not read earlier answers within {0} ms")]
    Slow(u64),
    /// A status or header that cannot be sent.
    #[error("{0}")]
    Bad(String),
    /// `start` came too late.
    #[error("the answer has begun already")]
    Begun,
}

/// The body of a request, which has arrived.
#[derive(Debug)]
#[allow(
    unreachable_pub,
    reason = "a part of the generated bindings, which are public in a private module"
)]
pub struct BodyReader(Bytes);

impl BodyReader {
    pub(crate) const fn new(body: Bytes) -> Self {
        Self(body)
    }

    /// Bytes that are not read yet.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The next piece of at most `bytes_max` bytes; none at the end.
    pub(crate) fn read(&mut self, bytes_max: usize) -> Option<Bytes> {
        let bytes_max = bytes_max.clamp(1, bounds::BODY_PIECE_BYTES_MAX);
        let piece = self.0.split_to(bytes_max.min(self.0.len()));
        (!piece.is_empty()).then_some(piece)
    }
}

/// Bytes of answers that wait for their clients: of one plugin, and of all.
#[derive(Debug, Clone)]
pub(crate) struct UnreadBytes {
    plugin: Arc<Semaphore>,
    host: Arc<Semaphore>,
}

/// A share of [`UnreadBytes`], given back when it is dropped.
type Share = [OwnedSemaphorePermit; 2];

impl UnreadBytes {
    /// The share of one plugin in those of the host.
    pub(crate) fn of_plugin(host: Arc<Semaphore>) -> Self {
        let plugin = Arc::new(Semaphore::new(bounds::UNREAD_PER_PLUGIN_BYTES_MAX));
        Self { plugin, host }
    }

    /// Takes a share; waits until there is one.
    async fn take(&self, bytes: usize) -> Option<Share> {
        let count = u32::try_from(bytes).ok()?;
        let plugin = self.plugin.clone().acquire_many_owned(count).await.ok()?;
        let host = self.host.clone().acquire_many_owned(count).await.ok()?;
        Some([plugin, host])
    }
}

/// Status and headers of an answer.
pub(crate) type Head = (StatusCode, HeaderMap);

/// A piece of an answer that its client has not read.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    _share: Option<Share>,
}

/// The answer to a request.
#[derive(Debug)]
#[allow(
    unreachable_pub,
    reason = "a part of the generated bindings, which are public in a private module"
)]
pub struct BodyWriter {
    head: Option<oneshot::Sender<Head>>,
    /// Bounded by the bytes of the pieces.
    pieces: mpsc::UnboundedSender<Piece>,
    unread: UnreadBytes,
    /// Bytes that may still be written.
    left: usize,
    /// Bytes that need no share.
    free: usize,
}

/// The other end of a [`BodyWriter`]: what the client is sent.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    pub(crate) head: oneshot::Receiver<Head>,
    pub(crate) pieces: mpsc::UnboundedReceiver<Piece>,
}

impl BodyWriter {
    pub(crate) fn new(unread: UnreadBytes) -> (Self, AnswerBody) {
        let (head, head_out) = oneshot::channel();
        let (pieces, pieces_out) = mpsc::unbounded_channel();
        let writer = Self {
            head: Some(head),
            pieces,
            unread,
            left: bounds::RESPONSE_BYTES_MAX,
            free: bounds::UNREAD_FREE_BYTES,
        };
        let answer = AnswerBody {
            head: head_out,
            pieces: pieces_out,
        };
        (writer, answer)
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
        let headers = answer_headers::read(fields).map_err(BodyError::Bad)?;
        self.head
            .take()
            .ok_or(BodyError::Begun)?
            .send((status, headers))
            .map_err(|_| BodyError::Gone)
    }

    /// Sends a piece. Waits for clients only if too many bytes of answers are unread.
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
        let share = self.share(bytes.len()).await?;
        let piece = Piece {
            bytes: Bytes::from(bytes),
            _share: share,
        };
        self.pieces.send(piece).map_err(|_| BodyError::Gone)
    }

    /// The share for a piece of `bytes` bytes; none if it needs none.
    async fn share(&mut self, bytes: usize) -> Result<Option<Share>, BodyError> {
        // A small piece occupies more than its bytes.
        let bytes = bytes.max(bounds::UNREAD_PIECE_BYTES_MIN);
        if let Some(free) = self.free.checked_sub(bytes) {
            self.free = free;
            return Ok(None);
        }
        let time = Duration::from_millis(bounds::CLIENT_WAIT_MS);
        tokio::select! {
            taken = timeout(time, self.unread.take(bytes)) => match taken {
                Ok(share) => share.map(Some).ok_or(BodyError::Gone),
                Err(_) => Err(BodyError::Slow(bounds::CLIENT_WAIT_MS)),
            },
            () = self.pieces.closed() => Err(BodyError::Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        BodyError, BodyReader, BodyWriter, Duration, Semaphore, UnreadBytes, bounds, timeout,
    };
    use bytes::Bytes;
    use std::sync::Arc;

    fn unread(host_bytes: usize) -> UnreadBytes {
        UnreadBytes::of_plugin(Arc::new(Semaphore::new(host_bytes)))
    }

    #[test]
    fn a_body_is_read_in_pieces() {
        let mut reader = BodyReader::new(Bytes::from_static(b"abcde"));
        let pieces: Vec<_> = std::iter::from_fn(|| reader.read(2)).collect();
        assert_eq!(pieces, ["ab", "cd", "e"]);
        assert_eq!(reader.read(0), None);
    }

    #[tokio::test]
    async fn a_whole_answer_waits_in_memory_and_nowhere_else() {
        let (mut writer, answer) = BodyWriter::new(unread(bounds::UNREAD_BYTES_MAX));
        let pieces = bounds::RESPONSE_BYTES_MAX / bounds::BODY_PIECE_BYTES_MAX;
        for _ in 0..pieces {
            let piece = vec![0; bounds::BODY_PIECE_BYTES_MAX];
            writer.write(piece).await.expect("no client is waited for");
        }
        assert_eq!(
            writer.write(vec![0]).await,
            Err(BodyError::TooLarge(bounds::RESPONSE_BYTES_MAX))
        );
        drop(answer);
    }

    #[tokio::test]
    async fn a_small_answer_needs_no_share_and_a_large_one_waits_for_clients() {
        let (mut writer, answer) = BodyWriter::new(unread(0));
        let free = vec![0; bounds::UNREAD_FREE_BYTES];
        writer.write(free).await.expect("no share is needed");
        let waiting = timeout(Duration::from_millis(50), writer.write(vec![0])).await;
        assert!(waiting.is_err(), "it waits: {waiting:?}");
        drop(answer);
        assert_eq!(writer.write(vec![0]).await, Err(BodyError::Gone));
    }
}
