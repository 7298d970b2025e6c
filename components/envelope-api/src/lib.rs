//! The envelope contract over HTTP as a Spin component: a dry run of the validator, and the documents that describe envelopes.
//!
//! What it is: a shell around the judge that it is composed with, which is the very component that gateways load.
//! What it is not: a way to send anything; nothing leaves this component but the answer. Invariant: no state of a request outlives it.
#![allow(
    unsafe_code,
    reason = "the service macro exports the component's functions; nothing here is unsafe by hand"
)]

mod answer;
mod bindings;
mod catalogue;
mod request;
mod said;
mod validate;

use answer::{Answer, Origins, Response};
use envelope_docs::Direction;
use spin_sdk::http::{Method, Request};

/// Serves one request.
#[spin_sdk::http_service]
async fn serve(request: Request) -> Response {
    let origin = request
        .headers()
        .get("origin")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let origins = Origins::parse(
        &spin_sdk::variables::get("cors_origins")
            .await
            .unwrap_or_else(|_| "*".to_owned()),
    );
    let is_head = request.method() == Method::HEAD;
    answer(request)
        .await
        .unwrap_or_else(|refusal| refusal)
        .into_response(&origins, origin.as_deref(), is_head)
}

/// The answer to a request; an `Err` is an answer as well.
async fn answer(request: Request) -> Result<Answer, Answer> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    if path == "/api/envelopes/validate" {
        return match method {
            Method::POST => {
                let body = request::body(request).await?;
                validate::dry_run(&body)
            }
            other => Err(not_served(&other, "POST, OPTIONS")),
        };
    }
    let document = document(&path)
        .ok_or_else(|| Answer::refusal(404, "NOT_FOUND", "there is no such document"))?;
    match method {
        Method::GET | Method::HEAD => Ok(Answer::json(200, &document())),
        other => Err(not_served(&other, "GET, HEAD, OPTIONS")),
    }
}

fn not_served(method: &Method, allowed: &'static str) -> Answer {
    if *method == Method::OPTIONS {
        return Answer::preflight(allowed);
    }
    Answer::refusal(
        405,
        "METHOD_NOT_ALLOWED",
        &format!("this path answers {allowed}"),
    )
    .header("allow", allowed)
}

type Document = Box<dyn FnOnce() -> serde_json::Value>;

/// The document at a path. A schema is found as `<direction>/<type>.json`, and as `<type>.json` in the direction that a client sends it, or else in
/// the direction that a client receives it.
fn document(path: &str) -> Option<Document> {
    match path {
        "/api/envelopes/catalogue" => return Some(Box::new(catalogue::catalogue)),
        "/api/asyncapi.json" => return Some(Box::new(envelope_docs::asyncapi)),
        "/api/schemas/envelopes" | "/api/schemas/envelopes/" => {
            return Some(Box::new(catalogue::schemas));
        }
        _ => {}
    }
    let name = path
        .strip_prefix("/api/schemas/envelopes/")?
        .strip_suffix(".json")?;
    let (ways, name) = match name.split_once('/') {
        Some((direction, name)) => (vec![Direction::parse(direction)?], name),
        None => (Direction::ALL.to_vec(), name),
    };
    let schema = ways
        .into_iter()
        .find_map(|direction| envelope_docs::schema(name, direction))?;
    Some(Box::new(|| schema))
}
