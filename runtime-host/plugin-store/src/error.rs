//! Why something was not stored or not found. No text of an error holds a value, a key or a secret of a plugin.

use crate::file::Unusable;
use rusqlite::ErrorCode;

/// Why a call of the store failed. A refused write leaves nothing behind.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Something is longer than it may be.
    #[error("{field} exceeds the limit of {max} bytes")]
    TooLarge {
        /// What is too long.
        field: &'static str,
        /// The limit, bytes.
        max: usize,
    },
    /// A plugin has used up its quota.
    #[error("{field} are used up: the limit of a plugin is {max}")]
    QuotaExceeded {
        /// What is used up, with its unit.
        field: &'static str,
        /// The limit.
        max: u64,
    },
    /// A key, a name or a plugin's id breaks a rule.
    #[error("{field} {rule}")]
    InvalidKey {
        /// What breaks it.
        field: &'static str,
        /// The rule, to be read after the field.
        rule: &'static str,
    },
    /// A scope that a rule cannot have; it is refused before it is stored.
    #[error("the scope: {0}")]
    BadScope(capability::BadScope),
    /// What is named is not there.
    #[error("the {what} is not known")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// What is named is not in the state that the call needs.
    #[error("the {what} {why}")]
    Conflict {
        /// What was found.
        what: &'static str,
        /// The state that it is in, to be read after it.
        why: &'static str,
    },
    /// A value that should be added to is no number.
    #[error("the value of the key is not a decimal number of 64 bits")]
    NotANumber,
    /// A sum does not fit.
    #[error("the sum is not a number of 64 bits")]
    OutOfRange,
    /// A secret was sealed with another key, or was changed.
    #[error("the secret cannot be opened with this host's key")]
    SecretUnreadable,
    /// The file cannot be used at all.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The database failed.
    #[error("the plugin database {advice}: {cause}")]
    Database {
        /// `DATABASE_FULL`, `DATABASE_CORRUPT`, `DATABASE_READ_ONLY`, `DATABASE_LOCKED` or `DATABASE_UNAVAILABLE`.
        code: &'static str,
        /// What to do.
        advice: &'static str,
        /// What SQLite said.
        cause: String,
    },
    /// The store was closed.
    #[error("the plugin database is closed")]
    Closed,
}

impl StoreError {
    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "TOO_LARGE",
            Self::QuotaExceeded { .. } => "QUOTA_EXCEEDED",
            Self::InvalidKey { .. } => "INVALID_KEY",
            Self::BadScope(_) => "BAD_SCOPE",
            Self::NotFound { .. } => "NOT_FOUND",
            Self::Conflict { .. } => "CONFLICT",
            Self::NotANumber => "NOT_A_NUMBER",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::SecretUnreadable => "SECRET_UNREADABLE",
            Self::Unusable(unusable) => unusable.code,
            Self::Database { code, .. } => code,
            Self::Closed => "DATABASE_CLOSED",
        }
    }
}

/// Whether a value was found that this store never writes: a text that is no UTF-8, a document that is no JSON, another
/// type. SQLite keeps no checksums, so this is how damage within a row shows.
fn is_foreign(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..)
    )
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let corrupt = ("DATABASE_CORRUPT", "is corrupt; restore it from a backup");
        let (code, advice) = match error.sqlite_error_code() {
            None if is_foreign(&error) => corrupt,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => corrupt,
            Some(ErrorCode::DiskFull) => ("DATABASE_FULL", "cannot be written: the disk is full"),
            Some(ErrorCode::ReadOnly) => (
                "DATABASE_READ_ONLY",
                "is read-only; check the owner and mode of the file and its directory",
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                ("DATABASE_LOCKED", "is locked by another process; try again")
            }
            _ => ("DATABASE_UNAVAILABLE", "failed"),
        };
        Self::Database {
            code,
            advice,
            cause: error.to_string(),
        }
    }
}
