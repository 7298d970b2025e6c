//! The input of a decision: the operator's policy, and one plugin's rules.
//!
//! The shells build both from configuration and database and replace them as a whole, so that a grant or a revocation
//! takes effect at the next call. Without configuration the mode is `prompt` and no capability is allowed by default.

use crate::{BadRule, CapabilityId, KillSwitches, Request, Rules};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Layer 5: the outcome where no rule applies, from the most lenient to the strictest mode.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Allowed. Also called `all`.
    Permissive,
    /// Requires consent. Also called `interactive`.
    #[default]
    Prompt,
    /// Denied. Also called `trusted`.
    Strict,
    /// Every call is denied in layer 0, as by a kill switch. Also called `none`.
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

    /// The mode where several sources name one: the configuration wins over the command line, and the environment may
    /// only be stricter.
    #[must_use]
    pub fn effective(
        environment: Option<Self>,
        configuration: Option<Self>,
        flag: Option<Self>,
    ) -> Self {
        // `None` sorts before every mode.
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

    /// Case and surrounding white space are ignored; the older names are accepted.
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

/// Layer 4: the operator's one answer for every capability that no list names. It replaces the mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultOutcome {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
    /// Requires consent.
    Ask,
}

/// The operator's policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Layer 0.
    pub kill: KillSwitches,
    /// Layer 2: denied to every plugin, whatever was granted. Where a plugin acts is no matter of capabilities.
    pub deny: Rules,
    /// Layer 4: allowed to every plugin that declares it. Revoking a grant does not change this list.
    pub allow: Rules,
    /// Layer 4, for capabilities that no list names.
    pub default: Option<DefaultOutcome>,
    /// Layer 5.
    pub mode: Mode,
}

/// A policy by name.
///
/// None of them allows reading, writing or HTTP by default: a revoked grant would then have no effect, and consent
/// would never be requested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Everything that is not granted is denied.
    Safe,
    /// Everything that is not granted requires consent.
    #[default]
    Standard,
    /// Everything that is declared is allowed.
    Permissive,
}

impl Profile {
    /// Denied to all plugins by every profile: running programs, and reading the environment, which may hold secrets.
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

/// An operator's policy in the configuration; absent keys come from the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySettings {
    /// The base of the other keys.
    pub profile: Profile,
    /// Layer 5, instead of the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Layer 2, instead of the profile's list: ids, or objects with an id and its scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<Request>>,
    /// Layer 4.
    pub allow: Vec<Request>,
    /// Layer 4, for capabilities that no list names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultOutcome>,
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
            default: self.default,
            mode: self.mode.unwrap_or(profile.mode),
        })
    }
}

/// The rules of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginRules {
    /// Layer 0: the plugin's [`switch_name`](crate::switch_name), by which a kill switch may name it. The switches are
    /// read at each decision, so that one acts at the next call of a plugin that runs, is starting or is stopping.
    pub switch_name: Box<str>,
    /// What its manifest declares. Nothing else can be granted, and its scopes bound every grant.
    pub declared: Rules,
    /// Layer 1: denials of users.
    pub denied: Rules,
    /// Layer 3: grants and remembered consents. Revoking removes them.
    pub granted: Rules,
    /// Layer 5 for this plugin, instead of the policy's mode. It does not override the policy's `disabled`.
    pub mode: Option<Mode>,
}
