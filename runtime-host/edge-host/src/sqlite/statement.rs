//! One statement: parameters in, rows out, bounded in rows, bytes and time.
//!
//! A short read is answered on the calling thread; everything else runs on a blocking thread, because it may wait for the disk or for
//! another writer. A read that turns out long is broken off and run again there.

use super::{Lease, connection::Thread};
use limits::edge_host as bounds;
use rusqlite::{ErrorCode, types::ValueRef};
use thiserror::Error;

/// A value of SQLite.
pub(crate) type Value = rusqlite::types::Value;
/// The values of one row.
pub(crate) type Row = Vec<Value>;

/// A whole result.
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// Why a statement failed. Texts of SQLite itself are passed on unchanged: programs look into them.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The disk or the allowed size is used up.
    #[error("the database is full")]
    Full,
    /// The file is damaged.
    #[error("the database is corrupt; the operator has to restore it from a backup: {0}")]
    Corrupt(String),
    /// The statement ran too long.
    #[error("the statement was stopped after {} ms", bounds::QUERY_TIMEOUT_MS)]
    TooLong,
    /// The result has too many rows.
    #[error("query result exceeds the limit of {} rows", bounds::QUERY_ROWS_MAX)]
    TooManyRows,
    /// The result has too many bytes.
    #[error("query result exceeds the limit of {} bytes", bounds::QUERY_BYTES_MAX)]
    TooManyBytes,
    /// A text in the database is not UTF-8.
    #[error("column {0} holds a text that is not UTF-8")]
    NotUtf8(usize),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt(error.to_string())
            }
            Some(ErrorCode::OperationInterrupted) => Self::TooLong,
            _ => Self::Other(error.to_string()),
        }
    }
}

impl Lease {
    /// Answers a short read on the calling thread, which may be an async one. Nothing when the statement does more than read, has to
    /// wait, fails, or exceeds the bounds of [`Thread::Shared`]: then it runs on a blocking thread, from its beginning.
    pub(crate) fn try_read(&self, sql: &str, parameters: &[Value]) -> Option<Rows> {
        if !is_query(sql) {
            return None;
        }
        self.try_with(|open| {
            open.start_clock(Thread::Shared).ok()?;
            let mut statement = open.connection.prepare_cached(sql).ok()?;
            if !statement.readonly() {
                return None;
            }
            let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let mut found = statement
                .query(rusqlite::params_from_iter(parameters))
                .ok()?;
            let (mut rows, mut bytes) = (Vec::new(), 0);
            while let Some(row) = found.next().ok()? {
                let (values, size) = values(row, columns.len()).ok()?;
                bytes += size;
                if bytes > bounds::SQLITE_IN_PLACE_BYTES_MAX {
                    return None;
                }
                rows.push(values);
            }
            Some(Rows { columns, rows })
        })
        .flatten()
    }

    /// Runs a statement and collects its rows. Blocks.
    pub(crate) fn run(&self, sql: &str, parameters: Vec<Value>) -> Result<Rows, Failure> {
        let mut columns = Vec::new();
        let mut rows = Vec::new();
        let take_row = |row| {
            rows.push(row);
            true
        };
        self.stream(sql, parameters, |names| columns = names, take_row)?;
        Ok(Rows { columns, rows })
    }

    /// Runs a statement; tells its columns first, then each row. A sink that returns false wants no more. Blocks.
    pub(crate) fn stream(
        &self,
        sql: &str,
        parameters: Vec<Value>,
        columns: impl FnOnce(Vec<String>),
        mut sink: impl FnMut(Row) -> bool,
    ) -> Result<(), Failure> {
        self.with(|open| {
            open.start_clock(Thread::Blocking)?;
            let mut statement = open.connection.prepare_cached(sql)?;
            let names = statement
                .column_names()
                .map(str::to_owned)
                .collect::<Vec<_>>();
            let width = names.len();
            columns(names);
            let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
            let (mut count, mut bytes) = (0, 0);
            while let Some(row) = rows.next()? {
                count += 1;
                if count > bounds::QUERY_ROWS_MAX {
                    return Err(Failure::TooManyRows);
                }
                let (values, size) = values(row, width)?;
                bytes += size;
                if bytes > bounds::QUERY_BYTES_MAX {
                    return Err(Failure::TooManyBytes);
                }
                if !sink(values) {
                    return Ok(());
                }
            }
            Ok(())
        })
    }
}

/// Whether a statement may be one that only reads rows; what SQLite makes of it decides. A `PRAGMA` or `COMMIT` counts as reading for
/// SQLite, and touches the disk.
fn is_query(sql: &str) -> bool {
    let sql = sql.trim_start();
    ["SELECT", "WITH"].iter().any(|word| {
        sql.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    })
}

/// The values of a row, and the bytes they take.
fn values(row: &rusqlite::Row<'_>, width: usize) -> Result<(Row, usize), Failure> {
    let (mut values, mut bytes) = (Vec::with_capacity(width), 0);
    for column in 0..width {
        let value = owned(row.get_ref(column)?, column)?;
        bytes += size(&value);
        if bytes > bounds::QUERY_BYTES_MAX {
            return Err(Failure::TooManyBytes);
        }
        values.push(value);
    }
    Ok((values, bytes))
}

fn owned(value: ValueRef<'_>, column: usize) -> Result<Value, Failure> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(text) => Value::Text(
            std::str::from_utf8(text)
                .map_err(|_| Failure::NotUtf8(column))?
                .to_owned(),
        ),
        ValueRef::Blob(blob) => Value::Blob(blob.to_vec()),
    })
}

fn size(value: &Value) -> usize {
    let inline = std::mem::size_of::<Value>();
    match value {
        Value::Text(text) => inline + text.len(),
        Value::Blob(blob) => inline + blob.len(),
        _ => inline,
    }
}
