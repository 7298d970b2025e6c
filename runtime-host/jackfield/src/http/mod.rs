//! HTTP on the sockets that the gateway hands off: health, metrics, the notification of changes, and the REST API below `/api`.

mod answers;
mod bodies;
mod connection;
mod held;
mod io;
mod operators;
mod own;

use crate::{directory_transport::DirectoryTransport, documents};
use bytes::Bytes;
use connection::{AnswerBody, OpenRequest};
use edge_host::{Body, HostAnswer};
use gateway::{
    FollowedKeySet, Gateway, HttpSocket, Hub, Metrics,
    address::{AddressKey, Client, Network},
    rate::AddressRates,
};
pub(crate) use held::HeldBytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use identity::{Role, ServiceCredential, TokenError};
use limits::{
    directory::LAG_DEGRADED_MS, identity::KEY_SET_RETRY_SECONDS, rest::PAGE_ITEMS_MAX,
    socket::READY_BELOW_PERCENT,
};
use own::RequestOrigin;
use parking_lot::Mutex;
use plugin_api::PluginApi;
use rest::{Answer, HostError, bearer, cors::Origins};
use serde_json::{Value, json};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::{Notify, Semaphore, mpsc};
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
    /// What `/limits` answers.
    pub limits: Value,
    /// Addresses that may read the measurements without a credential.
    pub metrics_from: Vec<Network>,
    /// Origins whose pages may read documents.
    pub origins: Origins,
    /// Time for which a connection is kept between two requests.
    pub keep_alive: Duration,
    /// Rate of one address.
    pub per_address: AddressRates,
    /// Requests below `/api` handled at once.
    pub in_flight: Semaphore,
    /// Bodies that are held.
    pub held: HeldBytes,
    /// The gateway, while it runs.
    pub gateway: Arc<Mutex<Option<Gateway>>>,
}

/// Whose request it is.
enum Asks {
    /// A client's, from this address.
    Client(SocketAddr),
    /// Another gateway's, whose directory is here.
    Gateway,
}

/// Serves sockets until their channel closes.
pub(crate) async fn serve(service: Arc<HttpService>, mut sockets: mpsc::Receiver<HttpSocket>) {
    while let Some(socket) = sockets.recv().await {
        let service = service.clone();
        tokio::spawn(async move {
            if let Err(error) = connection::serve(service, socket).await {
                tracing::debug!(%error, "an HTTP connection ended early");
            }
        });
    }
}

impl HttpService {
    async fn handle(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        mut open: OpenRequest,
    ) -> Response<AnswerBody> {
        let head = request.method() == Method::HEAD;
        let origin = RequestOrigin::new(request.method(), request.headers());
        let span = tracing::info_span!("http", method = %request.method(), path = request.uri().path(), status = tracing::field::Empty);
        let answer = match open.take_refusal() {
            None => {
                let routed = self.route(request, peer, &mut open);
                routed.instrument(span.clone()).await
            }
            Some(refusal) => Ok(own::last(refusal.answer())),
        };
        let response = answer.unwrap_or_else(|error| own::response(error.answer()));
        let mut response = own::finish(response, &self.origins, &origin);
        span.record("status", response.status().as_u16());
        let status = response.status().as_str().to_owned();
        Metrics::count(&self.hub.metrics.http_responses, status);
        if head {
            *response.body_mut() = full(Bytes::new());
        }
        open.until_written(response)
    }

    async fn route(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        open: &mut OpenRequest,
    ) -> Result<Response<Body>, HostError> {
        let (head, body) = request.into_parts();
        if let Err(answer) = gateway::check_head_size(&head) {
            return Ok(own::last(*answer));
        }
        if head.headers.get_all(header::HOST).iter().count() > 1 {
            let (status, message) = (StatusCode::BAD_REQUEST, "a request has one header host");
            return Err(HostError::of_host(status, "BAD_REQUEST", message));
        }
        let client = Client::of_head(peer.ip(), &head.headers, &self.hub.config.socket);
        if let Some(answer) = self.upgrade(&head, &client, open) {
            return Ok(answer);
        }
        let request = Request::from_parts(head, body);
        let path = request.uri().path();
        let (methods, is_read) = (own::methods(path), is_read(request.method()));
        // What a gateway asks is no client's request: it counts for no address, and has places of its own.
        let is_question = self.has_credential(request.headers());
        if !operators::includes(path) && !is_question {
            self.admit(&client)?;
            let place = self.hub.open_request(&client);
            open.keep(place.inspect_err(|_| self.hub.note_refusal(&client))?);
        }
        if let Some(methods) = methods {
            return match own::check_method(request.method(), methods)? {
                Some(preflight) => Ok(own::response(preflight)),
                None => self.own(&request, &client),
            };
        }
        if is_read && let Some(document) = documents::find(path) {
            return Ok(HostAnswer::response(document.answer(request.headers())));
        }
        if path.starts_with("/api/") {
            let address = SocketAddr::new(client.address, peer.port());
            let asks = match is_question {
                true => Asks::Gateway,
                false => Asks::Client(address),
            };
            return self.api(request, asks, client.key).await;
        }
        let message = format!(
            "there is nothing at {}; REST is below /api, WebSockets are at /ws",
            envelope::decode::shorten(path)
        );
        Err(HostError::of_host(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            message,
        ))
    }

    /// Answers a request that asks for a WebSocket, and hands its socket to a shard; `None` if it asks for none.
    fn upgrade(&self, head: &Parts, client: &Client, open: &OpenRequest) -> Option<Response<Body>> {
        let upgraded = head.extensions.get::<OnUpgrade>()?.clone();
        let give_back = || open.give_back_place();
        let upgrade = match self.hub.upgrade_http(head, client, give_back)? {
            Ok(upgrade) => upgrade,
            Err(answer) => return Some(own::last(answer)),
        };
        let response = upgrade.response.clone().map(|()| full(Bytes::new()));
        tokio::spawn(connection::open_upgraded(
            self.hub.clone(),
            upgrade,
            upgraded,
        ));
        Some(response)
    }

    /// Charges the rate of an address.
    fn admit(&self, client: &Client) -> Result<(), HostError> {
        let taken = self.per_address.take(client.key, self.hub.monotonic_ms());
        taken.map_err(|wait_ms| {
            self.hub.note_refusal(client);
            let message = "too many requests from this address";
            HostError::of_host(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", message)
                .with("retryAfterMs", wait_ms)
        })
    }

    /// A path of the host itself, with one of its methods.
    fn own(
        &self,
        request: &Request<Incoming>,
        client: &Client,
    ) -> Result<Response<Body>, HostError> {
        match request.uri().path() {
            "/healthz" => Ok(self.health()),
            "/readyz" => Ok(self.readiness()),
            "/metrics" => {
                let (hub, networks) = (&self.hub, &self.metrics_from);
                operators::may_read_metrics(
                    hub,
                    &self.credential,
                    networks,
                    client,
                    request.headers(),
                )?;
                Ok(self.metrics())
            }
            "/internal/wake" => self.wake(request),
            "/limits" => Ok(own::json(StatusCode::OK, &self.limits)),
            "/api/connections" => self.connections(request),
            "/ws" => Ok(own::upgrade_required()),
            _ => Ok(own::json(StatusCode::OK, &own::index())),
        }
    }

    /// The REST interfaces: of plugins, and of the directory. The body is collected first; only then does the request
    /// take a place.
    async fn api(
        &self,
        request: Request<Incoming>,
        asks: Asks,
        key: AddressKey,
    ) -> Result<Response<Body>, HostError> {
        let plugins = self.plugins.as_ref();
        let plugins = plugins.filter(|_| PluginApi::takes(request.uri()));
        let bytes_max = match plugins {
            Some(_) => limits::plugin::REQUEST_BYTES_MAX,
            None => limits::edge_host::REQUEST_BYTES_MAX,
        };
        let (head, body) = request.into_parts();
        let body = match is_read(&head.method) || head.method == Method::OPTIONS {
            true => None,
            false => Some(bodies::collect(body, key, bytes_max, &self.held).await?),
        };
        let bytes = body.as_ref().map(|body| body.bytes.clone());
        let request = Request::from_parts(head, bytes.unwrap_or_default());
        let address = match asks {
            Asks::Gateway => return Ok(self.directory.answer_gateway(request).await),
            Asks::Client(address) => address,
        };
        let Ok(_place) = self.in_flight.try_acquire() else {
            let message = "too many requests are being handled";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(HostError::of_host(status, "OVERLOADED", message));
        };
        Ok(match plugins {
            Some(plugins) => plugins.answer(request).await,
            None => {
                let answer = self.directory.answer(request, address).await;
                answer.map(|body| answers::hold(body, key, &self.held))
            }
        })
    }

    /// Whether the request presents the service credential.
    fn has_credential(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|presented| self.credential.admits(presented))
    }

    fn metrics(&self) -> Response<Body> {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let text = Bytes::from(self.hub.render_metrics());
        own::response(Answer::bytes(StatusCode::OK, kind, text))
    }

    fn health(&self) -> Response<Body> {
        let is_alive = self
            .gateway
            .lock()
            .as_ref()
            .is_none_or(Gateway::shards_are_alive);
        match is_alive {
            true => own::json(
                StatusCode::OK,
                &json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}),
            ),
            false => own::json(
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
            return own::json(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"status": "draining"}),
            );
        }
        if open * 100 >= self.hub.connections_max() * READY_BELOW_PERCENT {
            let body = json!({"status": "full", "connections": open, "connectionsMax": self.hub.connections_max()});
            return own::json(StatusCode::SERVICE_UNAVAILABLE, &body);
        }
        let directory = &self.hub.directory;
        let lag_ms = directory.lag().as_millis();
        let body = if !directory.is_following() {
            json!({"status": "degraded", "reason": "changes of the directory do not arrive"})
        } else if lag_ms > u128::from(LAG_DEGRADED_MS) {
            let reason = format!("changes of the directory have not been applied for {lag_ms} ms");
            json!({"status": "degraded", "reason": reason})
        } else if !self.hub.key_set().is_none_or(FollowedKeySet::is_current) {
            json!({"status": "degraded", "reason": "the key set of identity.jwks_url cannot be fetched"})
        } else {
            json!({"status": "ready"})
        };
        own::json(StatusCode::OK, &body)
    }

    fn wake(&self, request: &Request<Incoming>) -> Result<Response<Body>, HostError> {
        if !self.has_credential(request.headers()) {
            return Err(unauthorized("the service credential is required"));
        }
        self.wake.notify_one();
        Ok(own::json(StatusCode::OK, &json!({"ok": true})))
    }

    /// The list of connections, for tokens with the role admin.
    fn connections(&self, request: &Request<Incoming>) -> Result<Response<Body>, HostError> {
        let token = bearer(request.headers())
            .ok_or_else(|| unauthorized("a token with the role admin is required"))?;
        let claims = self.hub.verify(token);
        let claims = claims.map_err(unverified)?;
        if claims.role != Role::Admin {
            let message = "the role admin is required";
            return Err(HostError::of_host(
                StatusCode::FORBIDDEN,
                "FORBIDDEN",
                message,
            ));
        }
        let list = self.hub.connection_list(PAGE_ITEMS_MAX);
        let body = json!({"connections": list, "total": self.hub.connections()});
        Ok(own::json(StatusCode::OK, &body))
    }
}

/// The answer to a token that does not verify, or cannot be verified at present.
fn unverified(error: TokenError) -> HostError {
    match error {
        TokenError::KeySetUnavailable => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let wait_ms = KEY_SET_RETRY_SECONDS * 1_000;
            HostError::of_host(status, "KEY_SET_UNAVAILABLE", error.to_string())
                .with("retryAfterMs", wait_ms)
        }
        error => unauthorized(error.to_string()),
    }
}

fn unauthorized(message: impl Into<String>) -> HostError {
    HostError::of_host(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// A body in one piece.
fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}
