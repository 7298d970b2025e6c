//! Counters of one plugin since the host started, over all its instances and versions.

use crate::{bindings::jackfield::plugin::types::ErrorCode, imports::code_name};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
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
    /// Requests to other machines that were asked for.
    pub requests: u64,
    /// Calls of the host that failed, by the code that the plugin got.
    pub refusals: Vec<(&'static str, u64)>,
    /// Requests to other machines that network rules refused, by rule.
    pub network_refusals: Vec<(&'static str, u64)>,
    /// Lines of its log that were dropped because they came too fast.
    pub log_lines_dropped: u64,
}

/// Counters by name; the names are those of a table in the code, so they are few.
#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl Counts {
    fn count(&self, name: &'static str) {
        *self.0.lock().entry(name).or_default() += 1;
    }

    fn read(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.lock();
        counts.iter().map(|(name, count)| (*name, *count)).collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    calls: AtomicU64,
    busy_ns: AtomicU64,
    turned_away: AtomicU64,
    crashes: AtomicU64,
    requests: AtomicU64,
    refusals: Counts,
    network_refusals: Counts,
    log_lines_dropped: AtomicU64,
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

    /// The plugin has asked for a request to another machine.
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// A call of the host has failed with this code.
    pub(crate) fn refuse(&self, code: ErrorCode) {
        self.refusals.count(code_name(code));
    }

    /// A network rule has refused a request.
    pub(crate) fn refuse_by_network(&self, rule: &'static str) {
        self.network_refusals.count(rule);
    }

    /// A line of the log was dropped.
    pub(crate) fn drop_log_line(&self) {
        self.log_lines_dropped.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self, id: &str, instances: usize) -> PluginStats {
        PluginStats {
            id: id.to_owned(),
            calls: self.calls.load(Relaxed),
            busy_ns: self.busy_ns.load(Relaxed),
            turned_away: self.turned_away.load(Relaxed),
            crashes: self.crashes.load(Relaxed),
            instances: instances as u64,
            requests: self.requests.load(Relaxed),
            refusals: self.refusals.read(),
            network_refusals: self.network_refusals.read(),
            log_lines_dropped: self.log_lines_dropped.load(Relaxed),
        }
    }
}
