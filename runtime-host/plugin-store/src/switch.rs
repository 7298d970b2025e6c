//! Kill switches that were set while a host ran; a plugin stays off after a restart. Those of the environment are read
//! at each start instead.

use crate::{PluginStore, StoreError, text};
use limits::capability::ENVIRONMENT_WORDS_MAX;
use rusqlite::{Connection, params};

/// A switch that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// The plugin as switches name it; none for all plugins.
    pub plugin: Option<String>,
    /// The user that set it.
    pub by: String,
}

impl PluginStore {
    /// What is switched off.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn switches(&self) -> Result<Vec<Switch>, StoreError> {
        let list = |connection: &Connection| {
            let mut statement =
                connection.prepare_cached("SELECT name, thrown_by FROM switches ORDER BY name")?;
            let rows = statement.query_map([], |row| {
                let name: String = row.get(0)?;
                Ok(Switch {
                    plugin: (!name.is_empty()).then_some(name),
                    by: row.get(1)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        self.readers().read(list).await
    }

    /// Stores that a plugin, or all of them, was switched off and `by` which user; without `by`, that it is on again.
    ///
    /// # Errors
    /// A name that is too long, more than [`ENVIRONMENT_WORDS_MAX`] switches, a database that fails.
    pub async fn switch(
        &self,
        plugin: Option<&str>,
        by: Option<&str>,
        at_ms: u64,
    ) -> Result<(), StoreError> {
        let name = plugin.unwrap_or_default().to_owned();
        let by = by.map(str::to_owned);
        let work = move |connection: &Connection| {
            let Some(by) = &by else {
                connection
                    .prepare_cached("DELETE FROM switches WHERE name = ?1")?
                    .execute([&name])?;
                return Ok(((), None));
            };
            let (name, by) = (text::short("plugin", &name)?, text::short("by", by)?);
            let sql = "INSERT INTO switches (name, thrown_by, at_ms) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING";
            connection
                .prepare_cached(sql)?
                .execute(params![name, by, text::int(at_ms)])?;
            let count: i64 = connection
                .prepare_cached("SELECT count(*) FROM switches")?
                .query_row([], |row| row.get(0))?;
            if count > ENVIRONMENT_WORDS_MAX as i64 + 1 {
                return Err(StoreError::QuotaExceeded {
                    field: "switches",
                    max: ENVIRONMENT_WORDS_MAX as u64,
                });
            }
            Ok(((), None))
        };
        self.writer().write(limits::KIB, work).await
    }
}
