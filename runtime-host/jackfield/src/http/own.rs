//! What the host answers itself: its own paths, and the headers that all such answers have.

use edge_host::{Body, HostAnswer};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use rest::{
    Answer, HostError,
    cors::{self, Origins},
};
use serde_json::{Value, json};

/// Request headers that pages of other origins may set.
const REQUEST_HEADERS: &str =
    "authorization, content-type, if-match, if-none-match, x-actor-user-id";
/// Headers of answers that they may read.
const ANSWER_HEADERS: &str = "allow, etag, location, retry-after";
/// Methods that a preflight is told which the host answers in place of the interface that it asks about.
const ANY_METHOD: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// The paths of the host itself with their methods.
const PATHS: [(&str, &str); 8] = [
    ("/", READ),
    ("/healthz", READ),
    ("/readyz", READ),
    ("/metrics", READ),
    ("/limits", READ),
    ("/api/connections", READ),
    ("/ws", "GET"),
    ("/internal/wake", "POST"),
];
const READ: &str = "GET, HEAD";

/// The methods of a path of the host itself.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    let found = PATHS.iter().find(|(known, _)| *known == path)?;
    Some(found.1)
}

/// Checks the method of a request for a path of the host itself; a preflight is answered.
///
/// # Errors
/// 405 with the methods of the path.
pub(super) fn check_method(
    method: &Method,
    methods: &'static str,
) -> Result<Option<Answer>, HostError> {
    if *method == Method::OPTIONS {
        return Ok(Some(cors::preflight(methods, REQUEST_HEADERS)));
    }
    if methods.split(", ").any(|known| known == method.as_str()) {
        return Ok(None);
    }
    let message = format!("the methods of this path are {methods}");
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Err(HostError::of_host(status, "METHOD_NOT_ALLOWED", message).with("allow", methods))
}

/// JSON that no cache keeps.
pub(super) fn json(status: StatusCode, body: &Value) -> Response<Body> {
    response(Answer::json(status, body))
}

/// An answer that no cache keeps.
pub(super) fn response(answer: Answer) -> Response<Body> {
    HostAnswer::response(answer.header(header::CACHE_CONTROL, "no-store"))
}

/// The answer after which a connection ends.
pub(super) fn last(answer: Answer) -> Response<Body> {
    response(answer.header(header::CONNECTION, "close"))
}

/// Gives an answer that the host made, here or in the edge host, the headers for web pages of other origins. A preflight
/// is never answered with a passing failure: the page would not learn of it; its request that follows does.
pub(super) fn finish(
    mut response: Response<Body>,
    origins: &Origins,
    request: &RequestOrigin,
) -> Response<Body> {
    if response.extensions().get::<HostAnswer>().is_none() {
        return response;
    }
    let passes = matches!(
        response.status(),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    if request.is_preflight && passes {
        response = self::response(cors::preflight(ANY_METHOD, REQUEST_HEADERS));
    }
    let headers = origins.headers(request.origin.as_ref(), ANSWER_HEADERS);
    for (name, value) in &headers {
        response.headers_mut().append(name, value.clone());
    }
    response
}

/// What the answer to a page of another origin depends on.
pub(super) struct RequestOrigin {
    origin: Option<HeaderValue>,
    is_preflight: bool,
}

impl RequestOrigin {
    pub(super) fn new(method: &Method, headers: &HeaderMap) -> Self {
        Self {
            origin: headers.get(header::ORIGIN).cloned(),
            is_preflight: *method == Method::OPTIONS
                && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD),
        }
    }
}

/// The answer to a request without an upgrade at the path of WebSockets. The usual cause is a proxy, so the text has its
/// settings.
pub(super) fn upgrade_required() -> Response<Body> {
    let message = "here is a WebSocket, and the request does not ask for one (HTTP/1.1 with Upgrade: websocket and \
        Connection: Upgrade); behind nginx this needs: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
        proxy_set_header Connection \"upgrade\";";
    let error = HostError::of_host(StatusCode::UPGRADE_REQUIRED, "UPGRADE_REQUIRED", message);
    let answer = error.answer().header(header::UPGRADE, "websocket");
    response(answer.header(header::CONNECTION, "Upgrade"))
}

/// What is where.
pub(super) fn index() -> Value {
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
