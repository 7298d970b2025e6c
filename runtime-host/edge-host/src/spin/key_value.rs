//! `spin:key-value`: stores that the manifest grants, each a SQLite file in the data directory. A write is on disk
//! before it is answered; keys and values are bounded.

use super::{
    bindings::spin::key_value::key_value::{Error, Host, HostStore, HostStoreWithStore},
    stream::FromChannel,
};
use crate::{
    sqlite::{Database, Failure, Value, blocking},
    store_data::StoreData,
};
use anyhow::Context;
use limits::edge_host as bounds;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::mpsc;
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

/// The file behind one label.
pub(crate) struct KeyValueStore(Arc<Database>);

impl KeyValueStore {
    /// Opens the file, makes it where it is missing, checks it.
    ///
    /// # Errors
    /// As [`Database::check`].
    pub(crate) fn check(path: PathBuf) -> anyhow::Result<Arc<Self>> {
        let database = Database::check(path.clone(), Arc::default())?;
        let lease = database.lease()?;
        lease
            .run("CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID", Vec::new())
            .with_context(|| format!("database {} is not a key-value store", path.display()))?;
        Ok(Arc::new(Self(database)))
    }

    async fn run(
        self: Arc<Self>,
        sql: &'static str,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Vec<Vec<Value>>, Error>> {
        if let Some(found) = self
            .0
            .try_lease()
            .and_then(|lease| lease.try_read(sql, &parameters))
        {
            return Ok(Ok(found.rows));
        }
        let result = blocking(move || {
            let lease = self.0.lease().map_err(Failure::from)?;
            lease.run(sql, parameters).map(|result| result.rows)
        });
        Ok(result.await?.map_err(other))
    }
}

/// An open store of a component.
#[allow(unreachable_pub, reason = "the bindings re-export it")]
pub struct Store(Arc<KeyValueStore>);

fn other(failure: Failure) -> Error {
    Error::Other(failure.to_string())
}

fn check_key(key: &str) -> Result<(), Error> {
    if key.len() > bounds::KEY_BYTES_MAX {
        return Err(Error::Other(format!(
            "a key may have {} bytes, this one has {}",
            bounds::KEY_BYTES_MAX,
            key.len()
        )));
    }
    Ok(())
}

/// The store behind a handle.
fn store_of<T: Send + 'static>(
    store: &Accessor<T, HasSelf<StoreData>>,
    handle: &Resource<Store>,
) -> wasmtime::Result<Arc<KeyValueStore>> {
    Ok(store.with(|mut access| access.get().table.get(handle).map(|store| store.0.clone()))?)
}

impl Host for StoreData {}

impl HostStore for StoreData {
    async fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        self.open_stores -= 1;
        Ok(())
    }
}

impl<T: Send + 'static> HostStoreWithStore<T> for HasSelf<StoreData> {
    async fn open(
        store: &Accessor<T, Self>,
        label: String,
    ) -> wasmtime::Result<Result<Resource<Store>, Error>> {
        store.with(|mut access| {
            let state = access.get();
            let Some(found) = state.component.stores.get(&label).cloned() else {
                return Ok(Err(Error::AccessDenied));
            };
            if state.open_stores >= bounds::CONNECTIONS_PER_INSTANCE_MAX {
                return Ok(Err(Error::StoreTableFull));
            }
            let handle = state.table.push(Store(found))?;
            state.open_stores += 1;
            Ok(Ok(handle))
        })
    }

    async fn get(
        store: &Accessor<T, Self>,
        handle: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let found = store_of(store, &handle)?;
        let rows = found
            .run(
                "SELECT value FROM entry WHERE key = ?1",
                vec![Value::Text(key)],
            )
            .await?;
        Ok(rows.map(|rows| {
            rows.into_iter().flatten().find_map(|value| match value {
                Value::Blob(bytes) => Some(bytes),
                _ => None,
            })
        }))
    }

    async fn set(
        store: &Accessor<T, Self>,
        handle: Resource<Store>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        if let Err(error) = check_key(&key) {
            return Ok(Err(error));
        }
        if value.len() > bounds::VALUE_BYTES_MAX {
            let text = format!(
                "a value may have {} bytes, this one has {}",
                bounds::VALUE_BYTES_MAX,
                value.len()
            );
            return Ok(Err(Error::Other(text)));
        }
        let found = store_of(store, &handle)?;
        let sql = "INSERT INTO entry (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        Ok(found
            .run(sql, vec![Value::Text(key), Value::Blob(value)])
            .await?
            .map(drop))
    }

    async fn delete(
        store: &Accessor<T, Self>,
        handle: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        let found = store_of(store, &handle)?;
        Ok(found
            .run("DELETE FROM entry WHERE key = ?1", vec![Value::Text(key)])
            .await?
            .map(drop))
    }

    async fn exists(
        store: &Accessor<T, Self>,
        handle: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let found = store_of(store, &handle)?;
        let rows = found
            .run("SELECT 1 FROM entry WHERE key = ?1", vec![Value::Text(key)])
            .await?;
        Ok(rows.map(|rows| !rows.is_empty()))
    }

    async fn get_keys(
        store: &Accessor<T, Self>,
        handle: Resource<Store>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
        let found = store_of(store, &handle)?;
        let (keys_to, keys) = mpsc::unbounded_channel();
        let listing = tokio::task::spawn_blocking(move || {
            let lease = found.0.lease().map_err(Failure::from)?;
            lease.stream(
                "SELECT key FROM entry ORDER BY key",
                Vec::new(),
                drop,
                |row| {
                    row.into_iter().all(|value| match value {
                        Value::Text(key) => keys_to.send(key).is_ok(),
                        _ => true,
                    })
                },
            )
        });
        let end = async move { wasmtime::error::Ok(listing.await?.map_err(other)) };
        store.with(|mut access| {
            let keys = StreamReader::new(&mut access, FromChannel(keys))?;
            Ok((keys, FutureReader::new(&mut access, end)?))
        })
    }
}
