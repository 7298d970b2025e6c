//! One request and its answer over one connection. The head and the body of the answer are bounded while they arrive,
//! not afterwards.

use crate::{Failed, connect::Stream};
use bytes::{Bytes, BytesMut};
use egress::{Destination, is_forbidden_header};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONNECTION, HOST, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use limits::egress::{RESPONSE_BYTES_MAX, RESPONSE_HEAD_BYTES_MAX, RESPONSE_HEADERS_MAX};
use tokio::task::JoinHandle;

/// What is sent on one hop.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer whose body has not been read. Dropping it ends the connection.
pub(crate) struct Incomplete {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    _connection: Connection,
}

/// The task that moves the bytes; it ends when the answer is dropped.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request and reads the head of the answer.
pub(crate) async fn exchange(
    stream: Box<dyn Stream>,
    to: &Destination,
    sent: Outgoing,
) -> Result<Incomplete, Failed> {
    let mut builder = http1::Builder::new();
    builder
        .max_headers(RESPONSE_HEADERS_MAX)
        .max_header_size(RESPONSE_HEAD_BYTES_MAX)
        .max_buf_size(RESPONSE_HEAD_BYTES_MAX);
    let failed = |error: hyper::Error| head_failed(to, &error);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let connection = Connection(tokio::spawn(async move {
        // How it ends is reported with the answer.
        let _ = connection.await;
    }));
    let answer = sender
        .send_request(request(to, sent)?)
        .await
        .map_err(failed)?;
    let (head, body) = answer.into_parts();
    Ok(Incomplete {
        status: head.status,
        headers: passed_on(head.headers),
        body,
        _connection: connection,
    })
}

fn request(to: &Destination, sent: Outgoing) -> Result<http::Request<Full<Bytes>>, Failed> {
    let mut request = http::Request::new(Full::new(sent.body));
    *request.method_mut() = sent.method;
    *request.uri_mut() = to
        .path_and_query()
        .parse()
        .map_err(|error| Failed::unavailable(to.host(), error))?;
    let mut headers = sent.headers;
    let host = HeaderValue::from_str(to.authority())
        .map_err(|error| Failed::unavailable(to.host(), error))?;
    headers.insert(HOST, host);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers
        .entry(USER_AGENT)
        .or_insert(HeaderValue::from_static(concat!(
            "jackfield/",
            env!("CARGO_PKG_VERSION")
        )));
    *request.headers_mut() = headers;
    Ok(request)
}

/// What the plugin sees of an answer's header: nothing about the connection. The length stays, because a `HEAD` asks
/// for it.
fn passed_on(headers: HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(headers.len());
    for (name, value) in &headers {
        if !is_forbidden_header(name.as_str()) || name == http::header::CONTENT_LENGTH {
            out.append(name, value.clone());
        }
    }
    out
}

const _: () = assert!(RESPONSE_HEADERS_MAX == 128, "the text below names it");

fn head_failed(to: &Destination, error: &hyper::Error) -> Failed {
    if error.is_parse_too_large() {
        return Failed::TooLarge {
            what: "answer's head",
            limit: RESPONSE_HEAD_BYTES_MAX,
            unit: "bytes or 128 fields",
        };
    }
    Failed::unavailable(to.host(), error)
}

impl Incomplete {
    /// Reads the body.
    pub(crate) async fn read(
        mut self,
        to: &Destination,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Failed> {
        let too_large = || Failed::TooLarge {
            what: "answer's body",
            limit: RESPONSE_BYTES_MAX,
            unit: "bytes",
        };
        let announced = hyper::body::Body::size_hint(&self.body).lower();
        if announced > RESPONSE_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let mut bytes = BytesMut::new();
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Failed::unavailable(to.host(), error))?;
            let Some(data) = frame.data_ref() else {
                continue;
            };
            if bytes.len() + data.len() > RESPONSE_BYTES_MAX {
                return Err(too_large());
            }
            bytes.extend_from_slice(data);
        }
        Ok((self.status, self.headers, bytes.freeze()))
    }
}
