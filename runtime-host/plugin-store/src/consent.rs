//! Requests for consent, answered over REST.
//!
//! For each plugin, capability and target at most one request is open, however often the plugin tries. An answer and
//! the grant that follows from it are one commit.

use crate::{
    PluginStore, StoreError,
    grant::{Grant, Stored},
    secret::random,
    text::{self, int, now_ms, uint},
};
use capability::CapabilityId;
use limits::plugin_store::{
    CONSENT_WAIT_MAX_MS, CONSENTS_KEPT_PER_PLUGIN_MAX, CONSENTS_PAGE_MAX,
    CONSENTS_WAITING_PER_PLUGIN_MAX,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

/// The state of a consent request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsentState {
    /// Not answered yet.
    Pending,
    /// Allowed.
    Allowed,
    /// Denied.
    Denied,
}

impl ConsentState {
    /// Its word in REST and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }

    /// Reads what [`ConsentState::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Allowed, Self::Denied]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A consent request, and its answer if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    /// Its id, a UUID.
    pub id: String,
    /// The plugin that asks.
    pub plugin: String,
    /// What for.
    pub capability: CapabilityId,
    /// For what in particular, such as a host; empty: all that the manifest declares.
    pub target: String,
    /// Why, as the manifest says.
    pub reason: Option<String>,
    /// When it was asked first, milliseconds since 1970.
    pub asked_at_ms: u64,
    /// Its state.
    pub state: ConsentState,
    /// The user that decided.
    pub by: Option<String>,
    /// When it was decided, milliseconds since 1970.
    pub decided_at_ms: Option<u64>,
}

/// A consent request to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConsent {
    /// The plugin that asks.
    pub plugin: String,
    /// What for.
    pub capability: CapabilityId,
    /// For what in particular; empty: all that the manifest declares.
    pub target: String,
    /// Why, as the manifest says.
    pub reason: Option<String>,
}

/// An answer to a consent request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allow: bool,
    /// The user that answers.
    pub by: String,
    /// The grant or denial that follows from it; none: nothing but the answer is kept.
    pub grant: Option<Grant>,
}

const COLUMNS: &str = "SELECT id, plugin, capability, target, reason, asked_at_ms, state, by, decided_at_ms FROM consents";

impl PluginStore {
    /// The consent requests of a plugin, or of all, in one state or in any; newest first, at most [`CONSENTS_PAGE_MAX`].
    ///
    /// # Errors
    /// A database that fails.
    pub async fn consents(
        &self,
        plugin: Option<&str>,
        state: Option<ConsentState>,
    ) -> Result<Vec<Consent>, StoreError> {
        let plugin = plugin.map(str::to_owned);
        let list = move |connection: &Connection| {
            let sql = format!(
                "{COLUMNS} WHERE (?1 IS NULL OR plugin = ?1) AND (?2 IS NULL OR state = ?2) AND (state <> 'pending' OR asked_at_ms > ?3)
                 ORDER BY asked_at_ms DESC, id LIMIT ?4"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let values = params![
                plugin,
                state.map(ConsentState::as_str),
                int(oldest()),
                CONSENTS_PAGE_MAX as i64
            ];
            Ok(statement
                .query_map(values, consent)?
                .collect::<Result<_, _>>()?)
        };
        self.readers().read(list).await
    }

    /// One consent request.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn consent(&self, id: &str) -> Result<Option<Consent>, StoreError> {
        let id = id.to_owned();
        self.readers()
            .read(move |connection| Ok(by_id(connection, &id)?))
            .await
    }

    /// Stores a consent request, or finds the open one that is equal.
    ///
    /// # Errors
    /// A field that is too long, more than [`CONSENTS_WAITING_PER_PLUGIN_MAX`] open requests, a database that
    /// fails.
    pub async fn ask_consent(&self, ask: NewConsent) -> Result<Consent, StoreError> {
        text::plugin(&ask.plugin)?;
        let target = text::short("target", &ask.target)?;
        let reason = ask
            .reason
            .as_deref()
            .map(|reason| text::short("reason", reason))
            .transpose()?;
        let id = uuid::Builder::from_random_bytes(random()?)
            .into_uuid()
            .to_string();
        let put = move |connection: &Connection| {
            let NewConsent {
                plugin, capability, ..
            } = &ask;
            let forget = "DELETE FROM consents WHERE plugin = ?1 AND state = 'pending' AND asked_at_ms <= ?2";
            connection
                .prepare_cached(forget)?
                .execute(params![plugin, int(oldest())])?;
            let find = format!(
                "{COLUMNS} WHERE plugin = ?1 AND capability = ?2 AND target = ?3 AND state = 'pending'"
            );
            let waiting = connection
                .prepare_cached(&find)?
                .query_row([plugin, capability.as_str(), &target], consent)
                .optional()?;
            if let Some(waiting) = waiting {
                return Ok((waiting, None));
            }
            let count = "SELECT count(*) FROM consents WHERE plugin = ?1 AND state = 'pending'";
            let count: i64 = connection
                .prepare_cached(count)?
                .query_row([plugin], |row| row.get(0))?;
            if count >= CONSENTS_WAITING_PER_PLUGIN_MAX as i64 {
                return Err(StoreError::QuotaExceeded {
                    field: "questions that wait",
                    max: CONSENTS_WAITING_PER_PLUGIN_MAX as u64,
                });
            }
            let sql = "INSERT INTO consents (id, plugin, capability, target, reason, asked_at_ms, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending')";
            let values = params![
                id,
                plugin,
                capability.as_str(),
                target,
                reason,
                int(now_ms())
            ];
            connection.prepare_cached(sql)?.execute(values)?;
            let made = by_id(connection, &id)?.ok_or(StoreError::NotFound { what: "consent" })?;
            Ok((made, None))
        };
        self.writer().write(0, put).await
    }

    /// Answers an open consent request, and keeps the grant that follows.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Conflict`] when it is answered already, as [`PluginStore::put_grant`].
    pub async fn decide_consent(
        &self,
        id: &str,
        decision: Decision,
    ) -> Result<Consent, StoreError> {
        let (id, by) = (id.to_owned(), text::short("by", &decision.by)?);
        let state = if decision.allow {
            ConsentState::Allowed
        } else {
            ConsentState::Denied
        };
        let grant = decision.grant.map(Stored::from_grant).transpose()?;
        let decide = move |connection: &Connection| {
            let waiting =
                by_id(connection, &id)?.ok_or(StoreError::NotFound { what: "consent" })?;
            if waiting.state != ConsentState::Pending {
                return Err(StoreError::Conflict {
                    what: "consent",
                    why: "is decided already",
                });
            }
            let sql = "UPDATE consents SET state = ?2, by = ?3, decided_at_ms = ?4 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute(params![
                id,
                state.as_str(),
                by,
                int(now_ms())
            ])?;
            if let Some(grant) = &grant {
                grant.put(connection)?;
            }
            let trim = "DELETE FROM consents WHERE id IN (SELECT id FROM consents WHERE plugin = ?1 AND state <> 'pending'
                ORDER BY decided_at_ms DESC LIMIT -1 OFFSET ?2)";
            connection
                .prepare_cached(trim)?
                .execute(params![waiting.plugin, CONSENTS_KEPT_PER_PLUGIN_MAX as i64])?;
            let decided =
                by_id(connection, &id)?.ok_or(StoreError::NotFound { what: "consent" })?;
            Ok((decided, None))
        };
        self.writer().write(0, decide).await
    }
}

/// Consent requests from before this time have expired.
fn oldest() -> u64 {
    now_ms().saturating_sub(CONSENT_WAIT_MAX_MS)
}

fn by_id(connection: &Connection, id: &str) -> rusqlite::Result<Option<Consent>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?
        .query_row([id], consent)
        .optional()
}

fn consent(row: &Row<'_>) -> rusqlite::Result<Consent> {
    let bad = |at| {
        rusqlite::Error::FromSqlConversionFailure(
            at,
            rusqlite::types::Type::Text,
            "a word that is not known".into(),
        )
    };
    let (capability, state): (String, String) = (row.get(2)?, row.get(6)?);
    Ok(Consent {
        id: row.get(0)?,
        plugin: row.get(1)?,
        capability: capability.parse().map_err(|_| bad(2))?,
        target: row.get(3)?,
        reason: row.get(4)?,
        asked_at_ms: uint(row.get(5)?),
        state: ConsentState::parse(&state).ok_or_else(|| bad(6))?,
        by: row.get(7)?,
        decided_at_ms: row.get::<_, Option<i64>>(8)?.map(uint),
    })
}
