//! The audit log: decisions about capabilities, and what users changed for plugins. The latest entries are in memory, those
//! of the last days in the database.

use crate::{
    PluginStore, StoreError,
    log::page_items,
    text::{self, int, now_ms, uint},
};
use limits::plugin_store::{AUDIT_PER_PLUGIN_MAX, AUDIT_RING_MAX, KEPT_MS};
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use std::sync::Arc;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditDecision {
    /// It was done.
    Allowed,
    /// It was not.
    Denied,
    /// Consent is needed.
    NeedsApproval,
}

impl AuditDecision {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::NeedsApproval => "needs_approval",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "allowed" => Self::Allowed,
            "needs_approval" => Self::NeedsApproval,
            _ => Self::Denied,
        }
    }
}

/// One decision, or one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// The plugin.
    pub plugin: String,
    /// The capability; for a change of something else what was changed, such as `kill-switch`.
    pub capability: String,
    /// For what in particular, such as a host. Never a secret.
    pub target: Option<String>,
    /// What was to be done, such as `kv.set`.
    pub action: String,
    /// What was decided.
    pub decision: AuditDecision,
    /// Which layer of the chain decided.
    pub layer: u8,
    /// Why.
    pub reason: String,
    /// How long what was allowed took, microseconds.
    pub duration_us: Option<u64>,
    /// The user, or the file, that made a change; none for a decision about a call.
    pub by: Option<String>,
}

/// Which decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// About this plugin alone.
    pub plugin: Option<String>,
    /// Which page, from 0.
    pub page: usize,
    /// Decisions of a page; 0: the default.
    pub page_size: usize,
}

/// Decisions, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The decisions.
    pub entries: Vec<AuditEntry>,
    /// Which page this is.
    pub page: usize,
    /// Decisions of a page.
    pub page_size: usize,
    /// Decisions that the query finds on all pages.
    pub total: u64,
}

impl AuditEntry {
    /// The entry as it is kept: escaped and cut.
    pub(crate) fn tidy(mut self) -> Self {
        for part in [&mut self.capability, &mut self.action, &mut self.reason]
            .into_iter()
            .chain(self.target.as_mut())
            .chain(self.by.as_mut())
        {
            *part = text::line(part);
        }
        self
    }

    /// Bytes that it takes up.
    pub(crate) fn bytes(&self) -> usize {
        let optional = [&self.target, &self.by].into_iter().flatten();
        let target: usize = optional.map(String::len).sum();
        self.plugin.len() + self.capability.len() + self.action.len() + self.reason.len() + target
    }
}

impl PluginStore {
    /// Keeps a decision. Never waits: it is in memory at once, and stored soon after; when too many wait it is kept in
    /// memory alone.
    pub fn audit(&self, entry: AuditEntry) {
        self.journal().decision(entry.tidy());
    }

    /// The latest decisions, newest first, out of the [`AUDIT_RING_MAX`] in memory.
    #[must_use]
    pub fn recent_audits(&self, plugin: Option<&str>, entries_max: usize) -> Vec<Arc<AuditEntry>> {
        self.journal().recent(plugin, entries_max)
    }

    /// A page of the decisions of the last seven days, newest first.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn audits(&self, query: AuditQuery) -> Result<AuditPage, StoreError> {
        self.journal().stored(self.journal().accepted()).await?;
        let find = move |connection: &Connection| {
            let AuditQuery {
                plugin,
                page,
                page_size,
            } = query;
            let page_size = page_items(page_size);
            let filter = "FROM audit WHERE (?1 IS NULL OR plugin = ?1) AND at_ms >= ?2";
            let since = int(now_ms().saturating_sub(KEPT_MS));
            let mut count = connection.prepare_cached(&format!("SELECT count(*) {filter}"))?;
            let total = uint(count.query_row(params![plugin, since], |row| row.get(0))?);
            let mut statement = connection.prepare_cached(&format!(
                "{COLUMNS} {filter} ORDER BY id DESC LIMIT ?3 OFFSET ?4"
            ))?;
            let offset = int(page.saturating_mul(page_size) as u64);
            let rows =
                statement.query_map(params![plugin, since, page_size as i64, offset], entry)?;
            Ok(AuditPage {
                entries: rows.collect::<Result<_, _>>()?,
                page,
                page_size,
                total,
            })
        };
        self.readers().read(find).await
    }
}

const COLUMNS: &str =
    "SELECT at_ms, plugin, capability, target, action, decision, layer, reason, duration_us, by";

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let decision: String = row.get(5)?;
    Ok(AuditEntry {
        at_ms: uint(row.get(0)?),
        plugin: row.get(1)?,
        capability: row.get(2)?,
        target: row.get(3)?,
        action: row.get(4)?,
        decision: AuditDecision::parse(&decision),
        layer: row.get(6)?,
        reason: row.get(7)?,
        duration_us: row.get::<_, Option<i64>>(8)?.map(uint),
        by: row.get(9)?,
    })
}

/// The latest decisions, oldest first, for the ring after a start.
pub(crate) fn latest(connection: &Connection) -> rusqlite::Result<Vec<AuditEntry>> {
    let mut statement =
        connection.prepare(&format!("{COLUMNS} FROM audit ORDER BY id DESC LIMIT ?1"))?;
    let mut found: Vec<AuditEntry> = statement
        .query_map([AUDIT_RING_MAX as i64], entry)?
        .collect::<Result<_, _>>()?;
    found.reverse();
    Ok(found)
}

/// Stores a decision.
pub(crate) fn insert(connection: &Connection, entry: &AuditEntry) -> rusqlite::Result<()> {
    let sql = "INSERT INTO audit (at_ms, plugin, capability, target, action, decision, layer, reason, duration_us, by)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let AuditEntry {
        plugin,
        capability,
        target,
        action,
        layer,
        reason,
        by,
        ..
    } = entry;
    let (decision, duration) = (entry.decision.as_str(), entry.duration_us.map(int));
    let values = params![
        int(entry.at_ms),
        plugin,
        capability,
        target,
        action,
        decision,
        layer,
        reason,
        duration,
        by
    ];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// Removes the oldest decisions about a plugin when there are too many.
pub(crate) fn settle(connection: &Connection, plugin: &str) -> rusqlite::Result<()> {
    let trim = "DELETE FROM audit WHERE plugin = ?1 AND id <= (SELECT id FROM audit WHERE plugin = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    connection
        .prepare_cached(trim)?
        .execute(params![plugin, int(AUDIT_PER_PLUGIN_MAX)])
        .map(drop)
}

/// Removes decisions that are older than they are kept.
pub(crate) fn prune(connection: &Connection) -> rusqlite::Result<()> {
    let before = int(now_ms().saturating_sub(KEPT_MS));
    connection
        .prepare_cached("DELETE FROM audit WHERE at_ms < ?1")?
        .execute([before])
        .map(drop)
}
