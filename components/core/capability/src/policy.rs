//! What decides about capabilities: the operator's policy, and what is known about one plugin.
//!
//! What it is not: a store. The shells read these from configuration and database, compile them once and swap them whole, so that a grant or
//! a revocation acts at the next call (T27). Invariant: what is not configured asks (mode `prompt`), and nothing is allowed by default.

use crate::{BadRule, CapabilityId, KillSwitches, Request, Rules};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Layer 5: what happens where no list says anything. The order is that of strictness.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Allowed. Also called `all`.
    Permissive,
    /// A person is asked. Also called `interactive`.
    #[default]
    Prompt,
    /// Denied. Also called `trusted`.
    Strict,
    /// Everything is denied before anything else is looked at, as by a kill switch. Also called `none`.
    Disabled,
}

impl Mode {
    /// All of them, the most lenient first.
    pub const ALL: [Self; 4] = [Self::Permissive, Self::Prompt, Self::Strict, Self::Disabled];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permissive => "permissive",
            Self::Prompt => "prompt",
            Self::Strict => "strict",
            Self::Disabled => "disabled",
        }
    }

    /// The mode where several places name one (J31): the configuration before the command line, and the environment may only be stricter.
    #[must_use]
    pub fn effective(
        environment: Option<Self>,
        configuration: Option<Self>,
        flag: Option<Self>,
    ) -> Self {
        // The strictest of what is there; `None` sorts before every mode.
        environment.max(configuration.or(flag)).unwrap_or_default()
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mode must be permissive, prompt, strict or disabled")]
pub struct UnknownMode;

impl UnknownMode {
    /// A stable name of the fault, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "unknown-mode"
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    /// Case and white space around it are forgiven; the older names are understood.
    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match &*text.trim().to_ascii_lowercase() {
            "permissive" | "all" => Ok(Self::Permissive),
            "prompt" | "interactive" => Ok(Self::Prompt),
            "strict" | "trusted" => Ok(Self::Strict),
            "disabled" | "none" => Ok(Self::Disabled),
            _ => Err(UnknownMode),
        }
    }
}

/// Layer 4, where the operator wants one answer for everything that no list names; the mode is not asked then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Terminal {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
    /// A person is asked.
    Ask,
}

/// The operator's policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Layer 0.
    pub kill: KillSwitches,
    /// Layer 2: denied to every plugin, whatever was granted. A server's status `blocked` for a plugin is not here but among the plugin's own.
    pub deny: Rules,
    /// Layer 4: allowed to every plugin that declares it. A revocation does not reach what stands here.
    pub allow: Rules,
    /// Layer 4 where the list is silent.
    pub terminal: Option<Terminal>,
    /// Layer 5.
    pub mode: Mode,
}

/// A policy by name (J22).
///
/// Unlike its model none of them allows reading, writing or HTTP by default: that would let what was revoked go on (T27), and nobody would
/// ever be asked for consent (H27).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// What is not granted is denied.
    Safe,
    /// What is not granted is asked for.
    #[default]
    Standard,
    /// What is declared is allowed.
    Permissive,
}

impl Profile {
    /// What every profile denies to everyone: running programs, and the environment with the secrets in it.
    pub const DENIED: [CapabilityId; 2] = [CapabilityId::ShellExec, CapabilityId::EnvRead];

    /// The profile's policy.
    #[must_use]
    pub fn policy(self) -> Policy {
        let mode = match self {
            Self::Safe => Mode::Strict,
            Self::Standard => Mode::Prompt,
            Self::Permissive => Mode::Permissive,
        };
        Policy {
            deny: Rules::whole(Self::DENIED),
            mode,
            ..Policy::default()
        }
    }
}

/// An operator's policy as configuration writes it; what is absent comes from the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySettings {
    /// What the others start from.
    pub profile: Profile,
    /// Layer 5, instead of the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Layer 2, instead of the profile's list: ids, or objects with an id and its scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<Request>>,
    /// Layer 4.
    pub allow: Vec<Request>,
    /// Layer 4 where the list is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Terminal>,
}

impl PolicySettings {
    /// The policy, without kill switches.
    ///
    /// # Errors
    /// [`BadRule`] for the first rule that could never match.
    pub fn compile(&self) -> Result<Policy, BadRule> {
        let profile = self.profile.policy();
        Ok(Policy {
            kill: KillSwitches::default(),
            deny: self
                .deny
                .as_deref()
                .map_or(Ok(profile.deny), Rules::from_requests)?,
            allow: Rules::from_requests(&self.allow)?,
            terminal: self.default,
            mode: self.mode.unwrap_or(profile.mode),
        })
    }
}

/// What is known about one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginRules {
    /// Layer 0: killed by its own switch.
    pub killed: bool,
    /// What its manifest declares; nothing else can be granted (T30), and a scope there bounds every grant (H29).
    pub declared: Rules,
    /// Layer 1: what a person refused, and what a server blocks.
    pub denied: Rules,
    /// Layer 3: grants and remembered consents. Revoking removes them.
    pub granted: Rules,
    /// Layer 5 for this plugin, instead of the policy's (J15); it does not lift the policy's `disabled`.
    pub mode: Option<Mode>,
}
