//! Approval of tool calls: the user's rule for the tool, then the capability decision, then the session's mode.
//!
//! No rule for a tool overrides layer 0 (kill switches, undeclared capabilities), and no session mode overrides a
//! denial.

use crate::{Decision, Outcome};
use serde::{Deserialize, Serialize};

/// The most harmful thing a tool does; a tool that declares nothing counts as `exec`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// It reads.
    Read,
    /// It changes data.
    Write,
    /// It runs programs.
    #[default]
    Exec,
}

/// Which tiers of tools a session runs without asking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SessionMode {
    /// Every tool call needs consent.
    Plan,
    /// Reading and writing are allowed, running programs needs consent.
    AcceptEdits,
    /// Reading is allowed, the rest needs consent.
    #[default]
    Default,
    /// Reading is allowed, the rest is denied without asking.
    DontAsk,
    /// Every tool call is allowed.
    Bypass,
    /// Every tool call needs consent, which a program gives.
    Auto,
}

impl SessionMode {
    /// The outcome for a tool whose capability is allowed.
    #[must_use]
    pub const fn outcome(self, tier: Tier) -> Outcome {
        match (self, tier) {
            (Self::Bypass, _)
            | (Self::AcceptEdits, Tier::Read | Tier::Write)
            | (Self::Default | Self::DontAsk, Tier::Read) => Outcome::Allow,
            (Self::DontAsk, _) => Outcome::Deny,
            (Self::Plan | Self::Auto | Self::AcceptEdits | Self::Default, _) => Outcome::Ask,
        }
    }
}

/// Decides about one tool call: `rule` is the user's rule for this tool, `decision` the result of
/// [`decide`](crate::decide()) for its plugin.
#[must_use]
pub const fn approve(
    rule: Option<Outcome>,
    decision: Decision,
    mode: SessionMode,
    tier: Tier,
) -> Outcome {
    match (rule, decision.outcome) {
        _ if decision.layer == 0 => Outcome::Deny,
        (Some(rule), _) => rule,
        (None, Outcome::Allow) => mode.outcome(tier),
        (None, other) => other,
    }
}
