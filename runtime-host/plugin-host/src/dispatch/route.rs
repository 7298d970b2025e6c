//! Requests below `/api/plugins/route/<route>`: passed to the plugin that has the route; its response is streamed back.
//!
//! The caller's credentials are never passed on. A response that the plugin does not finish is broken off, so that a
//! client cannot take a part for the whole.

use crate::{
    bindings::{
        exports::jackfield::plugin::http_handler::Request as GuestRequest,
        jackfield::plugin::types::{ErrorCode, PluginError},
    },
    dispatch::{
        body::{Answer, Body, BodyReader, BodyWriter},
        table::Listener,
    },
    instances::{jobs::Job, pool::EnqueueError, store_data::Scope},
};
use bytes::Bytes;
use capability::{CapabilityId, Target};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use rest::ErrorBody;
use std::time::Duration;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

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
/// (`PLUGIN_FAILED`), 503 (`PLUGIN_BUSY`, `PLUGIN_RESTARTING`) or 504 (`PLUGIN_TIMEOUT`).
pub(crate) async fn forward(
    listener: &Listener,
    path: &str,
    request: Request<Body>,
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
    let (answer, out) = BodyWriter::new();
    let (reply, done) = oneshot::channel();
    let job = Job::Http {
        request,
        body: BodyReader::new(body),
        answer,
        reply,
    };
    match listener.pool.enqueue(&Scope::Host, job) {
        Ok(()) => await_head(listener, out, done).await,
        Err(EnqueueError::Gone) => restarting(&listener.id),
        Err(error) => {
            let text = format!("the plugin cannot take the request: {error}");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            refused(status, "PLUGIN_BUSY", &text, Some(&listener.id))
        }
    }
}

/// Whether the plugin may answer requests on this path.
async fn authorize(listener: &Listener, path: &str, method: &Method) -> Result<(), Response<Body>> {
    let target = Target::path(path).with_method(method.as_str());
    let authority = &listener.pool.shared.authority;
    let authorized = authority.authorize_incoming(CapabilityId::HttpServe, target);
    authorized.await.map_err(|error| {
        let code = match error.code {
            ErrorCode::NotDeclared => "NOT_DECLARED",
            ErrorCode::NotGranted => "NOT_GRANTED",
            ErrorCode::ConsentPending => "CONSENT_PENDING",
            _ => "DENIED",
        };
        let text = format!("the plugin may not answer: {}", error.message);
        refused(StatusCode::FORBIDDEN, code, &text, Some(&listener.id))
    })
}

/// How the call of the plugin ended.
type Done = oneshot::Receiver<Result<(), PluginError>>;

/// Waits until the plugin has sent status and headers, or has failed to.
async fn await_head(listener: &Listener, mut out: Answer, mut done: Done) -> Response<Body> {
    let limit = Duration::from_millis(listener.pool.shared.quota.response_ms);
    let id = Some(&*listener.id);
    let begun = timeout(limit, async {
        tokio::select! {
            biased;
            head = &mut out.head => match head {
                Ok(head) => Ok(head),
                // The writer is gone without a head: how the call ended says more.
                Err(_) => Err(failure((&mut done).await)),
            },
            ended = &mut done => {
                // It may have begun to answer and ended in the same moment.
                let head = if matches!(ended, Ok(Ok(()))) { out.head.try_recv().ok() } else { None };
                head.ok_or_else(|| failure(ended))
            }
        }
    });
    match begun.await {
        Ok(Ok((status, headers))) => answered(status, headers, out, done),
        Ok(Err(why)) => {
            let text = format!("the plugin failed: {why}");
            refused(StatusCode::BAD_GATEWAY, "PLUGIN_FAILED", &text, id)
        }
        Err(_) => {
            let text = format!("the plugin did not answer within {} ms", limit.as_millis());
            refused(StatusCode::GATEWAY_TIMEOUT, "PLUGIN_TIMEOUT", &text, id)
        }
    }
}

/// Why a call that has ended has not answered.
fn failure(ended: Result<Result<(), PluginError>, oneshot::error::RecvError>) -> String {
    match ended {
        Ok(Ok(())) => "it ended without an answer".to_owned(),
        Ok(Err(error)) => error.message,
        Err(_) => "it ended in the middle".to_owned(),
    }
}

/// Headers of the request without those of the connection, the caller's credentials and what the host sets itself.
fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let secret = [header::AUTHORIZATION, header::COOKIE, header::HOST];
    let passed = headers
        .iter()
        .filter(|(name, _)| !outbound::is_hop_by_hop(name) && !secret.contains(name));
    passed
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// Passes on what the plugin writes. A plugin that fails in the middle breaks the body off, so that the client does not
/// take a part for the whole.
fn answered(status: StatusCode, headers: HeaderMap, out: Answer, done: Done) -> Response<Body> {
    let pieces = futures::stream::unfold(
        Some((out.pieces, done)),
        async |state: Option<(mpsc::Receiver<Bytes>, _)>| {
            let (mut pieces, done) = state?;
            match pieces.recv().await {
                Some(piece) => Some((Ok(Frame::data(piece)), Some((pieces, done)))),
                None => match done.await {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some((
                        Err(anyhow::anyhow!("the plugin failed: {}", error.message)),
                        None,
                    )),
                    Err(_) => Some((Err(anyhow::anyhow!("the plugin ended in the middle")), None)),
                },
            }
        },
    );
    let mut response = Response::new(StreamBody::new(pieces).boxed_unsync());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
