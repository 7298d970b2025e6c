//! `spin:postgres`: for platforms without an embedded database, and for scale. The host pools connections.

use super::{Cell, Database, Fault, Row};
use spin_sdk::pg::{Connection, DbValue, Error, ParameterValue, PgError};

/// The database at an address.
pub(super) struct Postgres<'a> {
    /// `postgres://user:password@host/database`.
    pub(super) address: &'a str,
}

impl Database for Postgres<'_> {
    async fn run(&self, statement: &str, parameters: Vec<Cell>) -> Result<Vec<Row>, Fault> {
        let connection = Connection::open(self.address)
            .await
            .map_err(|error| fault(&error))?;
        let parameters: Vec<ParameterValue> = parameters
            .into_iter()
            .map(|cell| match cell {
                Cell::Null => ParameterValue::DbNull,
                Cell::Int(value) => ParameterValue::Int64(value),
                Cell::Text(text) => ParameterValue::Str(text),
            })
            .collect();
        let mut result = connection
            .query(dollars(statement), parameters)
            .await
            .map_err(|error| fault(&error))?;
        let mut rows = Vec::new();
        while let Some(row) = result.rows().next().await {
            rows.push(row.into_iter().map(cell).collect());
        }
        result.result().await.map_err(|error| fault(&error))?;
        Ok(rows)
    }
}

/// `?1` is `$1` here. A question mark stands in no other place of our statements.
fn dollars(statement: &str) -> String {
    statement.replace('?', "$")
}

fn cell(value: DbValue) -> Cell {
    match value {
        DbValue::Int64(value) => Cell::Int(value),
        DbValue::Int32(value) => Cell::Int(value.into()),
        DbValue::Str(text) => Cell::Text(text),
        _ => Cell::Null,
    }
}

fn fault(error: &Error) -> Fault {
    match error {
        Error::PgError(PgError::QueryFailed(query)) => Fault::read(&format!("{query:?}")),
        Error::PgError(PgError::ConnectionFailed(_)) => Fault::Unavailable(
            "the database cannot be reached; see postgres_url and postgres_host".to_owned(),
        ),
        other => Fault::Unavailable(format!("{other:?}")),
    }
}
