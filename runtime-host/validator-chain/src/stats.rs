//! Counters of each component of a chain, over all its instances.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a component did since it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentStats {
    /// The component.
    pub name: String,
    /// Calls, failed ones included.
    pub calls: u64,
    /// Calls that trapped.
    pub traps: u64,
    /// Calls that ran out of time.
    pub deadlines: u64,
    /// Answers that the component's place in the chain does not allow.
    pub contract_breaches: u64,
    /// Instances replaced because their memory had grown.
    pub recycled: u64,
    /// Time spent inside, in nanoseconds by the clock.
    pub busy_ns: u64,
}

#[derive(Debug)]
pub(crate) struct Counters {
    name: String,
    calls: AtomicU64,
    traps: AtomicU64,
    deadlines: AtomicU64,
    contract_breaches: AtomicU64,
    recycled: AtomicU64,
    busy_ns: AtomicU64,
}

impl Counters {
    pub(crate) fn new(name: &str) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            name: name.to_owned(),
            calls: zero(),
            traps: zero(),
            deadlines: zero(),
            contract_breaches: zero(),
            recycled: zero(),
            busy_ns: zero(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn call(&self, busy_ns: u64) {
        self.calls.fetch_add(1, Relaxed);
        self.busy_ns.fetch_add(busy_ns, Relaxed);
    }

    pub(crate) fn trap(&self) {
        self.traps.fetch_add(1, Relaxed);
    }

    pub(crate) fn deadline(&self) {
        self.deadlines.fetch_add(1, Relaxed);
    }

    pub(crate) fn contract_breach(&self) {
        self.contract_breaches.fetch_add(1, Relaxed);
    }

    pub(crate) fn recycle(&self) {
        self.recycled.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> ComponentStats {
        ComponentStats {
            name: self.name.clone(),
            calls: self.calls.load(Relaxed),
            traps: self.traps.load(Relaxed),
            deadlines: self.deadlines.load(Relaxed),
            contract_breaches: self.contract_breaches.load(Relaxed),
            recycled: self.recycled.load(Relaxed),
            busy_ns: self.busy_ns.load(Relaxed),
        }
    }
}
