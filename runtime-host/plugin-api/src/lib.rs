//! Plugins over REST (requirements 7.5): managing them, their values, logs, grants and questions, and the routes that they answer themselves.
//!
//! What it is not: a listener, or an owner of state; sockets are the caller's, plugins are `plugin_host`'s, what is durable is `storage`'s.
//! Invariant: nothing is answered to whoever presents no credential that verifies (R46), and everything that is read is bounded.
#![forbid(unsafe_code)]

mod answer;
mod auth;
mod call;
mod cors;
mod handlers;
mod openapi;
mod route;

use http::{HeaderValue, Method, Request, Response, Uri, header};
use identity::Role;
use limits::plugin_api::FOLLOWERS_MAX;
use plugin_host::plugin::{self, Plugins};
use plugin_store::PluginStore;
use std::sync::Arc;
use tokio::sync::Semaphore;

pub use answer::Body;
pub use auth::Verify;
pub use openapi::{extend as extend_openapi, extend_answer};
pub use route::RESERVED_IDS;

use answer::Refusal;
use auth::{Caller, Needs};
use call::Call;

/// Answers requests about plugins.
pub struct PluginApi {
    plugins: Plugins,
    verify: Verify,
    origins: Vec<String>,
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
    /// `verify` judges tokens of people; pages of `origins` may read answers (`*`: any).
    #[must_use]
    pub fn new(plugins: Plugins, verify: Verify, origins: Vec<String>) -> Self {
        let followers = Arc::new(Semaphore::new(FOLLOWERS_MAX));
        Self {
            plugins,
            verify,
            origins,
            followers,
        }
    }

    /// Whether a request is this crate's. `/api/audit` is shared with the directory: with `recent` or `plugin` in its query it is about
    /// plugins.
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
            || is_audit(uri)
    }

    /// Answers a request. Never fails: what goes wrong is an answer.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let mut response = self
            .handle(request)
            .await
            .unwrap_or_else(Refusal::into_response);
        cors::admit(&mut response, &self.origins, origin.as_ref());
        // What a plugin says is its business; what it is taken for is not to be guessed.
        response.headers_mut().insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        response
    }

    async fn handle(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let segments = call::segments(request.uri().path())?;
        let on_route = matches!(&*segments, [_, plugins, route, _, ..] if plugins == "plugins" && route == "route");
        let preflight = request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if preflight && on_route {
            return Ok(cors::options(
                "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            ));
        }
        if request.method() == Method::OPTIONS && !on_route {
            return Ok(cors::options(&route::methods(&segments)));
        }
        let caller = auth::caller(request.headers(), &self.verify, self.store()).await?;
        if on_route {
            return self.forward(request, &segments, caller).await;
        }
        let audit = is_audit(request.uri());
        let (head, body) = request.into_parts();
        let call = Call::new(caller, Vec::new(), head.uri.query(), body);
        if audit {
            Needs::Admin.admit(&call.caller, None)?;
            return handlers::audit::recent(self, &call);
        }
        route::ask(self, &head.method, &segments, call).await
    }

    /// Hands a request to the plugin whose route it is (R25 to R29).
    async fn forward(
        &self,
        request: Request<Body>,
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
        // What follows the route goes on as it came: decoding it is the plugin's business.
        let raw = request.uri().path().splitn(6, '/').nth(5);
        let path = format!("/{}", raw.unwrap_or_default());
        let role = if claims.role == Role::Admin {
            "admin"
        } else {
            "client"
        };
        let caller = plugin::Caller {
            user_id: claims.user_id.to_string(),
            role,
        };
        Ok(self.plugins.route(segment, &path, request, caller).await)
    }

    fn store(&self) -> &PluginStore {
        self.plugins.store()
    }
}

fn is_audit(uri: &Uri) -> bool {
    let about_plugins = |query: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .any(|(name, _)| name == "recent" || name == "plugin")
    };
    uri.path() == "/api/audit" && uri.query().is_some_and(about_plugins)
}
