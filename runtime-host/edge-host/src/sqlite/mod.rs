//! SQLite files of the edge: one per database label, opened, checked, pooled, bounded, backed up.
//!
//! What it is not: an ORM or a schema; tables are the components' business.
//! Invariant: a damaged, read-only or foreign file stops the start with a text that says so; nothing is ever reset or repaired in silence.

mod backup;
mod connection;
mod log_check;
mod marker;
mod statement;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use limits::edge_host::{INTEGRITY_CHECK_BYTES_MAX, SQLITE_IDLE_CONNECTIONS_MAX};
use parking_lot::Mutex;
use rusqlite::ErrorCode;
use rusqlite::config::DbConfig;

pub use backup::backup;
pub(crate) use connection::Lease;
use connection::Open;
pub(crate) use statement::{Failure, Row, Value};

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
}

impl Database {
    /// Opens the file, makes it where it is missing, and checks that it is whole and can be written.
    ///
    /// # Errors
    /// When the file is damaged, gone, no database, read-only, or the disk is full. The file is left as it is.
    pub(crate) fn check(path: PathBuf) -> Result<Arc<Self>> {
        marker::check(&path)?;
        // Before SQLite sees it: what SQLite cannot read of its log, it forgets.
        log_check::check(&path)?;
        let database = Arc::new(Self { path, idle: Mutex::new(Vec::new()) });
        let open = database.open_checked().map_err(|error| explain(&database.path, &error))?;
        marker::leave(&database.path)?;
        database.idle.lock().push(open);
        Ok(database)
    }

    fn open_checked(&self) -> rusqlite::Result<Open> {
        let open = Open::new(&self.path)?;
        // Until it is found to be whole, closing it must not move anything from its log into it: what is refused is left as it is.
        open.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let bytes = std::fs::metadata(&self.path).map_or(0, |found| found.len());
        let check = if bytes <= INTEGRITY_CHECK_BYTES_MAX { "integrity_check" } else { "quick_check" };
        let finding: String = open.connection.query_row(&format!("PRAGMA {check}(1)"), [], |row| row.get(0))?;
        if finding != "ok" {
            let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(corrupt, Some(finding)));
        }
        open.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        // A write that changes nothing: a full disk and a read-only file show now and not at the first request.
        let version: i64 = open.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        open.connection.execute_batch(&format!("BEGIN IMMEDIATE; PRAGMA user_version = {version}; COMMIT"))?;
        Ok(open)
    }

    /// An idle connection, or a new one. Blocks; not for async threads.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn lease(self: &Arc<Self>) -> rusqlite::Result<Lease> {
        let idle = self.idle.lock().pop();
        let open = idle.map_or_else(|| Open::new(&self.path), Ok)?;
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

/// A database file that cannot be used: what an operator reads, and a code for scripts.
#[derive(Debug, thiserror::Error)]
#[error("database {path} {advice}: {cause}")]
pub struct Unusable {
    /// `DATABASE_CORRUPT`, `DATABASE_MISSING`, `DATABASE_READ_ONLY`, `DATABASE_DENIED`, `DISK_FULL`, `DISK_ERROR`, `DATABASE_LOCKED` or `DATABASE_UNUSABLE`.
    pub code: &'static str,
    path: String,
    advice: &'static str,
    cause: String,
}

impl Unusable {
    fn new(path: &Path, code: &'static str, advice: &'static str, cause: impl Into<String>) -> Self {
        Self { code, path: path.display().to_string(), advice, cause: cause.into() }
    }

    /// A damaged file, whoever found it.
    fn corrupt(path: &Path, cause: impl Into<String>) -> Self {
        Self::new(path, "DATABASE_CORRUPT", "is corrupt; restore it from a backup (it was left as it is)", cause)
    }
}

/// What an operator reads when a file cannot be used.
fn explain(path: &Path, error: &rusqlite::Error) -> anyhow::Error {
    let cut = error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ);
    let (code, advice) = match error.sqlite_error_code() {
        Some(_) if cut => ("DATABASE_CORRUPT", "is shorter than it says; restore it from a backup (it was left as it is)"),
        Some(ErrorCode::DatabaseCorrupt) => ("DATABASE_CORRUPT", "is corrupt; restore it from a backup (it was left as it is)"),
        Some(ErrorCode::NotADatabase) => ("DATABASE_CORRUPT", "is not a SQLite database; restore it from a backup (it was left as it is)"),
        Some(ErrorCode::ReadOnly) => ("DATABASE_READ_ONLY", "is read-only; check the owner and mode of the file and its directory"),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            ("DATABASE_DENIED", "cannot be opened; check the owner and mode of the file and its directory")
        }
        // SQLite calls it an I/O error when the files beside the database find no room.
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) if is_full(path) => ("DISK_FULL", "cannot be written: the disk is full"),
        Some(ErrorCode::DiskFull) => ("DISK_FULL", "cannot be written: the disk is full"),
        Some(ErrorCode::SystemIoFailure) => ("DISK_ERROR", "cannot be read or written: the disk reports an error"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ("DATABASE_LOCKED", "is locked by another process"),
        _ => ("DATABASE_UNUSABLE", "cannot be used"),
    };
    Unusable::new(path, code, advice, error.to_string()).into()
}

/// Whether the disk under a database has no room for a few pages, found out by writing them.
fn is_full(database: &Path) -> bool {
    let probe = database.with_extension("probe");
    let written = std::fs::write(&probe, [0x5a; 64 * limits::KIB]);
    // What could not be written whole is there in part.
    let _ = std::fs::remove_file(&probe);
    written.is_err_and(|error| matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
}

/// Runs blocking database work off the async threads.
///
/// # Errors
/// When the runtime shuts down meanwhile.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, tokio::task::JoinError> {
    tokio::task::spawn_blocking(work).await
}
