//! What a user changes for plugins, as the audit keeps it: each request of an administrator that changes something is an
//! entry, refused ones included. The handler says what it changes; the entry is made where handlers are called.

use plugin_store::{AuditDecision, AuditEntry, now_ms};
use std::time::Duration;

/// What one request changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Act {
    /// The plugin; `all` where it is none in particular.
    pub(crate) plugin: String,
    /// The capability, or what else is changed.
    pub(crate) capability: String,
    /// What exactly, such as the scope of a grant. Never a value or a secret.
    pub(crate) target: Option<String>,
    /// What is done with it.
    pub(crate) action: String,
    /// For how long, and the like.
    pub(crate) details: String,
}

impl Act {
    /// An act of the route `action` on a plugin.
    pub(crate) fn new(plugin: Option<&str>, action: &str) -> Self {
        Self {
            plugin: plugin.unwrap_or("all").to_owned(),
            capability: "administration".to_owned(),
            target: None,
            action: action.to_owned(),
            details: "over REST".to_owned(),
        }
    }

    /// The entry of what `by` did, or was refused because of `refused`.
    pub(crate) fn entry(self, by: String, refused: Option<&str>, took: Duration) -> AuditEntry {
        AuditEntry {
            at_ms: now_ms(),
            plugin: self.plugin,
            capability: self.capability,
            target: self.target,
            action: self.action,
            decision: match refused {
                None => AuditDecision::Allowed,
                Some(_) => AuditDecision::Denied,
            },
            layer: 0,
            reason: refused.map_or(self.details, str::to_owned),
            duration_us: Some(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            by: Some(by),
        }
    }
}
