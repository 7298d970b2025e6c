//! The REST side of the server directory as a Spin component: servers, plugin requirements, people, identities, the
//! internal API of gateways.
//!
//! This is a shell. It reads requests, variables, clock and randomness, asks the pure crates `directory` and `identity`
//! what follows, and commits it. Every answer has a content length, and no state of a request outlives it.
#![allow(
    unsafe_code,
    reason = "the service macro exports the component's functions; nothing here is unsafe by hand"
)]

mod auth;
mod call;
mod config;
mod dispatch;
mod handlers;
mod openapi;
mod outbound;
mod password;
mod random;
mod store;

use bytes::Bytes;
use call::Call;
use config::Config;
use directory::{
    Code, Refusal,
    api::{Needs, Operation, ROUTES, Route},
    permission::Actor,
};
use identity::Mode;
use limits::directory::COMMIT_ATTEMPTS_MAX;
use rest::{
    Answer, Found, NoRoute,
    cors::{self, Origins},
    query::Query,
};
use spin_sdk::http::{FullBody, Request};
use std::{
    cell::OnceCell,
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};
use store::Store;

/// What web pages may set on a request, and read of an answer.
const REQUEST_HEADERS: &str =
    "authorization, content-type, if-match, if-none-match, x-actor-user-id";
const ANSWER_HEADERS: &str = "allow, etag, location, retry-after";

/// Serves one request.
#[spin_sdk::http_service]
async fn serve(request: Request) -> http::Response<FullBody<Bytes>> {
    let origin = request.headers().get("origin").cloned();
    let (answer, cross_origin) = match Config::load().await {
        Ok(config) => {
            let answer = answer(&config, request)
                .await
                .unwrap_or_else(|refusal| refusal.answer());
            let headers = config.origins.headers(origin.as_ref(), ANSWER_HEADERS);
            (answer, headers)
        }
        Err(reason) => {
            eprintln!("misconfigured: {reason}");
            let headers = Origins::Any.headers(origin.as_ref(), ANSWER_HEADERS);
            (Refusal::from(Code::Misconfigured).answer(), headers)
        }
    };
    answer
        .headers(&cross_origin)
        .into_response()
        .map(FullBody::new)
}

async fn answer(config: &Rc<Config>, request: Request) -> Result<Answer, Refusal> {
    let segments =
        rest::segments(request.uri().path()).map_err(|_| Refusal::from(Code::InvalidPath))?;
    let method = request.method().as_str();
    if is_plugin_data(&segments) {
        let preflight = method == "OPTIONS"
            && request
                .headers()
                .contains_key("access-control-request-method");
        return if preflight {
            Ok(cors::preflight("GET, HEAD, PUT, DELETE", REQUEST_HEADERS))
        } else {
            Err(handlers::plugins::data_is_gone())
        };
    }
    match ROUTES.find(method, &segments) {
        Ok(Found::Route(route, values)) => handle(config, request, route, values).await,
        Ok(Found::Options(methods)) => Ok(cors::preflight(&methods, REQUEST_HEADERS)),
        Err(NoRoute::Method(allow)) => {
            Err(Refusal::from(Code::MethodNotAllowed).with("allow", allow))
        }
        Err(NoRoute::Path) if is_native_hosts(&segments) => Err(Code::UnsupportedOnEdge.into()),
        Err(NoRoute::Path) => Err(directory::not_found("path")),
    }
}

/// Whether the native host answers this area before the edge is asked; without a native host there are no plugins to
/// answer about.
fn is_native_hosts(segments: &[String]) -> bool {
    const AREAS: [&str; 5] = ["plugins", "consents", "capabilities", "tools", "hooks"];
    matches!(segments, [api, area, ..] if api == "api" && AREAS.contains(&area.as_str()))
}

fn is_plugin_data(segments: &[String]) -> bool {
    matches!(segments, [api, servers, _, plugins, _, data, key, ..]
        if api == "api" && servers == "servers" && plugins == "plugins" && data == "data" && !key.is_empty())
}

async fn handle(
    config: &Rc<Config>,
    request: Request,
    route: &Route,
    segments: Vec<String>,
) -> Result<Answer, Refusal> {
    if route.needs == Needs::Service {
        auth::service(config, request.headers())?;
    }
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
    let query = Query::parse(request.uri().query().unwrap_or_default())
        .map_err(|_| Refusal::new(Code::InvalidQuery, "the query is not percent-encoded UTF-8"))?;
    let headers = request.headers().clone();
    let proven = match route.needs {
        Needs::Service => Some(Actor::default()),
        _ => auth::proven_actor(config, &headers, now_ms).await?,
    };
    if route.needs.an_identity() && config.mode != Mode::Open {
        // Before the body is read: a caller without an identity is not waited for.
        proven.clone().unwrap_or_default().user()?;
    }
    let body = if route.body.is_some() {
        call::body(request).await?
    } else {
        Vec::new()
    };
    let actor = match proven {
        Some(actor) => actor,
        None => auth::claimed_actor(config, &headers, &query, &body)?,
    };
    if route.needs.an_identity() {
        // Before anything is read: a caller without an identity does not learn whether a server exists.
        actor.user()?;
    }
    if route.body == Some("Nothing") {
        directory::body::Body::parse(&body)?;
    }
    if route.operation == Operation::GetOpenApi {
        return Ok(openapi::DOCUMENT.answer(&headers));
    }
    let store = Store::open(&config.store_kind)
        .await
        .map_err(|fault| handlers::refused(&fault))?;
    let call = Call {
        config: config.clone(),
        store,
        actor,
        now_ms,
        segments,
        query,
        headers,
        body,
        body_required: route.body_required(),
        hashed: OnceCell::new(),
        compared: OnceCell::new(),
    };
    let mut outcome = dispatch::run(route.operation, &call).await;
    for _ in 1..COMMIT_ATTEMPTS_MAX {
        if !matches!(&outcome, Err(refusal) if refusal.code == Code::Conflict) {
            break;
        }
        outcome = dispatch::run(route.operation, &call).await;
    }
    outcome
}
