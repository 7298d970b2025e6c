//! Follows the directory's feed of changes. After a gap (start, a feed that was cut, a database that was restored) all
//! that connections are concerned with is fetched again.
//!
//! The changes of a page are applied once for each server and user, several at a time. One that cannot be fetched keeps
//! no other waiting: it is fetched again after a pause, and until then no connection enters that server.

use crate::{
    directory::{
        api::{Changes, Unreachable},
        fetcher::Fetcher,
    },
    hub::Hub,
    room::Room,
    session::authority::KnownMembers,
};
use limits::directory::{
    KNOWN_USERS_MAX, POLL_INTERVAL_MS, REFRESH_RETRY_MAX_MS, REFRESH_RETRY_MS, REFRESHES_MAX,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task::JoinSet};

/// What a change is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Server(Arc<str>),
    User(Arc<str>),
}

/// A changed server or user that could not be fetched.
struct Overdue {
    pause: Duration,
    again_at: Instant,
    is_restated: bool,
}

/// Any number that no feed has reached: the answer then says only where the feed is.
const BEYOND_THE_FEED: u64 = u64::MAX >> 1;

/// The reader of the feed.
pub(super) struct Follower {
    refresher: Arc<Refresher>,
    wake: Arc<Notify>,
    /// Time between two polls while the directory answers.
    poll_interval: Duration,
    /// The number of the last change that was read; `None` before the first answer.
    after: Option<u64>,
    /// What is to be fetched, and whether it may be older than what was fetched before. This, what is being fetched and
    /// what is overdue have at most one entry for each open server and connected user.
    waiting: HashMap<Subject, bool>,
    /// What is being fetched, at most [`REFRESHES_MAX`].
    fetching: HashSet<Subject>,
    tasks: JoinSet<(Subject, bool, Result<(), Unreachable>)>,
    overdue: HashMap<Subject, Overdue>,
}

impl Follower {
    pub(super) fn new(
        fetcher: Arc<Fetcher>,
        hub: Arc<Hub>,
        wake: Arc<Notify>,
        poll_interval: Duration,
    ) -> Self {
        Self {
            refresher: Arc::new(Refresher { fetcher, hub }),
            wake,
            poll_interval,
            after: None,
            waiting: HashMap::new(),
            fetching: HashSet::new(),
            tasks: JoinSet::new(),
            overdue: HashMap::new(),
        }
    }

    /// Polls the feed, at once after a notification, and fetches what has changed, for as long as the task runs.
    pub(super) async fn run(mut self) {
        loop {
            let polled = self.poll().await;
            self.record(&polled);
            let pause = match polled {
                Ok(true) => Duration::ZERO,
                Ok(false) => self.poll_interval,
                Err(_) => Duration::from_millis(POLL_INTERVAL_MS),
            };
            self.fetch_until(Instant::now() + pause).await;
        }
    }

    /// Fetches what waits, until the next poll is due.
    async fn fetch_until(&mut self, next_poll: Instant) {
        loop {
            self.start();
            self.note_lag();
            let wait = next_poll.min(self.next_retry().unwrap_or(next_poll));
            tokio::select! {
                Some(ended) = self.tasks.join_next() => {
                    if let Ok((subject, is_restated, outcome)) = ended {
                        self.end(subject, is_restated, outcome);
                    }
                }
                () = self.wake.notified() => return,
                () = tokio::time::sleep_until(wait.into()) => {
                    if Instant::now() >= next_poll {
                        return;
                    }
                    self.retry();
                }
            }
        }
    }

    /// Records whether the directory answers.
    fn record(&self, polled: &Result<bool, Unreachable>) {
        let Refresher { fetcher, hub } = &*self.refresher;
        let was_following = fetcher.cache.set_following(polled.is_ok());
        match polled {
            Ok(_) if !was_following => {
                hub.metrics.directory_up.set(1);
                tracing::info!("the directory answers, its changes are followed");
            }
            Err(error) if was_following || self.after.is_none() => {
                hub.metrics.directory_up.set(0);
                tracing::warn!(%error, "the directory's changes cannot be followed; connections stay, joins of guarded servers are refused");
            }
            _ => {}
        }
    }

    /// Reads one page of the feed; whether there is more at once.
    async fn poll(&mut self) -> Result<bool, Unreachable> {
        let from = self.after.unwrap_or(BEYOND_THE_FEED);
        let feed = self.refresher.fetcher.api.changes(from).await?;
        if feed.reset || self.after.is_none() {
            self.read_everything().await?;
            self.after = Some(feed.latest);
            return Ok(false);
        }
        for subject in self.subjects(&feed) {
            self.wait(subject, false);
        }
        if let Some(last) = feed.changes.last() {
            self.after = Some(last.seq);
        }
        Ok(!feed.changes.is_empty() && self.after.is_some_and(|at| at < feed.latest))
    }

    /// The servers and users that a page of the feed names, each once.
    fn subjects(&self, feed: &Changes) -> HashSet<Subject> {
        let mut subjects = HashSet::new();
        for change in &feed.changes {
            let id = change.id.as_str().into();
            match change.kind.as_str() {
                "server" => subjects.insert(Subject::Server(id)),
                "user" => {
                    // Before any is fetched: an answer that is under way may be older than the change.
                    self.refresher.fetcher.cache.forget_user(&change.id);
                    subjects.insert(Subject::User(id))
                }
                other => {
                    tracing::debug!(kind = other, "the feed of changes names an unknown kind");
                    false
                }
            };
        }
        subjects
    }

    /// Begins to fetch what waits, as far as there are places. What is being fetched already is fetched again afterwards.
    fn start(&mut self) {
        while self.fetching.len() < REFRESHES_MAX {
            let mut waiting = self.waiting.iter();
            let next = waiting.find(|(subject, _)| !self.fetching.contains(subject));
            let Some((subject, is_restated)) = next.map(|(subject, is)| (subject.clone(), *is))
            else {
                return;
            };
            self.waiting.remove(&subject);
            self.fetching.insert(subject.clone());
            let refresher = self.refresher.clone();
            self.tasks.spawn(async move {
                let refreshed = refresher.refresh(&subject, is_restated);
                let outcome = Unreachable::unless_answered(refreshed).await;
                (subject, is_restated, outcome)
            });
        }
    }

    fn end(&mut self, subject: Subject, is_restated: bool, outcome: Result<(), Unreachable>) {
        self.fetching.remove(&subject);
        match outcome {
            Ok(()) => {
                self.overdue.remove(&subject);
            }
            Err(error) => self.postpone(subject, is_restated, &error),
        }
    }

    /// Lets a server or user wait to be fetched; what was to replace anything still is.
    fn wait(&mut self, subject: Subject, is_restated: bool) {
        let overdue = self.overdue.get(&subject);
        let is_restated = is_restated || overdue.is_some_and(|overdue| overdue.is_restated);
        *self.waiting.entry(subject).or_default() |= is_restated;
    }

    /// Lets what has been overdue for long enough wait again.
    fn retry(&mut self) {
        let now = Instant::now();
        let mut due = Vec::new();
        for (subject, overdue) in &mut self.overdue {
            if overdue.again_at <= now {
                // It is entered anew if it fails again.
                overdue.again_at = now + Duration::from_millis(REFRESH_RETRY_MAX_MS);
                due.push(subject.clone());
            }
        }
        due.into_iter()
            .for_each(|subject| self.wait(subject, false));
    }

    /// Records whether there are changes that are not applied.
    fn note_lag(&self) {
        let Refresher { fetcher, hub } = &*self.refresher;
        let is_behind =
            !(self.waiting.is_empty() && self.fetching.is_empty() && self.overdue.is_empty());
        fetcher.cache.set_behind(is_behind);
        hub.metrics.directory_overdue.set(self.overdue.len() as i64);
    }

    fn postpone(&mut self, subject: Subject, is_restated: bool, error: &Unreachable) {
        let before = self.overdue.get(&subject);
        let pause = before.map_or(Duration::from_millis(REFRESH_RETRY_MS), |overdue| {
            (overdue.pause * 2).min(Duration::from_millis(REFRESH_RETRY_MAX_MS))
        });
        if before.is_none() {
            tracing::warn!(?subject, %error, "a change cannot be fetched; it is tried again, connections stay as they are");
        }
        if let Subject::Server(server_id) = &subject {
            self.refresher.fetcher.cache.forget_server(server_id);
        }
        let overdue = Overdue {
            pause,
            again_at: Instant::now() + pause,
            is_restated,
        };
        self.overdue.insert(subject, overdue);
    }

    /// When something that is overdue is fetched again.
    fn next_retry(&self) -> Option<Instant> {
        self.overdue.values().map(|overdue| overdue.again_at).min()
    }

    /// Drops what is cached, and lets all that connections are concerned with be fetched again.
    async fn read_everything(&mut self) -> Result<(), Unreachable> {
        let refresher = self.refresher.clone();
        let Refresher { fetcher, hub } = &*refresher;
        let cache = &fetcher.cache;
        cache.forget_users();
        cache.forget_servers();
        let known = known_users(fetcher).await?;
        let is_known = |user: &Arc<str>| match &known {
            Some(known) => known.contains(&cache.hash(user)),
            None => true,
        };
        let (known_users, others): (Vec<_>, Vec<_>) =
            hub.users.connected().into_iter().partition(is_known);
        cache.set_known_users(known);
        for user_id in others {
            hub.user_changed(&user_id, &Arc::default());
        }
        let servers = hub.rooms.server_ids().into_iter().map(Subject::Server);
        let subjects = servers.chain(known_users.into_iter().map(Subject::User));
        subjects.for_each(|subject| self.wait(subject, true));
        Ok(())
    }
}

/// Hashes of the users for which the directory stores anything; `None` if they are too many. Changes during the reading
/// are in the feed, whose place was read before.
async fn known_users(fetcher: &Fetcher) -> Result<Option<HashSet<u64>>, Unreachable> {
    let (mut known, mut after) = (HashSet::new(), String::new());
    loop {
        let page = fetcher.api.users(&after).await?;
        known.extend(page.users.iter().map(|user| fetcher.cache.hash(user)));
        if known.len() > KNOWN_USERS_MAX {
            tracing::warn!(
                most = KNOWN_USERS_MAX,
                "the directory knows too many users to remember; each new one is asked for"
            );
            return Ok(None);
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(Some(known)),
        }
    }
}

/// Fetches what has changed, and applies it to rooms and users.
struct Refresher {
    fetcher: Arc<Fetcher>,
    hub: Arc<Hub>,
}

impl Refresher {
    async fn refresh(&self, subject: &Subject, is_restated: bool) -> Result<(), Unreachable> {
        match subject {
            Subject::Server(server_id) => self.server(server_id, is_restated).await,
            Subject::User(user_id) => self.user(user_id).await,
        }
    }

    /// Fetches a server that connections are concerned with. Where it is guarded otherwise than before, its members are
    /// asked for.
    async fn server(&self, server_id: &Arc<str>, is_restated: bool) -> Result<(), Unreachable> {
        let is_held = self.fetcher.cache.holds_server(server_id);
        if !is_held && !self.hub.rooms.is_open(server_id) {
            return Ok(());
        }
        let view = self.fetcher.server(server_id).await?;
        let Some(room) = self.hub.revise(&view, is_restated) else {
            return Ok(());
        };
        if room.has_unchecked(&view) || (is_restated && view.guarded) {
            let users = self.hub.users.in_room(&room);
            self.check_members(&room, view.access, &users, true).await?;
        }
        Ok(())
    }

    /// Fetches a user that is connected, and its memberships in the guarded servers where it is: a membership that ends
    /// is a change of both.
    async fn user(&self, user_id: &Arc<str>) -> Result<(), Unreachable> {
        if !self.hub.users.is_connected(user_id) {
            return Ok(());
        }
        let view = self.fetcher.user(user_id).await?;
        self.hub.user_changed(user_id, &view);
        for room in self.hub.users.rooms(user_id) {
            let view = room.view();
            if view.guarded {
                let user = std::slice::from_ref(user_id);
                self.check_members(&room, view.access, user, false).await?;
            }
        }
        Ok(())
    }

    /// Asks which of some users, or of all users in a room, are members.
    async fn check_members(
        &self,
        room: &Arc<Room>,
        access: u64,
        users: &[Arc<str>],
        all: bool,
    ) -> Result<(), Unreachable> {
        let users = self.fetcher.members(&room.server_id, users).await?;
        room.members_known(KnownMembers { access, users }, all, &self.hub.shards());
        Ok(())
    }
}
