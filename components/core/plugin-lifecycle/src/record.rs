//! The rows of `plugin_events`: what is stored about a plugin's lifecycle.
//!
//! Names and details are a public interface, since operators search for them; they keep their meaning.

use crate::MAX_RESTARTS_EXCEEDED;
use serde_json::{Value, json};

/// One row, without plugin and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// It runs.
    Started,
    /// It was stopped.
    Stopped,
    /// It crashed.
    Crashed {
        /// Which crash in a row this is, from 1.
        crashes: u32,
        /// Why, where that is known.
        cause: Option<Box<str>>,
    },
    /// A restart is scheduled.
    Restarting {
        /// Which restart in a row, from 1.
        attempt: u32,
        /// Wait until then, milliseconds.
        delay_ms: u64,
    },
    /// It runs again after a crash.
    Restarted {
        /// Which restart in a row, from 1.
        attempt: u32,
    },
    /// It was disabled.
    Disabled {
        /// Why, where a reason was given.
        reason: Option<Box<str>>,
    },
    /// It was disabled after too many crashes in a row.
    DisabledAfterMaxRestarts {
        /// Crashes in a row.
        restart_count: u32,
    },
    /// It was enabled.
    Enabled,
    /// An update did not start; the version before it goes on.
    UpdateFailed {
        /// The version.
        version: Box<str>,
        /// Which try this was, from 1.
        attempt: u32,
        /// Why.
        cause: Box<str>,
        /// Wait until the next try, milliseconds; none if this was the last one.
        delay_ms: Option<u64>,
    },
    /// An update is not tried again before its files change.
    UpdateAbandoned {
        /// The version.
        version: Box<str>,
        /// How often it was tried.
        attempts: u32,
    },
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
            Self::UpdateFailed { .. } => "update_failed",
            Self::UpdateAbandoned { .. } => "update_abandoned",
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
            Self::UpdateFailed {
                version,
                attempt,
                cause,
                delay_ms,
            } => {
                json!({"version": version, "attempt": attempt, "cause": cause, "delay_ms": delay_ms})
            }
            Self::UpdateAbandoned { version, attempts } => {
                json!({"version": version, "attempts": attempts})
            }
        }
    }
}
