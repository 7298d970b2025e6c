//! Values of plugins. Each plugin has a namespace, and no key leads out of it.
//!
//! The bytes of a plugin are counted in the transaction that changes them, and never exceed its quota.

use crate::{
    PluginStore, StoreError,
    cache::Effects,
    text::{self, uint},
};
use bytes::Bytes;
use limits::plugin_store::{
    BYTES_PER_PLUGIN_MAX, CHANGES_BYTES_MAX, CHANGES_MAX, KEY_BYTES_MAX, KEYS_PAGE_MAX,
    VALUE_BYTES_MAX, VALUES_PER_PLUGIN_MAX,
};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;

/// One of several writes that are made together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets a key.
    Set(String, Bytes),
    /// Removes a key; one that is not there is no error.
    Delete(String),
}

/// Keys in the order of their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<String>,
    /// What to pass as `after` to go on; none at the end.
    pub next: Option<String>,
}

impl PluginStore {
    /// The value of a key.
    ///
    /// # Errors
    /// A key that breaks its rule, a database that fails.
    pub async fn kv_get(&self, plugin: &str, key: &str) -> Result<Option<Bytes>, StoreError> {
        check(plugin, key)?;
        if let Some(known) = self.cache().get(plugin, key) {
            return Ok(known);
        }
        let ticket = self.cache().ticket(plugin);
        let (wanted_plugin, wanted) = (plugin.to_owned(), key.to_owned());
        let value = self
            .readers()
            .read(move |connection| Ok(read(connection, &wanted_plugin, &wanted)?))
            .await?;
        ticket.fill(key, value.as_ref());
        Ok(value)
    }

    /// Makes all changes in order, or none.
    ///
    /// # Errors
    /// More than [`CHANGES_MAX`] changes, a key or value that breaks its rule, a share that would be exceeded, a
    /// database that fails.
    pub async fn kv_apply(&self, plugin: &str, changes: Vec<Change>) -> Result<(), StoreError> {
        text::plugin(plugin)?;
        if changes.len() > CHANGES_MAX {
            return Err(StoreError::QuotaExceeded {
                field: "changes of one call",
                max: CHANGES_MAX as u64,
            });
        }
        let changes: Vec<(String, Option<Bytes>)> = changes
            .into_iter()
            .map(|change| match change {
                Change::Set(key, value) => (key, Some(value)),
                Change::Delete(key) => (key, None),
            })
            .collect();
        let mut bytes = 0;
        for (key, value) in &changes {
            text::key("key", key)?;
            let value = value.as_ref().map_or(0, Bytes::len);
            text::at_most("value", value, VALUE_BYTES_MAX)?;
            bytes += key.len() + value;
        }
        text::at_most("changes", bytes, CHANGES_BYTES_MAX)?;
        let plugin: Arc<str> = plugin.into();
        let work = move |connection: &Connection| {
            let mut usage = Usage::read(connection, &plugin)?;
            for (key, value) in &changes {
                usage.put(key, value.as_deref())?;
            }
            usage.settle()?;
            Ok((
                (),
                Some(Effects {
                    plugin: plugin.clone(),
                    changes: changes.clone(),
                }),
            ))
        };
        self.writer().write(bytes, work).await
    }

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// A key that breaks its rule, a database that fails.
    pub async fn kv_delete(&self, plugin: &str, key: &str) -> Result<bool, StoreError> {
        check(plugin, key)?;
        let (plugin, key): (Arc<str>, String) = (plugin.into(), key.to_owned());
        let work = move |connection: &Connection| {
            let mut usage = Usage::read(connection, &plugin)?;
            let was_there = usage.put(&key, None)?;
            usage.settle()?;
            Ok((
                was_there,
                Some(Effects {
                    plugin: plugin.clone(),
                    changes: vec![(key.clone(), None)],
                }),
            ))
        };
        self.writer().write(0, work).await
    }

    /// Sets a key, or removes it when `value` is none, if its value is still `expected` (none: absent); whether it did.
    ///
    /// # Errors
    /// As [`PluginStore::kv_apply`].
    pub async fn kv_compare_and_set(
        &self,
        plugin: &str,
        key: &str,
        expected: Option<Bytes>,
        value: Option<Bytes>,
    ) -> Result<bool, StoreError> {
        check(plugin, key)?;
        for bytes in [&expected, &value].into_iter().flatten() {
            text::at_most("value", bytes.len(), VALUE_BYTES_MAX)?;
        }
        let bytes = key.len()
            + expected.as_ref().map_or(0, Bytes::len)
            + value.as_ref().map_or(0, Bytes::len);
        let (plugin, key): (Arc<str>, String) = (plugin.into(), key.to_owned());
        let work = move |connection: &Connection| {
            if read(connection, &plugin, &key)? != expected {
                return Ok((false, None));
            }
            let mut usage = Usage::read(connection, &plugin)?;
            usage.put(&key, value.as_deref())?;
            usage.settle()?;
            Ok((
                true,
                Some(Effects {
                    plugin: plugin.clone(),
                    changes: vec![(key.clone(), value.clone())],
                }),
            ))
        };
        self.writer().write(bytes, work).await
    }

    /// Adds to a number kept as decimal text (absent: 0) and returns the sum.
    ///
    /// # Errors
    /// [`StoreError::NotANumber`], [`StoreError::OutOfRange`], and as [`PluginStore::kv_apply`].
    pub async fn kv_add(&self, plugin: &str, key: &str, by: i64) -> Result<i64, StoreError> {
        check(plugin, key)?;
        let (plugin, key): (Arc<str>, String) = (plugin.into(), key.to_owned());
        let work = move |connection: &Connection| {
            let now = match read(connection, &plugin, &key)? {
                None => 0,
                Some(value) => std::str::from_utf8(&value)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .ok_or(StoreError::NotANumber)?,
            };
            let sum: i64 = i64::checked_add(now, by).ok_or(StoreError::OutOfRange)?;
            let value = Bytes::from(sum.to_string());
            let mut usage = Usage::read(connection, &plugin)?;
            usage.put(&key, Some(&value))?;
            usage.settle()?;
            Ok((
                sum,
                Some(Effects {
                    plugin: plugin.clone(),
                    changes: vec![(key.clone(), Some(value))],
                }),
            ))
        };
        self.writer().write(KEY_BYTES_MAX, work).await
    }

    /// Up to `keys_max` keys (at most [`KEYS_PAGE_MAX`]) that start with `prefix`, after the key `after`.
    ///
    /// # Errors
    /// A prefix or cursor that breaks the rule of keys, a database that fails.
    pub async fn kv_keys(
        &self,
        plugin: &str,
        prefix: &str,
        after: Option<&str>,
        keys_max: usize,
    ) -> Result<KeyPage, StoreError> {
        text::plugin(plugin)?;
        for (field, part) in [("prefix", Some(prefix)), ("cursor", after)] {
            if let Some(part) = part.filter(|part| !part.is_empty()) {
                text::key(field, part)?;
            }
        }
        let keys_max = keys_max.clamp(1, KEYS_PAGE_MAX);
        let (plugin, prefix, after) = (
            plugin.to_owned(),
            prefix.to_owned(),
            after.map(str::to_owned).unwrap_or_default(),
        );
        let list = move |connection: &Connection| {
            let mut page = KeyPage::default();
            let sql =
                "SELECT key FROM kv WHERE plugin = ?1 AND key >= ?2 AND key > ?3 ORDER BY key";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![plugin, prefix, after])?;
            while let Some(row) = rows.next()? {
                let key: String = row.get(0)?;
                if !key.starts_with(&prefix) {
                    break;
                }
                if page.keys.len() == keys_max {
                    page.next = page.keys.last().cloned();
                    break;
                }
                page.keys.push(key);
            }
            Ok(page)
        };
        self.readers().read(list).await
    }

    /// Bytes of all keys and values of a plugin.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn kv_usage(&self, plugin: &str) -> Result<u64, StoreError> {
        text::plugin(plugin)?;
        let plugin = plugin.to_owned();
        self.readers()
            .read(move |connection| Ok(uint(Usage::read(connection, &plugin)?.bytes)))
            .await
    }
}

fn check(plugin: &str, key: &str) -> Result<(), StoreError> {
    text::plugin(plugin)?;
    text::key("key", key)
}

fn read(connection: &Connection, plugin: &str, key: &str) -> rusqlite::Result<Option<Bytes>> {
    let mut statement =
        connection.prepare_cached("SELECT value FROM kv WHERE plugin = ?1 AND key = ?2")?;
    let value: Option<Vec<u8>> = statement
        .query_row(params![plugin, key], |row| row.get(0))
        .optional()?;
    Ok(value.map(Bytes::from))
}

/// The bytes and values of a plugin during a change.
struct Usage<'a> {
    connection: &'a Connection,
    plugin: &'a str,
    bytes: i64,
    values: i64,
    before: (i64, i64),
}

impl<'a> Usage<'a> {
    fn read(connection: &'a Connection, plugin: &'a str) -> rusqlite::Result<Self> {
        let mut statement =
            connection.prepare_cached("SELECT kv_bytes, kv_values FROM usage WHERE plugin = ?1")?;
        let before = statement
            .query_row([plugin], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
            .unwrap_or((0, 0));
        Ok(Self {
            connection,
            plugin,
            bytes: before.0,
            values: before.1,
            before,
        })
    }

    /// Sets or removes a key; whether it was there.
    fn put(&mut self, key: &str, value: Option<&[u8]>) -> rusqlite::Result<bool> {
        let mut length = self
            .connection
            .prepare_cached("SELECT length(value) FROM kv WHERE plugin = ?1 AND key = ?2")?;
        let old: Option<i64> = length
            .query_row(params![self.plugin, key], |row| row.get(0))
            .optional()?;
        let key_bytes = key.len() as i64;
        if let Some(old) = old {
            self.bytes -= key_bytes + old;
            self.values -= 1;
        }
        if let Some(value) = value {
            let sql = "INSERT INTO kv (plugin, key, value) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value";
            self.connection
                .prepare_cached(sql)?
                .execute(params![self.plugin, key, value])?;
            self.bytes += key_bytes + value.len() as i64;
            self.values += 1;
        } else if old.is_some() {
            self.connection
                .prepare_cached("DELETE FROM kv WHERE plugin = ?1 AND key = ?2")?
                .execute(params![self.plugin, key])?;
        }
        Ok(old.is_some())
    }

    /// Stores the new usage. A change that shrinks it is never refused, even above the quota.
    fn settle(self) -> Result<(), StoreError> {
        if self.bytes > self.before.0 && uint(self.bytes) > BYTES_PER_PLUGIN_MAX {
            return Err(StoreError::QuotaExceeded {
                field: "bytes of keys and values",
                max: BYTES_PER_PLUGIN_MAX,
            });
        }
        if self.values > self.before.1 && uint(self.values) > VALUES_PER_PLUGIN_MAX {
            return Err(StoreError::QuotaExceeded {
                field: "values",
                max: VALUES_PER_PLUGIN_MAX,
            });
        }
        let sql = "INSERT INTO usage (plugin, kv_bytes, kv_values) VALUES (?1, ?2, ?3)
            ON CONFLICT DO UPDATE SET kv_bytes = excluded.kv_bytes, kv_values = excluded.kv_values";
        self.connection.prepare_cached(sql)?.execute(params![
            self.plugin,
            self.bytes,
            self.values
        ])?;
        Ok(())
    }
}
