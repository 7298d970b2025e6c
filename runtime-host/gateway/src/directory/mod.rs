//! The client of the server directory: snapshots of servers, joins, users, and the feed of changes.
//!
//! Shards ask without waiting and are answered through their inbox. Answers are cached and kept current by the feed, which is polled; a
//! notification only starts the next poll earlier. An older state never replaces a newer one.

pub(crate) mod state;

use crate::{
    directory::state::{ServerView, UserView},
    hub::{ConnRef, Hub},
    metrics::Metrics,
    shard::Message,
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use limits::directory::{EDGE_TIMEOUT_MS, KNOWN_USERS_MAX, POLL_INTERVAL_MS, SNAPSHOTS_CACHED_MAX};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    future::Future,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, Semaphore, mpsc};
use tracing::Instrument;

/// An answer of a [`Transport`].
pub type Answering<'a> =
    Pin<Box<dyn Future<Output = Result<Response<Bytes>, Unreachable>> + Send + 'a>>;

/// The edge did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the edge does not answer: {0}")]
pub struct Unreachable(pub String);

/// How a request reaches the edge: in this process, or over the network.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, whose URI is a path, and collects the answer.
    fn call(&self, request: Request<Bytes>) -> Answering<'_>;
}

/// What a shard wants to know.
#[derive(Debug, Clone)]
pub enum Question {
    /// A server's access rules and plugins.
    Server(Arc<str>),
    /// What is known of an identity.
    User(Arc<str>),
    /// Whether a user may enter a guarded server.
    Join(JoinQuestion),
    /// Bind a key to an identity, so that it needs proof from now on.
    BindKey {
        /// The identity.
        user_id: Arc<str>,
        /// Ed25519 public key, base64url.
        key: String,
        /// The identity is proven already: the key joins those that are bound.
        add: bool,
    },
}

/// Whether a user may enter a guarded server.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinQuestion {
    /// The server.
    #[serde(skip)]
    pub server_id: Arc<str>,
    /// The user.
    #[serde(serialize_with = "as_text")]
    pub user_id: Arc<str>,
    /// Whether the identity is proven.
    pub verified: bool,
    /// Password, when one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Invite token, when one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
    /// Looking only: no membership is made.
    pub view: bool,
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(text)
}

/// What the edge said.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The server; gone when there is none.
    Server(Arc<ServerView>),
    /// The identity.
    User(Arc<UserView>),
    /// The decision about a join.
    Join(JoinAnswer),
    /// The key is bound.
    Bound,
    /// Nothing: try again later.
    Unavailable,
}

/// The decision about a join.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinAnswer {
    /// May enter.
    pub allowed: bool,
    /// Why not, for programs.
    #[serde(default)]
    pub code: String,
    /// Why not, for people.
    #[serde(default)]
    pub reason: String,
    /// When trying again makes sense.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

/// The shards' side: asks without waiting, and knows what is already known.
#[derive(Debug, Clone)]
pub struct Asker {
    questions: mpsc::Sender<(ConnRef, Question)>,
    known: Arc<Known>,
}

/// What is known already. Bounded: a full cache is emptied, its users ask again.
#[derive(Debug, Default)]
struct Known {
    servers: Mutex<HashMap<Arc<str>, Arc<ServerView>>>,
    users: Mutex<HashMap<Arc<str>, Arc<UserView>>>,
    /// Hashes of the identities that the edge knows something of; `None` while they are not known, or are too many.
    noted: RwLock<Option<HashSet<u64>>>,
    hasher: RandomState,
    /// The view of all other users.
    nobody: Arc<UserView>,
    /// Counts changes of identities, so that an answer that was on its way meanwhile is not kept.
    user_epoch: AtomicU64,
    /// Changes are followed: what is known is current.
    following: AtomicBool,
}

impl Asker {
    /// The server, if its current view is at hand.
    #[must_use]
    pub fn known_server(&self, server_id: &str) -> Option<Arc<ServerView>> {
        self.known.servers.lock().get(server_id).cloned()
    }

    /// The identity, if it is at hand and current.
    #[must_use]
    pub fn known_user(&self, user_id: &str) -> Option<Arc<UserView>> {
        if let Some(view) = self.known.users.lock().get(user_id) {
            return Some(view.clone());
        }
        // Two identities with one hash cost a question, never an answer.
        let known = &self.known;
        let unknown = known
            .noted
            .read()
            .as_ref()
            .is_some_and(|noted| !noted.contains(&known.hasher.hash_one(user_id)));
        (unknown && self.is_following()).then(|| known.nobody.clone())
    }

    /// Whether the edge answers and its changes are followed.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.known.following.load(Ordering::Acquire)
    }

    /// Asks; the answer comes into the inbox of `from`'s shard. Whether the question could be taken.
    #[must_use]
    pub fn ask(&self, from: ConnRef, question: Question) -> bool {
        self.questions.try_send((from, question)).is_ok()
    }
}

/// The runtime's side of the door.
pub struct Edge {
    transport: Box<dyn Transport>,
    credential: String,
    known: Arc<Known>,
    questions: mpsc::Receiver<(ConnRef, Question)>,
    wake: Arc<Notify>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edge")
    }
}

/// Makes both sides of the door to the edge behind `transport`; `credential` is the gateways' bearer. The notifier wakes the poll early.
#[must_use]
pub fn door(transport: Box<dyn Transport>, credential: String) -> (Asker, Edge, Arc<Notify>) {
    let (sender, questions) = mpsc::channel(limits::socket::EDGE_QUESTIONS_MAX);
    let known = Arc::new(Known::default());
    let wake = Arc::new(Notify::new());
    (
        Asker {
            questions: sender,
            known: known.clone(),
        },
        Edge {
            transport,
            credential,
            known,
            questions,
            wake: wake.clone(),
        },
        wake,
    )
}

/// Questions that are with the edge at once; the rest wait in their channel.
const IN_FLIGHT_MAX: usize = 64;

impl Edge {
    /// Answers questions and follows changes until the hub is gone. Runs on the caller's runtime.
    pub async fn run(mut self, hub: Arc<Hub>) {
        let (mut questions, wake) = (
            std::mem::replace(&mut self.questions, mpsc::channel(1).1),
            self.wake.clone(),
        );
        let edge = Arc::new(self);
        let follower = tokio::spawn(follow(edge.clone(), hub.clone(), wake));
        let waiting: Arc<Mutex<HashMap<Arc<str>, Vec<ConnRef>>>> = Arc::default();
        let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        while let Some((from, question)) = questions.recv().await {
            if let Question::Server(server_id) = &question {
                let mut waiting = waiting.lock();
                let queue = waiting.entry(server_id.clone()).or_default();
                queue.push(from);
                if queue.len() > 1 {
                    continue;
                }
            }
            let Ok(place) = places.clone().acquire_owned().await else {
                break;
            };
            let (edge, hub, waiting) = (edge.clone(), hub.clone(), waiting.clone());
            tokio::spawn(async move {
                let asked = question.clone();
                let answer = edge
                    .answer(question)
                    .instrument(tracing::info_span!("edge question"))
                    .await;
                let outcome = if matches!(answer, Answer::Unavailable) {
                    "unavailable"
                } else {
                    "answered"
                };
                Metrics::count(&hub.metrics.edge_questions, outcome);
                let receivers = match &asked {
                    Question::Server(server_id) => {
                        waiting.lock().remove(server_id).unwrap_or_default()
                    }
                    _ => vec![from],
                };
                for to in receivers {
                    hub.shards()[usize::from(to.shard)].send(Message::Answer {
                        to,
                        answer: answer.clone(),
                    });
                }
                drop(place);
            });
        }
        follower.abort();
    }

    async fn answer(&self, question: Question) -> Answer {
        let answer = match question {
            Question::Server(server_id) => self.server(&server_id).await.map(Answer::Server),
            Question::User(user_id) => self.user(&user_id).await.map(Answer::User),
            Question::Join(join) => self.join(&join).await.map(Answer::Join),
            Question::BindKey { user_id, key, add } => {
                self.bind(&user_id, &key, add).await.map(|()| Answer::Bound)
            }
        };
        answer.unwrap_or_else(|error| {
            tracing::warn!(%error, "a question to the edge was not answered");
            Answer::Unavailable
        })
    }

    /// Fetches a server and keeps it, unless something newer is kept already.
    async fn server(&self, server_id: &str) -> Result<Arc<ServerView>, Unreachable> {
        let response = self
            .call(
                Method::GET,
                &format!("/api/internal/servers/{}", escape(server_id)),
                None,
            )
            .await?;
        let view = match response.status() {
            StatusCode::OK => {
                ServerView::read(response.body()).map_err(|error| Unreachable(error.to_string()))?
            }
            StatusCode::NOT_FOUND => return Ok(Arc::new(ServerView::gone(server_id))),
            status => return Err(Unreachable(format!("status {status}"))),
        };
        let mut servers = self.known.servers.lock();
        if servers.len() >= SNAPSHOTS_CACHED_MAX {
            servers.clear();
        }
        let kept = servers
            .entry(view.server_id.clone())
            .or_insert_with(|| Arc::new(ServerView::gone("")));
        if kept.gone || kept.revision < view.revision {
            *kept = Arc::new(view);
        }
        Ok(kept.clone())
    }

    async fn user(&self, user_id: &Arc<str>) -> Result<Arc<UserView>, Unreachable> {
        let epoch = self.known.user_epoch.load(Ordering::Acquire);
        let response = self
            .call(
                Method::GET,
                &format!("/api/internal/users/{}", escape(user_id)),
                None,
            )
            .await?;
        let view: Arc<UserView> = Arc::new(read(&response)?);
        let mut users = self.known.users.lock();
        if users.len() >= SNAPSHOTS_CACHED_MAX {
            users.clear();
        }
        if self.known.user_epoch.load(Ordering::Acquire) == epoch {
            users.insert(user_id.clone(), view.clone());
        }
        Ok(view)
    }

    async fn join(&self, join: &JoinQuestion) -> Result<JoinAnswer, Unreachable> {
        let path = format!("/api/internal/servers/{}/join", escape(&join.server_id));
        read(
            &self
                .call(Method::POST, &path, Some(envelope::reply::bytes(join)))
                .await?,
        )
    }

    async fn bind(&self, user_id: &str, key: &str, add: bool) -> Result<(), Unreachable> {
        let body = envelope::reply::bytes(&serde_json::json!({"key": key, "add": add}));
        let response = self
            .call(
                Method::PUT,
                &format!("/api/internal/users/{}/key", escape(user_id)),
                Some(body),
            )
            .await?;
        read::<serde_json::Value>(&response)?;
        // The feed tells of the key as well, but later than the answer that a further connection of the user may follow.
        self.forget_user(user_id);
        Ok(())
    }

    /// Drops what is known of a user whose state has changed at the edge.
    fn forget_user(&self, user_id: &str) {
        self.known.user_epoch.fetch_add(1, Ordering::AcqRel);
        if let Some(noted) = self.known.noted.write().as_mut() {
            noted.insert(self.known.hasher.hash_one(user_id));
        }
        self.known.users.lock().remove(user_id);
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
        tokio::time::timeout(
            Duration::from_millis(EDGE_TIMEOUT_MS),
            self.transport.call(request),
        )
        .await
        .unwrap_or_else(|_| {
            Err(Unreachable(format!(
                "no answer within {EDGE_TIMEOUT_MS} ms"
            )))
        })
    }
}

#[derive(Deserialize)]
struct Changes {
    changes: Vec<Change>,
    latest: u64,
    #[serde(default)]
    reset: bool,
}

#[derive(Deserialize)]
struct Change {
    seq: u64,
    kind: String,
    id: String,
}

/// Follows the feed of changes. After a gap (start, an edge that was away, a feed that was cut) everything known is asked anew.
async fn follow(edge: Arc<Edge>, hub: Arc<Hub>, wake: Arc<Notify>) {
    let mut after: Option<u64> = None;
    loop {
        let more = match poll(&edge, &hub, &mut after).await {
            Ok(more) => {
                if !edge.known.following.swap(true, Ordering::AcqRel) {
                    hub.metrics.edge_up.set(1);
                    tracing::info!("the edge answers, its changes are followed");
                }
                more
            }
            Err(error) => {
                if edge.known.following.swap(false, Ordering::AcqRel) || after.is_none() {
                    hub.metrics.edge_up.set(0);
                    tracing::warn!(%error, "the edge's changes cannot be followed; members stay, guarded joins wait");
                }
                false
            }
        };
        if !more {
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(POLL_INTERVAL_MS)) => {}
            }
        }
    }
}

/// One look at the feed; whether there is more at once.
async fn poll(edge: &Edge, hub: &Hub, after: &mut Option<u64>) -> Result<bool, Unreachable> {
    let from = after.unwrap_or(u64::MAX >> 1);
    let response = edge
        .call(
            Method::GET,
            &format!("/api/internal/changes?after={from}"),
            None,
        )
        .await?;
    let Changes {
        changes,
        latest,
        reset,
    } = read(&response)?;
    if reset || after.is_none() {
        edge.known.user_epoch.fetch_add(1, Ordering::AcqRel);
        *edge.known.noted.write() = None;
        edge.known.users.lock().clear();
        let noted = noted_users(edge).await?;
        *edge.known.noted.write() = noted;
        let mut followed = hub.open_server_ids();
        followed.extend(edge.known.servers.lock().keys().cloned());
        followed.sort_unstable();
        followed.dedup();
        for server_id in followed {
            refresh_server(edge, hub, &server_id).await?;
        }
        *after = Some(latest);
        return Ok(false);
    }
    for change in &changes {
        match change.kind.as_str() {
            "server" => {
                let known = edge.known.servers.lock().contains_key(&*change.id);
                if known || hub.is_open(&change.id) {
                    refresh_server(edge, hub, &change.id).await?;
                }
            }
            "user" => {
                edge.forget_user(&change.id);
                if hub.is_connected(&change.id) {
                    let view = edge.user(&change.id.as_str().into()).await?;
                    hub.update_user(&change.id, &view);
                }
            }
            other => tracing::debug!(
                kind = other,
                "the feed of changes names a kind that is not followed here"
            ),
        }
        *after = Some(change.seq);
    }
    Ok(after.is_some_and(|after| after < latest) && !changes.is_empty())
}

#[derive(Deserialize)]
struct NotedUsers {
    users: Vec<String>,
    next: Option<String>,
}

/// Whom the edge knows something of, page by page. What changes meanwhile is in the feed, which is read from before this began.
async fn noted_users(edge: &Edge) -> Result<Option<HashSet<u64>>, Unreachable> {
    let (mut noted, mut after) = (HashSet::new(), String::new());
    loop {
        let page: NotedUsers = read(
            &edge
                .call(
                    Method::GET,
                    &format!("/api/internal/users?after={}", escape(&after)),
                    None,
                )
                .await?,
        )?;
        noted.extend(
            page.users
                .iter()
                .map(|user| edge.known.hasher.hash_one(user.as_str())),
        );
        if noted.len() > KNOWN_USERS_MAX {
            tracing::warn!(
                most = KNOWN_USERS_MAX,
                "the edge knows something of too many identities to remember; each new one is asked for"
            );
            return Ok(None);
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(Some(noted)),
        }
    }
}

async fn refresh_server(edge: &Edge, hub: &Hub, server_id: &str) -> Result<(), Unreachable> {
    let view = edge.server(server_id).await?;
    if view.gone {
        edge.known.servers.lock().remove(server_id);
    }
    hub.revise(&view);
    Ok(())
}

fn read<T: for<'de> Deserialize<'de>>(response: &Response<Bytes>) -> Result<T, Unreachable> {
    if response.status() != StatusCode::OK {
        return Err(Unreachable(format!("status {}", response.status())));
    }
    serde_json::from_slice(response.body())
        .map_err(|error| Unreachable(format!("the answer is not understood: {error}")))
}

/// Percent-encodes one path segment.
fn escape(segment: &str) -> String {
    use std::fmt::Write;
    segment
        .bytes()
        .fold(String::with_capacity(segment.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
}
