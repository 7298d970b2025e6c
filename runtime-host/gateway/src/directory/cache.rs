//! What the gateway knows of servers and users. Bounded: a full map drops what no room holds, or all, and what it held is
//! asked for again.

use crate::directory::views::{ServerView, UserView};
use limits::directory::{SNAPSHOTS_CACHED_BYTES_MAX, SNAPSHOTS_CACHED_MAX, USERS_CACHED_BYTES_MAX};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The views of servers and users, shared by shards, worker and follower.
#[derive(Debug, Default)]
pub(super) struct Cache {
    servers: Mutex<Servers>,
    users: Mutex<Users>,
    /// Hashes of the users for which the directory stores anything; `None` while they are not read, or are too many.
    known_users: RwLock<Option<HashSet<u64>>>,
    hasher: RandomState,
    /// The view of all other users.
    default_user: Arc<UserView>,
    /// Counts changes of users, by their hash, so that an answer that was under way during a change is not used.
    user_epochs: UserEpochs,
    /// Changes are followed: the cache is current.
    following: AtomicBool,
    /// When the oldest change came that is not applied, if there is one.
    behind_since: Mutex<Option<Instant>>,
}

/// Two users that share a counter cost a question more.
const USER_EPOCHS: usize = 256;

#[derive(Debug)]
struct UserEpochs([AtomicU64; USER_EPOCHS]);

impl Default for UserEpochs {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

#[derive(Debug, Default)]
struct Servers {
    /// The newest views. A deleted server is kept only while an older answer about it may be under way.
    views: HashMap<Arc<str>, Arc<ServerView>>,
    /// The number of questions about each server that are under way.
    asked: HashMap<Arc<str>, usize>,
    /// Counts the calls of [`Cache::forget_servers`].
    resets: u64,
    /// [`ServerView::answer_bytes`] of all views.
    bytes: usize,
}

impl Servers {
    fn insert(&mut self, view: &Arc<ServerView>) {
        self.bytes += view.answer_bytes;
        let before = self.views.insert(view.server_id.clone(), view.clone());
        self.bytes -= before.map_or(0, |before| before.answer_bytes);
    }

    fn remove(&mut self, server_id: &str) {
        let removed = self.views.remove(server_id);
        self.bytes -= removed.map_or(0, |view| view.answer_bytes);
    }

    fn clear(&mut self) {
        self.views.clear();
        self.bytes = 0;
    }

    /// Makes room for a view of so many bytes: the servers leave that have no room, and all if that is not enough.
    fn make_room(&mut self, bytes: usize) {
        if self.has_room(bytes) {
            return;
        }
        // Rooms hold their view; so does a change that is on its way to them.
        self.views.retain(|_, view| Arc::strong_count(view) > 1);
        self.bytes = self.views.values().map(|view| view.answer_bytes).sum();
        if !self.has_room(bytes) {
            self.clear();
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.views.len() < SNAPSHOTS_CACHED_MAX && self.bytes + bytes <= SNAPSHOTS_CACHED_BYTES_MAX
    }
}

#[derive(Debug, Default)]
struct Users {
    views: HashMap<Arc<str>, Arc<UserView>>,
    /// [`UserView::answer_bytes`] of all views.
    bytes: usize,
}

impl Users {
    fn insert(&mut self, user_id: &Arc<str>, view: &Arc<UserView>) {
        self.remove(user_id);
        let is_full = self.views.len() >= SNAPSHOTS_CACHED_MAX
            || self.bytes + view.answer_bytes > USERS_CACHED_BYTES_MAX;
        if is_full {
            *self = Self::default();
        }
        self.bytes += view.answer_bytes;
        self.views.insert(user_id.clone(), view.clone());
    }

    fn remove(&mut self, user_id: &str) {
        let removed = self.views.remove(user_id);
        self.bytes -= removed.map_or(0, |view| view.answer_bytes);
    }
}

/// A question about a server that is under way.
pub(super) struct Asked<'a> {
    cache: &'a Cache,
    server_id: &'a Arc<str>,
    resets: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let servers = &mut *self.cache.servers.lock();
        let left = servers.asked.get_mut(self.server_id).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            servers.asked.remove(self.server_id);
            let kept = servers.views.get(self.server_id);
            if kept.is_some_and(|view| view.gone) {
                servers.remove(self.server_id);
            }
        }
    }
}

impl Cache {
    /// The server, if it is cached.
    pub(super) fn server(&self, server_id: &str) -> Option<Arc<ServerView>> {
        self.servers.lock().views.get(server_id).cloned()
    }

    /// Drops a server whose changes could not be fetched: it is asked for again before a connection enters it.
    pub(super) fn forget_server(&self, server_id: &str) {
        self.servers.lock().remove(server_id);
    }

    /// Drops all servers. An answer that is under way is not kept: it may be about another database.
    pub(super) fn forget_servers(&self) {
        let mut servers = self.servers.lock();
        servers.clear();
        servers.resets += 1;
    }

    /// Whether a change of a server concerns the cache: it is cached, or an answer about it is under way that may be
    /// older than the change.
    pub(super) fn holds_server(&self, server_id: &str) -> bool {
        let servers = self.servers.lock();
        servers.views.contains_key(server_id) || servers.asked.contains_key(server_id)
    }

    /// Notes a question about a server until its answer is kept.
    pub(super) fn ask_server<'a>(&'a self, server_id: &'a Arc<str>) -> Asked<'a> {
        let mut servers = self.servers.lock();
        *servers.asked.entry(server_id.clone()).or_default() += 1;
        Asked {
            cache: self,
            server_id,
            resets: servers.resets,
        }
    }

    /// Keeps the answer to a question that is under way, unless a newer view is cached already. Returns the newest view.
    pub(super) fn keep_server(&self, asked: &Asked<'_>, view: ServerView) -> Arc<ServerView> {
        let servers = &mut *self.servers.lock();
        if asked.resets != servers.resets {
            return Arc::new(view);
        }
        servers.make_room(view.answer_bytes);
        // The revision of a deleted server is above all others.
        match servers.views.get(&view.server_id) {
            Some(kept) if kept.revision >= view.revision => kept.clone(),
            _ => {
                let view = Arc::new(view);
                servers.insert(&view);
                view
            }
        }
    }

    /// The user, if its view is cached, or is the default because the directory stores nothing about it.
    pub(super) fn user(&self, user_id: &str) -> Option<Arc<UserView>> {
        if let Some(view) = self.users.lock().views.get(user_id) {
            return Some(view.clone());
        }
        // Two users with the same hash cost a question, never an answer.
        let is_unknown = self
            .known_users
            .read()
            .as_ref()
            .is_some_and(|known| !known.contains(&self.hash(user_id)));
        (is_unknown && self.is_following()).then(|| self.default_user.clone())
    }

    /// The count of changes of a user, for [`Cache::keep_user`] and for answers about its memberships.
    pub(super) fn user_epoch(&self, user_id: &str) -> u64 {
        self.epoch_of(user_id).load(Ordering::Acquire)
    }

    fn epoch_of(&self, user_id: &str) -> &AtomicU64 {
        &self.user_epochs.0[self.hash(user_id) as usize % USER_EPOCHS]
    }

    /// Keeps a user's view that was asked for at `epoch`; false if the user may have changed since then.
    pub(super) fn keep_user(&self, user_id: &Arc<str>, view: &Arc<UserView>, epoch: u64) -> bool {
        let mut users = self.users.lock();
        let is_current = self.user_epoch(user_id) == epoch;
        if is_current {
            users.insert(user_id, view);
        }
        is_current
    }

    /// Drops what is cached of a user whose state has changed; the directory stores something about it from now on.
    pub(super) fn forget_user(&self, user_id: &str) {
        self.epoch_of(user_id).fetch_add(1, Ordering::AcqRel);
        if let Some(known) = self.known_users.write().as_mut() {
            known.insert(self.hash(user_id));
        }
        self.users.lock().remove(user_id);
    }

    /// Drops what is cached of all users.
    pub(super) fn forget_users(&self) {
        for epoch in &self.user_epochs.0 {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
        *self.known_users.write() = None;
        *self.users.lock() = Users::default();
    }

    /// Takes the hashes of the users for which the directory stores anything; `None` if they are too many to remember.
    pub(super) fn set_known_users(&self, known: Option<HashSet<u64>>) {
        *self.known_users.write() = known;
    }

    /// The hash of a user in [`Cache::set_known_users`].
    pub(super) fn hash(&self, user_id: &str) -> u64 {
        self.hasher.hash_one(user_id)
    }

    /// Whether the directory answers and its changes are followed.
    pub(super) fn is_following(&self) -> bool {
        self.following.load(Ordering::Acquire)
    }

    /// The age of the oldest change that is not applied.
    pub(super) fn lag(&self) -> Duration {
        self.behind_since
            .lock()
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Records when the oldest change came that is not applied, if there is one.
    pub(super) fn set_behind(&self, since: Option<Instant>) {
        *self.behind_since.lock() = since;
    }

    /// Records whether changes are followed; returns what was recorded before.
    pub(super) fn set_following(&self, following: bool) -> bool {
        self.following.swap(following, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;
    use crate::directory::views::{ServerView, UserView};
    use limits::directory::{SNAPSHOTS_CACHED_BYTES_MAX, USERS_CACHED_BYTES_MAX};
    use std::sync::Arc;

    #[test]
    fn a_full_cache_keeps_the_servers_that_rooms_hold() {
        let cache = Cache::default();
        let keep = |name: &str, bytes| {
            let id = Arc::from(name);
            let view = ServerView {
                server_id: Arc::clone(&id),
                answer_bytes: bytes,
                ..ServerView::at_revision(1)
            };
            cache.keep_server(&cache.ask_server(&id), view)
        };
        let third = SNAPSHOTS_CACHED_BYTES_MAX / 3;
        let held = keep("open", third);
        drop(keep("closed", third));
        drop(keep("another", third));
        assert!(cache.server("closed").is_some(), "there is room for three");
        drop(keep("new", third));
        let names = ["open", "closed", "another", "new"];
        assert_eq!(
            names.map(|name| cache.server(name).is_some()),
            [true, false, false, true]
        );
        drop(held);
        drop(keep("huge", SNAPSHOTS_CACHED_BYTES_MAX));
        assert!(cache.server("huge").is_some() && cache.server("new").is_none());
    }

    #[test]
    fn cached_users_are_bounded_in_bytes() {
        let cache = Cache::default();
        let keep = |name: &str, bytes| {
            let view = UserView {
                answer_bytes: bytes,
                ..UserView::default()
            };
            cache.keep_user(&name.into(), &view.into(), cache.user_epoch(name));
        };
        keep("ann", USERS_CACHED_BYTES_MAX / 2);
        keep("ann", USERS_CACHED_BYTES_MAX / 2);
        keep("bob", USERS_CACHED_BYTES_MAX / 2);
        assert!(cache.user("ann").is_some(), "counted once");
        cache.forget_user("bob");
        keep("carol", USERS_CACHED_BYTES_MAX / 2);
        assert!(cache.user("ann").is_some(), "bob is forgotten");
        keep("dave", 1);
        let known = ["ann", "carol", "dave"].map(|name| cache.user(name).is_some());
        assert_eq!(known, [false, false, true]);
    }

    #[test]
    fn an_answer_that_a_change_has_overtaken_is_not_kept() {
        let (cache, id) = (Cache::default(), Arc::from("s1"));
        assert!(!cache.holds_server(&id));
        let older = cache.ask_server(&id);
        assert!(cache.holds_server(&id), "a change concerns the question");
        // The change, fetched by the follower, comes first.
        let newer = cache.ask_server(&id);
        let kept = cache.keep_server(&newer, ServerView::at_revision(2));
        assert_eq!(kept.revision, 2);
        drop(newer);
        let kept = cache.keep_server(&older, ServerView::at_revision(1));
        assert_eq!(kept.revision, 2);
        // The same for a deletion, which is kept only until the older answer is there.
        let newer = cache.ask_server(&id);
        cache.keep_server(&newer, ServerView::gone("s1"));
        drop(newer);
        assert!(cache.keep_server(&older, ServerView::at_revision(2)).gone);
        drop(older);
        assert!(!cache.holds_server(&id));
    }

    #[test]
    fn an_answer_from_before_a_reset_is_not_kept() {
        let (cache, id) = (Cache::default(), Arc::from("s1"));
        let before = cache.ask_server(&id);
        cache.forget_servers();
        cache.keep_server(&before, ServerView::at_revision(7));
        assert!(cache.server(&id).is_none());
        // Of a database that was restored from a backup.
        let restored = cache.ask_server(&id);
        cache.keep_server(&restored, ServerView::at_revision(3));
        assert_eq!(cache.server(&id).map(|view| view.revision), Some(3));
    }

    #[test]
    fn a_user_that_changes_while_it_is_asked_for_is_asked_for_again() {
        let (cache, id) = (Cache::default(), Arc::from("bob"));
        let view = Arc::new(UserView::default());
        let epoch = cache.user_epoch(&id);
        cache.forget_user(&id);
        assert!(!cache.keep_user(&id, &view, epoch));
        assert!(cache.keep_user(&id, &view, cache.user_epoch(&id)));
    }
}
