//! How a connection to the file is set up, and the schema of the file. A file that a newer program has written is not
//! touched.

use crate::{
    StoreError,
    file::{self, Unusable},
};
use limits::plugin_store::{BUSY_TIMEOUT_MS, STATEMENTS_MAX};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{path::Path, time::Duration};

/// Each step brings a database from the version of its place to the next.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/0002.sql"),
    include_str!("../migrations/0003.sql"),
    include_str!("../migrations/0004.sql"),
];

/// Opens the file for writing: checked, marked, and migrated to the newest schema. Creates it if it is missing. Blocks.
///
/// # Errors
/// The file cannot be used; it is left as it is.
pub(crate) fn writer(path: &Path) -> Result<Connection, StoreError> {
    file::check(path)?;
    let mut connection = open(path).map_err(|error| file::explain(path, &error))?;
    let version = version(&connection).map_err(|error| file::explain(path, &error))?;
    if version > MIGRATIONS.len() {
        let cause = format!(
            "its version is {version}, this program knows {}",
            MIGRATIONS.len()
        );
        let advice =
            "was written by a newer program; upgrade this one, or restore a backup from before";
        return Err(Unusable::new(path, "DATABASE_NEWER", advice, cause).into());
    }
    file::verify(&connection, path).map_err(|error| file::explain(path, &error))?;
    migrate(&mut connection, version).map_err(|error| file::explain(path, &error))?;
    file::mark(path)?;
    Ok(connection)
}

/// Opens the file for reading alone.
///
/// # Errors
/// SQLite cannot open it.
pub(crate) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = open(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // A file that turns out to be unusable is left as it is: closing must not move its log into it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Otherwise a kept statement is compiled again for each new value that a partial index could be compared with.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
    )?;
    Ok(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // A negative one is none of ours, like one that is too high.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn migrate(connection: &mut Connection, from: usize) -> rusqlite::Result<()> {
    for (at, step) in MIGRATIONS.iter().enumerate().skip(from) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.execute_batch(&format!("PRAGMA user_version = {}", at + 1))?;
        transaction.commit()?;
    }
    Ok(())
}
