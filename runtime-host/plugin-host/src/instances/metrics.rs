//! Counters of one plugin since the host started, over all its instances and versions.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// What a plugin has done; for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginStats {
    /// The plugin.
    pub id: String,
    /// Jobs that an instance has taken up: requests, events, messages, hooks, tools, notices.
    pub calls: u64,
    /// Time that instances spent with them, waiting included, in nanoseconds.
    pub busy_ns: u64,
    /// Jobs that were turned away because too many waited.
    pub turned_away: u64,
    /// Crashes.
    pub crashes: u64,
    /// Instances that are alive.
    pub instances: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    calls: AtomicU64,
    busy_ns: AtomicU64,
    turned_away: AtomicU64,
    crashes: AtomicU64,
}

impl Metrics {
    /// An instance has taken up a job.
    pub(crate) fn begin(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    /// The job took `busy`.
    pub(crate) fn end(&self, busy: Duration) {
        self.busy_ns
            .fetch_add(u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn turn_away(&self) {
        self.turned_away.fetch_add(1, Relaxed);
    }

    pub(crate) fn crash(&self) {
        self.crashes.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self, id: &str, instances: usize) -> PluginStats {
        PluginStats {
            id: id.to_owned(),
            calls: self.calls.load(Relaxed),
            busy_ns: self.busy_ns.load(Relaxed),
            turned_away: self.turned_away.load(Relaxed),
            crashes: self.crashes.load(Relaxed),
            instances: instances as u64,
        }
    }
}
