//! From the client's request to the one that a component sees: Spin's headers added, hop-by-hop headers removed, the
//! body bounded.
//!
//! Every `spin-*` header that a component sees was set here: those of the client are removed.

use crate::routes::Match;
use bytes::Bytes;
use http::{
    HeaderMap, Request, Uri,
    header::{HOST, HeaderName, HeaderValue, InvalidHeaderValue},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use limits::edge_host::{BODY_TIMEOUT_MS, REQUEST_BYTES_MAX};
use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, WasiBody};

/// Number of headers that are set on every request.
const SPIN_HEADERS: usize = 7;

/// The client's address; put it into the request's extensions. Without it the client is `127.0.0.1:0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub SocketAddr);

/// Why a request does not reach its component.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The body is announced to be too long.
    TooLarge,
    /// No usable authority.
    BadHost(&'static str),
}

/// What is known about the body while it streams.
#[derive(Clone, Default)]
pub(crate) struct BodyWatch(Arc<Seen>);

#[derive(Default)]
struct Seen {
    too_large: AtomicBool,
    timed_out: AtomicBool,
}

impl BodyWatch {
    /// The body turned out longer than allowed.
    pub(crate) fn too_large(&self) -> bool {
        self.0.too_large.load(Ordering::Relaxed)
    }

    /// The body did not arrive in time.
    pub(crate) fn timed_out(&self) -> bool {
        self.0.timed_out.load(Ordering::Relaxed)
    }
}

/// Makes the component's request.
///
/// # Errors
/// [`Refused`].
pub(crate) fn prepare<B>(
    request: Request<B>,
    found: &Match<'_>,
) -> Result<(Request<WasiBody>, BodyWatch), Refused>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<anyhow::Error>,
{
    let (mut head, body) = request.into_parts();
    if body.size_hint().lower() > REQUEST_BYTES_MAX as u64 {
        return Err(Refused::TooLarge);
    }
    head.uri = absolute(head.uri, &head.headers)?;
    outbound::strip_hop_by_hop(&mut head.headers);
    let forged: Vec<HeaderName> = head
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with("spin-"))
        .cloned()
        .collect();
    for name in forged {
        head.headers.remove(name);
    }
    let client = head
        .extensions
        .get::<ClientAddress>()
        .map_or(SocketAddr::from(([127, 0, 0, 1], 0)), |client| client.0);
    add_spin_headers(&mut head.headers, &head.uri, found, client);
    let watch = BodyWatch::default();
    let body = match body.is_end_stream() {
        true => Empty::new().map_err(|never| match never {}).boxed_unsync(),
        false => {
            let end = Box::pin(tokio::time::sleep(Duration::from_millis(BODY_TIMEOUT_MS)));
            Bounded {
                body: Box::pin(body),
                left: REQUEST_BYTES_MAX,
                end,
                watch: watch.clone(),
            }
            .boxed_unsync()
        }
    };
    Ok((Request::from_parts(head, body), watch))
}

/// Scheme and authority belong into the URI; the `Host` header and the URI must not contradict each other.
fn absolute(uri: Uri, headers: &HeaderMap) -> Result<Uri, Refused> {
    let mut parts = uri.into_parts();
    let host = match headers.get(HOST) {
        Some(host) => Some(
            Authority::try_from(host.as_bytes())
                .map_err(|_| Refused::BadHost("the header `host` is malformed"))?,
        ),
        None => None,
    };
    let authority = match (host, parts.authority.take()) {
        (Some(host), Some(own)) if host != own => {
            return Err(Refused::BadHost(
                "the header `host` contradicts the request line",
            ));
        }
        (Some(host), _) => host,
        (None, Some(own)) => own,
        (None, None) => Authority::from_static("localhost"),
    };
    parts.authority = Some(authority);
    parts.scheme = Some(parts.scheme.unwrap_or(Scheme::HTTP));
    parts.path_and_query = Some(
        parts
            .path_and_query
            .unwrap_or(PathAndQuery::from_static("/")),
    );
    Uri::from_parts(parts).map_err(|_| Refused::BadHost("the request line is malformed"))
}

fn add_spin_headers(headers: &mut HeaderMap, uri: &Uri, found: &Match<'_>, client: SocketAddr) {
    headers.reserve(SPIN_HEADERS + found.named.len());
    let mut set = |name: HeaderName, value: Result<HeaderValue, InvalidHeaderValue>| {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    };
    let route = HeaderValue::from_str(found.route);
    set(
        HeaderName::from_static("spin-path-info"),
        HeaderValue::from_str(&found.path_info),
    );
    set(
        HeaderName::from_static("spin-full-url"),
        HeaderValue::from_maybe_shared(Bytes::from(full_url(uri))),
    );
    set(
        HeaderName::from_static("spin-base-path"),
        Ok(HeaderValue::from_static("/")),
    );
    set(
        HeaderName::from_static("spin-component-route"),
        HeaderValue::from_str(found.prefix),
    );
    set(
        HeaderName::from_static("spin-client-addr"),
        HeaderValue::from_maybe_shared(Bytes::from(client.to_string())),
    );
    if let Ok(route) = route {
        set(
            HeaderName::from_static("spin-matched-route"),
            Ok(route.clone()),
        );
        set(
            HeaderName::from_static("spin-raw-component-route"),
            Ok(route),
        );
    }
    for (name, value) in &found.named {
        if let Ok(name) =
            HeaderName::try_from(format!("spin-path-match-{}", name.to_ascii_lowercase()))
        {
            set(name, HeaderValue::from_str(value));
        }
    }
}

/// What `Display` writes, without its formatting.
fn full_url(uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    [
        uri.scheme_str().unwrap_or("http"),
        "://",
        uri.authority().map_or("", Authority::as_str),
        path,
    ]
    .concat()
}

struct Bounded<B> {
    body: B,
    left: usize,
    end: Pin<Box<Sleep>>,
    watch: BodyWatch,
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<anyhow::Error>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => {
                let error: anyhow::Error = error.into();
                tracing::debug!("request body ended early: {error:#}");
                return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            // The deadline counts only while the client is waited for: data that has arrived is never late.
            Poll::Pending => {
                std::task::ready!(self.end.as_mut().poll(context));
                self.watch.0.timed_out.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
            }
        };
        match self
            .left
            .checked_sub(frame.data_ref().map_or(0, Bytes::len))
        {
            Some(left) => {
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.watch.0.too_large.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(
                    REQUEST_BYTES_MAX as u64,
                )))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
