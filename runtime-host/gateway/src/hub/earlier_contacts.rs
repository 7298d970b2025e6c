//! Earlier contacts of users, which pass calls and icon requests without a shared server. In memory, bounded, for a
//! day.

use limits::socket::{RELATION_LIFETIME_SECONDS, RELATIONS_MAX};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

type Pair = (Arc<str>, Arc<str>);

/// Pairs of a user and another one that it has written to or called.
#[derive(Debug, Default)]
pub(super) struct EarlierContacts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    seen: HashMap<Pair, Instant>,
    /// Oldest first.
    order: VecDeque<Pair>,
}

impl EarlierContacts {
    /// Records that `from` has written to `to`.
    pub(super) fn insert(&self, from: &Arc<str>, to: &Arc<str>) {
        let State { seen, order } = &mut *self.0.lock();
        let pair = (from.clone(), to.clone());
        if seen.insert(pair.clone(), Instant::now()).is_none() {
            order.push_back(pair);
            if order.len() > RELATIONS_MAX
                && let Some(oldest) = order.pop_front()
            {
                seen.remove(&oldest);
            }
        }
    }

    /// Whether `from` has written to `to` in the last day.
    pub(super) fn contains(&self, from: &Arc<str>, to: &Arc<str>) -> bool {
        let state = self.0.lock();
        let last = state.seen.get(&(from.clone(), to.clone()));
        last.is_some_and(|at| at.elapsed().as_secs() < RELATION_LIFETIME_SECONDS)
    }
}
