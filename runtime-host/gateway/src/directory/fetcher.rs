//! Asks the directory and keeps its answers in the cache.

use crate::directory::{
    api::{DirectoryApi, JoinAnswer, JoinQuestion, Unreachable},
    cache::Cache,
    views::{ServerView, UserView},
};
use limits::directory::{MEMBERS_ASKED_MAX, USER_QUESTIONS_MAX};
use std::{collections::HashMap, sync::Arc};

/// The directory's REST interface with the cache in front of the shards.
pub(super) struct Fetcher {
    pub(super) api: DirectoryApi,
    pub(super) cache: Arc<Cache>,
}

impl Fetcher {
    /// Fetches a server. Returns the cached view if that is newer.
    pub(super) async fn server(
        &self,
        server_id: &Arc<str>,
    ) -> Result<Arc<ServerView>, Unreachable> {
        let asked = self.cache.ask_server(server_id);
        let known = self.cache.server(server_id).filter(|known| !known.gone);
        let view = self.api.server(server_id, known.as_deref()).await?;
        Ok(self.cache.keep_server(&asked, view))
    }

    /// Fetches a user; again if it changes meanwhile.
    pub(super) async fn user(&self, user_id: &Arc<str>) -> Result<Arc<UserView>, Unreachable> {
        for _ in 0..USER_QUESTIONS_MAX {
            let epoch = self.cache.user_epoch(user_id);
            let view = Arc::new(self.api.user(user_id).await?);
            if self.cache.keep_user(user_id, &view, epoch) {
                return Ok(view);
            }
        }
        Err(Unreachable(format!(
            "the user changed during each of {USER_QUESTIONS_MAX} questions"
        )))
    }

    /// Asks for the decision about a join.
    pub(super) async fn join(&self, join: &JoinQuestion) -> Result<JoinAnswer, Unreachable> {
        self.api.join(join).await
    }

    /// Which of some users are members of a server: each user with the answer.
    pub(super) async fn members(
        &self,
        server_id: &str,
        users: &[Arc<str>],
    ) -> Result<HashMap<Arc<str>, bool>, Unreachable> {
        let mut known: HashMap<_, _> = users.iter().map(|user| (user.clone(), false)).collect();
        for page in users.chunks(MEMBERS_ASKED_MAX) {
            for member in self.api.members(server_id, page).await? {
                known.insert(member.into(), true);
            }
        }
        Ok(known)
    }

    /// Binds a key to a user.
    pub(super) async fn bind_key(
        &self,
        user_id: &str,
        key: &str,
        add: bool,
    ) -> Result<(), Unreachable> {
        self.api.bind_key(user_id, key, add).await?;
        // The feed tells of the key as well, but later than the answer that a further connection of the user may
        // follow.
        self.cache.forget_user(user_id);
        Ok(())
    }
}
