//! Why something that a plugin wanted to send was not sent.

use envelope::{reply::code, verdict::Refusal};
use limits::dispatch::{HOPS_MAX, RETRY_AFTER_MS};
use serde::{Deserialize, Serialize};

/// One thing that the schema says against a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// JSON pointer into the payload.
    pub pointer: String,
    /// The keyword that failed.
    pub keyword: String,
    /// A sentence for people.
    pub message: String,
}

/// Why nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Plugins answer plugins: the chain of their acts is as long as it may be.
    #[error("a chain of {HOPS_MAX} acts of plugins, each caused by the one before, ends here")]
    Loop,
    /// Nobody is on the server.
    #[error("nobody is on this server")]
    NotOpen,
    /// The server has no such event of this plugin.
    #[error("{0}")]
    NotRegistered(String),
    /// The payload breaks the event's schema.
    #[error("{message}")]
    Violations {
        /// The first of them as a sentence.
        message: String,
        /// What the schema says.
        violations: Vec<Violation>,
    },
    /// Over the cap of the type or of the event.
    #[error("{0}")]
    TooLarge(String),
    /// Too much lately.
    #[error("over the rate of {what} of a plugin on one server")]
    RateLimited {
        /// `events`, `messages` or `bytes`.
        what: &'static str,
        /// When it makes sense to try again.
        retry_after_ms: u64,
    },
    /// Too much waits to be sent; trying again makes sense after [`RETRY_AFTER_MS`].
    #[error("the gateway has too much to send; try again")]
    Busy,
    /// A judge refuses it for another reason.
    #[error("{message}")]
    Refused {
        /// As on the wire.
        code: String,
        /// For people.
        message: String,
    },
    /// A judge failed.
    #[error("a component failed on this envelope; it was not sent")]
    Internal,
}

impl PublishError {
    /// The code for programs; codes of judges are those on the wire.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Loop => "REDISPATCH_LOOP",
            Self::NotOpen => "NOT_OPEN",
            Self::NotRegistered(_) => code::EVENT_NOT_REGISTERED,
            Self::Violations { .. } => code::SCHEMA_VIOLATION,
            Self::TooLarge(_) => code::PAYLOAD_TOO_LARGE,
            Self::RateLimited { .. } => code::RATE_LIMITED,
            Self::Busy => "OVERLOADED",
            Self::Refused { code, .. } => code,
            Self::Internal => code::INTERNAL,
        }
    }

    /// When trying again makes sense, where it does.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after_ms, .. } => Some(*retry_after_ms),
            Self::Busy => Some(RETRY_AFTER_MS),
            _ => None,
        }
    }

    /// A label for counters.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Loop => "loop",
            Self::NotOpen => "not_open",
            Self::RateLimited { .. } => "rate",
            Self::Busy => "busy",
            Self::Internal => "internal",
            Self::NotRegistered(_)
            | Self::Violations { .. }
            | Self::TooLarge(_)
            | Self::Refused { .. } => "refused",
        }
    }

    /// A judge's refusal, in the words of this door.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Reply {
            message: String,
            violations: Vec<Violation>,
        }
        // An operator's component may answer in a form of its own; its code says enough.
        let Reply {
            message,
            violations,
        } = serde_json::from_slice(&refusal.reply).unwrap_or_default();
        let message = if message.is_empty() {
            format!("refused with {}", refusal.code)
        } else {
            message
        };
        match refusal.code.as_str() {
            code::EVENT_NOT_REGISTERED => Self::NotRegistered(message),
            code::SCHEMA_VIOLATION => Self::Violations {
                message,
                violations,
            },
            code::PAYLOAD_TOO_LARGE => Self::TooLarge(message),
            code => Self::Refused {
                code: code.to_owned(),
                message,
            },
        }
    }
}
