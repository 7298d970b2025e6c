//! The REST side of the server directory as a Spin component: plugin requirements (T41 to T51), servers, people, identities, the internal API
//! of gateways, the OpenAPI document.
//!
//! What it is: a shell. It reads requests, variables, clock and randomness, asks the pure crates `directory` and `identity` what follows, and
//! commits it. What it is not: the place where anything is decided. Invariant: every request is answered with JSON and a content length; every
//! refusal is `{"error","code",…}`; no state of a request outlives it.
#![allow(
    unsafe_code,
    reason = "the service macro exports the component's functions; nothing here is unsafe by hand"
)]

mod answer;
mod auth;
mod call;
mod config;
mod cors;
mod handlers;
mod openapi;
mod outbound;
mod password;
mod random;
mod route;
mod store;

use answer::{Answer, Response};
use call::Call;
use config::{Config, Origins};
use directory::{Code, Refusal};
use limits::directory::COMMIT_ATTEMPTS_MAX;
use route::{Found, Needs, Route};
use spin_sdk::http::Request;
use std::{
    cell::OnceCell,
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};
use store::Store;

/// Serves one request.
#[spin_sdk::http_service]
async fn serve(request: Request) -> Response {
    let origin = call::header(request.headers(), "origin").map(ToOwned::to_owned);
    let (answer, origins) = match Config::load().await {
        Ok(config) => {
            let answer = answer(&config, request).await.unwrap_or_else(Answer::from);
            (answer, config.origins.clone())
        }
        Err(reason) => {
            eprintln!("misconfigured: {reason}");
            (Refusal::from(Code::Misconfigured).into(), Origins::Any)
        }
    };
    cors::admit(answer, &origins, origin.as_deref()).into_response()
}

async fn answer(config: &Rc<Config>, request: Request) -> Result<Answer, Refusal> {
    let segments = call::segments(request.uri().path())?;
    let preflight = request.method() == "OPTIONS"
        && request
            .headers()
            .contains_key("access-control-request-method");
    match route::find(request.method().as_str(), &segments, preflight)? {
        Found::Options(methods) => Ok(cors::options(&methods)),
        Found::Gone => Err(handlers::plugins::data_is_gone()),
        Found::Route(route, values) => handle(config, request, route, values).await,
    }
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
    let query = call::query(request.uri().query().unwrap_or_default())?;
    let headers = request.headers().clone();
    let body = if route.body.is_some() {
        call::body(request).await?
    } else {
        Vec::new()
    };
    let actor = match route.needs {
        Needs::Service => directory::permission::Actor::default(),
        _ => auth::actor(config, &headers, &query, &body, now_ms).await?,
    };
    if route.needs.an_identity() {
        // Before anything is read: whether a server exists is not told to nobody in particular.
        actor.user()?;
    }
    if route.body == Some("Nothing") {
        directory::body::Body::parse(&body)?;
    }
    if route.id == "getOpenApi" {
        return Ok(Answer::text(200, openapi::document()));
    }
    let store = Store::open(&config.place)
        .await
        .map_err(|fault| handlers::refused(&fault))?;
    let call = Call {
        config: config.clone(),
        store,
        actor,
        now_ms,
        segments,
        query,
        if_match: call::header(&headers, "if-match").map(ToOwned::to_owned),
        if_none_match: call::header(&headers, "if-none-match").map(ToOwned::to_owned),
        body,
        body_required: route.body_required(),
        hashed: OnceCell::new(),
        compared: OnceCell::new(),
    };
    let mut outcome = (route.handler)(&call).await;
    for _ in 1..COMMIT_ATTEMPTS_MAX {
        if !matches!(&outcome, Err(refusal) if refusal.code == Code::Conflict) {
            break;
        }
        outcome = (route.handler)(&call).await;
    }
    outcome
}
