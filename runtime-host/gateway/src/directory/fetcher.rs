//! Asks the directory and keeps its answers in the cache.

use crate::directory::{
    api::{DirectoryApi, JoinAnswer, JoinQuestion, Unreachable},
    cache::Cache,
    views::{ServerView, UserView},
};
use std::sync::Arc;

/// The directory's REST interface with the cache in front of the shards.
pub(super) struct Fetcher {
    pub(super) api: DirectoryApi,
    pub(super) cache: Arc<Cache>,
}

impl Fetcher {
    /// Fetches a server. Returns the cached view if that is newer.
    pub(super) async fn server(&self, server_id: &str) -> Result<Arc<ServerView>, Unreachable> {
        Ok(self.cache.keep_server(self.api.server(server_id).await?))
    }

    /// Fetches a user.
    pub(super) async fn user(&self, user_id: &Arc<str>) -> Result<Arc<UserView>, Unreachable> {
        let epoch = self.cache.user_epoch();
        let view = Arc::new(self.api.user(user_id).await?);
        self.cache.keep_user(user_id, &view, epoch);
        Ok(view)
    }

    /// Asks for the decision about a join.
    pub(super) async fn join(&self, join: &JoinQuestion) -> Result<JoinAnswer, Unreachable> {
        self.api.join(join).await
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
