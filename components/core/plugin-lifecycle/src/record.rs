//! What is written down about a plugin's life: the rows of `plugin_events` (R50).
//!
//! What it is not: the store, or the audit of decisions. Invariant: a name and its details never change their meaning; people search for them.

use crate::MAX_RESTARTS_EXCEEDED;
use serde_json::{Value, json};

/// One row, without plugin and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// It works.
    Started,
    /// It has stopped as it was told.
    Stopped,
    /// It crashed.
    Crashed {
        /// Which crash in a row this is, from 1.
        crashes: u32,
        /// What it died of, where that is known.
        cause: Option<Box<str>>,
    },
    /// A restart is due.
    Restarting {
        /// Which restart in a row, from 1.
        attempt: u32,
        /// How long it waits, milliseconds (R17).
        delay_ms: u64,
    },
    /// It works again after a crash.
    Restarted {
        /// Which restart in a row, from 1.
        attempt: u32,
    },
    /// It is disabled.
    Disabled {
        /// Why, where somebody said.
        reason: Option<Box<str>>,
    },
    /// It is disabled because it crashed too often (R18).
    DisabledAfterMaxRestarts {
        /// Crashes in a row.
        restart_count: u32,
    },
    /// It is enabled.
    Enabled,
}

impl Record {
    /// The row's `event_type`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Crashed { .. } => "crashed",
            Self::Restarting { .. } => "restarting",
            Self::Restarted { .. } => "restarted",
            Self::Disabled { .. } => "disabled",
            Self::DisabledAfterMaxRestarts { .. } => "disabled_after_max_restarts",
            Self::Enabled => "enabled",
        }
    }

    /// The row's `details`, an object.
    #[must_use]
    pub fn details(&self) -> Value {
        match self {
            Self::Started | Self::Stopped | Self::Enabled => json!({}),
            Self::Crashed {
                crashes,
                cause: None,
            } => json!({"crashes": crashes}),
            Self::Crashed {
                crashes,
                cause: Some(cause),
            } => json!({"crashes": crashes, "cause": cause}),
            Self::Restarting { attempt, delay_ms } => {
                json!({"attempt": attempt, "delay_ms": delay_ms})
            }
            Self::Restarted { attempt } => json!({"attempt": attempt}),
            Self::Disabled { reason: None } => json!({}),
            Self::Disabled {
                reason: Some(reason),
            } => json!({"reason": reason}),
            Self::DisabledAfterMaxRestarts { restart_count } => {
                json!({"reason": MAX_RESTARTS_EXCEEDED, "restart_count": restart_count})
            }
        }
    }
}
