//! Answers the questions of shards on the async runtime. Several questions about one server share one request.

use crate::{
    directory::{
        api::Unreachable,
        client::{Answer, Question},
        fetcher::Fetcher,
        follower::Follower,
    },
    hub::Hub,
    metrics::Metrics,
    session::pending::{Reply, Unavailable},
};
use limits::directory::QUESTIONS_AT_ONCE_MAX;
use parking_lot::Mutex;
use plugin_bus::Ticket;
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};
use tokio::sync::{Notify, Semaphore, mpsc};
use tracing::Instrument;

/// The runtime's side of [`DirectoryClient`](crate::directory::DirectoryClient).
pub struct DirectoryWorker {
    fetcher: Arc<Fetcher>,
    questions: mpsc::Receiver<(Ticket, Question)>,
    wake: Arc<Notify>,
    poll_interval: Duration,
    /// The tickets that wait for each server that is being fetched.
    fetching: Arc<Mutex<HashMap<Arc<str>, Vec<Ticket>>>>,
}

impl fmt::Debug for DirectoryWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectoryWorker")
    }
}

impl DirectoryWorker {
    pub(super) fn new(
        fetcher: Fetcher,
        questions: mpsc::Receiver<(Ticket, Question)>,
        wake: Arc<Notify>,
        poll_interval: Duration,
    ) -> Self {
        Self {
            fetcher: Arc::new(fetcher),
            questions,
            wake,
            poll_interval,
            fetching: Arc::default(),
        }
    }

    /// Answers questions and follows changes until the caller's runtime ends.
    pub async fn run(mut self, hub: Arc<Hub>) {
        let follower = Follower::new(
            self.fetcher.clone(),
            hub.clone(),
            self.wake.clone(),
            self.poll_interval,
        );
        tokio::spawn(follower.run());
        let requests = Arc::new(Semaphore::new(QUESTIONS_AT_ONCE_MAX));
        while let Some((ticket, question)) = self.questions.recv().await {
            if let Question::Server(server_id) = &question
                && !self.is_first(server_id, ticket)
            {
                continue;
            }
            let Ok(permit) = requests.clone().acquire_owned().await else {
                break;
            };
            let (fetcher, hub, fetching) =
                (self.fetcher.clone(), hub.clone(), self.fetching.clone());
            tokio::spawn(async move {
                let server_id = match &question {
                    Question::Server(server_id) => Some(server_id.clone()),
                    _ => None,
                };
                let span = tracing::info_span!("directory question");
                let answer = Unreachable::unless_answered(answer(&fetcher, question));
                let answer = answer.instrument(span).await;
                let receivers = match server_id {
                    Some(server_id) => fetching.lock().remove(&server_id).unwrap_or_default(),
                    None => vec![ticket],
                };
                deliver(&hub, &receivers, &answer);
                drop(permit);
            });
        }
    }

    /// Adds a ticket to those that wait for a server; whether it is the first.
    fn is_first(&self, server_id: &Arc<str>, ticket: Ticket) -> bool {
        let mut fetching = self.fetching.lock();
        let waiting = fetching.entry(server_id.clone()).or_default();
        waiting.push(ticket);
        waiting.len() == 1
    }
}

async fn answer(fetcher: &Fetcher, question: Question) -> Result<Answer, Unreachable> {
    match question {
        Question::Server(server_id) => fetcher.server(&server_id).await.map(Answer::Server),
        Question::User(user_id) => fetcher.user(&user_id).await.map(Answer::User),
        Question::Join(join) => fetcher.join(&join).await.map(Answer::Join),
        Question::BindKey { user_id, key, add } => {
            let bound = fetcher.bind_key(&user_id, &key, add).await;
            bound.map(|()| Answer::Bound)
        }
    }
}

fn deliver(hub: &Hub, receivers: &[Ticket], answer: &Result<Answer, Unreachable>) {
    let outcome = match answer {
        Ok(_) => "answered",
        Err(error) => {
            tracing::warn!(%error, "the directory did not answer a question");
            "unavailable"
        }
    };
    Metrics::count(&hub.metrics.directory_questions, outcome);
    for ticket in receivers {
        let reply = match answer {
            Ok(answer) => Ok(Reply::Directory(answer.clone())),
            Err(_) => Err(Unavailable::Failed),
        };
        hub.reply(*ticket, reply);
    }
}
