//! The way to the directory: an application in this process, or one elsewhere. Requests of clients and of the gateway take the same way.

use anyhow::{Context, Result};
use bytes::Bytes;
use edge_host::{
    Body, ClientAddress, EdgeHost, HostAnswer,
    network::outbound::{Connector, connector},
};
use gateway::directory::{Answering, Transport, Unreachable};
use http::{Request, Response, StatusCode, Uri, header, uri::Authority};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use limits::{
    directory::REQUEST_RETRY_AFTER_MS,
    rest::{REQUEST_TIMEOUT_MS, RESPONSE_BYTES_MAX},
};
use outbound::strip_hop_by_hop;
use rest::HostError;
use std::{net::SocketAddr, time::Duration};

/// The application that holds the directory.
#[derive(Clone)]
pub(crate) enum DirectoryTransport {
    /// In this process.
    Local(EdgeHost),
    /// Elsewhere.
    Remote(Box<Remote>),
}

/// An application elsewhere.
#[derive(Clone)]
pub(crate) struct Remote {
    client: Client<Connector, Body>,
    base: HttpUrl,
}

/// A URL with the scheme http or https.
#[derive(Clone)]
pub(crate) struct HttpUrl {
    uri: Uri,
    authority: Authority,
}

impl HttpUrl {
    /// Reads a URL; a slash at its end is dropped.
    ///
    /// # Errors
    /// The text is not a URL, or has another scheme or no host.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let uri: Uri = url
            .trim_end_matches('/')
            .parse()
            .with_context(|| format!("{url:?} is not a URL"))?;
        let authority = uri
            .authority()
            .cloned()
            .filter(|_| matches!(uri.scheme_str(), Some("http" | "https")));
        let authority = authority
            .with_context(|| format!("{url:?} must begin with http://host or https://host"))?;
        Ok(Self { uri, authority })
    }

    /// The URL of `path_and_query` below this one.
    fn join(&self, path_and_query: &str) -> Result<Uri, http::Error> {
        let base = self.uri.path().trim_end_matches('/');
        Uri::builder()
            .scheme(self.uri.scheme_str().unwrap_or("http"))
            .authority(self.authority.clone())
            .path_and_query(format!("{base}{path_and_query}"))
            .build()
    }
}

impl DirectoryTransport {
    /// A client of the application at `url`.
    ///
    /// # Errors
    /// See [`HttpUrl::parse`].
    pub(crate) fn remote(url: &str) -> Result<Self> {
        let base = HttpUrl::parse(url).context("edge.url")?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector()?);
        Ok(Self::Remote(Box::new(Remote { client, base })))
    }

    /// Answers a client's request, whose body is complete. A failure is answered with 502.
    pub(crate) async fn answer(
        &self,
        mut request: Request<Bytes>,
        client: SocketAddr,
    ) -> Response<Body> {
        match self {
            Self::Local(edge) => {
                request.extensions_mut().insert(ClientAddress(client));
                edge.handle(request).await
            }
            Self::Remote(remote) => remote.answer(request, Some(client)).await,
        }
    }

    /// Answers another gateway's question, in places that clients cannot fill. A failure is answered with 502.
    pub(crate) async fn answer_gateway(&self, request: Request<Bytes>) -> Response<Body> {
        match self {
            Self::Local(edge) => edge.handle_own(request).await,
            Self::Remote(remote) => remote.answer(request, None).await,
        }
    }
}

impl Remote {
    async fn answer(&self, request: Request<Bytes>, client: Option<SocketAddr>) -> Response<Body> {
        self.send(request, client).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the directory cannot be reached");
            let message = "the directory does not answer; try again";
            let error = HostError::of_host(StatusCode::BAD_GATEWAY, "EDGE_UNAVAILABLE", message);
            HostAnswer::response(error.with("retryAfterMs", REQUEST_RETRY_AFTER_MS).answer())
        })
    }

    async fn send(
        &self,
        request: Request<Bytes>,
        client: Option<SocketAddr>,
    ) -> Result<Response<Body>> {
        let mut request =
            request.map(|body| Full::new(body).map_err(anyhow::Error::from).boxed_unsync());
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let uri = self.base.join(path)?;
        *request.uri_mut() = uri;
        strip_hop_by_hop(request.headers_mut());
        request.headers_mut().remove(header::HOST);
        if let Some(client) = client {
            request
                .headers_mut()
                .insert("x-forwarded-for", client.ip().to_string().parse()?);
        }
        let answer = tokio::time::timeout(
            Duration::from_millis(REQUEST_TIMEOUT_MS),
            self.client.request(request),
        );
        let mut response = answer.await.context("no answer in time")??;
        strip_hop_by_hop(response.headers_mut());
        Ok(response.map(|body| {
            Limited::new(body, RESPONSE_BYTES_MAX)
                .map_err(|error| anyhow::anyhow!(error))
                .boxed_unsync()
        }))
    }
}

impl Transport for DirectoryTransport {
    fn call(&self, request: Request<Bytes>) -> Answering<'_> {
        Box::pin(async move {
            let response = match self {
                Self::Local(edge) => edge.handle_own(request).await,
                Self::Remote(remote) => remote
                    .send(request, None)
                    .await
                    .map_err(|error| Unreachable(format!("{error:#}")))?,
            };
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, RESPONSE_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| Unreachable(error.to_string()))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        })
    }
}

/// Fetches a document of at most `bytes_max` bytes.
///
/// # Errors
/// There is no answer in time, its status is not 200, or it is too long.
pub(crate) async fn fetch(url: &str, bytes_max: usize) -> Result<Bytes> {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(connector()?);
    let request = Request::get(url).body(
        Full::new(Bytes::new())
            .map_err(anyhow::Error::from)
            .boxed_unsync(),
    )?;
    let answer = tokio::time::timeout(Duration::from_millis(REQUEST_TIMEOUT_MS), async {
        let response = client.request(request).await?;
        anyhow::ensure!(
            response.status() == StatusCode::OK,
            "{url} answers {}",
            response.status()
        );
        let body = Limited::new(response.into_body(), bytes_max)
            .collect()
            .await;
        Ok(body.map_err(|error| anyhow::anyhow!(error))?.to_bytes())
    });
    answer
        .await
        .with_context(|| format!("{url} does not answer in time"))?
}
