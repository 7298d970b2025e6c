//! From a component's answer to the client's: short answers get a `content-length`, long ones are sent in chunks, all
//! are bounded.
//!
//! Without `content-length` an answer is sent in pieces, and Nagle's algorithm with delayed acknowledgements can hold
//! the last one for 40 ms. An answer that fails before its head is sent becomes an error answer.

use crate::Body;
use bytes::{Bytes, BytesMut};
use http::{
    Response, StatusCode,
    header::{CONTENT_LENGTH, HeaderValue},
};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use limits::{
    edge_host::{RESPONSE_BUFFER_BYTES, RESPONSE_BUFFER_WAIT_MS},
    rest::RESPONSE_BYTES_MAX,
};
use rest::{Answer, HostError};
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use wasmtime_wasi_http::WasiBody;

/// Marks an answer, in its extensions, as made by the host and not by a component: it has no headers for web pages of
/// other origins yet.
#[derive(Debug, Clone, Copy)]
pub struct HostAnswer;

impl HostAnswer {
    /// The HTTP form of an answer of the host.
    #[must_use]
    pub fn response(answer: Answer) -> Response<Body> {
        let mut response = answer.into_response().map(|body| {
            Full::from(body)
                .map_err(|never| match never {})
                .boxed_unsync()
        });
        response.extensions_mut().insert(Self);
        response
    }
}

/// An error answer: `{"error": text, "code": CODE}`.
pub(crate) fn error(status: StatusCode, code: &'static str, text: &str) -> Response<Body> {
    HostAnswer::response(HostError::of_host(status, code, text).answer())
}

/// Finishes a component's answer. Waits for as much of it as decides its form.
///
/// # Errors
/// When the answer breaks off before anything of it has to be sent.
pub(crate) async fn finish(response: Response<WasiBody>) -> anyhow::Result<Response<Body>> {
    let (mut head, mut body) = response.into_parts();
    outbound::strip_hop_by_hop(&mut head.headers);
    let bodiless = head.status.is_informational()
        || matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let mut gathered = VecDeque::new();
    if head.headers.contains_key(CONTENT_LENGTH)
        && body.size_hint().lower() > RESPONSE_BUFFER_BYTES as u64
    {
        return Ok(Response::from_parts(head, bounded(gathered, body)));
    }
    let gathering = gather(&mut body, &mut gathered);
    let whole =
        match tokio::time::timeout(Duration::from_millis(RESPONSE_BUFFER_WAIT_MS), gathering).await
        {
            Ok(whole) => whole?,
            Err(_) => false,
        };
    if !whole || gathered.iter().any(Frame::is_trailers) {
        return Ok(Response::from_parts(head, bounded(gathered, body)));
    }
    let data = join(gathered);
    if !bodiless && !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(data.len()));
    }
    Ok(Response::from_parts(
        head,
        Full::from(data)
            .map_err(|never| match never {})
            .boxed_unsync(),
    ))
}

/// Takes frames until the end (true) or until there are enough to go on in chunks (false). Cancel safe.
async fn gather(
    body: &mut WasiBody,
    gathered: &mut VecDeque<Frame<Bytes>>,
) -> anyhow::Result<bool> {
    let mut bytes = 0;
    while bytes <= RESPONSE_BUFFER_BYTES {
        match body.frame().await {
            Some(frame) => {
                let frame = frame?;
                bytes += frame.data_ref().map_or(0, Bytes::len);
                gathered.push_back(frame);
            }
            None => return Ok(true),
        }
    }
    Ok(false)
}

fn join(frames: VecDeque<Frame<Bytes>>) -> Bytes {
    let mut pieces = frames
        .into_iter()
        .filter_map(|frame| frame.into_data().ok());
    let first = pieces.next().unwrap_or_default();
    let Some(second) = pieces.next() else {
        return first;
    };
    let mut joined = BytesMut::from(first);
    joined.extend_from_slice(&second);
    pieces.for_each(|piece| joined.extend_from_slice(&piece));
    joined.freeze()
}

fn bounded(gathered: VecDeque<Frame<Bytes>>, rest: WasiBody) -> Body {
    Chunked {
        gathered,
        rest,
        left: RESPONSE_BYTES_MAX,
    }
    .boxed_unsync()
}

/// The body of a long answer: the frames read so far, then the rest.
struct Chunked {
    gathered: VecDeque<Frame<Bytes>>,
    rest: WasiBody,
    left: usize,
}

impl http_body::Body for Chunked {
    type Data = Bytes;
    type Error = anyhow::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<anyhow::Result<Frame<Bytes>>>> {
        let frame = match self.gathered.pop_front() {
            Some(frame) => frame,
            None => match std::task::ready!(Pin::new(&mut self.rest).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            },
        };
        match self
            .left
            .checked_sub(frame.data_ref().map_or(0, Bytes::len))
        {
            Some(left) => self.left = left,
            None => {
                return Poll::Ready(Some(Err(anyhow::anyhow!(
                    "the answer exceeds the limit of {RESPONSE_BYTES_MAX} bytes"
                ))));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.gathered.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.gathered.is_empty() {
            self.rest.size_hint()
        } else {
            SizeHint::default()
        }
    }
}
