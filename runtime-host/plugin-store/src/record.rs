//! What is known about a plugin besides its files: whether it is enabled, what it was approved for, its settings.

use crate::{PluginStore, StoreError, secret::random, text};
use limits::plugin_store::{DOCUMENT_BYTES_MAX, RECORDS_MAX, TEXT_BYTES_MAX};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// What is known about a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginRecord {
    /// The plugin's id.
    pub id: String,
    /// Whether it is to run.
    pub enabled: bool,
    /// Why it is not, such as `max_restarts_exceeded`.
    pub reason: Option<String>,
    /// A UUID, created when the plugin is first recorded.
    pub instance_id: String,
    /// The digest of the plugin's own token, in lower case hexadecimal; see [`crate::token_digest`].
    pub token_digest: Option<String>,
    /// What a person approved of its manifest: canonical JSON of `requires` and `capabilities`.
    pub approved: Option<String>,
    /// Values of its settings.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Name of its folder, or of its file, in the plugins directory.
    pub folder: Option<String>,
    /// Plugins are numbered in the order in which they were recorded; [`i64::MAX`] before. Not kept by
    /// [`PluginStore::save`].
    pub number: i64,
}

impl PluginRecord {
    /// A record of a plugin that was never seen before, with an instance id of its own.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn new(id: &str, enabled: bool) -> Result<Self, StoreError> {
        let instance_id = uuid::Builder::from_random_bytes(random()?)
            .into_uuid()
            .to_string();
        let settings = serde_json::Map::new();
        Ok(Self {
            id: id.to_owned(),
            enabled,
            reason: None,
            instance_id,
            token_digest: None,
            approved: None,
            settings,
            folder: None,
            number: i64::MAX,
        })
    }
}

const COLUMNS: &str = "SELECT id, enabled, reason, instance_id, token_digest, approved, settings, folder, rowid FROM plugins";

impl PluginStore {
    /// What is known about a plugin.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn record(&self, plugin: &str) -> Result<Option<PluginRecord>, StoreError> {
        self.one_record("id", plugin.to_owned()).await
    }

    /// The plugin whose own token has this digest.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn record_by_token(
        &self,
        token_digest: &str,
    ) -> Result<Option<PluginRecord>, StoreError> {
        self.one_record("token_digest", token_digest.to_owned())
            .await
    }

    async fn one_record(
        &self,
        column: &'static str,
        value: String,
    ) -> Result<Option<PluginRecord>, StoreError> {
        let find = move |connection: &Connection| {
            let mut statement =
                connection.prepare_cached(&format!("{COLUMNS} WHERE {column} = ?1"))?;
            Ok(statement.query_row([value], record).optional()?)
        };
        self.readers().read(find).await
    }

    /// What is known about all plugins, by id.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn records(&self) -> Result<Vec<PluginRecord>, StoreError> {
        let list = |connection: &Connection| {
            let mut statement = connection.prepare_cached(&format!("{COLUMNS} ORDER BY id"))?;
            let rows = statement.query_map([], record)?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        self.readers().read(list).await
    }

    /// Changes what is known about a plugin, without overtaking or being overtaken by another change; `change` may run
    /// twice.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and as [`PluginStore::save`].
    pub async fn change_record<F>(
        &self,
        plugin: &str,
        change: F,
    ) -> Result<PluginRecord, StoreError>
    where
        F: Fn(&mut PluginRecord) + Send + 'static,
    {
        let plugin = plugin.to_owned();
        let work = move |connection: &Connection| {
            let found = connection
                .prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?
                .query_row([&plugin], record)
                .optional()?;
            let mut found = found.ok_or(StoreError::NotFound { what: "plugin" })?;
            change(&mut found);
            keep(connection, &found)?;
            Ok((found, None))
        };
        self.writer().write(DOCUMENT_BYTES_MAX, work).await
    }

    /// Keeps a record; it replaces the former one.
    ///
    /// # Errors
    /// A field that is too long, more than [`RECORDS_MAX`] plugins, a token of another plugin, a database that fails.
    pub async fn save(&self, record: PluginRecord) -> Result<(), StoreError> {
        self.writer()
            .write(DOCUMENT_BYTES_MAX, move |connection| {
                Ok((keep(connection, &record)?, None))
            })
            .await
    }
}

fn keep(connection: &Connection, record: &PluginRecord) -> Result<(), StoreError> {
    let PluginRecord {
        id,
        enabled,
        instance_id,
        token_digest,
        approved,
        folder,
        ..
    } = record;
    text::plugin(id)?;
    let reason = record
        .reason
        .as_deref()
        .map(|reason| text::short("reason", reason))
        .transpose()?;
    text::at_most("instance id", instance_id.len(), TEXT_BYTES_MAX)?;
    let settings = serde_json::Value::from(record.settings.clone()).to_string();
    text::at_most("settings", settings.len(), DOCUMENT_BYTES_MAX)?;
    text::at_most(
        "approved",
        approved.as_ref().map_or(0, String::len),
        DOCUMENT_BYTES_MAX,
    )?;
    text::at_most(
        "folder",
        folder.as_ref().map_or(0, String::len),
        TEXT_BYTES_MAX,
    )?;
    let sql = "INSERT INTO plugins (id, enabled, reason, instance_id, token_digest, approved, settings, folder)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (id) DO UPDATE SET enabled = excluded.enabled, reason = excluded.reason, instance_id = excluded.instance_id,
        token_digest = excluded.token_digest, approved = excluded.approved, settings = excluded.settings, folder = excluded.folder";
    connection.prepare_cached(sql)?.execute(params![
        id,
        enabled,
        reason,
        instance_id,
        token_digest,
        approved,
        settings,
        folder
    ])?;
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM plugins")?
        .query_row([], |row| row.get(0))?;
    if count > RECORDS_MAX as i64 {
        return Err(StoreError::QuotaExceeded {
            field: "plugins",
            max: RECORDS_MAX as u64,
        });
    }
    Ok(())
}

fn record(row: &Row<'_>) -> rusqlite::Result<PluginRecord> {
    let settings: String = row.get(6)?;
    let settings = serde_json::from_str(&settings).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(PluginRecord {
        id: row.get(0)?,
        enabled: row.get(1)?,
        reason: row.get(2)?,
        instance_id: row.get(3)?,
        token_digest: row.get(4)?,
        approved: row.get(5)?,
        settings,
        folder: row.get(7)?,
        number: row.get(8)?,
    })
}
