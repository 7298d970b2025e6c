//! Grants and denials: what users have allowed or denied to a plugin, until it is revoked or expires. `capability`
//! decides by them.

use crate::{
    PluginStore, StoreError,
    text::{self, int, now_ms, uint},
};
use capability::{CapabilityId, Scope};
use limits::plugin_store::{GRANTS_PER_PLUGIN_MAX, SCOPE_BYTES_MAX};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

/// One grant or denial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The plugin.
    pub plugin: String,
    /// The capability.
    pub capability: CapabilityId,
    /// How far it reaches; empty: as far as the manifest declares.
    #[serde(default)]
    pub scope: Scope,
    /// Whether it is denied instead.
    #[serde(default)]
    pub deny: bool,
    /// The user that granted or denied it.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// Until when, milliseconds since 1970; none: until it is taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
}

/// A grant in the form in which it is stored.
pub(crate) struct Stored {
    grant: Grant,
    scope: String,
    by: String,
}

impl PluginStore {
    /// The grants and denials of a plugin that have not run out.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn grants(&self, plugin: &str) -> Result<Vec<Grant>, StoreError> {
        let plugin = plugin.to_owned();
        let list = move |connection: &Connection| {
            let sql = "SELECT plugin, capability, scope, deny, by, at_ms, expires_at_ms FROM grants
                WHERE plugin = ?1 AND (expires_at_ms IS NULL OR expires_at_ms > ?2) ORDER BY capability, scope, deny";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![plugin, int(now_ms())], grant)?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        self.readers().read(list).await
    }

    /// Keeps a grant or denial. It replaces the one with the same plugin, capability and scope, so that the last word
    /// counts.
    ///
    /// # Errors
    /// A scope that the capability does not take or that could never match, a scope or name that is too long, more than
    /// [`GRANTS_PER_PLUGIN_MAX`], a database that fails.
    pub async fn put_grant(&self, grant: Grant) -> Result<(), StoreError> {
        let row = Stored::from_grant(grant)?;
        self.writer()
            .write(row.scope.len(), move |connection| {
                Ok((row.put(connection)?, None))
            })
            .await
    }

    /// Takes back what was granted or denied of a capability: that with this scope, or with none named, all of it. How
    /// many there were.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn delete_grant(
        &self,
        plugin: &str,
        capability: CapabilityId,
        scope: Option<&Scope>,
    ) -> Result<usize, StoreError> {
        let (plugin, scope) = (plugin.to_owned(), scope.map(stored));
        let remove = move |connection: &Connection| {
            let sql = "DELETE FROM grants WHERE plugin = ?1 AND capability = ?2 AND (?3 IS NULL OR scope = ?3)";
            Ok((
                connection.prepare_cached(sql)?.execute(params![
                    plugin,
                    capability.as_str(),
                    scope
                ])?,
                None,
            ))
        };
        self.writer().write(0, remove).await
    }
}

impl Stored {
    pub(crate) fn from_grant(grant: Grant) -> Result<Self, StoreError> {
        text::plugin(&grant.plugin)?;
        if let Some(bad) = grant.scope.check(grant.capability).into_iter().next() {
            return Err(StoreError::BadScope(bad));
        }
        let scope = stored(&grant.scope);
        text::at_most("scope", scope.len(), SCOPE_BYTES_MAX)?;
        let by = text::short("by", &grant.by)?;
        Ok(Self { grant, scope, by })
    }

    pub(crate) fn put(&self, connection: &Connection) -> Result<(), StoreError> {
        let Self { grant, scope, by } = self;
        let Grant {
            plugin,
            capability,
            deny,
            at_ms,
            expires_at_ms,
            ..
        } = grant;
        let capability = capability.as_str();
        let sql = "DELETE FROM grants WHERE plugin = ?1 AND (expires_at_ms <= ?2 OR (capability = ?3 AND scope = ?4))";
        connection.prepare_cached(sql)?.execute(params![
            plugin,
            int(now_ms()),
            capability,
            scope
        ])?;
        let sql = "INSERT INTO grants (plugin, capability, scope, deny, by, at_ms, expires_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = params![
            plugin,
            capability,
            scope,
            deny,
            by,
            int(*at_ms),
            expires_at_ms.map(int)
        ];
        connection.prepare_cached(sql)?.execute(values)?;
        let sql = "SELECT count(*) FROM grants WHERE plugin = ?1";
        let count: i64 = connection
            .prepare_cached(sql)?
            .query_row([plugin], |row| row.get(0))?;
        if count > GRANTS_PER_PLUGIN_MAX as i64 {
            return Err(StoreError::QuotaExceeded {
                field: "grants",
                max: GRANTS_PER_PLUGIN_MAX as u64,
            });
        }
        Ok(())
    }
}

/// A scope as text; equal scopes are equal texts, because the fields stand in a fixed order.
fn stored(scope: &Scope) -> String {
    serde_json::to_string(scope).unwrap_or_else(|_| "{}".to_owned())
}

fn grant(row: &Row<'_>) -> rusqlite::Result<Grant> {
    let bad = |at: usize, error: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, error.into())
    };
    let (capability, scope): (String, String) = (row.get(1)?, row.get(2)?);
    Ok(Grant {
        plugin: row.get(0)?,
        capability: serde_json::from_value(capability.into()).map_err(|error| bad(1, error))?,
        scope: serde_json::from_str(&scope).map_err(|error| bad(2, error))?,
        deny: row.get(3)?,
        by: row.get(4)?,
        at_ms: uint(row.get(5)?),
        expires_at_ms: row.get::<_, Option<i64>>(6)?.map(uint),
    })
}
