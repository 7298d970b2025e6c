//! Requests below `/api/plugins/route/<route>`: passed to the plugin that has the route; its response is streamed back.
//!
//! The caller's credentials are never passed on. A response that the plugin does not finish is broken off, so that a
//! client cannot take a part for the whole.

use crate::{
    bindings::{
        exports::jackfield::plugin::http_handler::Request as GuestRequest,
        jackfield::plugin::types::ErrorCode,
    },
    dispatch::{
        body::{AnswerBody, Body, BodyReader, BodyWriter, Piece},
        table::Listener,
    },
    imports::error,
    instances::{
        call::{Answer, CallError, Question},
        group::Work,
        instance::Crash,
        jobs::Job,
        mailbox::EnqueueError,
    },
};
use anyhow::anyhow;
use bytes::Bytes;
use capability::{CapabilityId, Target};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use limits::plugin as bounds;
use rest::ErrorBody;
use std::time::Duration;
use tokio::sync::mpsc;

/// The user that a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Identity.
    pub user_id: String,
    /// `admin` or `client`.
    pub role: &'static str,
}

/// An error answer: `{"error", "code", "plugin"}`.
pub(crate) fn refused(
    status: StatusCode,
    code: &'static str,
    text: &str,
    plugin: Option<&str>,
) -> Response<Body> {
    let mut body = ErrorBody::new(code, text);
    if let Some(plugin) = plugin {
        body = body.with("plugin", plugin);
    }
    let mut response = Response::new(
        Full::new(Bytes::from(body.to_string()))
            .map_err(|never| match never {})
            .boxed_unsync(),
    );
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

/// The answer for a plugin between two generations.
pub(crate) fn restarting(plugin: &str) -> Response<Body> {
    refused(
        StatusCode::SERVICE_UNAVAILABLE,
        "PLUGIN_RESTARTING",
        "the plugin is being started again",
        Some(plugin),
    )
}

/// Asks the plugin. Never fails: what goes wrong is an answer with 403 (which of declaration and grant is missing), 502
/// (`PLUGIN_FAILED`: the call was begun and failed), 503 (`PLUGIN_BUSY`, `PLUGIN_RESTARTING`: it was not begun) or 504
/// (`PLUGIN_TIMEOUT`).
pub(crate) async fn forward(
    listener: &Listener,
    path: &str,
    request: Request<Bytes>,
    caller: Caller,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = if path.is_empty() { "/" } else { path };
    let shared = &listener.pool.shared;
    if shared.is_ended() {
        return restarting(&listener.id);
    }
    if let Err(denied) = authorize(listener, path, &head.method).await {
        // A generation that has ended in between is denied everything, which says nothing about the plugin's grants.
        return if shared.is_ended() {
            restarting(&listener.id)
        } else {
            denied
        };
    }
    let request = GuestRequest {
        method: head.method.as_str().to_owned(),
        path: path.to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: fields(&head.headers),
        user_id: caller.user_id,
        role: caller.role.to_owned(),
    };
    let (answer, out) = BodyWriter::new(shared.unread.clone());
    let (question, done) = Question::new(shared.quota.response_ms);
    let job = Job::Http {
        request,
        body: BodyReader::new(body),
        answer,
        question,
    };
    match listener.pool.enqueue(&Work::Requests, job) {
        Ok(()) => await_head(listener, out, done)
            .await
            .unwrap_or_else(|failed| failure(listener, &failed)),
        Err(busy) => failure(listener, &busy.into()),
    }
}

/// Whether the plugin may answer requests on this path.
async fn authorize(listener: &Listener, path: &str, method: &Method) -> Result<(), Response<Body>> {
    let target = Target::path(path).with_method(method.as_str());
    let authority = &listener.pool.shared.authority;
    let authorized = authority.authorize_incoming(CapabilityId::HttpServe, target);
    authorized.await.map_err(|error| {
        let code = denial_code(error.code);
        let text = format!("the plugin may not answer: {}", error.message);
        refused(StatusCode::FORBIDDEN, code, &text, Some(&listener.id))
    })
}

/// The code that REST has for a capability that is refused.
pub(super) const fn denial_code(refused: ErrorCode) -> &'static str {
    match refused {
        ErrorCode::NotDeclared => "NOT_DECLARED",
        ErrorCode::NotGranted => "NOT_GRANTED",
        ErrorCode::ConsentPending => "CONSENT_PENDING",
        _ => "DENIED",
    }
}

/// Waits until the plugin has sent status and headers, or has failed to.
async fn await_head(
    listener: &Listener,
    mut out: AnswerBody,
    mut done: Answer<()>,
) -> Result<Response<Body>, CallError> {
    done.begun(listener.pool.shared.quota.response_ms).await?;
    // The writer ends with the call at the latest; without a head its outcome says why.
    if let Ok((status, headers)) = (&mut out.head).await {
        return Ok(answered(status, headers, out.pieces, done));
    }
    done.outcome().await?;
    Err(CallError::Failed(error(
        ErrorCode::Internal,
        "it ended without an answer",
    )))
}

/// The answer for a call that failed before its head was sent.
fn failure(listener: &Listener, failed: &CallError) -> Response<Body> {
    let id = Some(&*listener.id);
    match failed {
        CallError::Stopped | CallError::NotTaken(EnqueueError::Gone) => restarting(&listener.id),
        CallError::NotTaken(_) => {
            let text = format!("the plugin cannot take the request: {failed}");
            refused(StatusCode::SERVICE_UNAVAILABLE, "PLUGIN_BUSY", &text, id)
        }
        CallError::NotBegun(_) | CallError::Crashed(Crash::Deadline { .. }) => refused(
            StatusCode::GATEWAY_TIMEOUT,
            "PLUGIN_TIMEOUT",
            &failed.to_string(),
            id,
        ),
        CallError::Failed(_) | CallError::Crashed(_) => {
            let text = format!("the plugin failed: {failed}");
            refused(StatusCode::BAD_GATEWAY, "PLUGIN_FAILED", &text, id)
        }
    }
}

/// Headers of the request without those of the connection, the caller's credentials and what the host sets itself.
fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut passed = headers.clone();
    outbound::strip_hop_by_hop(&mut passed);
    for secret in [header::AUTHORIZATION, header::COOKIE, header::HOST] {
        passed.remove(secret);
    }
    passed
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// A part of an answer on its way to the client.
enum Part {
    Data(Bytes),
    Failed(String),
    End,
}

/// Passes on what the plugin writes. A body that does not end well is broken off, so that the client does not take a part
/// for the whole.
fn answered(
    status: StatusCode,
    headers: HeaderMap,
    pieces: mpsc::UnboundedReceiver<Piece>,
    done: Answer<()>,
) -> Response<Body> {
    let (to_client, parts) = mpsc::channel(1);
    tokio::spawn(deliver(pieces, done, to_client));
    let frames =
        futures::stream::unfold(Some(parts), async |parts: Option<mpsc::Receiver<Part>>| {
            let mut parts = parts?;
            match parts.recv().await {
                Some(Part::Data(bytes)) => Some((Ok(Frame::data(bytes)), Some(parts))),
                Some(Part::End) => None,
                Some(Part::Failed(why)) => Some((Err(anyhow!("the plugin failed: {why}")), None)),
                None => Some((Err(anyhow!("the client has not read the answer")), None)),
            }
        });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Hands an answer over as its client reads it. What a client does not read within [`bounds::CLIENT_WAIT_MS`] is dropped.
async fn deliver(
    mut pieces: mpsc::UnboundedReceiver<Piece>,
    mut done: Answer<()>,
    client: mpsc::Sender<Part>,
) {
    let time = Duration::from_millis(bounds::CLIENT_WAIT_MS);
    while let Some(mut piece) = pieces.recv().await {
        while !piece.bytes.is_empty() {
            let part = piece.bytes.len().min(bounds::CLIENT_PART_BYTES);
            let part = Part::Data(piece.bytes.split_to(part));
            if client.send_timeout(part, time).await.is_err() {
                return;
            }
        }
    }
    let end = match done.outcome().await {
        Ok(()) => Part::End,
        Err(failed) => Part::Failed(failed.to_string()),
    };
    // A client that is gone needs no end.
    let _ = client.send_timeout(end, time).await;
}
