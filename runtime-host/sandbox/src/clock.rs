//! The clock behind the deadlines of an engine's instances.
//!
//! It ticks only while guest code may run: each call is announced through an [`Activity`], and without calls the thread
//! sleeps.

use parking_lot::Mutex;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};
use wasmtime::Engine;

/// Ticks without a call after which the thread sleeps: calls that follow each other closely do not wake it each time.
const IDLE_TICKS: u32 = 8;

/// Advances an engine's epoch from a thread of its own; the thread ends when this is dropped.
#[derive(Debug)]
pub struct Clock {
    shared: Arc<Shared>,
    thread: Thread,
}

/// What the thread shares with those that announce calls.
#[derive(Debug, Default)]
struct Shared {
    /// The thread sleeps, or is about to.
    asleep: AtomicBool,
    ended: AtomicBool,
    /// Running calls, a counter for each [`Activity`], so that threads do not contend for one.
    running: Mutex<Vec<Arc<AtomicUsize>>>,
}

/// Announces calls to a [`Clock`]. Clones share one counter.
#[derive(Debug, Clone)]
pub struct Activity {
    shared: Arc<Shared>,
    thread: Thread,
    running: Arc<AtomicUsize>,
}

/// A running call; the clock ticks at least until this is dropped.
#[derive(Debug)]
pub struct Running<'a>(&'a AtomicUsize);

/// A [`Running`] that borrows nothing.
#[derive(Debug)]
pub struct OwnedRunning(Arc<AtomicUsize>);

impl Clock {
    /// Starts the thread `name` that ticks `engine` every `tick` while calls run. It does not keep the engine alive.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(engine: &Engine, name: &str, tick: Duration) -> io::Result<Self> {
        let engine = engine.weak();
        Self::spawn(name, tick, move || match engine.upgrade() {
            Some(engine) => {
                engine.increment_epoch();
                true
            }
            None => false,
        })
    }

    /// Calls `advance` every `tick` while calls run, until it returns false or the clock is dropped.
    fn spawn(
        name: &str,
        tick: Duration,
        advance: impl FnMut() -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let ticking = shared.clone();
        let handle = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || ticking.tick(tick, advance))?;
        Ok(Self {
            shared,
            thread: handle.thread().clone(),
        })
    }

    /// A way to announce calls, with a counter of its own.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let running = Arc::new(AtomicUsize::new(0));
        let mut counters = self.shared.running.lock();
        // Counters that only this list holds belong to nothing any more.
        counters.retain(|counter| Arc::strong_count(counter) > 1);
        counters.push(running.clone());
        Activity {
            shared: self.shared.clone(),
            thread: self.thread.clone(),
            running,
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Shared {
    fn tick(&self, tick: Duration, mut advance: impl FnMut() -> bool) {
        let mut idle_ticks = 0;
        loop {
            if idle_ticks >= IDLE_TICKS {
                self.sleep();
                idle_ticks = 0;
            }
            let due = Instant::now() + tick;
            while !self.ended.load(Ordering::SeqCst) {
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                thread::park_timeout(left);
            }
            if self.ended.load(Ordering::SeqCst) || !advance() {
                return;
            }
            idle_ticks = if self.any_running() {
                0
            } else {
                idle_ticks + 1
            };
        }
    }

    /// Sleeps until a call is announced or the clock ends. A call is counted before it looks whether the thread sleeps,
    /// and the thread says that it sleeps before it counts the calls: one of the two sees the other.
    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        if !self.any_running() {
            while self.asleep.load(Ordering::SeqCst) && !self.ended.load(Ordering::SeqCst) {
                thread::park();
            }
        }
        self.asleep.store(false, Ordering::SeqCst);
    }

    fn any_running(&self) -> bool {
        let counters = self.running.lock();
        counters
            .iter()
            .any(|counter| counter.load(Ordering::SeqCst) > 0)
    }
}

impl Activity {
    /// Announces a call. Costs an atomic addition, and a wake-up of the thread only after a time without calls.
    pub fn enter(&self) -> Running<'_> {
        self.begin();
        Running(&self.running)
    }

    /// [`Activity::enter`] without a borrow.
    #[must_use]
    pub fn enter_owned(&self) -> OwnedRunning {
        self.begin();
        OwnedRunning(self.running.clone())
    }

    fn begin(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst)
            && self.shared.asleep.swap(false, Ordering::SeqCst)
        {
            self.thread.unpark();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for OwnedRunning {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::Duration,
    };

    fn wait(until: impl Fn() -> bool) {
        while !until() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_clock_ticks_while_calls_run_and_sleeps_without_them() {
        let ticks = Arc::new(AtomicUsize::new(0));
        let counting = ticks.clone();
        let clock = Clock::spawn("clock", Duration::from_millis(1), move || {
            counting.fetch_add(1, Ordering::SeqCst);
            true
        })
        .expect("a thread");
        let count = || ticks.load(Ordering::SeqCst);
        let [one, other] = [clock.activity(), clock.activity()];
        for activity in [&one, &other, &one] {
            wait(|| clock.shared.asleep.load(Ordering::SeqCst));
            let before = count();
            let running = activity.enter();
            wait(|| count() > before + 100);
            assert!(!clock.shared.asleep.load(Ordering::SeqCst), "a call runs");
            drop(running);
        }
        let owned = other.enter_owned();
        let before = count();
        wait(|| count() > before + 100);
        drop(owned);
        wait(|| clock.shared.asleep.load(Ordering::SeqCst));
        drop(clock);
        wait(|| Arc::strong_count(&ticks) == 1);
    }
}
