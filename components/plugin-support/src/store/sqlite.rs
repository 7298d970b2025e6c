//! `spin:sqlite`: the platform's embedded database.
//!
//! Statements run through the interface's synchronous `execute`: one call to the host for a whole result. The streaming
//! form needs a stream and a future for each statement, which costs more than the statements of this store themselves.
//!
//! One connection per instance is opened and shared by its requests, which is safe because each statement stands alone;
//! it is dropped after an error that is not a rule's, so that the next request opens a new one.

use super::{Cell, Database, Fault, Row};
use spin_sdk::sqlite::{
    Error, Value,
    wit::sqlite::{Connection, QueryResult},
};
use std::{cell::RefCell, rc::Rc};

thread_local! {
    static CONNECTION: RefCell<Option<Rc<Connection>>> = const { RefCell::new(None) };
}

/// The database labelled `default`.
pub(super) struct Sqlite;

impl Database for Sqlite {
    async fn run(&self, statement: &str, parameters: Vec<Cell>) -> Result<Vec<Row>, Fault> {
        let connection = connection()?;
        let parameters: Vec<Value> = parameters.into_iter().map(value).collect();
        match connection.execute(statement, &parameters) {
            Ok(result) => Ok(rows(result)),
            Err(error) => {
                let fault = fault(&error);
                if matches!(
                    fault,
                    Fault::Corrupt(_) | Fault::NoSpace(_) | Fault::Unavailable(_)
                ) {
                    CONNECTION.with_borrow_mut(Option::take);
                }
                Err(fault)
            }
        }
    }
}

fn connection() -> Result<Rc<Connection>, Fault> {
    if let Some(connection) = CONNECTION.with_borrow(Clone::clone) {
        return Ok(connection);
    }
    let connection = Rc::new(Connection::open("default").map_err(|error| fault(&error))?);
    CONNECTION.with_borrow_mut(|kept| *kept = Some(connection.clone()));
    Ok(connection)
}

fn rows(result: QueryResult) -> Vec<Row> {
    result
        .rows
        .into_iter()
        .map(|row| row.values.into_iter().map(cell).collect())
        .collect()
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(value) => Value::Integer(value),
        Cell::Text(text) => Value::Text(text),
    }
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Integer(value) => Cell::Int(value),
        Value::Text(text) => Cell::Text(text),
        Value::Real(_) | Value::Blob(_) | Value::Null => Cell::Null,
    }
}

fn fault(error: &Error) -> Fault {
    match error {
        Error::Io(said) => Fault::read(said),
        Error::DatabaseFull => Fault::NoSpace("the database is full".to_owned()),
        Error::AccessDenied => {
            Fault::Unavailable("spin.toml does not grant the database `default`".to_owned())
        }
        Error::NoSuchDatabase => {
            Fault::Unavailable("the platform has no database `default`".to_owned())
        }
        Error::InvalidConnection => {
            Fault::Unavailable("the connection is not valid any more".to_owned())
        }
    }
}
