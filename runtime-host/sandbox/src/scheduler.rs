//! Keeps components that compute for long off the threads of the async runtime.
//!
//! Most calls end within microseconds on the runtime thread that polls them. A call that still computes at an epoch
//! tick yields and continues on a blocking thread ([`block_in_place`]): the runtime moves that thread's other tasks to
//! a fresh thread, and the kernel shares the processors out between them. An instance that was seen computing there
//! begins its next call there. At most [`bounds::BLOCKING_CALLS_MAX`] calls run so at once, and on a runtime thread a
//! call computes for at most two ticks at a time.

use crate::clock::{Activity, Clock};
use limits::plugin as bounds;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    task::Poll,
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
    task::block_in_place,
};
use wasmtime::UpdateDeadline;

/// The blocking threads that the instances of one engine share. Clones share them.
#[derive(Debug, Clone)]
pub struct BlockingThreads {
    permits: Arc<Semaphore>,
    /// Keeps the engine's clock ticking while a call runs.
    activity: Option<Activity>,
}

impl Default for BlockingThreads {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(bounds::BLOCKING_CALLS_MAX)),
            activity: None,
        }
    }
}

impl BlockingThreads {
    /// Threads for an engine whose clock ticks while a call runs.
    #[must_use]
    pub fn ticked_by(clock: &Clock) -> Self {
        Self {
            activity: Some(clock.activity()),
            ..Self::default()
        }
    }
}

/// Schedules the calls of one instance. Used by the one task that runs the instance.
#[derive(Debug)]
pub struct Scheduler {
    threads: BlockingThreads,
    /// The next turn of the call needs a blocking thread.
    needs_thread: AtomicBool,
    /// The call runs on a blocking thread now.
    on_thread: AtomicBool,
    /// Ticks of this turn on a blocking thread.
    ticks: AtomicU32,
    /// A tick found the call on a blocking thread: the next call begins there.
    is_slow: AtomicBool,
}

impl Scheduler {
    /// A scheduler of one instance.
    #[must_use]
    pub fn new(threads: BlockingThreads) -> Arc<Self> {
        let no = || AtomicBool::new(false);
        Arc::new(Self {
            threads,
            needs_thread: no(),
            on_thread: no(),
            ticks: AtomicU32::new(0),
            is_slow: no(),
        })
    }

    /// To be called before each call of the instance.
    pub fn begin(&self) {
        self.needs_thread
            .store(self.is_slow.swap(false, Relaxed), Relaxed);
    }

    /// What the engine does at an epoch tick with a call that still has time: it yields, unless it is on a blocking
    /// thread that no other call waits for.
    pub fn tick(&self) -> UpdateDeadline {
        if self.on_thread.load(Relaxed) {
            self.is_slow.store(true, Relaxed);
            let ticks = self.ticks.fetch_add(1, Relaxed) + 1;
            if ticks < bounds::BLOCKING_TICKS_MAX || self.threads.permits.available_permits() > 0 {
                return UpdateDeadline::Continue(1);
            }
        }
        self.needs_thread.store(true, Relaxed);
        UpdateDeadline::Yield(1)
    }

    /// Runs a call to its end, turn by turn.
    pub async fn run<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        loop {
            // Calls wait for a blocking thread in order of arrival. The semaphore is never closed.
            let mut permit = match self.needs_thread.swap(false, Relaxed) && has_other_threads() {
                true => self.threads.permits.acquire().await.ok(),
                false => None,
            };
            let turn = poll_fn(|context| {
                let _running = self.threads.activity.as_ref().map(Activity::enter);
                let polled = match permit.take() {
                    Some(_permit) => {
                        self.ticks.store(0, Relaxed);
                        self.on_thread.store(true, Relaxed);
                        let polled = block_in_place(|| call.as_mut().poll(context));
                        self.on_thread.store(false, Relaxed);
                        polled
                    }
                    None => call.as_mut().poll(context),
                };
                match polled {
                    Poll::Ready(answer) => Poll::Ready(Some(answer)),
                    Poll::Pending if self.needs_thread.load(Relaxed) && has_other_threads() => {
                        Poll::Ready(None)
                    }
                    Poll::Pending => Poll::Pending,
                }
            });
            if let Some(answer) = turn.await {
                return answer;
            }
        }
    }
}

/// Whether the runtime can move this thread's other tasks to another one.
fn has_other_threads() -> bool {
    Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

#[cfg(test)]
mod tests {
    use super::{BlockingThreads, Scheduler};
    use limits::plugin::{BLOCKING_CALLS_MAX, BLOCKING_TICKS_MAX};
    use std::{
        future::poll_fn,
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        },
        task::Poll,
        time::{Duration, Instant},
    };
    use tokio::runtime::Builder;
    use wasmtime::UpdateDeadline;

    /// Longer than any machine needs.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_call_that_computes_leaves_its_thread_to_other_tasks() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("a runtime");
        let heard = Arc::new(AtomicBool::new(false));
        let (said, scheduler) = (heard.clone(), Scheduler::new(BlockingThreads::default()));
        let computing = runtime.spawn(async move {
            assert!(
                matches!(scheduler.tick(), UpdateDeadline::Yield(1)),
                "on a runtime thread the call yields"
            );
            // The other task has no thread but the one that this call would keep.
            let other = tokio::spawn(async move { said.store(true, SeqCst) });
            let began = Instant::now();
            let spin = poll_fn(|_| {
                // At least one tick, however early the other task has its turn.
                loop {
                    assert!(
                        matches!(scheduler.tick(), UpdateDeadline::Continue(1)),
                        "on a blocking thread the call continues"
                    );
                    if heard.load(SeqCst) || began.elapsed() >= PATIENCE {
                        break;
                    }
                }
                Poll::Ready(heard.load(SeqCst))
            });
            let was_heard = scheduler.run(spin).await;
            other.await.expect("the other task");
            scheduler.begin();
            (was_heard, scheduler.needs_thread.load(SeqCst))
        });
        let (was_heard, begins_on_blocking_thread) = runtime.block_on(computing).expect("the call");
        assert!(
            was_heard,
            "the other task had its turn while the call computed"
        );
        assert!(begins_on_blocking_thread);
    }

    #[test]
    fn blocking_threads_are_bounded_and_used_in_turn() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .expect("a runtime");
        let (threads, inside, most) = (
            BlockingThreads::default(),
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(0)),
        );
        let began = Instant::now();
        let calls: Vec<_> = (0..BLOCKING_CALLS_MAX + 3)
            .map(|_| {
                let (scheduler, inside, most) = (
                    Scheduler::new(threads.clone()),
                    inside.clone(),
                    most.clone(),
                );
                runtime.spawn(async move {
                    let mut turns = 0;
                    scheduler.tick();
                    let call = poll_fn(|context| {
                        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                        // The first call waits until all threads are taken; otherwise one might serve all calls in
                        // sequence.
                        while most.load(SeqCst) < BLOCKING_CALLS_MAX && began.elapsed() < PATIENCE {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                        let mut gives_way = false;
                        for _ in 0..BLOCKING_TICKS_MAX {
                            gives_way = matches!(scheduler.tick(), UpdateDeadline::Yield(_));
                        }
                        inside.fetch_sub(1, SeqCst);
                        turns += 1;
                        if turns == 20 || !gives_way {
                            return Poll::Ready(turns);
                        }
                        context.waker().wake_by_ref();
                        Poll::Pending
                    });
                    scheduler.run(call).await
                })
            })
            .collect();
        let turns: Vec<i32> = calls
            .into_iter()
            .map(|call| runtime.block_on(call).expect("a call"))
            .collect();
        assert!(most.load(SeqCst) <= BLOCKING_CALLS_MAX, "{most:?} at once");
        assert!(
            turns.iter().any(|turns| *turns > 1),
            "no call yielded to those that waited: {turns:?}"
        );
    }

    #[test]
    fn a_runtime_with_one_thread_has_no_blocking_threads() {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let scheduler = Scheduler::new(BlockingThreads::default());
        scheduler.tick();
        assert_eq!(runtime.block_on(scheduler.run(std::future::ready(7))), 7);
    }
}
