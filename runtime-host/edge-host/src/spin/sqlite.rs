//! `spin:sqlite`: databases that the manifest grants, each a file in the data directory.
//!
//! The streaming forms behave as in Spin: columns come first, a failure arrives in the future. Rows are not held back
//! by a slow reader, so a statement never waits for its component. SQL that may wait or take long runs off the async
//! threads.

use super::{
    bindings::spin::sqlite::sqlite::{
        Error, Host, HostConnection, HostConnectionWithStore, QueryResult, RowResult,
        Value as WitValue,
    },
    held,
    stream::FromChannel,
};
use crate::{
    sqlite::{Database, Failure, Lease, Row, Rows, Value, blocking},
    store_data::StoreData,
};
use limits::edge_host::CONNECTIONS_PER_INSTANCE_MAX;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

/// An open connection of a component.
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Connection(Arc<Lease>);

type Columns = (
    Vec<String>,
    StreamReader<RowResult>,
    FutureReader<Result<(), Error>>,
);

impl StoreData {
    fn database(&self, label: &str) -> Result<Arc<Database>, Error> {
        let database = self
            .component
            .databases
            .get(label)
            .cloned()
            .ok_or(Error::AccessDenied)?;
        if self.open_databases >= CONNECTIONS_PER_INSTANCE_MAX {
            return Err(Error::Io(format!(
                "an instance may hold {CONNECTIONS_PER_INSTANCE_MAX} connections; close one first"
            )));
        }
        Ok(database)
    }

    fn keep(&mut self, lease: Lease) -> wasmtime::Result<Resource<Connection>> {
        let handle = self.table.push(Connection(Arc::new(lease)))?;
        self.open_databases += 1;
        Ok(handle)
    }

    fn lease(&self, connection: &Resource<Connection>) -> Result<Arc<Lease>, Error> {
        self.table
            .get(connection)
            .map(|connection| connection.0.clone())
            .map_err(|_| Error::InvalidConnection)
    }
}

async fn open(database: Arc<Database>) -> wasmtime::Result<Result<Lease, Error>> {
    if let Some(lease) = database.try_lease() {
        return Ok(Ok(lease));
    }
    let lease = blocking(move || database.lease()).await?;
    Ok(lease.map_err(|error| Failure::from(error).into()))
}

async fn last_insert_rowid(lease: Arc<Lease>) -> wasmtime::Result<i64> {
    match lease.try_last_insert_rowid() {
        Some(rowid) => Ok(rowid),
        None => Ok(blocking(move || lease.last_insert_rowid()).await?),
    }
}

async fn changes(lease: Arc<Lease>) -> wasmtime::Result<u64> {
    match lease.try_changes() {
        Some(changes) => Ok(changes),
        None => Ok(blocking(move || lease.changes()).await?),
    }
}

impl Host for StoreData {}

impl HostConnection for StoreData {
    async fn open(
        &mut self,
        database: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let database = match self.database(&database) {
            Ok(database) => database,
            Err(error) => return Ok(Err(error)),
        };
        match open(database).await? {
            Ok(lease) => Ok(Ok(self.keep(lease)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<WitValue>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        let lease = match self.lease(&connection) {
            Ok(lease) => lease,
            Err(error) => return Ok(Err(error)),
        };
        let parameters: Vec<Value> = parameters.into_iter().map(Value::from).collect();
        let result = match lease.try_read(&statement, &parameters) {
            Some(rows) => Ok(rows),
            None => blocking(move || lease.run(&statement, parameters)).await?,
        };
        Ok(result.map_err(Error::from).map(|result| QueryResult {
            columns: result.columns,
            rows: result.rows.into_iter().map(RowResult::from).collect(),
        }))
    }

    async fn last_insert_rowid(
        &mut self,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<i64> {
        last_insert_rowid(self.table.get(&connection)?.0.clone()).await
    }

    async fn changes(&mut self, connection: Resource<Connection>) -> wasmtime::Result<u64> {
        changes(self.table.get(&connection)?.0.clone()).await
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        let connection = self.table.delete(connection)?;
        self.open_databases -= 1;
        // Rolling back an open transaction or closing a connection touches the disk.
        if !connection.0.is_settled() {
            blocking(move || drop(connection)).await?;
        }
        Ok(())
    }
}

impl<T: Send + 'static> HostConnectionWithStore<T> for HasSelf<StoreData> {
    async fn open_async(
        store: &Accessor<T, Self>,
        database: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let database = match store.with(|mut access| access.get().database(&database)) {
            Ok(database) => database,
            Err(error) => return Ok(Err(error)),
        };
        match open(database).await? {
            Ok(lease) => Ok(Ok(store.with(|mut access| access.get().keep(lease))?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn execute_async(
        store: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<WitValue>,
    ) -> wasmtime::Result<Result<Columns, Error>> {
        let lease = match store.with(|mut access| access.get().lease(&connection)) {
            Ok(lease) => lease,
            Err(error) => return Ok(Err(error)),
        };
        let parameters: Vec<Value> = parameters.into_iter().map(Value::from).collect();
        if let Some(Rows { columns, rows }) = lease.try_read(&statement, &parameters) {
            let rows: Vec<RowResult> = rows.into_iter().map(RowResult::from).collect();
            let readers = store.with(|mut access| {
                let rows = StreamReader::new(&mut access, rows)?;
                let end = std::future::ready(wasmtime::error::Ok(Ok(())));
                wasmtime::error::Ok((rows, FutureReader::new(&mut access, end)?))
            })?;
            return Ok(Ok((columns, readers.0, readers.1)));
        }
        let (columns_to, columns) = oneshot::channel();
        let (rows_to, rows) = mpsc::unbounded_channel();
        let (end_to, end) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let mut columns_to = Some(columns_to);
            let tell = |names| drop(columns_to.take().map(|to| to.send(names)));
            let result = lease.stream(&statement, parameters, tell, |row| {
                rows_to.send(RowResult::from(row)).is_ok()
            });
            // A statement that could not be prepared has no columns, and its failure is in the future.
            let _ = end_to.send(result.map_err(Error::from));
        });
        let columns = columns.await.unwrap_or_default();
        let end = async move {
            wasmtime::error::Ok(
                end.await
                    .unwrap_or_else(|_| Err(Error::Io("the host is shutting down".to_owned()))),
            )
        };
        let readers = store.with(|mut access| {
            let rows = StreamReader::new(&mut access, FromChannel(rows))?;
            wasmtime::error::Ok((rows, FutureReader::new(&mut access, end)?))
        })?;
        Ok(Ok((columns, readers.0, readers.1)))
    }

    async fn last_insert_rowid_async(
        store: &Accessor<T, Self>,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<i64> {
        last_insert_rowid(held(store, &connection, |connection| &connection.0)?).await
    }

    async fn changes_async(
        store: &Accessor<T, Self>,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<u64> {
        changes(held(store, &connection, |connection| &connection.0)?).await
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::DatabaseFull,
            other => Self::Io(other.to_string()),
        }
    }
}

impl From<WitValue> for Value {
    fn from(value: WitValue) -> Self {
        match value {
            WitValue::Integer(integer) => Self::Integer(integer),
            WitValue::Real(real) => Self::Real(real),
            WitValue::Text(text) => Self::Text(text),
            WitValue::Blob(blob) => Self::Blob(blob),
            WitValue::Null => Self::Null,
        }
    }
}

impl From<Row> for RowResult {
    fn from(row: Row) -> Self {
        let value = |value| match value {
            Value::Null => WitValue::Null,
            Value::Integer(integer) => WitValue::Integer(integer),
            Value::Real(real) => WitValue::Real(real),
            Value::Text(text) => WitValue::Text(text),
            Value::Blob(blob) => WitValue::Blob(blob),
        };
        Self {
            values: row.into_iter().map(value).collect(),
        }
    }
}
