//! Follows the directory's feed of changes. After a gap (start, an unreachable directory, a feed that was cut)
//! everything cached is fetched again.

use crate::{
    directory::{
        api::{Change, Unreachable},
        fetcher::Fetcher,
    },
    hub::Hub,
};
use limits::directory::{KNOWN_USERS_MAX, POLL_INTERVAL_MS};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::sync::Notify;

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
        }
    }

    /// Polls the feed, at once after a notification, for as long as the task runs.
    pub(super) async fn run(mut self) {
        loop {
            let polled = self.poll().await;
            self.record(&polled);
            let pause = match polled {
                Ok(true) => continue,
                Ok(false) => self.poll_interval,
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

    /// Reads and applies one page of the feed; whether there is more at once.
    async fn poll(&mut self) -> Result<bool, Unreachable> {
        let from = self.after.unwrap_or(BEYOND_THE_FEED);
        let feed = self.fetcher.api.changes(from).await?;
        if feed.reset || self.after.is_none() {
            self.fetch_everything().await?;
            self.after = Some(feed.latest);
            return Ok(false);
        }
        for change in &feed.changes {
            self.apply(change).await?;
            self.after = Some(change.seq);
        }
        Ok(self.after.is_some_and(|after| after < feed.latest) && !feed.changes.is_empty())
    }

    async fn apply(&self, change: &Change) -> Result<(), Unreachable> {
        match change.kind.as_str() {
            "server" => {
                let is_held = self.fetcher.cache.holds_server(&change.id);
                if is_held || self.hub.rooms.is_open(&change.id) {
                    self.refresh_server(&change.id.as_str().into()).await?;
                }
            }
            "user" => {
                self.fetcher.cache.forget_user(&change.id);
                if self.hub.users.is_connected(&change.id) {
                    let view = self.fetcher.user(&change.id.as_str().into()).await?;
                    self.hub.users.update_view(&change.id, &view);
                }
            }
            other => {
                tracing::debug!(kind = other, "the feed of changes names an unknown kind");
            }
        }
        Ok(())
    }

    async fn fetch_everything(&self) -> Result<(), Unreachable> {
        self.fetcher.cache.forget_users();
        let known = self.known_users().await?;
        self.fetcher.cache.set_known_users(known);
        let mut servers = self.hub.rooms.server_ids();
        servers.extend(self.fetcher.cache.server_ids());
        servers.sort_unstable();
        servers.dedup();
        for server_id in servers {
            self.refresh_server(&server_id).await?;
        }
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

    async fn refresh_server(&self, server_id: &Arc<str>) -> Result<(), Unreachable> {
        let view = self.fetcher.server(server_id).await?;
        self.hub.revise(&view);
        Ok(())
    }
}
