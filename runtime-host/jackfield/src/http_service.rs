//! HTTP on the sockets that the gateway hands off: health, metrics, the notification of changes, and the REST API below `/api`.

use crate::{directory_transport::DirectoryTransport, documents};
use anyhow::Result;
use bytes::Bytes;
use edge_host::Body;
use gateway::{Gateway, HttpSocket, Hub, rate::AddressRates};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use identity::{Role, ServiceCredential};
use limits::{
    rest::PAGE_ITEMS_MAX,
    socket::{HEAD_TIMEOUT_MS, READY_BELOW_PERCENT},
};
use parking_lot::Mutex;
use plugin_api::PluginApi;
use rest::{Document, ErrorBody, cors::Origins};
use serde_json::{Value, json};
use std::{convert::Infallible, io::Cursor, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    sync::{Notify, Semaphore, mpsc},
};
use tracing::Instrument;

/// Answers the requests that are not WebSocket handshakes.
pub(crate) struct HttpService {
    /// Live state of the gateway.
    pub hub: Arc<Hub>,
    /// Answers `/api`.
    pub directory: DirectoryTransport,
    /// Starts a poll of the directory's changes at once.
    pub wake: Arc<Notify>,
    /// Credential of a notification of changes.
    pub credential: ServiceCredential,
    /// The REST API of plugins, if this host runs plugins.
    pub plugins: Option<PluginApi>,
    /// Origins whose pages may read documents.
    pub origins: Origins,
    /// Rate of one address.
    pub per_address: AddressRates,
    /// Requests below `/api` handled at once.
    pub in_flight: Semaphore,
    /// The gateway, while it runs.
    pub gateway: Arc<Mutex<Option<Gateway>>>,
}

/// An answer `{"error","code"}`.
pub(crate) fn error(status: StatusCode, code: &'static str, message: &str) -> Response<Body> {
    text(
        status,
        "application/json",
        ErrorBody::new(code, message).to_string(),
    )
}

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    text(status, "application/json", body.to_string())
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(
        Full::new(Bytes::from(body))
            .map_err(|never: Infallible| match never {})
            .boxed_unsync(),
    );
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}

/// Serves sockets until their channel closes.
pub(crate) async fn serve(service: Arc<HttpService>, mut sockets: mpsc::Receiver<HttpSocket>) {
    while let Some(socket) = sockets.recv().await {
        let service = service.clone();
        tokio::spawn(async move {
            if let Err(error) = connection(service, socket).await {
                tracing::debug!(%error, "an HTTP connection ended early");
            }
        });
    }
}

async fn connection(service: Arc<HttpService>, socket: HttpSocket) -> Result<()> {
    let peer = socket.stream.peer_addr()?;
    let (reader, writer) = TcpStream::from_std(socket.stream)?.into_split();
    let io = tokio::io::join(Cursor::new(socket.read).chain(reader), writer);
    let service = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.handle(request, peer).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HEAD_TIMEOUT_MS))
        .half_close(true);
    Ok(server.serve_connection(TokioIo::new(io), service).await?)
}

impl HttpService {
    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let head = request.method() == Method::HEAD;
        let span = tracing::info_span!("http", method = %request.method(), path = request.uri().path(), status = tracing::field::Empty);
        let mut response = self.route(request, peer).instrument(span.clone()).await;
        span.record("status", response.status().as_u16());
        if head {
            *response.body_mut() = Full::new(Bytes::new())
                .map_err(|never: Infallible| match never {})
                .boxed_unsync();
        }
        response
    }

    async fn route(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let forwarded = request
            .headers()
            .get_all("x-forwarded-for")
            .iter()
            .map(|value| value.as_bytes());
        let client = gateway::client_address(peer.ip(), forwarded, &self.hub.config.socket);
        let path = request.uri().path();
        match (request.method().clone(), path) {
            (Method::GET | Method::HEAD, "/healthz") => self.health(),
            (Method::GET | Method::HEAD, "/readyz") => self.readiness(),
            (Method::GET | Method::HEAD, "/metrics") => text(
                StatusCode::OK,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                self.hub.metrics.render(),
            ),
            (Method::POST, "/internal/wake") => self.wake(&request),
            _ if self
                .per_address
                .take(client, self.hub.monotonic_ms())
                .is_err() =>
            {
                let mut response = error(
                    StatusCode::TOO_MANY_REQUESTS,
                    "RATE_LIMITED",
                    "too many requests from this address",
                );
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
                response
            }
            (Method::GET | Method::HEAD, "/") => answer(StatusCode::OK, &index()),
            (Method::GET | Method::HEAD, "/limits") => answer(StatusCode::OK, self.hub.limits()),
            (Method::GET | Method::HEAD, "/api/connections") => self.connections(&request),
            (Method::GET | Method::HEAD, path) if let Some(document) = documents::find(path) => {
                self.document(document, &request)
            }
            (_, path) if path.starts_with("/api/") => match self.in_flight.try_acquire() {
                Ok(_permit) => match &self.plugins {
                    Some(plugins) if PluginApi::takes(request.uri()) => {
                        plugins
                            .answer(
                                request
                                    .map(|body| body.map_err(anyhow::Error::from).boxed_unsync()),
                            )
                            .await
                    }
                    _ => {
                        self.directory
                            .answer(request, SocketAddr::new(client, peer.port()))
                            .await
                    }
                },
                Err(_) => {
                    let mut response = error(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "OVERLOADED",
                        "too many requests are being handled",
                    );
                    response
                        .headers_mut()
                        .insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
                    response
                }
            },
            (_, "/" | "/healthz" | "/readyz" | "/metrics" | "/limits" | "/internal/wake") => error(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "this path has another method",
            ),
            (_, path) => {
                let message = format!(
                    "there is nothing at {}; REST is below /api, WebSockets are at /ws",
                    envelope::decode::shorten(path)
                );
                error(StatusCode::NOT_FOUND, "NOT_FOUND", &message)
            }
        }
    }

    /// A document about envelopes, with the headers that a component's answer has.
    fn document(&self, document: &Document, request: &Request<Incoming>) -> Response<Body> {
        let origin = request.headers().get(header::ORIGIN);
        document
            .answer(request.headers())
            .headers(&self.origins.headers(origin, "allow, etag"))
            .into_response()
            .map(|body| {
                Full::new(body)
                    .map_err(|never: Infallible| match never {})
                    .boxed_unsync()
            })
    }

    fn health(&self) -> Response<Body> {
        let is_alive = self
            .gateway
            .lock()
            .as_ref()
            .is_none_or(Gateway::shards_are_alive);
        match is_alive {
            true => answer(
                StatusCode::OK,
                &json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}),
            ),
            false => answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                &json!({"status": "broken", "reason": "a shard has ended"}),
            ),
        }
    }

    /// Ready; degraded, if changes of the directory do not arrive (connections stay, joins of guarded servers are
    /// refused); or not to receive new connections.
    fn readiness(&self) -> Response<Body> {
        let open = self.hub.connections();
        if self.hub.is_draining() {
            return answer(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"status": "draining"}),
            );
        }
        if open * 100 >= self.hub.connections_max() * READY_BELOW_PERCENT {
            let body = json!({"status": "full", "connections": open, "connectionsMax": self.hub.connections_max()});
            return answer(StatusCode::SERVICE_UNAVAILABLE, &body);
        }
        match self.hub.directory.is_following() {
            true => answer(StatusCode::OK, &json!({"status": "ready"})),
            false => answer(
                StatusCode::OK,
                &json!({"status": "degraded", "reason": "changes of the directory do not arrive"}),
            ),
        }
    }

    fn wake(&self, request: &Request<Incoming>) -> Response<Body> {
        if !bearer(request).is_some_and(|presented| self.credential.admits(presented)) {
            return error(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                "the service credential is required",
            );
        }
        self.wake.notify_one();
        answer(StatusCode::OK, &json!({"ok": true}))
    }

    /// The list of connections, for tokens with the role admin.
    fn connections(&self, request: &Request<Incoming>) -> Response<Body> {
        let claims = bearer(request).map(|token| self.hub.verify(token));
        match claims {
            Some(Ok(claims)) if claims.role == Role::Admin => {
                let list = self.hub.connection_list(PAGE_ITEMS_MAX);
                answer(
                    StatusCode::OK,
                    &json!({"connections": list, "total": self.hub.connections()}),
                )
            }
            Some(Ok(_)) => error(
                StatusCode::FORBIDDEN,
                "FORBIDDEN",
                "the role admin is required",
            ),
            Some(Err(failed)) => error(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                &failed.to_string(),
            ),
            None => error(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                "a token with the role admin is required",
            ),
        }
    }
}

fn bearer(request: &Request<Incoming>) -> Option<&str> {
    request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
        .map(str::trim)
}

fn index() -> Value {
    json!({
        "name": "jackfield",
        "version": env!("CARGO_PKG_VERSION"),
        "webSocket": "/ws",
        "rest": "/api/openapi.json",
        "envelopes": "/api/asyncapi.json",
        "limits": "/limits",
        "health": ["/healthz", "/readyz", "/metrics"],
    })
}
