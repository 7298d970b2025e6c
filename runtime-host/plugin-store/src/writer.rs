//! The one thread that writes. All writes that wait go into one transaction, each with a savepoint of its own, and are
//! acknowledged after the commit has reached the disk.
//!
//! A write that fails affects no other. The queue is bounded in number and bytes.

use crate::{
    StoreError,
    cache::{Cache, Effects},
};
use limits::plugin_store::{
    WRITE_OVERHEAD_BYTES, WRITES_PER_COMMIT_MAX, WRITES_WAITING_BYTES_MAX, WRITES_WAITING_MAX,
};
use rusqlite::Connection;
use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// The result of a write, and how it changes the values of plugins.
pub(crate) type Written<T> = Result<(T, Option<Effects>), StoreError>;

/// Hands writes to the thread; it ends when the last of these is dropped and everything that waited is done.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    room: Arc<Semaphore>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        connection: Connection,
        cache: Arc<Cache>,
    ) -> Result<(Self, JoinHandle<()>), StoreError> {
        let (jobs, waiting) = mpsc::channel(WRITES_WAITING_MAX);
        let thread = thread::Builder::new().name("plugin-store".into());
        let thread = thread
            .spawn(move || serve(&connection, &cache, waiting))
            .map_err(|_| StoreError::Closed)?;
        Ok((
            Self {
                jobs,
                room: Arc::new(Semaphore::new(WRITES_WAITING_BYTES_MAX)),
            },
            thread,
        ))
    }

    /// Does `work` in a transaction and waits for the commit. `work` may run twice; `bytes` is what it holds in memory.
    pub(crate) async fn write<T, F>(&self, bytes: usize, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Written<T> + Send + 'static,
    {
        let bytes = u32::try_from(bytes + WRITE_OVERHEAD_BYTES)
            .unwrap_or(u32::MAX)
            .min(WRITES_WAITING_BYTES_MAX as u32);
        let room = self
            .room
            .clone()
            .acquire_many_owned(bytes)
            .await
            .map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Task {
            work,
            outcome: None,
            reply,
            _room: Some(room),
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// The same for a thread that may block; its bytes are bounded by itself.
    pub(crate) fn write_blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Written<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Task {
            work,
            outcome: None,
            reply,
            _room: None,
        });
        self.jobs
            .blocking_send(job)
            .map_err(|_| StoreError::Closed)?;
        answer.blocking_recv().map_err(|_| StoreError::Closed)?
    }
}

/// One write, whatever it returns.
trait Job: Send {
    /// Does it in the open transaction. When it fails, nothing of it is left, and usually the transaction goes on.
    fn run(&mut self, connection: &Connection);
    /// What it did to the values of a plugin.
    fn effects(&self) -> Option<&Effects>;
    /// Sends the result to the caller.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Task<T, F> {
    work: F,
    outcome: Option<Written<T>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    _room: Option<OwnedSemaphorePermit>,
}

impl<T: Send, F: Fn(&Connection) -> Written<T> + Send> Job for Task<T, F> {
    fn run(&mut self, connection: &Connection) {
        self.outcome = Some(in_savepoint(connection, &self.work));
    }

    fn effects(&self) -> Option<&Effects> {
        self.outcome.as_ref()?.as_ref().ok()?.1.as_ref()
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (self.outcome, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(error)) => Err(error),
            (Some(Ok((value, _))), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        // The write stands even if its caller is gone.
        let _ = self.reply.send(answer);
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    work: impl Fn(&Connection) -> Written<T>,
) -> Written<T> {
    connection.execute_batch("SAVEPOINT one")?;
    let outcome = work(connection);
    match outcome {
        Ok(_) => connection.execute_batch("RELEASE one")?,
        // A full disk may have ended the transaction already.
        Err(_) if connection.is_autocommit() => {}
        Err(_) => connection.execute_batch("ROLLBACK TO one; RELEASE one")?,
    }
    outcome
}

fn serve(connection: &Connection, cache: &Cache, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < WRITES_PER_COMMIT_MAX {
            let Ok(next) = waiting.try_recv() else { break };
            batch.push(next);
        }
        let together = commit(connection, cache, &mut batch);
        let alone = together.is_err() && batch.len() > 1;
        for mut job in batch {
            let committed = if alone {
                commit(connection, cache, std::slice::from_mut(&mut job))
            } else {
                together.clone()
            };
            job.finish(committed);
        }
    }
}

/// One transaction with all of `batch`.
fn commit(
    connection: &Connection,
    cache: &Cache,
    batch: &mut [Box<dyn Job>],
) -> Result<(), StoreError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for job in &mut *batch {
        job.run(connection);
        if connection.is_autocommit() {
            return Err(StoreError::Database {
                code: "DATABASE_UNAVAILABLE",
                advice: "gave up a transaction",
                cause: "the write is tried alone".into(),
            });
        }
    }
    let effects = || batch.iter().filter_map(|job| job.effects());
    effects().for_each(|effects| cache.begin(effects));
    let committed = connection.execute_batch("COMMIT");
    if committed.is_err() && !connection.is_autocommit() {
        // What cannot be rolled back is rolled back by the next BEGIN's failure, which is also where it is reported.
        let _ = connection.execute_batch("ROLLBACK");
    }
    effects().for_each(|effects| cache.end(effects, committed.is_ok()));
    Ok(committed?)
}
