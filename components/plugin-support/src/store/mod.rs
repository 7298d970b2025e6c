//! The store of the directory: a trait, [`Database`], that runs a statement, its two implementations, and the queries
//! that they share.
//!
//! **One statement, one transaction.** Requests run side by side in one instance (up to 16) and in several instances,
//! and a platform may hand the same connection to all of them or a new one for each statement. `BEGIN … COMMIT` over
//! such a connection would mix the statements of other requests, so there is none: each change is a single statement,
//! and the database makes it atomic. On SQLite it is an `INSERT` into the view `mutation`, whose `INSTEAD OF` trigger
//! checks, edits, bumps the revision, writes the feed and the audit, or raises and leaves nothing behind; on PostgreSQL
//! it is one call of a function that does the same. Each read of a scope is one statement too, so that it sees one
//! moment. What was read may have changed by the commit: the transaction carries checks for that, and the caller
//! decides anew ([`Fault::Changed`]).

mod migrate;
mod postgres;
mod query;
mod sqlite;

pub(crate) use query::{AuditOf, AuditRow, Committed, Listing, Want};

use directory::{Code, Refusal};
use std::fmt;

/// A value that goes into or comes out of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
}

impl Cell {
    /// The number; 0 where there is none.
    pub(crate) fn int(&self) -> u64 {
        match self {
            Self::Int(value) => u64::try_from(*value).unwrap_or_default(),
            _ => 0,
        }
    }

    /// The text; empty where there is none.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            _ => String::new(),
        }
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A row.
pub(crate) type Row = Vec<Cell>;

/// Why a statement failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What the transaction rests on has changed: read and decide anew.
    Changed,
    /// `If-Match` does not fit.
    Stale,
    /// The limit on entries of a kind is reached.
    LimitReached,
    /// The limit on servers of one owner is reached.
    Owned,
    /// Requirements and event definitions have too many bytes together.
    Bytes,
    /// The schema is newer than this component.
    Newer(u64),
    /// The file is damaged.
    Corrupt(String),
    /// The disk is full.
    NoSpace(String),
    /// Anything else: locked, unreachable, refused.
    Unavailable(String),
}

impl Fault {
    /// Reads the error text of a database: first the codes of our triggers, then the messages of the engines.
    pub(crate) fn read(said: &str) -> Self {
        let rules = [
            ("jackfield:changed", Self::Changed),
            ("jackfield:stale", Self::Stale),
            ("jackfield:room", Self::LimitReached),
            ("jackfield:owned", Self::Owned),
            ("jackfield:bytes", Self::Bytes),
        ];
        if let Some((_, fault)) = rules.into_iter().find(|(word, _)| said.contains(word)) {
            return fault;
        }
        let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if any(&["malformed", "not a database", "corrupt", "not UTF-8"]) {
            Self::Corrupt(said.to_owned())
        } else if any(&["disk is full", "No space left", "database or disk is full"]) {
            Self::NoSpace(said.to_owned())
        } else {
            Self::Unavailable(said.to_owned())
        }
    }

    /// The refusal for the client. The database's own text goes to the log only.
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::Changed => Code::Conflict.into(),
            Self::Stale => Code::Stale.into(),
            Self::LimitReached | Self::Owned | Self::Bytes => Code::LimitReached.into(),
            Self::Newer(_) => Code::DatabaseNewer.into(),
            Self::Corrupt(_) => Code::DatabaseCorrupt.into(),
            Self::NoSpace(_) => Code::DatabaseFull.into(),
            Self::Unavailable(_) => Code::DatabaseUnavailable.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(version) => write!(
                f,
                "the database has schema {version}, this component knows {}",
                migrate::VERSION
            ),
            Self::Corrupt(said) | Self::NoSpace(said) | Self::Unavailable(said) => {
                f.write_str(said)
            }
            other => write!(f, "{other:?}"),
        }
    }
}

/// Runs one statement. Parameters are written `?1`, `?2`, … in all statements.
pub(crate) trait Database {
    /// The rows of a statement, all of them; none for one that returns nothing.
    async fn run(&self, statement: &str, parameters: Vec<Cell>) -> Result<Vec<Row>, Fault>;
}

/// The kind of database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// The platform's embedded database `default`.
    Sqlite,
    /// PostgreSQL at this address.
    Postgres(String),
}

/// The directory's store.
pub(crate) struct Store {
    store_kind: StoreKind,
}

impl Store {
    /// The store, with its schema brought up to date and found not to be newer than known.
    pub(crate) async fn open(store_kind: &StoreKind) -> Result<Self, Fault> {
        let store = Self {
            store_kind: store_kind.clone(),
        };
        migrate::ensure(&store).await?;
        Ok(store)
    }

    fn is_postgres(&self) -> bool {
        matches!(self.store_kind, StoreKind::Postgres(_))
    }

    async fn run(&self, statement: &str, parameters: Vec<Cell>) -> Result<Vec<Row>, Fault> {
        match &self.store_kind {
            StoreKind::Sqlite => sqlite::Sqlite.run(statement, parameters).await,
            StoreKind::Postgres(address) => {
                postgres::Postgres { address }
                    .run(statement, parameters)
                    .await
            }
        }
    }
}
