//! SQLite files of components: one per database label, opened, checked, pooled, bounded and backed up. Schemas are the components' own.
//!
//! A file that is damaged, read-only or no database stops the start with an error that names the reason (`plugin_store::file`); nothing is
//! reset or repaired without the operator.

mod backup;
mod connection;
mod statement;
mod watch;

use anyhow::Result;
use limits::edge_host::SQLITE_IDLE_CONNECTIONS_MAX;
use parking_lot::Mutex;
use plugin_store::file;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use backup::backup;
pub(crate) use connection::Lease;
use connection::Open;
pub use plugin_store::file::Unusable;
pub(crate) use statement::{Failure, Row, Rows, Value};
pub(crate) use watch::Watch;

/// File of a component database.
pub fn database_file(data_dir: &Path, label: &str) -> PathBuf {
    data_dir.join(format!("sqlite-{label}.db"))
}

/// File of a key-value store.
pub fn key_value_file(data_dir: &Path, label: &str) -> PathBuf {
    data_dir.join(format!("key-value-{label}.db"))
}

/// One database file and its idle connections.
pub(crate) struct Database {
    path: PathBuf,
    idle: Mutex<Vec<Open>>,
    watch: Arc<Watch>,
}

impl Database {
    /// Opens the file, makes it where it is missing, and checks that it is whole and can be written.
    ///
    /// # Errors
    /// When the file is damaged, gone, no database, read-only, or the disk is full. The file is left as it is.
    pub(crate) fn check(path: PathBuf, watch: Arc<Watch>) -> Result<Arc<Self>> {
        file::check(&path)?;
        let database = Arc::new(Self {
            path,
            idle: Mutex::new(Vec::new()),
            watch,
        });
        let open = database
            .open_checked()
            .map_err(|error| file::explain(&database.path, &error))?;
        file::mark(&database.path)?;
        database.idle.lock().push(open);
        Ok(database)
    }

    fn open_checked(&self) -> rusqlite::Result<Open> {
        let open = Open::new(&self.path, &self.watch)?;
        file::verify(&open.connection, &self.path)?;
        Ok(open)
    }

    /// An idle connection, if there is one. Does not wait.
    pub(crate) fn try_lease(self: &Arc<Self>) -> Option<Lease> {
        let open = self.idle.lock().pop()?;
        Some(Lease::new(self.clone(), open))
    }

    /// An idle connection, or a new one. Blocks; not for async threads.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn lease(self: &Arc<Self>) -> rusqlite::Result<Lease> {
        let idle = self.idle.lock().pop();
        let open = idle.map_or_else(|| Open::new(&self.path, &self.watch), Ok)?;
        Ok(Lease::new(self.clone(), open))
    }

    /// Takes back a connection; only clean ones are kept.
    fn give_back(&self, open: Open) {
        let mut idle = self.idle.lock();
        if idle.len() < SQLITE_IDLE_CONNECTIONS_MAX {
            idle.push(open);
        }
    }
}

/// Runs blocking database work off the async threads.
///
/// # Errors
/// When the runtime shuts down meanwhile.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    tokio::task::spawn_blocking(work).await
}
