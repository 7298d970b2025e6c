//! What the gateway knows of servers and users. Bounded: a full map is emptied, and what it held is asked for again.

use crate::directory::views::{ServerView, UserView};
use limits::directory::SNAPSHOTS_CACHED_MAX;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// The views of servers and users, shared by shards, worker and follower.
#[derive(Debug, Default)]
pub(super) struct Cache {
    servers: Mutex<HashMap<Arc<str>, Arc<ServerView>>>,
    users: Mutex<HashMap<Arc<str>, Arc<UserView>>>,
    /// Hashes of the users for which the directory stores anything; `None` while they are not read, or are too many.
    known_users: RwLock<Option<HashSet<u64>>>,
    hasher: RandomState,
    /// The view of all other users.
    default_user: Arc<UserView>,
    /// Counts changes of users, so that an answer that was under way during a change is not kept.
    user_epoch: AtomicU64,
    /// Changes are followed: the cache is current.
    following: AtomicBool,
}

impl Cache {
    /// The server, if it is cached.
    pub(super) fn server(&self, server_id: &str) -> Option<Arc<ServerView>> {
        self.servers.lock().get(server_id).cloned()
    }

    /// The ids of all cached servers.
    pub(super) fn server_ids(&self) -> Vec<Arc<str>> {
        self.servers.lock().keys().cloned().collect()
    }

    /// Keeps a server, unless a newer view is cached already. Returns the view that is kept; a deleted server is not.
    pub(super) fn keep_server(&self, view: ServerView) -> Arc<ServerView> {
        if view.gone {
            return Arc::new(view);
        }
        let mut servers = self.servers.lock();
        if servers.len() >= SNAPSHOTS_CACHED_MAX {
            servers.clear();
        }
        let kept = servers
            .entry(view.server_id.clone())
            .or_insert_with(|| Arc::new(ServerView::gone("")));
        if kept.gone || kept.revision < view.revision {
            *kept = Arc::new(view);
        }
        kept.clone()
    }

    /// Drops a server.
    pub(super) fn forget_server(&self, server_id: &str) {
        self.servers.lock().remove(server_id);
    }

    /// The user, if its view is cached, or is the default because the directory stores nothing about it.
    pub(super) fn user(&self, user_id: &str) -> Option<Arc<UserView>> {
        if let Some(view) = self.users.lock().get(user_id) {
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

    /// The count of changes of users, for [`Cache::keep_user`].
    pub(super) fn user_epoch(&self) -> u64 {
        self.user_epoch.load(Ordering::Acquire)
    }

    /// Keeps a user's view that was asked for at `epoch`, unless a user has changed since then.
    pub(super) fn keep_user(&self, user_id: &Arc<str>, view: &Arc<UserView>, epoch: u64) {
        let mut users = self.users.lock();
        if users.len() >= SNAPSHOTS_CACHED_MAX {
            users.clear();
        }
        if self.user_epoch() == epoch {
            users.insert(user_id.clone(), view.clone());
        }
    }

    /// Drops what is cached of a user whose state has changed; the directory stores something about it from now on.
    pub(super) fn forget_user(&self, user_id: &str) {
        self.user_epoch.fetch_add(1, Ordering::AcqRel);
        if let Some(known) = self.known_users.write().as_mut() {
            known.insert(self.hash(user_id));
        }
        self.users.lock().remove(user_id);
    }

    /// Drops what is cached of all users.
    pub(super) fn forget_users(&self) {
        self.user_epoch.fetch_add(1, Ordering::AcqRel);
        *self.known_users.write() = None;
        self.users.lock().clear();
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

    /// Records whether changes are followed; returns what was recorded before.
    pub(super) fn set_following(&self, following: bool) -> bool {
        self.following.swap(following, Ordering::AcqRel)
    }
}
