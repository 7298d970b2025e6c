//! The directory's internal REST interface: one method for each request, within [`QUESTION_TIMEOUT_MS`].

use crate::{
    address::AddressKey,
    directory::views::{ServerView, UserView},
};
use bytes::Bytes;
use futures::FutureExt as _;
use http::{Method, Request, Response, StatusCode, header};
use limits::directory::QUESTION_TIMEOUT_MS;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::{
    fmt::Display, future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration,
};

/// The result of [`Transport::call`].
pub type Answering<'a> =
    Pin<Box<dyn Future<Output = Result<Response<Bytes>, Unreachable>> + Send + 'a>>;

/// The directory did not answer, or its answer could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the edge does not answer: {0}")]
pub struct Unreachable(pub String);

impl Unreachable {
    /// The outcome of `question`, also if it panics: what waits for it goes on.
    pub(super) async fn unless_answered<T>(
        question: impl Future<Output = Result<T, Self>>,
    ) -> Result<T, Self> {
        let outcome = AssertUnwindSafe(question).catch_unwind().await;
        outcome.unwrap_or_else(|_| Err(Self("the question ended in the middle".to_owned())))
    }
}

/// How a request reaches the directory: in this process, or over the network.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, whose URI is a path, and collects the answer.
    fn call(&self, request: Request<Bytes>) -> Answering<'_>;
}

/// Whether a user may enter a guarded server.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JoinQuestion {
    /// The server.
    #[serde(skip)]
    pub server_id: Arc<str>,
    /// The user.
    #[serde(serialize_with = "as_text")]
    pub user_id: Arc<str>,
    /// Whether the identity is proven.
    pub verified: bool,
    /// The address of the client, in the part by which limits count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressKey>,
    /// Password, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Invite token, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
    /// The server is only viewed: no membership is stored.
    #[serde(rename = "view")]
    pub view_only: bool,
    /// What the gateway knew when it asked: the answer says nothing about a change since then.
    #[serde(skip)]
    pub asked_at: AskedAt,
}

/// The point in the history of a server's access and of a user at which a question was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AskedAt {
    /// [`ServerView::access`].
    pub access: u64,
    /// The count of the user's changes.
    pub user_epoch: u64,
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(text)
}

/// The decision about a join.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JoinAnswer {
    /// The user may enter.
    pub allowed: bool,
    /// The user is a stored member, and may stay only as long as it is.
    #[serde(default)]
    pub member: bool,
    /// The code of the refusal.
    #[serde(default)]
    pub code: String,
    /// The text of the refusal.
    #[serde(default)]
    pub reason: String,
    /// Milliseconds until the same request may succeed.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

/// Which of some users are members of a server.
#[derive(Deserialize)]
struct Members {
    members: Vec<String>,
}

/// One answer of the feed of changes.
#[derive(Deserialize)]
pub(super) struct Changes {
    /// Oldest first.
    pub(super) changes: Vec<Change>,
    /// The number of the newest change.
    pub(super) latest: u64,
    /// The feed does not reach back to the number that was asked for.
    #[serde(default)]
    pub(super) reset: bool,
}

/// A change of a server or of a user.
#[derive(Deserialize)]
pub(super) struct Change {
    pub(super) seq: u64,
    /// `server` or `user`.
    pub(super) kind: String,
    /// What changed.
    pub(super) id: String,
    /// Its revision afterwards: greater than before, unless the change is another one that concerns it.
    #[serde(default)]
    pub(super) revision: u64,
}

/// One page of the users for which the directory stores anything.
#[derive(Deserialize)]
pub(super) struct UsersPage {
    pub(super) users: Vec<String>,
    /// Where the next page begins.
    pub(super) next: Option<String>,
}

/// Calls the directory with the gateways' credential.
pub(super) struct DirectoryApi {
    transport: Box<dyn Transport>,
    credential: String,
}

impl DirectoryApi {
    pub(super) fn new(transport: Box<dyn Transport>, credential: String) -> Self {
        Self {
            transport,
            credential,
        }
    }

    /// The state of a server; gone if there is none. The plugins of the `known` view are not sent again.
    pub(super) async fn server(
        &self,
        server_id: &str,
        known: Option<&ServerView>,
    ) -> Result<ServerView, Unreachable> {
        let mut path = format!("/api/internal/servers/{}", segment(server_id));
        if let Some(known) = known {
            let revision = known.rules.snapshot().revision;
            path.push_str(&format!("?pluginsRevision={revision}"));
        }
        let response = self.call(Method::GET, &path, None).await?;
        match response.status() {
            StatusCode::OK => {
                let view = ServerView::read(response.body(), known);
                view.map_err(|error| Unreachable(error.to_string()))
            }
            StatusCode::NOT_FOUND => Ok(ServerView::gone(server_id)),
            status => Err(Unreachable(format!("status {status}"))),
        }
    }

    /// What is stored about a user.
    pub(super) async fn user(&self, user_id: &str) -> Result<UserView, Unreachable> {
        let path = format!("/api/internal/users/{}", segment(user_id));
        let response = self.call(Method::GET, &path, None).await?;
        let mut view: UserView = read(&response)?;
        view.answer_bytes = response.body().len();
        Ok(view)
    }

    /// Decides about a join, and stores the membership that follows from it.
    pub(super) async fn join(&self, join: &JoinQuestion) -> Result<JoinAnswer, Unreachable> {
        let path = format!("/api/internal/servers/{}/join", segment(&join.server_id));
        let body = envelope::reply::bytes(join);
        read(&self.call(Method::POST, &path, Some(body)).await?)
    }

    /// Which of at most [`MEMBERS_ASKED_MAX`](limits::directory::MEMBERS_ASKED_MAX) users are members of a server.
    pub(super) async fn members(
        &self,
        server_id: &str,
        users: &[Arc<str>],
    ) -> Result<Vec<String>, Unreachable> {
        let path = format!("/api/internal/servers/{}/members", segment(server_id));
        let users: Vec<&str> = users.iter().map(|user| &**user).collect();
        let body = envelope::reply::bytes(&serde_json::json!({"userIds": users}));
        let answer: Members = read(&self.call(Method::POST, &path, Some(body)).await?)?;
        Ok(answer.members)
    }

    /// Binds a key to a user.
    pub(super) async fn bind_key(
        &self,
        user_id: &str,
        key: &str,
        add: bool,
    ) -> Result<(), Unreachable> {
        let path = format!("/api/internal/users/{}/key", segment(user_id));
        let body = envelope::reply::bytes(&serde_json::json!({"key": key, "add": add}));
        let response = self.call(Method::PUT, &path, Some(body)).await?;
        read::<serde_json::Value>(&response).map(drop)
    }

    /// The changes after number `after`.
    pub(super) async fn changes(&self, after: u64) -> Result<Changes, Unreachable> {
        let path = format!("/api/internal/changes?after={after}");
        read(&self.call(Method::GET, &path, None).await?)
    }

    /// The users after `after`, in the order of their ids.
    pub(super) async fn users(&self, after: &str) -> Result<UsersPage, Unreachable> {
        let path = format!("/api/internal/users?after={}", segment(after));
        read(&self.call(Method::GET, &path, None).await?)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Bytes>, Unreachable> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "edge.internal")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.credential));
        if let Some(body) = &body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::CONTENT_LENGTH, body.len());
        }
        let request = request
            .body(Bytes::from(body.unwrap_or_default()))
            .map_err(|error| Unreachable(error.to_string()))?;
        let limit = Duration::from_millis(QUESTION_TIMEOUT_MS);
        tokio::time::timeout(limit, self.transport.call(request))
            .await
            .unwrap_or_else(|_| {
                let reason = format!("no answer within {QUESTION_TIMEOUT_MS} ms");
                Err(Unreachable(reason))
            })
    }
}

fn read<T: for<'de> Deserialize<'de>>(response: &Response<Bytes>) -> Result<T, Unreachable> {
    if response.status() != StatusCode::OK {
        return Err(Unreachable(format!("status {}", response.status())));
    }
    serde_json::from_slice(response.body())
        .map_err(|error| Unreachable(format!("the answer is not understood: {error}")))
}

/// One path segment, percent-encoded.
fn segment(text: &str) -> impl Display {
    /// All but the unreserved characters of RFC 3986 section 2.3, and the colon that ids of plugins' users have.
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b':');
    utf8_percent_encode(text, ENCODED)
}
