//! The changed servers, or users, that wait to be fetched: each once, in the order of their first change.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

/// What is to be fetched of a server or user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The oldest change that is not applied.
    pub(super) since: Instant,
    /// It may be older than what was fetched before.
    pub(super) is_restated: bool,
    /// A membership of the user may have ended.
    pub(super) memberships: bool,
}

impl Wanted {
    /// Both at once.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            since: self.since.min(other.since),
            is_restated: self.is_restated || other.is_restated,
            memberships: self.memberships || other.memberships,
        }
    }
}

/// A queue with places for what is being fetched. What changes again while it waits keeps its turn; what changes while
/// it is being fetched is fetched again afterwards.
#[derive(Debug)]
pub(super) struct Queue {
    order: VecDeque<Arc<str>>,
    waiting: HashMap<Arc<str>, Wanted>,
    fetching: HashMap<Arc<str>, Wanted>,
    fetching_max: usize,
}

impl Queue {
    pub(super) fn new(fetching_max: usize) -> Self {
        Self {
            order: VecDeque::new(),
            waiting: HashMap::new(),
            fetching: HashMap::new(),
            fetching_max,
        }
    }

    /// Lets `id` wait.
    pub(super) fn push(&mut self, id: Arc<str>, wanted: Wanted) {
        if let Some(before) = self.waiting.get_mut(&id) {
            *before = before.and(wanted);
            return;
        }
        self.waiting.insert(id.clone(), wanted);
        self.order.push_back(id);
    }

    /// The next one, which has a place until [`Queue::end`]; `None` if there is no place, or nothing to fetch.
    pub(super) fn start(&mut self) -> Option<(Arc<str>, Wanted)> {
        if self.fetching.len() >= self.fetching_max {
            return None;
        }
        let mut order = self.order.iter();
        let at = order.position(|id| !self.fetching.contains_key(id))?;
        let id = self.order.remove(at)?;
        let wanted = self.waiting.remove(&id)?;
        self.fetching.insert(id.clone(), wanted);
        Some((id, wanted))
    }

    /// `id` is no longer being fetched.
    pub(super) fn end(&mut self, id: &str) {
        self.fetching.remove(id);
    }

    /// The oldest change that waits or is being fetched.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let first = self.order.front().and_then(|id| self.waiting.get(id));
        let all = self.fetching.values().chain(first);
        all.map(|wanted| wanted.since).min()
    }
}

#[cfg(test)]
mod tests {
    use super::{Queue, Wanted};
    use std::time::{Duration, Instant};

    fn wanted(since: Instant) -> Wanted {
        Wanted {
            since,
            is_restated: false,
            memberships: false,
        }
    }

    fn started(queue: &mut Queue) -> Option<String> {
        queue.start().map(|(id, _)| id.to_string())
    }

    #[test]
    fn what_changes_again_neither_overtakes_nor_loses_its_turn() {
        let now = Instant::now();
        let mut queue = Queue::new(1);
        queue.push("a".into(), wanted(now));
        assert_eq!(started(&mut queue).as_deref(), Some("a"));
        for id in ["b", "a", "c", "b", "a"] {
            queue.push(id.into(), wanted(now));
        }
        assert_eq!(started(&mut queue), None, "there is one place");
        queue.end("a");
        for id in ["b", "a", "c"] {
            assert_eq!(started(&mut queue).as_deref(), Some(id));
            queue.push("b".into(), wanted(now));
            queue.end(id);
        }
        assert_eq!(started(&mut queue).as_deref(), Some("b"));
    }

    #[test]
    fn what_is_being_fetched_waits_for_its_end_and_no_other_waits_for_it() {
        let now = Instant::now();
        let mut queue = Queue::new(2);
        for id in ["a", "b", "a"] {
            queue.push(id.into(), wanted(now));
        }
        assert_eq!(started(&mut queue).as_deref(), Some("a"));
        queue.push("a".into(), wanted(now));
        assert_eq!(started(&mut queue).as_deref(), Some("b"));
        queue.end("b");
        assert_eq!(started(&mut queue), None, "it is being fetched");
        queue.end("a");
        assert_eq!(started(&mut queue).as_deref(), Some("a"));
    }

    #[test]
    fn the_age_is_that_of_the_oldest_change_which_is_not_applied() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut queue = Queue::new(1);
        assert_eq!(queue.oldest(), None);
        queue.push("a".into(), wanted(at(1)));
        queue.push("b".into(), wanted(at(2)));
        queue.push("a".into(), wanted(at(3)));
        assert_eq!(queue.oldest(), Some(at(1)));
        queue.start();
        queue.push("a".into(), wanted(at(4)));
        assert_eq!(queue.oldest(), Some(at(1)), "it is being fetched");
        queue.end("a");
        assert_eq!(queue.oldest(), Some(at(2)), "the queue was never empty");
        let mut later = wanted(at(5));
        later.memberships = true;
        queue.push("b".into(), later);
        let merged = queue.start().map(|(_, wanted)| wanted);
        assert_eq!(
            merged.map(|wanted| (wanted.since, wanted.memberships)),
            Some((at(2), true))
        );
    }
}
