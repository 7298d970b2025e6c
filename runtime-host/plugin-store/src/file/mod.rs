//! SQLite files: checked before they are used, marked while they are in use, and explained when they cannot be used.
//!
//! A damaged, missing, read-only or foreign file stops the start with a text that says so; nothing is reset or repaired
//! silently.

mod log_check;
mod marker;

use limits::edge_host::INTEGRITY_CHECK_BYTES_MAX;
use rusqlite::{Connection, ErrorCode, config::DbConfig};
use std::{
    io::{Error, ErrorKind},
    path::Path,
};

/// A database file that cannot be used: what an operator reads, and a code for scripts.
#[derive(Debug, Clone, thiserror::Error)]
#[error("database {path} {advice}: {cause}")]
pub struct Unusable {
    /// `DATABASE_CORRUPT`, `DATABASE_MISSING`, `DATABASE_NEWER`, `DATABASE_READ_ONLY`, `DATABASE_DENIED`, `DISK_FULL`,
    /// `DISK_ERROR`, `DISK_READ_ONLY`, `DATABASE_LOCKED`, `SECRETS_KEY_MISSING`, `SECRETS_KEY_WRONG` or
    /// `DATABASE_UNUSABLE`.
    pub code: &'static str,
    path: String,
    advice: &'static str,
    cause: String,
}

impl Unusable {
    pub(crate) fn new(
        path: &Path,
        code: &'static str,
        advice: &'static str,
        cause: impl Into<String>,
    ) -> Self {
        Self {
            code,
            path: path.display().to_string(),
            advice,
            cause: cause.into(),
        }
    }

    /// The error for a damaged file.
    fn corrupt(path: &Path, cause: impl Into<String>) -> Self {
        Self::new(
            path,
            "DATABASE_CORRUPT",
            "is corrupt; restore it from a backup (it was left as it is)",
            cause,
        )
    }

    /// A file beside the database that cannot be read or written.
    pub(crate) fn beside(path: &Path, error: &Error) -> Self {
        let (code, advice) = match error.kind() {
            ErrorKind::PermissionDenied => (
                "DATABASE_DENIED",
                "cannot be opened; check the owner and mode of the file and its directory",
            ),
            ErrorKind::ReadOnlyFilesystem => {
                ("DISK_READ_ONLY", "cannot be written: the disk is read-only")
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                ("DISK_FULL", "cannot be written: the disk is full")
            }
            _ => ("DISK_ERROR", "cannot be read or written"),
        };
        Self::new(path, code, advice, error.to_string())
    }
}

/// Checks a file before SQLite opens it, because SQLite silently drops what it cannot read of the log, and creates a
/// file that is gone.
///
/// # Errors
/// The file was in use and is gone or empty, or its log is damaged.
pub fn check(path: &Path) -> Result<(), Unusable> {
    marker::check(path)?;
    log_check::check(path)
}

/// Has SQLite check an open file, and writes to it without changing anything: damage, a full disk and a read-only file
/// show now and not at the first request. A file that is refused stays as it is.
///
/// # Errors
/// What SQLite finds; [`explain`] says it to people.
pub fn verify(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    // Until it is found to be whole, closing it must not move anything from its log into it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let bytes = std::fs::metadata(path).map_or(0, |found| found.len());
    let check = if bytes <= INTEGRITY_CHECK_BYTES_MAX {
        "integrity_check"
    } else {
        "quick_check"
    };
    let finding: String =
        connection.query_row(&format!("PRAGMA {check}(1)"), [], |row| row.get(0))?;
    if finding != "ok" {
        let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(corrupt, Some(finding)));
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; PRAGMA user_version = {version}; COMMIT"
    ))
}

/// Leaves a mark beside a file that was opened and written, so that its absence is noticed.
///
/// # Errors
/// The directory cannot be written.
pub fn mark(path: &Path) -> Result<(), Unusable> {
    marker::leave(path)
}

/// What an operator reads when a file cannot be used.
pub fn explain(path: &Path, error: &rusqlite::Error) -> Unusable {
    let cut = error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ);
    let (code, advice) = match error.sqlite_error_code() {
        Some(_) if cut => (
            "DATABASE_CORRUPT",
            "is shorter than it says; restore it from a backup (it was left as it is)",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (
            "DATABASE_CORRUPT",
            "is corrupt; restore it from a backup (it was left as it is)",
        ),
        Some(ErrorCode::NotADatabase) => (
            "DATABASE_CORRUPT",
            "is not a SQLite database; restore it from a backup (it was left as it is)",
        ),
        Some(ErrorCode::ReadOnly) => (
            "DATABASE_READ_ONLY",
            "is read-only; check the owner and mode of the file and its directory",
        ),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => (
            "DATABASE_DENIED",
            "cannot be opened; check the owner and mode of the file and its directory",
        ),
        // SQLite calls it an I/O error when the files beside the database find no room.
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) if is_full(path) => {
            ("DISK_FULL", "cannot be written: the disk is full")
        }
        Some(ErrorCode::DiskFull) => ("DISK_FULL", "cannot be written: the disk is full"),
        Some(ErrorCode::SystemIoFailure) => (
            "DISK_ERROR",
            "cannot be read or written: the disk reports an error",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            ("DATABASE_LOCKED", "is locked by another process")
        }
        _ => ("DATABASE_UNUSABLE", "cannot be used"),
    };
    Unusable::new(path, code, advice, error.to_string())
}

/// Whether the disk under a database has no room for a few pages, found out by writing them.
fn is_full(database: &Path) -> bool {
    let probe = database.with_extension("probe");
    let written = std::fs::write(&probe, [0x5a; 64 * limits::KIB]);
    // A failed write may have left a part of the file.
    let _ = std::fs::remove_file(&probe);
    written.is_err_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded
        )
    })
}
