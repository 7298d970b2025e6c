//! The approval gate over tools (J23): a person's word about the tool, then the capability chain, then how careful the session is.
//!
//! What it is not: a second chain. Invariant: nothing here allows what layer 0 denies (kill switches, what is not declared), and no session mode
//! what the chain denies.

use crate::{Decision, Outcome};
use serde::{Deserialize, Serialize};

/// What a tool does at worst; one that does not say counts as the worst.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// It looks.
    Read,
    /// It changes data.
    Write,
    /// It runs something.
    #[default]
    Exec,
}

/// How careful a session is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SessionMode {
    /// Every tool is asked about.
    Plan,
    /// Reading and writing goes on, running is asked about.
    AcceptEdits,
    /// Reading goes on, the rest is asked about.
    #[default]
    Default,
    /// Reading goes on, the rest is denied, because nobody wants to be asked.
    DontAsk,
    /// Everything goes on.
    Bypass,
    /// Every tool is asked about, and a program answers.
    Auto,
}

impl SessionMode {
    /// What follows for a tool that the chain allows.
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

/// Decides about one tool: `word` is what a person said about this tool, `chain` what [`decide`](crate::decide()) said about its plugin.
#[must_use]
pub const fn approve(
    word: Option<Outcome>,
    chain: Decision,
    mode: SessionMode,
    tier: Tier,
) -> Outcome {
    match (word, chain.outcome) {
        _ if chain.layer == 0 => Outcome::Deny,
        (Some(word), _) => word,
        (None, Outcome::Allow) => mode.outcome(tier),
        (None, other) => other,
    }
}
