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
use futures::StreamExt as _;
use limits::directory::{
    KNOWN_USERS_MAX, POLL_INTERVAL_MS, REFRESH_RETRY_MAX_MS, REFRESH_RETRY_MS, REFRESHES_MAX,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

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
}

/// Any number that no feed has reached: the answer then says only where the feed is.
const BEYOND_THE_FEED: u64 = u64::MAX >> 1;

/// The reader of the feed.
pub(super) struct Follower {
    fetcher: Arc<Fetcher>,
    hub: Arc<Hub>,
    wake: Arc<Notify>,
    /// Time between two polls while the directory answers.
    poll_interval: Duration,
    /// The number of the last change that was applied; `None` before the first answer.
    after: Option<u64>,
    /// At most one for each open server and connected user.
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
            fetcher,
            hub,
            wake,
            poll_interval,
            after: None,
            overdue: HashMap::new(),
        }
    }

    /// Polls the feed, at once after a notification, for as long as the task runs.
    pub(super) async fn run(mut self) {
        loop {
            let polled = self.poll().await;
            self.record(&polled);
            let pause = match polled {
                Ok(true) => continue,
                Ok(false) => self.next_retry().min(self.poll_interval),
                Err(_) => Duration::from_millis(POLL_INTERVAL_MS),
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Records whether the directory answers.
    fn record(&self, polled: &Result<bool, Unreachable>) {
        let was_following = self.fetcher.cache.set_following(polled.is_ok());
        match polled {
            Ok(_) if !was_following => {
                self.hub.metrics.edge_up.set(1);
                tracing::info!("the directory answers, its changes are followed");
            }
            Err(error) if was_following || self.after.is_none() => {
                self.hub.metrics.edge_up.set(0);
                tracing::warn!(%error, "the directory's changes cannot be followed; connections stay, joins of guarded servers are refused");
            }
            _ => {}
        }
    }

    /// Reads and applies one page of the feed, and what is overdue; whether there is more at once.
    async fn poll(&mut self) -> Result<bool, Unreachable> {
        let from = self.after.unwrap_or(BEYOND_THE_FEED);
        let feed = self.fetcher.api.changes(from).await?;
        let cache = self.fetcher.cache.clone();
        if feed.reset || self.after.is_none() {
            cache.set_behind(true);
            self.fetch_everything().await?;
            self.after = Some(feed.latest);
            cache.set_behind(!self.overdue.is_empty());
            return Ok(false);
        }
        if !feed.changes.is_empty() {
            cache.set_behind(true);
        }
        let mut subjects = self.subjects(&feed);
        let now = Instant::now();
        let overdue = self.overdue.iter();
        let again = overdue.filter(|(_, overdue)| overdue.again_at <= now);
        subjects.extend(again.map(|(subject, _)| subject.clone()));
        self.refresh(subjects, false).await;
        if let Some(last) = feed.changes.last() {
            self.after = Some(last.seq);
        }
        let is_more = !feed.changes.is_empty() && self.after.is_some_and(|at| at < feed.latest);
        cache.set_behind(is_more || !self.overdue.is_empty());
        Ok(is_more)
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
                    self.fetcher.cache.forget_user(&change.id);
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

    /// Fetches what has changed, and applies it. What cannot be fetched is overdue.
    async fn refresh(&mut self, subjects: HashSet<Subject>, is_restated: bool) {
        let this = &*self;
        let refreshed = futures::stream::iter(subjects).map(|subject| async move {
            let outcome = match &subject {
                Subject::Server(server_id) => this.refresh_server(server_id, is_restated).await,
                Subject::User(user_id) => this.refresh_user(user_id).await,
            };
            (subject, outcome)
        });
        let refreshed: Vec<_> = refreshed.buffer_unordered(REFRESHES_MAX).collect().await;
        for (subject, outcome) in refreshed {
            match outcome {
                Ok(()) => {
                    self.overdue.remove(&subject);
                }
                Err(error) => self.postpone(subject, &error),
            }
        }
        self.hub.metrics.edge_overdue.set(self.overdue.len() as i64);
    }

    fn postpone(&mut self, subject: Subject, error: &Unreachable) {
        let before = self.overdue.get(&subject);
        let pause = before.map_or(Duration::from_millis(REFRESH_RETRY_MS), |overdue| {
            (overdue.pause * 2).min(Duration::from_millis(REFRESH_RETRY_MAX_MS))
        });
        if before.is_none() {
            tracing::warn!(?subject, %error, "a change cannot be fetched; it is tried again, connections stay as they are");
        }
        if let Subject::Server(server_id) = &subject {
            self.fetcher.cache.forget_server(server_id);
        }
        let again_at = Instant::now() + pause;
        self.overdue.insert(subject, Overdue { pause, again_at });
    }

    /// Time until something that is overdue is fetched again.
    fn next_retry(&self) -> Duration {
        let next = self.overdue.values().map(|overdue| overdue.again_at).min();
        next.map_or(Duration::MAX, |at| {
            at.saturating_duration_since(Instant::now())
        })
    }

    /// Fetches a server that connections are concerned with. Where it is guarded otherwise than before, its members are
    /// asked for.
    async fn refresh_server(
        &self,
        server_id: &Arc<str>,
        is_restated: bool,
    ) -> Result<(), Unreachable> {
        let is_held = self.fetcher.cache.holds_server(server_id);
        if !is_held && !self.hub.rooms.is_open(server_id) {
            return Ok(());
        }
        let view = self.fetcher.server(server_id).await?;
        let Some(room) = self.hub.revise(&view, is_restated) else {
            return Ok(());
        };
        if room.has_unchecked(&view) || (is_restated && view.guarded && !view.gone) {
            let users = self.hub.users.in_room(&room);
            self.check_members(&room, view.access, &users, true).await?;
        }
        Ok(())
    }

    /// Fetches a user that is connected, and its memberships in the guarded servers where it is: a membership that ends
    /// is a change of both.
    async fn refresh_user(&self, user_id: &Arc<str>) -> Result<(), Unreachable> {
        if !self.hub.users.is_connected(user_id) {
            return Ok(());
        }
        let view = self.fetcher.user(user_id).await?;
        self.hub.user_changed(user_id, &view);
        for room in self.hub.users.rooms(user_id) {
            let view = room.view();
            if view.guarded && !view.gone {
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

    async fn fetch_everything(&mut self) -> Result<(), Unreachable> {
        let cache = &self.fetcher.cache;
        cache.forget_users();
        cache.forget_servers();
        let known = self.known_users().await?;
        let is_known = |user: &Arc<str>| match &known {
            Some(known) => known.contains(&cache.hash(user)),
            None => true,
        };
        let (known_users, others): (Vec<_>, Vec<_>) =
            self.hub.users.connected().into_iter().partition(is_known);
        cache.set_known_users(known);
        for user_id in others {
            self.hub.user_changed(&user_id, &Arc::default());
        }
        let servers = self.hub.rooms.server_ids().into_iter();
        let subjects = servers.map(Subject::Server);
        let subjects = subjects.chain(known_users.into_iter().map(Subject::User));
        self.refresh(subjects.collect(), true).await;
        Ok(())
    }

    /// Hashes of the users for which the directory stores anything; `None` if they are too many. Changes during the
    /// reading are in the feed, whose place was read before.
    async fn known_users(&self) -> Result<Option<HashSet<u64>>, Unreachable> {
        let (mut known, mut after) = (HashSet::new(), String::new());
        loop {
            let page = self.fetcher.api.users(&after).await?;
            known.extend(page.users.iter().map(|user| self.fetcher.cache.hash(user)));
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
}
