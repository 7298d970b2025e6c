//! `spin:postgres`: connections to the PostgreSQL servers that `allowed_outbound_hosts` grants. Results are bounded in
//! bytes, statements in time, and no error text contains a password.
#![allow(clippy::result_large_err, reason = "the error is a type of the WIT")]

use super::{
    bindings::spin::postgres::postgres::{
        Column, DbError, DbValue, Error, Host, HostConnection, HostConnectionBuilder,
        HostConnectionBuilderWithStore, HostConnectionWithStore, ParameterValue, QueryError, Row,
        RowSet,
    },
    held,
    postgres_pool::{Lease, PostgresPools, check_allowed},
    postgres_values::{data_type, parameter, size, value},
    stream::FromChannel,
};
use crate::{network::allowed::AllowedHosts, store_data::StoreData};
use anyhow::{Context, Result};
use futures::TryStreamExt;
use limits::edge_host as bounds;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

/// An open connection of a component.
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Connection(Arc<Lease>);

/// A connection that is being configured.
#[derive(Clone)]
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Builder {
    address: String,
    ca_root: Option<String>,
}

/// What connecting needs, taken out of the store so that it can be awaited.
struct Connector {
    allowed: Arc<AllowedHosts>,
    pools: Arc<PostgresPools>,
}

impl Connector {
    async fn connect(self, builder: Builder) -> Result<Lease, Error> {
        let failed = |error: anyhow::Error| Error::ConnectionFailed(format!("{error:#}"));
        check_allowed(&self.allowed, &builder.address).map_err(failed)?;
        let pool = self
            .pools
            .pool(&builder.address, builder.ca_root)
            .map_err(failed)?;
        pool.lease().await.context("cannot connect").map_err(failed)
    }
}

impl StoreData {
    fn connector(&self) -> Result<Connector, Error> {
        if self.open_postgres >= bounds::CONNECTIONS_PER_INSTANCE_MAX {
            let text = format!(
                "an instance may hold {} connections; close one first",
                bounds::CONNECTIONS_PER_INSTANCE_MAX
            );
            return Err(Error::ConnectionFailed(text));
        }
        Ok(Connector {
            allowed: self.component.allowed_hosts.clone(),
            pools: self.shared.postgres.clone(),
        })
    }

    fn keep_postgres(
        &mut self,
        lease: Result<Lease, Error>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        Ok(match lease {
            Ok(lease) => {
                let handle = self.table.push(Connection(Arc::new(lease)))?;
                self.open_postgres += 1;
                Ok(handle)
            }
            Err(error) => Err(error),
        })
    }

    async fn open_postgres(
        &mut self,
        builder: Builder,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let lease = match self.connector() {
            Ok(connector) => connector.connect(builder).await,
            Err(error) => Err(error),
        };
        self.keep_postgres(lease)
    }
}

async fn open_async<T: Send + 'static>(
    store: &Accessor<T, HasSelf<StoreData>>,
    builder: Builder,
) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
    let lease = match store.with(|mut access| access.get().connector()) {
        Ok(connector) => connector.connect(builder).await,
        Err(error) => Err(error),
    };
    store.with(|mut access| access.get().keep_postgres(lease))
}

impl Host for StoreData {}

impl HostConnectionBuilder for StoreData {
    async fn new(&mut self, address: String) -> wasmtime::Result<Resource<Builder>> {
        Ok(self.table.push(Builder {
            address,
            ca_root: None,
        })?)
    }

    async fn set_ca_root(
        &mut self,
        builder: Resource<Builder>,
        certificate: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        if let Err(error) = outbound::client_config(Some(&certificate)) {
            return Ok(Err(Error::Other(format!(
                "invalid root certificate: {error:#}"
            ))));
        }
        self.table.get_mut(&builder)?.ca_root = Some(certificate);
        Ok(Ok(()))
    }

    async fn build(
        &mut self,
        builder: Resource<Builder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let builder = self.table.get(&builder)?.clone();
        self.open_postgres(builder).await
    }

    async fn drop(&mut self, builder: Resource<Builder>) -> wasmtime::Result<()> {
        self.table.delete(builder)?;
        Ok(())
    }
}

impl<T: Send + 'static> HostConnectionBuilderWithStore<T> for HasSelf<StoreData> {
    async fn build_async(
        store: &Accessor<T, Self>,
        builder: Resource<Builder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let builder = store.with(|mut access| access.get().table.get(&builder).cloned())?;
        open_async(store, builder).await
    }
}

impl HostConnection for StoreData {
    async fn open(
        &mut self,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        self.open_postgres(Builder {
            address,
            ca_root: None,
        })
        .await
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<RowSet, Error>> {
        let lease = self.table.get(&connection)?.0.clone();
        let mut rows = Vec::new();
        let mut columns = Vec::new();
        let result = run(
            &lease,
            &statement,
            &parameters,
            |names| columns = names,
            |row| {
                rows.push(row);
                true
            },
        );
        let result = result.await;
        Ok(result.map(|()| RowSet { columns, rows }))
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let lease = self.table.get(&connection)?.0.clone();
        Ok(execute(&lease, &statement, &parameters).await)
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        self.open_postgres -= 1;
        Ok(())
    }
}

type Streamed = (
    Vec<Column>,
    StreamReader<Row>,
    FutureReader<Result<(), Error>>,
);

impl<T: Send + 'static> HostConnectionWithStore<T> for HasSelf<StoreData> {
    async fn open_async(
        store: &Accessor<T, Self>,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        open_async(
            store,
            Builder {
                address,
                ca_root: None,
            },
        )
        .await
    }

    async fn query_async(
        store: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<Streamed, Error>> {
        let lease = held(store, &connection, |connection| &connection.0)?;
        let (columns_to, columns) = oneshot::channel();
        let (rows_to, rows) = mpsc::unbounded_channel();
        let running = tokio::spawn(async move {
            let tell = |names| drop(columns_to.send(names));
            run(&lease, &statement, &parameters, tell, |row| {
                rows_to.send(row).is_ok()
            })
            .await
        });
        // As in Spin, a statement that the server refuses fails the call itself; what happens later arrives in the
        // future.
        let Ok(columns) = columns.await else {
            let result = running.await?;
            return Ok(Err(result.err().unwrap_or_else(|| {
                Error::Other("the statement ended early".to_owned())
            })));
        };
        store.with(|mut access| {
            let rows = StreamReader::new(&mut access, FromChannel(rows))?;
            let end =
                FutureReader::new(
                    &mut access,
                    async move { wasmtime::error::Ok(running.await?) },
                )?;
            Ok(Ok((columns, rows, end)))
        })
    }

    async fn execute_async(
        store: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let lease = held(store, &connection, |connection| &connection.0)?;
        Ok(execute(&lease, &statement, &parameters).await)
    }
}

async fn execute(
    lease: &Lease,
    statement: &str,
    parameters: &[ParameterValue],
) -> Result<u64, Error> {
    let parameters = convert(parameters)?;
    let done = lease.client(statement).execute_raw(statement, parameters);
    in_time(done).await?.map_err(query_failed)
}

async fn run(
    lease: &Lease,
    statement: &str,
    parameters: &[ParameterValue],
    columns: impl FnOnce(Vec<Column>),
    mut sink: impl FnMut(Row) -> bool,
) -> Result<(), Error> {
    let parameters = convert(parameters)?;
    let work = async {
        let client = lease.client(statement);
        let statement = client.prepare(statement).await.map_err(query_failed)?;
        let mut rows = std::pin::pin!(
            client
                .query_raw(&statement, parameters)
                .await
                .map_err(query_failed)?
        );
        let named = statement.columns().iter();
        columns(
            named
                .map(|column| Column {
                    name: column.name().to_owned(),
                    data_type: data_type(column.type_()),
                })
                .collect(),
        );
        let (mut count, mut bytes) = (0, 0);
        while let Some(row) = rows.try_next().await.map_err(query_failed)? {
            let values: Vec<DbValue> = (0..row.len())
                .map(|at| {
                    value(&row, at)
                        .map_err(|error| Error::ValueConversionFailed(format!("{error:#}")))
                })
                .collect::<Result<_, _>>()?;
            count += 1;
            bytes += values.iter().map(size).sum::<usize>();
            if count > bounds::QUERY_ROWS_MAX {
                return Err(too_much(format!("{} rows", bounds::QUERY_ROWS_MAX)));
            }
            if bytes > bounds::QUERY_BYTES_MAX {
                return Err(too_much(format!("{} bytes", bounds::QUERY_BYTES_MAX)));
            }
            if !sink(values) {
                break;
            }
        }
        Ok(())
    };
    in_time(work).await?
}

async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let text = || {
        Error::QueryFailed(QueryError::Text(format!(
            "the statement was stopped after {} ms",
            bounds::QUERY_TIMEOUT_MS
        )))
    };
    timeout(Duration::from_millis(bounds::QUERY_TIMEOUT_MS), work)
        .await
        .map_err(|_| text())
}

fn convert(parameters: &[ParameterValue]) -> Result<Vec<super::postgres_values::Parameter>, Error> {
    let converted: Result<_> = parameters.iter().map(parameter).collect();
    converted.map_err(|error| Error::BadParameter(format!("{error:#}")))
}

fn too_much(limit: String) -> Error {
    Error::QueryFailed(QueryError::Text(format!(
        "query result exceeds the limit of {limit}"
    )))
}

fn query_failed(error: tokio_postgres::Error) -> Error {
    let as_text = format!("{error:?}");
    Error::QueryFailed(match error.as_db_error() {
        None => QueryError::Text(as_text),
        Some(db) => QueryError::DbError(DbError {
            as_text,
            severity: db.severity().to_owned(),
            code: db.code().code().to_owned(),
            message: db.message().to_owned(),
            detail: db.detail().map(str::to_owned),
            extras: extras(db),
        }),
    })
}

fn extras(db: &tokio_postgres::error::DbError) -> Vec<(String, String)> {
    let line = db.line().map(|line| line.to_string());
    let named = [
        ("column", db.column()),
        ("constraint", db.constraint()),
        ("routine", db.routine()),
        ("hint", db.hint()),
        ("table", db.table()),
        ("datatype", db.datatype()),
        ("schema", db.schema()),
        ("file", db.file()),
        ("line", line.as_deref()),
        ("where_", db.where_()),
    ];
    named
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect()
}
