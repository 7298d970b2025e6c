//! Outbound HTTP of components: the hook behind `wasi:http/client`.
//!
//! One client with pooled connections serves all components. Each request needs a pattern that allows it; redirects are
//! left to the component. Answers are bounded in bytes and time.

use super::allowed::AllowedHosts;
use bytes::Bytes;
use http::header::HOST;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use limits::edge_host as bounds;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody,
    WasiHttpHooks,
};

/// Opens HTTP and HTTPS connections, within bounds.
pub type Connector = hyper_rustls::HttpsConnector<HttpConnector>;

/// A connector as outbound requests use it; for what the host itself fetches, too.
///
/// # Errors
/// When TLS cannot be set up.
pub fn connector() -> anyhow::Result<Connector> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(Duration::from_millis(
        bounds::OUTBOUND_CONNECT_TIMEOUT_MS,
    )));
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(Arc::unwrap_or_clone(outbound::client_config(None)?))
        .https_or_http()
        .enable_http1()
        .wrap_connector(http))
}

/// The HTTP client that all components share.
#[derive(Clone)]
pub(crate) struct HttpClient(Client<Connector, WasiBody>);

impl HttpClient {
    /// Builds the client.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(bounds::OUTBOUND_IDLE_MS))
            .pool_max_idle_per_host(bounds::OUTBOUND_IDLE_PER_HOST_MAX)
            .build(connector()?);
        Ok(Self(client))
    }
}

/// The hooks of one component instance.
pub(crate) struct Outbound {
    client: HttpClient,
    allowed: Arc<AllowedHosts>,
    component: Arc<str>,
}

impl Outbound {
    pub(crate) fn new(client: HttpClient, allowed: Arc<AllowedHosts>, component: Arc<str>) -> Self {
        Self {
            client,
            allowed,
            component,
        }
    }

    fn is_allowed(&self, uri: &http::Uri) -> bool {
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return false;
        };
        let allowed = self.allowed.allows(scheme, host, uri.port_u16());
        if !allowed {
            let port = uri
                .port_u16()
                .map(|port| format!(":{port}"))
                .unwrap_or_default();
            tracing::warn!(
                component = &*self.component,
                "outbound request denied: allowed_outbound_hosts lacks {scheme}://{host}{port}"
            );
        }
        allowed
    }
}

type Sent = Result<
    (
        http::Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

impl WasiHttpHooks for Outbound {
    /// As in Spin, components see the `host` of their requests.
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| *name != HOST && DEFAULT_FORBIDDEN_HEADERS.contains(name))
    }

    /// The client sets it from the URI.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        if !self.is_allowed(request.uri()) {
            return Box::new(std::future::ready(Err(Error::HttpRequestDenied)));
        }
        outbound::strip_hop_by_hop(request.headers_mut());
        // What a component wrote there could name another host than the one that was allowed.
        request.headers_mut().remove(HOST);
        let client = self.client.clone();
        let wait = Waits::new(options);
        Box::new(async move {
            let answer = tokio::time::timeout(wait.first_byte, client.0.request(request)).await;
            let response = answer
                .map_err(|_| Error::HttpResponseTimeout)?
                .map_err(client_error)?;
            let body = |body| Bounded {
                body,
                left: bounds::OUTBOUND_RESPONSE_BYTES_MAX,
                timer: None,
                wait: wait.between_bytes,
            };
            let io: Box<dyn Future<Output = Result<(), Error>> + Send> =
                Box::new(std::future::ready(Ok(())));
            Ok((response.map(|incoming| body(incoming).boxed_unsync()), io))
        })
    }
}

struct Waits {
    first_byte: Duration,
    between_bytes: Duration,
}

impl Waits {
    /// The component's own waits, as far as they are shorter than the host's.
    fn new(options: Option<RequestOptions>) -> Self {
        let longest = Duration::from_millis(bounds::OUTBOUND_TIMEOUT_MS);
        let options = options.unwrap_or_default();
        let connect = options.connect_timeout.unwrap_or_default();
        Self {
            first_byte: options
                .first_byte_timeout
                .map_or(longest, |wait| (wait + connect).min(longest)),
            between_bytes: options
                .between_bytes_timeout
                .unwrap_or(longest)
                .min(longest),
        }
    }
}

/// hyper's client hides its reasons in sources; components get the WASI code that fits.
fn client_error(error: hyper_util::client::legacy::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
                std::io::ErrorKind::TimedOut => Error::ConnectionTimeout,
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof => {
                    Error::ConnectionTerminated
                }
                std::io::ErrorKind::InvalidData => Error::TlsCertificateError,
                _ if error.is_connect() => Error::DestinationUnavailable,
                _ => Error::ConnectionTerminated,
            };
        }
        source = cause.source();
    }
    if error.is_connect() {
        Error::DestinationUnavailable
    } else {
        Error::HttpProtocolError
    }
}

/// An answer that may not grow beyond its bytes nor pause beyond its wait.
struct Bounded {
    body: hyper::body::Incoming,
    left: usize,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
    wait: Duration,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.timer = None;
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match self.left.checked_sub(bytes) {
                    Some(left) => self.left = left,
                    None => return Poll::Ready(Some(Err(Error::HttpResponseBodySize(None)))),
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|result| result.map_err(Error::from))),
            Poll::Pending => {
                let wait = self.wait;
                let timer = self
                    .timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
                timer
                    .as_mut()
                    .poll(context)
                    .map(|()| Some(Err(Error::ConnectionReadTimeout)))
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
