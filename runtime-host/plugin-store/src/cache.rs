//! Values of plugins in memory, so that reading a hot one costs no query. The database is the truth, and the cache
//! follows its commits.
//!
//! A read never finds a value older than one that an earlier read found. Therefore nothing is cached from a read during
//! a commit of the same plugin, nor from a read that began before a commit ended.

use bytes::Bytes;
use limits::plugin_store::{
    CACHE_BYTES_PER_PLUGIN_MAX, CACHED_BYTES_MAX, CACHED_OVERHEAD_BYTES, CACHED_PLUGINS_MAX,
};
use lru::LruCache;
use parking_lot::{Mutex, RwLock};
use std::{collections::HashMap, sync::Arc};

/// What a write does to the values of one plugin, in order; none removes a key.
pub(crate) struct Effects {
    pub(crate) plugin: Arc<str>,
    pub(crate) changes: Vec<(String, Option<Bytes>)>,
}

/// All plugins' values.
#[derive(Default)]
pub(crate) struct Cache(RwLock<HashMap<Arc<str>, Shared>>);

type Shared = Arc<Mutex<Values>>;

struct Values {
    /// A key that is known to be absent has no value.
    entries: LruCache<Box<str>, Option<Bytes>>,
    bytes: usize,
    /// Grows with each beginning and end of a write.
    generation: u64,
    /// Writes on their way.
    writing: usize,
}

/// Taken before the database is read; lets what was read be remembered unless something was written meanwhile.
pub(crate) struct Ticket {
    values: Shared,
    generation: u64,
}

impl Cache {
    /// The value of a key, or that it has none; nothing when the database has to be asked.
    pub(crate) fn get(&self, plugin: &str, key: &str) -> Option<Option<Bytes>> {
        let values = self.0.read().get(plugin)?.clone();
        values.lock().entries.get(key).cloned()
    }

    /// A ticket for a read of the database that begins now.
    pub(crate) fn ticket(&self, plugin: &str) -> Ticket {
        let values = self.values(plugin);
        let generation = values.lock().generation;
        Ticket { values, generation }
    }

    /// Before a commit: its keys are forgotten.
    pub(crate) fn begin(&self, effects: &Effects) {
        let values = self.values(&effects.plugin);
        let mut values = values.lock();
        values.generation += 1;
        values.writing += 1;
        for (key, _) in &effects.changes {
            values.forget(key);
        }
    }

    /// After it: what was committed is remembered.
    pub(crate) fn end(&self, effects: &Effects, committed: bool) {
        let values = self.values(&effects.plugin);
        let mut values = values.lock();
        values.generation += 1;
        values.writing = values.writing.saturating_sub(1);
        for (key, value) in effects.changes.iter().filter(|_| committed) {
            values.remember(key, value.as_ref());
        }
    }

    fn values(&self, plugin: &str) -> Shared {
        if let Some(values) = self.0.read().get(plugin) {
            return values.clone();
        }
        let mut all = self.0.write();
        if all.len() >= CACHED_PLUGINS_MAX {
            // A plugin with a write in progress stays: reads that run meanwhile must see the end of that write.
            all.retain(|_, values| values.lock().writing > 0);
        }
        all.entry(plugin.into()).or_default().clone()
    }
}

impl Ticket {
    /// Remembers what was read.
    pub(crate) fn fill(self, key: &str, value: Option<&Bytes>) {
        let mut values = self.values.lock();
        if values.generation == self.generation && values.writing == 0 {
            values.remember(key, value);
        }
    }
}

impl Default for Values {
    fn default() -> Self {
        Self {
            entries: LruCache::unbounded(),
            bytes: 0,
            generation: 0,
            writing: 0,
        }
    }
}

impl Values {
    fn remember(&mut self, key: &str, value: Option<&Bytes>) {
        self.forget(key);
        let bytes = cost(key, value);
        if bytes > CACHED_BYTES_MAX {
            return;
        }
        // A copy: what came may be a small part of something large.
        self.entries
            .push(key.into(), value.map(|value| Bytes::copy_from_slice(value)));
        self.bytes += bytes;
        while self.bytes > CACHE_BYTES_PER_PLUGIN_MAX {
            let Some((key, value)) = self.entries.pop_lru() else {
                break;
            };
            self.bytes -= cost(&key, value.as_ref());
        }
    }

    fn forget(&mut self, key: &str) {
        if let Some(value) = self.entries.pop(key) {
            self.bytes -= cost(key, value.as_ref());
        }
    }
}

fn cost(key: &str, value: Option<&Bytes>) -> usize {
    CACHED_OVERHEAD_BYTES + key.len() + value.map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests {
    use super::{Cache, Effects};
    use bytes::Bytes;
    use limits::plugin_store::{CACHE_BYTES_PER_PLUGIN_MAX, CACHED_BYTES_MAX, CACHED_PLUGINS_MAX};

    fn set(key: &str, value: &'static [u8]) -> Effects {
        Effects {
            plugin: "p".into(),
            changes: vec![(key.to_owned(), Some(Bytes::from_static(value)))],
        }
    }

    #[test]
    fn a_read_that_a_write_overtook_is_not_remembered() {
        let cache = Cache::default();
        let (before, write) = (cache.ticket("p"), set("k", b"new"));
        cache.begin(&write);
        let during = cache.ticket("p");
        cache.end(&write, true);
        let old = Bytes::from_static(b"old");
        before.fill("k", Some(&old));
        during.fill("k", Some(&old));
        assert_eq!(cache.get("p", "k"), Some(Some(Bytes::from_static(b"new"))));
        cache.ticket("p").fill("absent", None);
        assert_eq!(
            (
                cache.get("p", "absent"),
                cache.get("p", "unknown"),
                cache.get("q", "k")
            ),
            (Some(None), None, None)
        );
    }

    #[test]
    fn a_write_that_failed_leaves_nothing() {
        let cache = Cache::default();
        cache
            .ticket("p")
            .fill("k", Some(&Bytes::from_static(b"old")));
        let write = set("k", b"new");
        cache.begin(&write);
        cache.end(&write, false);
        assert_eq!(cache.get("p", "k"), None, "the database has to be asked");
    }

    #[test]
    fn memory_is_bounded_by_bytes_and_by_plugins() {
        let cache = Cache::default();
        let value = Bytes::from(vec![0; CACHED_BYTES_MAX / 2]);
        for at in 0..10_000 {
            cache.ticket("p").fill(&at.to_string(), Some(&value));
        }
        let values = cache.values("p");
        assert!(
            values.lock().bytes <= CACHE_BYTES_PER_PLUGIN_MAX && values.lock().entries.len() > 10
        );
        cache
            .ticket("p")
            .fill("large", Some(&Bytes::from(vec![0; CACHED_BYTES_MAX])));
        assert_eq!(cache.get("p", "large"), None);
        assert!(cache.get("p", "9999").is_some() && cache.get("p", "0").is_none());
        cache.begin(&set("k", b"v"));
        for at in 0..2 * CACHED_PLUGINS_MAX {
            cache.ticket(&format!("other-{at}")).fill("k", None);
        }
        assert!(cache.0.read().len() <= CACHED_PLUGINS_MAX && cache.0.read().contains_key("p"));
    }
}
