//! The versions of a server's icon that its members offer to each other.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

/// The offered version by user, milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Icons(HashMap<Arc<str>, u64>);

impl Icons {
    /// A user offers a version.
    pub(super) fn offer(&mut self, user_id: Arc<str>, updated_at: u64) {
        self.0.insert(user_id, updated_at);
    }

    /// A user has left.
    pub(super) fn remove(&mut self, user_id: &str) {
        self.0.remove(user_id);
    }

    /// At most `entries_max` users other than `receiver` that offer a newer version than `updated_at`, newest first.
    pub(super) fn newer(
        &self,
        updated_at: u64,
        receiver: &str,
        entries_max: usize,
    ) -> Vec<(&str, u64)> {
        let offers = self.0.iter().map(|(user_id, at)| (&**user_id, *at));
        let mut newer: Vec<_> = offers
            .filter(|(user_id, at)| *user_id != receiver && *at > updated_at)
            .collect();
        newer.sort_by_key(|(user_id, at)| (Reverse(*at), *user_id));
        newer.truncate(entries_max);
        newer
    }
}
