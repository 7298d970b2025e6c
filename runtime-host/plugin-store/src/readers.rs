//! The threads that read. They see what was committed, never wait for the writer, and have a bounded queue.

use crate::{StoreError, connection};
use limits::plugin_store::{READERS, READS_WAITING_MAX};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::{
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};
use tokio::sync::{mpsc, oneshot};

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The queue of the threads; they end when it is dropped.
pub(crate) struct Readers(mpsc::Sender<Read>);

impl Readers {
    /// Starts the threads.
    pub(crate) fn start(path: &Path) -> Result<(Self, Vec<JoinHandle<()>>), StoreError> {
        let (reads, waiting) = mpsc::channel::<Read>(READS_WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let (connection, waiting) = (connection::reader(path)?, waiting.clone());
            let serve = move || {
                loop {
                    // One thread waits for work, the others for it.
                    let next = waiting.lock().blocking_recv();
                    let Some(read) = next else { return };
                    read(&connection);
                }
            };
            threads.push(
                thread::Builder::new()
                    .name("plugin-reader".into())
                    .spawn(serve)
                    .map_err(|_| StoreError::Closed)?,
            );
        }
        Ok((Self(reads), threads))
    }

    /// Does `work` in one transaction, so that all of it sees the same state.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            let outcome = connection
                .unchecked_transaction()
                .map_err(StoreError::from)
                .and_then(|transaction| work(&transaction));
            // The caller may be gone.
            let _ = reply.send(outcome);
        });
        self.0.send(read).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}
