//! Jobs that wait for an instance: a queue with bounds of jobs and of bytes, which several instances may share.

use crate::instances::jobs::Job;
use limits::plugin as bounds;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnqueueError {
    /// Too many jobs wait for that instance.
    #[error("{} jobs wait for it already", bounds::MAILBOX_JOBS_MAX)]
    Jobs,
    /// The jobs that wait are too large.
    #[error(
        "the jobs that wait for it have {} bytes already",
        bounds::MAILBOX_BYTES_MAX
    )]
    Bytes,
    /// Too many instances.
    #[error("it has as many instances as it may have")]
    Instances,
    /// The plugin is not running.
    #[error("it is not running")]
    Gone,
}

/// Jobs in the order of their arrival.
#[derive(Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// Instances that take the next jobs: those that wait here, and those that start.
    free: usize,
    is_closed: bool,
}

impl Mailbox {
    /// Adds a job.
    ///
    /// # Errors
    /// [`EnqueueError`]; the job is dropped.
    pub(super) fn push(&self, job: Job) -> Result<(), EnqueueError> {
        let mut waiting = self.waiting.lock();
        let bytes = waiting.bytes + job.bytes();
        if waiting.is_closed {
            return Err(EnqueueError::Gone);
        }
        if waiting.jobs.len() >= bounds::MAILBOX_JOBS_MAX {
            return Err(EnqueueError::Jobs);
        }
        if bytes > bounds::MAILBOX_BYTES_MAX {
            return Err(EnqueueError::Bytes);
        }
        waiting.bytes = bytes;
        waiting.jobs.push_back(job);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job, for an instance that is free; it is not free afterwards. None when the mailbox is closed and empty.
    pub(super) async fn next(&self) -> Option<Job> {
        loop {
            let changed = self.changed.notified();
            {
                let mut waiting = self.waiting.lock();
                if let Some(job) = waiting.jobs.pop_front() {
                    waiting.bytes -= job.bytes();
                    waiting.free = waiting.free.saturating_sub(1);
                    return Some(job);
                }
                if waiting.is_closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// An instance is free for a job.
    pub(super) fn enter(&self) {
        self.waiting.lock().free += 1;
    }

    /// An instance that was free does something else.
    pub(super) fn leave(&self) {
        let mut waiting = self.waiting.lock();
        waiting.free = waiting.free.saturating_sub(1);
    }

    /// Whether another job would have to wait until an instance becomes free.
    pub(super) fn is_short_of_instances(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.jobs.len() >= waiting.free
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().jobs.is_empty()
    }

    /// Takes no more jobs; those that wait are still given out.
    pub(super) fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.changed.notify_waiters();
    }

    /// As [`Mailbox::close`], and drops those that wait.
    pub(super) fn abandon(&self) {
        let jobs = {
            let mut waiting = self.waiting.lock();
            waiting.bytes = 0;
            std::mem::take(&mut waiting.jobs)
        };
        drop(jobs);
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::{EnqueueError, Mailbox, bounds};
    use crate::instances::jobs::Job;
    use std::sync::Arc;

    fn job(bytes: usize) -> Job {
        Job::Settings("x".repeat(bytes))
    }

    #[tokio::test]
    async fn jobs_and_bytes_are_bounded() {
        let mailbox = Mailbox::default();
        mailbox.push(job(bounds::MAILBOX_BYTES_MAX)).expect("fits");
        assert_eq!(mailbox.push(job(1)), Err(EnqueueError::Bytes));
        assert!(mailbox.next().await.is_some());
        for _ in 0..bounds::MAILBOX_JOBS_MAX {
            mailbox.push(job(0)).expect("its bytes are given back");
        }
        assert_eq!(mailbox.push(job(0)), Err(EnqueueError::Jobs));
        mailbox.abandon();
        assert!(mailbox.next().await.is_none());
        assert_eq!(mailbox.push(job(0)), Err(EnqueueError::Gone));
    }

    #[tokio::test]
    async fn a_closed_mailbox_is_read_to_its_end() {
        let mailbox = Arc::new(Mailbox::default());
        mailbox.push(job(1)).expect("room");
        mailbox.close();
        assert!(mailbox.next().await.is_some());
        assert!(mailbox.next().await.is_none());
    }

    #[tokio::test]
    async fn several_instances_share_a_mailbox() {
        let mailbox = Arc::new(Mailbox::default());
        assert!(mailbox.is_short_of_instances());
        let takers: Vec<_> = (0..3)
            .map(|_| {
                mailbox.enter();
                let mailbox = mailbox.clone();
                tokio::spawn(async move { mailbox.next().await.is_some() })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(!mailbox.is_short_of_instances());
        for _ in 0..2 {
            mailbox.push(job(1)).expect("room");
        }
        mailbox.close();
        let mut taken = 0;
        for taker in takers {
            taken += usize::from(taker.await.expect("no panic"));
        }
        assert_eq!(taken, 2);
    }
}
