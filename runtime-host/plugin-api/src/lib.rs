//! Plugins over REST: managing them, their values, logs, grants and questions, the routes that they answer themselves,
//! and the OpenAPI document of the whole host.
//!
//! Sockets are the caller's, plugins `plugin_host`'s, durable state `plugin_store`'s. Everything but the document needs
//! a credential that verifies, and everything that is read is bounded.
#![forbid(unsafe_code)]

mod act;
mod answer;
mod auth;
mod call;
mod handlers;
mod openapi;
mod route;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use identity::Role;
use limits::plugin_api::FOLLOWERS_MAX;
use plugin_host::Plugins;
use plugin_store::PluginStore;
use rest::cors::{self, Origins};
use std::sync::Arc;
use tokio::sync::Semaphore;

pub use answer::Body;
pub use auth::Verify;
pub use openapi::document as openapi;
pub use route::RESERVED_IDS;

use answer::Refusal;
use auth::{Caller, Needs};
use call::Call;

/// What web pages may read of an answer.
const ANSWER_HEADERS: &str = "allow, etag, retry-after";

/// Answers requests about plugins.
pub struct PluginApi {
    plugins: Plugins,
    verify: Verify,
    origins: Origins,
    followers: Arc<Semaphore>,
}

impl std::fmt::Debug for PluginApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginApi")
            .field("plugins", &self.plugins)
            .finish_non_exhaustive()
    }
}

impl PluginApi {
    /// `verify` checks tokens of users; pages of `origins` may read answers (`*`: any).
    #[must_use]
    pub fn new(plugins: Plugins, verify: Verify, origins: Vec<String>) -> Self {
        let followers = Arc::new(Semaphore::new(FOLLOWERS_MAX));
        Self {
            plugins,
            verify,
            origins: Origins::from_list(origins),
            followers,
        }
    }

    /// Whether a request is this crate's.
    #[must_use]
    pub fn takes(uri: &Uri) -> bool {
        let path = uri.path();
        let below = |prefix: &str| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        [
            "/api/plugins",
            "/api/consents",
            "/api/capabilities",
            "/api/tools",
            "/api/hooks",
        ]
        .into_iter()
        .any(below)
            || path == openapi::PATH
    }

    /// Answers a request whose body has arrived. Never fails: what goes wrong is an answer.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Body> {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let mut response = self
            .handle(request)
            .await
            .unwrap_or_else(Refusal::into_response);
        for (name, value) in &self.origins.headers(origin.as_ref(), ANSWER_HEADERS) {
            response.headers_mut().append(name, value.clone());
        }
        // A plugin's answer is passed on as it is; browsers must not guess its type.
        response.headers_mut().insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        response
    }

    async fn handle(&self, request: Request<Bytes>) -> Result<Response<Body>, Refusal> {
        if request.uri().path() == openapi::PATH {
            return self.document(&request);
        }
        let segments = call::segments(request.uri().path())?;
        let on_route = matches!(&*segments, [_, plugins, route, _, ..] if plugins == "plugins" && route == "route");
        let preflight = request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if preflight && on_route {
            return Ok(answer::response(cors::preflight(
                "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
                route::REQUEST_HEADERS,
            )));
        }
        if request.method() == Method::OPTIONS && !on_route {
            return Ok(route::preflight(&segments));
        }
        let caller = auth::caller(request.headers(), &self.verify, self.store()).await?;
        if on_route {
            return self.forward(request, &segments, caller).await;
        }
        let (head, body) = request.into_parts();
        let call = Call::new(caller, Vec::new(), head.uri.query(), body)?;
        route::ask(self, &head.method, &segments, call).await
    }

    /// The OpenAPI document. It needs no credential, but one that is presented must verify, as everywhere.
    fn document(&self, request: &Request<Bytes>) -> Result<Response<Body>, Refusal> {
        const METHODS: &str = "GET, HEAD, OPTIONS";
        match *request.method() {
            Method::GET | Method::HEAD => {
                auth::verify_given(request.headers(), &self.verify)?;
                Ok(answer::response(
                    openapi::DOCUMENT.answer(request.headers()),
                ))
            }
            Method::OPTIONS => Ok(answer::response(cors::preflight(
                METHODS,
                route::REQUEST_HEADERS,
            ))),
            _ => Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "this path knows other methods",
            )
            .with("allow", METHODS)),
        }
    }

    /// Passes a request to the plugin that has the route.
    async fn forward(
        &self,
        request: Request<Bytes>,
        segments: &[String],
        caller: Caller,
    ) -> Result<Response<Body>, Refusal> {
        Needs::Client.admit(&caller, None)?;
        let Caller::Person(claims) = caller else {
            return Err(Refusal::forbidden(
                "a plugin's token opens its values and nothing else",
            ));
        };
        let segment = segments.get(3).map_or("", String::as_str);
        call::name(segment)?;
        // The path below the route is passed on undecoded; the plugin decodes it.
        let raw = request.uri().path().splitn(6, '/').nth(5);
        let path = format!("/{}", raw.unwrap_or_default());
        let role = if claims.role == Role::Admin {
            "admin"
        } else {
            "client"
        };
        let caller = plugin_host::Caller {
            user_id: claims.user_id.to_string(),
            role,
        };
        let mut response = self.plugins.route(segment, &path, request, caller).await;
        // A browser that shows the answer as a page gives it no origin, and no other site embeds it.
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("sandbox"),
        );
        headers.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        );
        Ok(response)
    }

    fn store(&self) -> &PluginStore {
        self.plugins.store()
    }
}
