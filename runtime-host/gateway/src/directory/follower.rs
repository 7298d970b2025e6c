//! Follows the directory's feed of changes. After a gap (start, a feed that was cut, a database that was restored) all
//! that connections are concerned with is fetched again.
//!
//! The changes are applied once for each server and user, in the order of their first change, several at a time. Servers
//! and users have places of their own: what users do about themselves delays no ban. One that cannot be fetched keeps no
//! other waiting: it is fetched again after a pause, and until then no connection enters that server.

use crate::{
    directory::{
        api::{Change, Unreachable},
        fetcher::Fetcher,
        queue::{Queue, Wanted},
    },
    hub::Hub,
    room::Room,
    session::authority::KnownMembers,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use limits::directory::{
    KNOWN_USERS_MAX, MEMBERSHIP_QUESTIONS_MAX, POLL_INTERVAL_MS, REFRESH_RETRY_MAX_MS,
    REFRESH_RETRY_MS, REFRESHES_MAX, SNAPSHOTS_CACHED_MAX, USER_REFRESHES_MAX,
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
    wanted: Wanted,
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
    /// These, and what is overdue, have at most one entry for each open server and connected user.
    servers: Queue,
    users: Queue,
    /// The revisions of users, as of their last row of the feed. At most [`SNAPSHOTS_CACHED_MAX`]; a user is entered when it
    /// changes while it is connected.
    user_revisions: HashMap<Arc<str>, u64>,
    tasks: JoinSet<(Subject, Wanted, Result<(), Unreachable>)>,
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
            servers: Queue::new(REFRESHES_MAX),
            users: Queue::new(USER_REFRESHES_MAX),
            user_revisions: HashMap::new(),
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
                    if let Ok((subject, wanted, outcome)) = ended {
                        self.end(subject, wanted, outcome);
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
        for change in &feed.changes {
            self.note(change);
        }
        if let Some(last) = feed.changes.last() {
            self.after = Some(last.seq);
        }
        Ok(!feed.changes.is_empty() && self.after.is_some_and(|at| at < feed.latest))
    }

    /// Lets the server or user of a change wait to be fetched.
    fn note(&mut self, change: &Change) {
        let id: Arc<str> = change.id.as_str().into();
        match change.kind.as_str() {
            "server" => self.wait(Subject::Server(id), false, false),
            "user" => {
                // Before it is fetched: an answer that is under way may be older than the change.
                self.refresher.fetcher.cache.forget_user(&change.id);
                let is_own = self.is_own_change(&id, change.revision);
                self.wait(Subject::User(id), false, !is_own);
            }
            other => tracing::debug!(kind = other, "the feed of changes names an unknown kind"),
        }
    }

    /// Whether a change of a user is one of what is stored about itself, such as its block list: its revision grows. It
    /// stays when a server changes what concerns the user, such as a membership.
    fn is_own_change(&mut self, user_id: &Arc<str>, revision: u64) -> bool {
        if let Some(before) = self.user_revisions.get_mut(user_id) {
            return std::mem::replace(before, revision) < revision;
        }
        if self.refresher.hub.users.is_connected(user_id) {
            if self.user_revisions.len() >= SNAPSHOTS_CACHED_MAX {
                self.user_revisions.clear();
            }
            self.user_revisions.insert(user_id.clone(), revision);
        }
        false
    }

    /// Begins to fetch what waits, as far as there are places.
    fn start(&mut self) {
        while let Some((server_id, wanted)) = self.servers.start() {
            self.fetch(Subject::Server(server_id), wanted);
        }
        while let Some((user_id, wanted)) = self.users.start() {
            self.fetch(Subject::User(user_id), wanted);
        }
    }

    fn fetch(&mut self, subject: Subject, wanted: Wanted) {
        let refresher = self.refresher.clone();
        self.tasks.spawn(async move {
            let refreshed = refresher.refresh(&subject, wanted);
            let outcome = Unreachable::unless_answered(refreshed).await;
            (subject, wanted, outcome)
        });
    }

    fn end(&mut self, subject: Subject, wanted: Wanted, outcome: Result<(), Unreachable>) {
        match &subject {
            Subject::Server(server_id) => self.servers.end(server_id),
            Subject::User(user_id) => self.users.end(user_id),
        }
        match outcome {
            Ok(()) => {
                self.overdue.remove(&subject);
            }
            Err(error) => self.postpone(subject, wanted, &error),
        }
    }

    /// Lets a server or user wait to be fetched; what was to be done anyway still is.
    fn wait(&mut self, subject: Subject, is_restated: bool, memberships: bool) {
        let mut wanted = Wanted {
            since: Instant::now(),
            is_restated,
            memberships,
        };
        if let Some(overdue) = self.overdue.get(&subject) {
            // The queue is in the order of age; that of what is overdue is counted beside it.
            wanted.is_restated |= overdue.wanted.is_restated;
            wanted.memberships |= overdue.wanted.memberships;
        }
        match subject {
            Subject::Server(server_id) => self.servers.push(server_id, wanted),
            Subject::User(user_id) => self.users.push(user_id, wanted),
        }
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
            .for_each(|subject| self.wait(subject, false, false));
    }

    /// Records the age of the oldest change that is not applied.
    fn note_lag(&self) {
        let Refresher { fetcher, hub } = &*self.refresher;
        let overdue = self.overdue.values().map(|overdue| overdue.wanted.since);
        let queued = [self.servers.oldest(), self.users.oldest()];
        let oldest = queued.into_iter().flatten().chain(overdue).min();
        fetcher.cache.set_behind(oldest);
        hub.metrics.directory_overdue.set(self.overdue.len() as i64);
    }

    fn postpone(&mut self, subject: Subject, wanted: Wanted, error: &Unreachable) {
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
        let wanted = before.map_or(wanted, |overdue| overdue.wanted.and(wanted));
        let overdue = Overdue {
            pause,
            again_at: Instant::now() + pause,
            wanted,
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
        self.user_revisions.clear();
        subjects.for_each(|subject| self.wait(subject, true, true));
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
    async fn refresh(&self, subject: &Subject, wanted: Wanted) -> Result<(), Unreachable> {
        match subject {
            Subject::Server(server_id) => self.server(server_id, wanted.is_restated).await,
            Subject::User(user_id) => self.user(user_id, wanted.memberships).await,
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

    /// Fetches a user that is connected; and its memberships in the guarded servers where it is, if one may have ended.
    async fn user(&self, user_id: &Arc<str>, memberships: bool) -> Result<(), Unreachable> {
        if !self.hub.users.is_connected(user_id) {
            return Ok(());
        }
        let view = self.fetcher.user(user_id).await?;
        self.hub.user_changed(user_id, &view);
        if !memberships {
            return Ok(());
        }
        let user = std::slice::from_ref(user_id);
        let rooms = self.hub.users.rooms(user_id).into_iter();
        let guarded = rooms.filter_map(|room| {
            let view = room.view();
            view.guarded.then_some((room, view.access))
        });
        let questions = guarded.map(|(room, access)| async move {
            self.check_members(&room, access, user, false).await
        });
        let answers = stream::iter(questions).buffer_unordered(MEMBERSHIP_QUESTIONS_MAX);
        answers.try_collect().await
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
