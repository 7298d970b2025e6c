//! Lifecycle events of plugins: started, stopped, crashed and so on.

use crate::{
    PluginStore, StoreError,
    log::page_items,
    text::{self, int, now_ms, uint},
};
use limits::plugin_store::{EVENTS_PER_PLUGIN_MAX, KEPT_MS, LOG_LINE_BYTES_MAX};
use rusqlite::{Connection, params};
use serde_json::Value;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct LifecycleEvent {
    /// The plugin.
    pub plugin: String,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// What happened, such as `crashed`.
    pub kind: String,
    /// More about it: a JSON object, or null.
    pub details: Value,
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Of this plugin alone.
    pub plugin: Option<String>,
    /// Which page, from 0.
    pub page: usize,
    /// Events of a page; 0: the default.
    pub page_size: usize,
}

/// Events, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<LifecycleEvent>,
    /// Which page this is.
    pub page: usize,
    /// Events of a page.
    pub page_size: usize,
    /// Events that the query finds on all pages.
    pub total: u64,
}

impl PluginStore {
    /// Keeps an event, for seven days.
    ///
    /// # Errors
    /// A field that is too long, a database that fails.
    pub async fn event(&self, event: LifecycleEvent) -> Result<(), StoreError> {
        text::plugin(&event.plugin)?;
        let kind = text::short("kind", &event.kind)?;
        let details = (!event.details.is_null()).then(|| event.details.to_string());
        text::at_most(
            "details",
            details.as_ref().map_or(0, String::len),
            LOG_LINE_BYTES_MAX,
        )?;
        let keep = move |connection: &Connection| {
            let sql = "INSERT INTO plugin_events (plugin_id, event_type, at_ms, details) VALUES (?1, ?2, ?3, ?4)";
            connection.prepare_cached(sql)?.execute(params![
                event.plugin,
                kind,
                int(event.at_ms),
                details
            ])?;
            let trim = "DELETE FROM plugin_events WHERE plugin_id = ?1 AND id <=
                (SELECT id FROM plugin_events WHERE plugin_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
            connection
                .prepare_cached(trim)?
                .execute(params![event.plugin, int(EVENTS_PER_PLUGIN_MAX)])?;
            Ok(((), None))
        };
        self.writer().write(LOG_LINE_BYTES_MAX, keep).await
    }

    /// A page of events, newest first.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn events(&self, query: EventQuery) -> Result<EventPage, StoreError> {
        let find = move |connection: &Connection| {
            let EventQuery {
                plugin,
                page,
                page_size,
            } = query;
            let page_size = page_items(page_size);
            let filter = "FROM plugin_events WHERE (?1 IS NULL OR plugin_id = ?1) AND at_ms >= ?2";
            let since = int(now_ms().saturating_sub(KEPT_MS));
            let mut count = connection.prepare_cached(&format!("SELECT count(*) {filter}"))?;
            let total = uint(count.query_row(params![plugin, since], |row| row.get(0))?);
            let sql = format!(
                "SELECT plugin_id, at_ms, event_type, details {filter} ORDER BY id DESC LIMIT ?3 OFFSET ?4"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let offset = int(page.saturating_mul(page_size) as u64);
            let rows =
                statement.query_map(params![plugin, since, page_size as i64, offset], |row| {
                    let details: Option<String> = row.get(3)?;
                    Ok(LifecycleEvent {
                        plugin: row.get(0)?,
                        at_ms: uint(row.get(1)?),
                        kind: row.get(2)?,
                        details: details
                            .and_then(|text| serde_json::from_str(&text).ok())
                            .unwrap_or(Value::Null),
                    })
                })?;
            Ok(EventPage {
                events: rows.collect::<Result<_, _>>()?,
                page,
                page_size,
                total,
            })
        };
        self.readers().read(find).await
    }
}

/// Removes events that are older than they are kept.
pub(crate) fn prune(connection: &Connection) -> rusqlite::Result<()> {
    let before = int(now_ms().saturating_sub(KEPT_MS));
    connection
        .prepare_cached("DELETE FROM plugin_events WHERE at_ms < ?1")?
        .execute([before])
        .map(drop)
}
