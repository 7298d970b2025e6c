//! A file beside each database that says: this one has been in use.
//!
//! To SQLite, a file that is gone or empty is a new database, and the start would quietly begin from nothing. With the
//! mark, it does not.

use super::Unusable;
use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
};

fn mark(database: &Path) -> PathBuf {
    database.with_extension("in-use")
}

/// Refuses a database that was in use and is gone or empty now.
///
/// # Errors
/// `DATABASE_MISSING`.
pub(super) fn check(database: &Path) -> Result<(), Unusable> {
    let empty = match fs::metadata(database) {
        Ok(found) => found.len() == 0,
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        // Opening it says more.
        Err(_) => false,
    };
    if !empty || !mark(database).exists() {
        return Ok(());
    }
    let advice = "was in use and is gone; restore it from a backup";
    let cause = format!(
        "to begin anew without it, remove {}",
        mark(database).display()
    );
    Err(Unusable::new(database, "DATABASE_MISSING", advice, cause))
}

/// Leaves the mark of a database that could be opened and written.
///
/// # Errors
/// When the directory cannot be written.
pub(super) fn leave(database: &Path) -> Result<(), Unusable> {
    let mark = mark(database);
    if mark.exists() {
        return Ok(());
    }
    let left = File::create(&mark).and_then(|file| file.sync_all());
    left.map_err(|error| Unusable::beside(&mark, &error))
}
