//! The envelope contract over HTTP as a Spin component: a dry run of the validator, and the documents that describe
//! envelopes.
//!
//! It is composed with the validator that gateways load, so that both decide alike. It sends nothing but its answers,
//! and keeps no state of a request.
#![allow(
    unsafe_code,
    reason = "the service macro exports the component's functions; nothing here is unsafe by hand"
)]

mod bindings;
mod documents;
mod error;
mod validate;
mod verdict;

use bytes::Bytes;
use error::{Code, Error, body_error};
use futures::StreamExt as _;
use limits::rest::BODY_BYTES_MAX;
use rest::{
    Answer, BodyError, BodyReader,
    cors::{self, Origins},
};
use spin_sdk::http::{FullBody, Method, Request, body::IncomingBodyExt as _};
use std::cell::OnceCell;

/// What web pages may set on a request, and read of an answer.
const REQUEST_HEADERS: &str = "content-type";
const ANSWER_HEADERS: &str = "allow, etag";

thread_local! {
    /// The variable `cors_origins`, read once per instance.
    static ORIGINS: OnceCell<Origins> = const { OnceCell::new() };
}

/// Serves one request.
#[spin_sdk::http_service]
async fn serve(request: Request) -> http::Response<FullBody<Bytes>> {
    let origin = request.headers().get("origin").cloned();
    let is_head = request.method() == Method::HEAD;
    let origins = origins().await;
    let answer = answer(request)
        .await
        .unwrap_or_else(|error| error.answer())
        .headers(&origins.headers(origin.as_ref(), ANSWER_HEADERS));
    answer.into_response().map(|body| {
        // The length stays that of the whole body.
        FullBody::new(if is_head { Bytes::new() } else { body })
    })
}

async fn origins() -> Origins {
    if let Some(known) = ORIGINS.with(|origins| origins.get().cloned()) {
        return known;
    }
    let text = spin_sdk::variables::get("cors_origins").await;
    let read = Origins::parse(text.as_deref().unwrap_or("*"));
    ORIGINS.with(|origins| origins.get_or_init(|| read).clone())
}

async fn answer(request: Request) -> Result<Answer, Error> {
    let method = request.method().clone();
    if request.uri().path() == "/api/envelopes/validate" {
        return match method {
            Method::POST => validate::dry_run(&body(request).await?),
            other => not_served(&other, "POST, OPTIONS"),
        };
    }
    let document = documents::find(request.uri().path())
        .ok_or_else(|| Error::new(Code::NotFound, "there is no such document"))?;
    match method {
        Method::GET | Method::HEAD => Ok(document.answer(request.headers())),
        other => not_served(&other, "GET, HEAD, OPTIONS"),
    }
}

fn not_served(method: &Method, allowed: &'static str) -> Result<Answer, Error> {
    if *method == Method::OPTIONS {
        return Ok(cors::preflight(allowed, REQUEST_HEADERS));
    }
    let message = format!("this path answers {allowed}");
    Ok(Error::new(Code::MethodNotAllowed, message)
        .answer()
        .header(http::header::ALLOW, allowed))
}

/// The body of a request, which must be JSON.
async fn body(request: Request) -> Result<Vec<u8>, Error> {
    if !rest::is_json(request.headers()) {
        return Err(body_error(BodyError::MediaType));
    }
    let mut reader = BodyReader::new(request.headers(), BODY_BYTES_MAX).map_err(body_error)?;
    let mut stream = request.into_body().stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Error::new(Code::BadJson, "the body broke off"))?;
        reader.push(&chunk).map_err(body_error)?;
    }
    reader.finish().map_err(body_error)
}
