//! Why an envelope of a plugin was not sent.

use crate::NotHere;
use envelope::{reply::code, verdict::Refusal};
use limits::dispatch::{HOPS_MAX, RETRY_AFTER_MS};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One way in which a payload breaks its schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// JSON pointer into the payload.
    pub pointer: String,
    /// The keyword that failed.
    pub keyword: String,
    /// A sentence for users.
    pub message: String,
}

/// Why nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Plugins react to each other without end, and the chain has reached its limit.
    #[error("a chain of {HOPS_MAX} acts of plugins, each caused by the one before, ends here")]
    Loop,
    /// The plugin does not act on the server.
    #[error(transparent)]
    NotHere(#[from] NotHere),
    /// The server has no such event of this plugin.
    #[error("{0}")]
    NotRegistered(String),
    /// The payload breaks the event's schema.
    #[error("{message}")]
    Violations {
        /// The first violation as a sentence.
        message: String,
        /// All violations that were found.
        violations: Vec<Violation>,
    },
    /// Larger than the type or the event allows.
    #[error("{0}")]
    TooLarge(String),
    /// Over a rate.
    #[error("over the rate of {what} of a plugin on one server")]
    RateLimited {
        /// `events`, `messages` or `bytes`.
        what: &'static str,
        /// Milliseconds until the same can succeed.
        retry_after_ms: u64,
    },
    /// Too many envelopes of plugins wait to be sent; try again after [`RETRY_AFTER_MS`].
    #[error("the gateway has too much to send; try again")]
    Busy,
    /// Refused by a validator for another reason.
    #[error("{message}")]
    Refused {
        /// The code on the wire.
        code: String,
        /// For users.
        message: String,
    },
    /// A validator failed.
    #[error("a component failed on this envelope; it was not sent")]
    Internal,
}

impl PublishError {
    /// The code for programs; a validator's codes are those on the wire.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Loop => "REDISPATCH_LOOP",
            Self::NotHere(why) => why.code(),
            Self::NotRegistered(_) => code::EVENT_NOT_REGISTERED,
            Self::Violations { .. } => code::SCHEMA_VIOLATION,
            Self::TooLarge(_) => code::PAYLOAD_TOO_LARGE,
            Self::RateLimited { .. } => code::RATE_LIMITED,
            Self::Busy => "OVERLOADED",
            Self::Refused { code, .. } => code,
            Self::Internal => code::INTERNAL,
        }
    }

    /// Milliseconds until trying again makes sense, if it does.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after_ms, .. } => Some(*retry_after_ms),
            Self::Busy => Some(RETRY_AFTER_MS),
            _ => None,
        }
    }

    /// What a plugin gets beside the text, as JSON: the code, and the violations if there are any.
    #[must_use]
    pub fn details(&self) -> Option<Value> {
        match self {
            Self::Violations { violations, .. } => {
                Some(json!({"code": self.code(), "violations": violations}))
            }
            Self::Refused { .. } | Self::NotHere(_) => Some(json!({"code": self.code()})),
            _ => None,
        }
    }

    /// A label for counters.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Loop => "loop",
            Self::NotHere(NotHere::NotOpen) => "not_open",
            Self::NotHere(_) => "not_here",
            Self::RateLimited { .. } => "rate",
            Self::Busy => "busy",
            Self::Internal => "internal",
            Self::NotRegistered(_)
            | Self::Violations { .. }
            | Self::TooLarge(_)
            | Self::Refused { .. } => "refused",
        }
    }
}

impl From<&Refusal> for PublishError {
    fn from(refusal: &Refusal) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Reply {
            message: String,
            violations: Vec<Violation>,
        }
        // An operator's component may reply in a form of its own; then the code has to be enough.
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
