//! Keeps plugins that compute off the threads that everybody shares.
//!
//! Most calls end within microseconds, on the thread that has them at hand. One that still computes at a tick gives way and goes on in a lane: its
//! thread leaves its other tasks to a fresh one, and from then on the kernel shares the processors out between them. A plugin that was seen
//! there begins its next call there. Without lanes one plugin that computes keeps a runtime with few threads from even looking at its sockets.
//! Invariant: at most [`bounds::BLOCKING_CALLS_MAX`] threads are lanes, and a call that computes has at most two ticks at a time on any other thread.

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

/// The lanes of one engine. Clones share them.
#[derive(Clone)]
pub(crate) struct Lanes(Arc<Semaphore>);

impl Default for Lanes {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(bounds::BLOCKING_CALLS_MAX)))
    }
}

/// How one instance computes. Read and written by the one task that works for the instance.
pub(crate) struct Pace {
    lanes: Lanes,
    /// The next turn of the call belongs into a lane.
    computes: AtomicBool,
    /// The call runs in a lane now.
    in_lane: AtomicBool,
    /// Ticks of this turn in a lane.
    ticks: AtomicU32,
    /// A tick found the call in a lane: the next one begins there.
    is_slow: AtomicBool,
}

impl Pace {
    pub(crate) fn new(lanes: Lanes) -> Arc<Self> {
        let no = || AtomicBool::new(false);
        Arc::new(Self {
            lanes,
            computes: no(),
            in_lane: no(),
            ticks: AtomicU32::new(0),
            is_slow: no(),
        })
    }

    /// Before a call.
    pub(crate) fn begin(&self) {
        self.computes
            .store(self.is_slow.swap(false, Relaxed), Relaxed);
    }

    /// What a tick asks of a call that still has time: to give way, unless it is in a lane that nobody else may wait for.
    pub(crate) fn tick(&self) -> UpdateDeadline {
        if self.in_lane.load(Relaxed) {
            self.is_slow.store(true, Relaxed);
            let ticks = self.ticks.fetch_add(1, Relaxed) + 1;
            if ticks < bounds::BLOCKING_TICKS_MAX || self.lanes.0.available_permits() > 0 {
                return UpdateDeadline::Continue(1);
            }
        }
        self.computes.store(true, Relaxed);
        UpdateDeadline::Yield(1)
    }

    /// Runs a call, turn by turn.
    pub(crate) async fn drive<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        loop {
            // Whoever waits for a lane waits in line, and the line has no end: the semaphore is never closed.
            let mut lane = match self.computes.swap(false, Relaxed) && has_other_threads() {
                true => self.lanes.0.acquire().await.ok(),
                false => None,
            };
            let turn = poll_fn(|context| {
                let polled = match lane.take() {
                    Some(_lane) => {
                        self.ticks.store(0, Relaxed);
                        self.in_lane.store(true, Relaxed);
                        let polled = block_in_place(|| call.as_mut().poll(context));
                        self.in_lane.store(false, Relaxed);
                        polled
                    }
                    None => call.as_mut().poll(context),
                };
                match polled {
                    Poll::Ready(answer) => Poll::Ready(Some(answer)),
                    Poll::Pending if self.computes.load(Relaxed) && has_other_threads() => {
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

/// Whether this thread's other tasks can go to another one.
fn has_other_threads() -> bool {
    Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

#[cfg(test)]
mod tests {
    use super::{Lanes, Pace};
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
    fn what_computes_leaves_its_thread_to_others() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("a runtime");
        let heard = Arc::new(AtomicBool::new(false));
        let (said, pace) = (heard.clone(), Pace::new(Lanes::default()));
        let computing = runtime.spawn(async move {
            assert!(
                matches!(pace.tick(), UpdateDeadline::Yield(1)),
                "on a shared thread it gives way"
            );
            // The other task has no thread but the one that this call would keep.
            let other = tokio::spawn(async move { said.store(true, SeqCst) });
            let began = Instant::now();
            let spin = poll_fn(|_| {
                while !heard.load(SeqCst) && began.elapsed() < PATIENCE {
                    assert!(
                        matches!(pace.tick(), UpdateDeadline::Continue(1)),
                        "in a lane it goes on"
                    );
                }
                Poll::Ready(heard.load(SeqCst))
            });
            let was_heard = pace.drive(spin).await;
            other.await.expect("the other task");
            pace.begin();
            (was_heard, pace.computes.load(SeqCst))
        });
        let (was_heard, begins_in_a_lane) = runtime.block_on(computing).expect("the call");
        assert!(
            was_heard,
            "the other task had its turn while the call computed"
        );
        assert!(begins_in_a_lane);
    }

    #[test]
    fn lanes_are_few_and_shared_in_turn() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .expect("a runtime");
        let (lanes, inside, most) = (
            Lanes::default(),
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(0)),
        );
        let began = Instant::now();
        let calls: Vec<_> = (0..BLOCKING_CALLS_MAX + 3)
            .map(|_| {
                let (pace, inside, most) = (Pace::new(lanes.clone()), inside.clone(), most.clone());
                runtime.spawn(async move {
                    let mut turns = 0;
                    pace.tick();
                    let call = poll_fn(|context| {
                        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                        // Who is first waits until all lanes are taken, or they might be used one after the other.
                        while most.load(SeqCst) < BLOCKING_CALLS_MAX && began.elapsed() < PATIENCE {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                        let mut gives_way = false;
                        for _ in 0..BLOCKING_TICKS_MAX {
                            gives_way = matches!(pace.tick(), UpdateDeadline::Yield(_));
                        }
                        inside.fetch_sub(1, SeqCst);
                        turns += 1;
                        if turns == 20 || !gives_way {
                            return Poll::Ready(turns);
                        }
                        context.waker().wake_by_ref();
                        Poll::Pending
                    });
                    pace.drive(call).await
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
            "nobody gave way to those who waited: {turns:?}"
        );
    }

    #[test]
    fn a_runtime_with_one_thread_has_no_lanes() {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let pace = Pace::new(Lanes::default());
        pace.tick();
        assert_eq!(runtime.block_on(pace.drive(std::future::ready(7))), 7);
    }
}
