//! The shards' side of the directory: what is cached, and questions whose answers come into the shard's inbox.

use crate::directory::{
    api::{DirectoryApi, JoinAnswer, JoinQuestion, Transport},
    cache::Cache,
    fetcher::Fetcher,
    views::{ServerView, UserView},
    worker::DirectoryWorker,
};
use limits::socket::QUESTIONS_WAITING_MAX;
use plugin_bus::Ticket;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, mpsc};

/// A question of a shard.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// The access rules and plugins of a server.
    Server(Arc<str>),
    /// What is stored about a user.
    User(Arc<str>),
    /// Whether a user may enter a guarded server.
    Join(JoinQuestion),
    /// Bind a key to a user, whose name needs proof from then on.
    BindKey {
        /// The user.
        user_id: Arc<str>,
        /// Ed25519 public key, base64url.
        key: String,
        /// The user is proven already: the key is added to those that are bound.
        add: bool,
    },
}

/// The directory's answer to a [`Question`].
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The server; gone if there is none.
    Server(Arc<ServerView>),
    /// The user.
    User(Arc<UserView>),
    /// The decision about a join.
    Join(JoinAnswer),
    /// The key is bound.
    Bound,
}

/// Asks the directory without waiting.
#[derive(Debug, Clone)]
pub struct DirectoryClient {
    questions: mpsc::Sender<(Ticket, Question)>,
    cache: Arc<Cache>,
}

impl DirectoryClient {
    /// A client of the directory behind `transport`, the worker that answers it, and a notifier that starts the next
    /// poll of the feed of changes before `poll_interval` has passed. `credential` is the bearer token of gateways.
    #[must_use]
    pub fn connect(
        transport: Box<dyn Transport>,
        credential: String,
        poll_interval: Duration,
    ) -> (Self, DirectoryWorker, Arc<Notify>) {
        let (sender, questions) = mpsc::channel(QUESTIONS_WAITING_MAX);
        let (cache, wake) = (Arc::<Cache>::default(), Arc::new(Notify::new()));
        let fetcher = Fetcher {
            api: DirectoryApi::new(transport, credential),
            cache: cache.clone(),
        };
        let worker = DirectoryWorker::new(fetcher, questions, wake.clone(), poll_interval);
        let client = Self {
            questions: sender,
            cache,
        };
        (client, worker, wake)
    }

    /// The server, if it is cached.
    pub(crate) fn known_server(&self, server_id: &str) -> Option<Arc<ServerView>> {
        self.cache.server(server_id)
    }

    /// The user, if its current view is known without a question.
    pub(crate) fn known_user(&self, user_id: &str) -> Option<Arc<UserView>> {
        self.cache.user(user_id)
    }

    /// The count of changes of a user.
    pub(crate) fn user_epoch(&self, user_id: &str) -> u64 {
        self.cache.user_epoch(user_id)
    }

    /// Whether the directory answers and its changes are followed.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.cache.is_following()
    }

    /// The age of the directory's oldest change that is not applied.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.cache.lag()
    }

    /// Asks for the connection that waits under `ticket`, whose shard gets the answer. False if too many questions wait
    /// already.
    pub(crate) fn ask(&self, ticket: Ticket, question: Question) -> bool {
        self.questions.try_send((ticket, question)).is_ok()
    }
}
