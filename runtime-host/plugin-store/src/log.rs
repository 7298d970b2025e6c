//! Log lines of plugins: stored escaped, kept up to a bound, paged, and followed.

use crate::{
    PluginStore, StoreError,
    text::{int, uint},
};
use limits::plugin_store::{
    LOG_BYTES_PER_PLUGIN_MAX, LOG_LINES_PER_PLUGIN_MAX, LOG_TRIMMED_TO_PERCENT, PAGE_ITEMS_DEFAULT,
    PAGE_ITEMS_MAX,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub enum Level {
    /// Every step.
    #[default]
    Trace,
    /// For authors.
    Debug,
    /// What happens.
    Info,
    /// What should not happen.
    Warn,
    /// What failed.
    Error,
}

impl Level {
    const ALL: [Self; 5] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warn,
        Self::Error,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "Trace",
            Self::Debug => "Debug",
            Self::Info => "Info",
            Self::Warn => "Warn",
            Self::Error => "Error",
        }
    }

    /// Reads what [`Level::as_str`] writes, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
    }

    fn from_number(number: i64) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|at| Self::ALL.get(at).copied())
            .unwrap_or(Self::Error)
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The plugin.
    pub plugin: String,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// The severity.
    pub level: Level,
    /// The text. What is stored and shown is escaped and cut.
    pub message: String,
    /// A JSON object with more. What is stored and shown is compact, escaped and bounded.
    pub fields: Option<String>,
}

/// Which lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Of this plugin alone.
    pub plugin: Option<String>,
    /// At or above this level.
    pub level: Level,
    /// At or after this time, milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Which page, from 0.
    pub page: usize,
    /// Lines of a page, at most [`PAGE_ITEMS_MAX`]; 0: [`PAGE_ITEMS_DEFAULT`].
    pub page_size: usize,
}

/// Lines, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The lines.
    pub logs: Vec<LogEntry>,
    /// Which page this is.
    pub page: usize,
    /// Lines of a page.
    pub page_size: usize,
    /// Lines that the query finds on all pages.
    pub total: u64,
}

/// The end of a log, and what comes after it, without gap or repetition.
pub struct Tail {
    /// What was logged until now, oldest first.
    pub lines: Vec<LogEntry>,
    /// What is logged from now on, by all plugins.
    pub next: broadcast::Receiver<Arc<LogEntry>>,
}

impl PluginStore {
    /// Takes a line to be stored. Never waits: when too many wait, or too many of this plugin, the line is dropped and
    /// counted, and a line that says so is stored in its place.
    pub fn log(&self, entry: LogEntry) {
        self.journal().line(entry);
    }

    /// Lines that were dropped since the start because they came faster than they could be stored.
    #[must_use]
    pub fn lines_dropped(&self) -> u64 {
        self.journal().lines_dropped()
    }

    /// A page of lines, newest first. Lines taken before the call are among them.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn logs(&self, query: LogQuery) -> Result<LogPage, StoreError> {
        self.journal().stored(self.journal().accepted()).await?;
        self.readers()
            .read(move |connection| Ok(page(connection, query)?))
            .await
    }

    /// All lines from now on. A follower that is too slow gets the number of lines that it missed.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Arc<LogEntry>> {
        self.journal().follow().0
    }

    /// The last lines of a plugin, or of all, at or above a level, and everything after them.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn tail(
        &self,
        plugin: Option<&str>,
        level: Level,
        lines_max: usize,
    ) -> Result<Tail, StoreError> {
        let (next, last_id, accepted) = self.journal().follow();
        self.journal().stored(accepted).await?;
        let (plugin, lines_max) = (plugin.map(str::to_owned), lines_max.min(PAGE_ITEMS_MAX));
        let find = move |connection: &Connection| {
            let sql = "SELECT plugin, at_ms, level, message, fields FROM logs
                WHERE (?1 IS NULL OR plugin = ?1) AND level >= ?2 AND id <= ?3 ORDER BY id DESC LIMIT ?4";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(
                params![plugin, level as i64, last_id, lines_max as i64],
                entry,
            )?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        };
        let mut lines = self.readers().read(find).await?;
        lines.reverse();
        Ok(Tail { lines, next })
    }
}

fn page(connection: &Connection, query: LogQuery) -> rusqlite::Result<LogPage> {
    let LogQuery {
        plugin,
        level,
        since_ms,
        page,
        page_size,
    } = query;
    let page_size = page_items(page_size);
    let filter = "FROM logs WHERE (?1 IS NULL OR plugin = ?1) AND level >= ?2 AND at_ms >= ?3";
    let (level, since) = (level as i64, int(since_ms.unwrap_or(0)));
    let mut count = connection.prepare_cached(&format!("SELECT count(*) {filter}"))?;
    let total = uint(count.query_row(params![plugin, level, since], |row| row.get(0))?);
    let sql = format!(
        "SELECT plugin, at_ms, level, message, fields {filter} ORDER BY id DESC LIMIT ?4 OFFSET ?5"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let offset = int(page.saturating_mul(page_size) as u64);
    let rows = statement.query_map(
        params![plugin, level, since, page_size as i64, offset],
        entry,
    )?;
    Ok(LogPage {
        logs: rows.collect::<Result<_, _>>()?,
        page,
        page_size,
        total,
    })
}

/// The size of a page that was asked for.
pub(crate) fn page_items(asked: usize) -> usize {
    if asked == 0 {
        PAGE_ITEMS_DEFAULT
    } else {
        asked.min(PAGE_ITEMS_MAX)
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<LogEntry> {
    Ok(LogEntry {
        plugin: row.get(0)?,
        at_ms: uint(row.get(1)?),
        level: Level::from_number(row.get(2)?),
        message: row.get(3)?,
        fields: row.get(4)?,
    })
}

/// Stores a line; what it takes up.
pub(crate) fn insert(connection: &Connection, id: i64, line: &LogEntry) -> rusqlite::Result<i64> {
    let bytes = (line.message.len() + line.fields.as_ref().map_or(0, String::len)) as i64;
    let sql = "INSERT INTO logs (id, plugin, at_ms, level, message, fields, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![
        id,
        line.plugin,
        int(line.at_ms),
        line.level as i64,
        line.message,
        line.fields,
        bytes
    ];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(bytes)
}

/// Counts what was stored of a plugin, and removes its oldest lines when there are too many.
pub(crate) fn settle(
    connection: &Connection,
    plugin: &str,
    bytes: i64,
    lines: i64,
) -> rusqlite::Result<()> {
    let sql = "SELECT log_bytes, log_lines FROM usage WHERE plugin = ?1";
    let before = connection
        .prepare_cached(sql)?
        .query_row([plugin], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (bytes_before, lines_before): (i64, i64) = before.unwrap_or((0, 0));
    let (mut bytes, mut lines) = (bytes_before + bytes, lines_before + lines);
    let (bytes_max, lines_max) = (int(LOG_BYTES_PER_PLUGIN_MAX), int(LOG_LINES_PER_PLUGIN_MAX));
    if bytes > bytes_max || lines > lines_max {
        let share = |max: i64| max / 100 * int(LOG_TRIMMED_TO_PERCENT);
        let mut last = None;
        let mut statement = connection
            .prepare_cached("SELECT id, bytes FROM logs WHERE plugin = ?1 ORDER BY id")?;
        let mut rows = statement.query([plugin])?;
        while bytes > share(bytes_max) || lines > share(lines_max) {
            let Some(row) = rows.next()? else { break };
            last = Some(row.get::<_, i64>(0)?);
            bytes -= row.get::<_, i64>(1)?;
            lines -= 1;
        }
        drop(rows);
        connection
            .prepare_cached("DELETE FROM logs WHERE plugin = ?1 AND id <= ?2")?
            .execute(params![plugin, last])?;
    }
    let sql = "INSERT INTO usage (plugin, log_bytes, log_lines) VALUES (?1, ?2, ?3)
        ON CONFLICT DO UPDATE SET log_bytes = excluded.log_bytes, log_lines = excluded.log_lines";
    connection
        .prepare_cached(sql)?
        .execute(params![plugin, bytes, lines])?;
    Ok(())
}
