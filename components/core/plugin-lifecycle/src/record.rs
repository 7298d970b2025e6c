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
