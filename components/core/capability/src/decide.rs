//! The one function that decides whether a plugin may use a capability: [`decide`]. No other code grants anything.
//!
//! Six layers are asked in order, and the first that applies decides: 0 kill switches and the manifest, 1 the plugin's
//! deny list, 2 the operator's deny list, 3 grants and remembered consents, 4 the operator's default, 5 the mode
//! (`docs/concepts/capabilities.md`, "The decision"). A capability that the manifest does not declare is never allowed.
//! The exception is a capability that every plugin holds ([`Reason::Always`]): right after the kill switches it is
//! allowed, with layer 4 in the audit.

use crate::{CapabilityUse, DefaultOutcome, Mode, PluginRules, Policy};
use serde::{Deserialize, Serialize};

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The call goes on.
    Allow,
    /// The call is refused.
    Deny,
    /// The call is refused until the operator or user consents.
    Ask,
}

/// The refusal that a plugin sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The manifest does not declare the capability, or not for this target.
    NotDeclared,
    /// Declared, but not granted.
    NotGranted,
    /// Waits for consent.
    ConsentPending,
    /// Forbidden by a deny list or a kill switch.
    Denied,
}

impl Refusal {
    /// Its code on every interface.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotDeclared => "not-declared",
            Self::NotGranted => "not-granted",
            Self::ConsentPending => "consent-pending",
            Self::Denied => "denied",
        }
    }
}

/// Why a call is allowed, denied or waits for consent; it determines the layer and the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A kill switch, or the mode `disabled`.
    Killed,
    /// The manifest does not declare the capability.
    NotDeclared,
    /// The manifest declares the capability, but its scope does not cover the target.
    OutsideDeclaration,
    /// The plugin's deny list.
    PluginDeny,
    /// The operator's deny list.
    GlobalDeny,
    /// A grant or a remembered consent.
    Granted,
    /// A capability that every plugin has.
    Always,
    /// The operator's list of capabilities allowed by default.
    DefaultList,
    /// The operator's default is to allow.
    DefaultAllow,
    /// The operator's default is to deny.
    DefaultDeny,
    /// The operator's default is to ask.
    DefaultAsk,
    /// Mode `strict`.
    Strict,
    /// Mode `prompt`.
    Prompt,
    /// Mode `permissive`.
    Permissive,
}

impl Reason {
    /// All of them, by layer.
    pub const ALL: [Self; 14] = [
        Self::Killed,
        Self::NotDeclared,
        Self::OutsideDeclaration,
        Self::PluginDeny,
        Self::GlobalDeny,
        Self::Granted,
        Self::Always,
        Self::DefaultList,
        Self::DefaultAllow,
        Self::DefaultDeny,
        Self::DefaultAsk,
        Self::Strict,
        Self::Prompt,
        Self::Permissive,
    ];

    /// Its layer, its outcome, and its text in the audit and in answers.
    const fn facts(self) -> (u8, Outcome, &'static str) {
        use Outcome::{Allow, Ask, Deny};
        match self {
            Self::Killed => (0, Deny, "disabled (kill switch)"),
            Self::NotDeclared => (0, Deny, "not declared"),
            Self::OutsideDeclaration => (0, Deny, "outside the declared scope"),
            Self::PluginDeny => (1, Deny, "denied by plugin deny list"),
            Self::GlobalDeny => (2, Deny, "denied by global policy"),
            Self::Granted => (3, Allow, "allowed by plugin allow list"),
            Self::Always => (4, Allow, "held by every plugin"),
            Self::DefaultList => (4, Allow, "default_caps"),
            Self::DefaultAllow => (4, Allow, "allowed by default"),
            Self::DefaultDeny => (4, Deny, "denied by default"),
            Self::DefaultAsk => (4, Ask, "requires approval"),
            Self::Strict => (5, Deny, "strict mode"),
            Self::Prompt => (5, Ask, "prompt mode"),
            Self::Permissive => (5, Allow, "permissive mode"),
        }
    }

    /// What an operator or author can do about it.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::Killed => {
                "A kill switch is on, or the mode is `disabled`: the operator has stopped all plugins or this one."
            }
            Self::NotDeclared => "Declare the capability in the manifest; then it can be granted.",
            Self::OutsideDeclaration => {
                "The manifest declares the capability for other hosts, methods, ports, paths or names. No grant reaches further."
            }
            Self::PluginDeny => {
                "A deny rule of this plugin covers it, or the server blocks the plugin."
            }
            Self::GlobalDeny => "The operator's policy denies it to all plugins.",
            Self::Granted => "A grant or a remembered consent covers it.",
            Self::Always => "Every plugin has it; no grant is needed.",
            Self::DefaultList => "The operator's policy lists it for all plugins that declare it.",
            Self::DefaultAllow => "The operator's policy allows what no list names.",
            Self::DefaultDeny => {
                "The operator's policy denies what no list names; a grant allows it."
            }
            Self::DefaultAsk => "The operator's policy asks about what no list names.",
            Self::Strict => "In this mode only what is granted is allowed; a grant allows it.",
            Self::Prompt => "Consent was requested: `jackfield plugin consents`.",
            Self::Permissive => "In this mode what is declared is allowed.",
        }
    }

    /// Its text in the audit and in answers. Programs compare it, so it does not change.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.facts().2
    }

    /// The refusal it leads to; `None` when it allows the call.
    #[must_use]
    pub const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::NotDeclared | Self::OutsideDeclaration => Some(Refusal::NotDeclared),
            Self::Killed | Self::PluginDeny | Self::GlobalDeny => Some(Refusal::Denied),
            Self::DefaultDeny | Self::Strict => Some(Refusal::NotGranted),
            Self::DefaultAsk | Self::Prompt => Some(Refusal::ConsentPending),
            Self::Granted
            | Self::Always
            | Self::DefaultList
            | Self::DefaultAllow
            | Self::Permissive => None,
        }
    }
}

/// A decision; each becomes one audit entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decision {
    /// Whether the call is allowed.
    pub outcome: Outcome,
    /// Which layer decided, 0 to 5.
    pub layer: u8,
    /// Why.
    pub reason: Reason,
}

impl Decision {
    /// The decision that follows from `reason`.
    #[must_use]
    pub const fn because(reason: Reason) -> Self {
        let (layer, outcome, _) = reason.facts();
        Self {
            outcome,
            layer,
            reason,
        }
    }

    /// Whether the call may proceed.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self.outcome, Outcome::Allow)
    }

    /// The refusal that the plugin sees; `None` when allowed.
    #[must_use]
    pub const fn refusal(self) -> Option<Refusal> {
        self.reason.refusal()
    }
}

/// Decides about one use of a capability.
#[must_use]
pub fn decide(asked: &CapabilityUse<'_>, plugin: &PluginRules, policy: &Policy) -> Decision {
    Decision::because(reason(asked, plugin, policy))
}

fn reason(asked: &CapabilityUse<'_>, plugin: &PluginRules, policy: &Policy) -> Reason {
    let mode = if policy.mode == Mode::Disabled {
        Mode::Disabled
    } else {
        plugin.mode.unwrap_or(policy.mode)
    };
    let killed = policy.kill.names(&plugin.switch_name) || policy.kill.stops(asked.id).is_some();
    if killed || mode == Mode::Disabled {
        return Reason::Killed;
    }
    if asked.id.entry().always {
        return Reason::Always;
    }
    if !plugin.declared.covers(asked) {
        return if plugin.declared.mentions(asked.id) {
            Reason::OutsideDeclaration
        } else {
            Reason::NotDeclared
        };
    }
    if plugin.denied.covers(asked) {
        return Reason::PluginDeny;
    }
    if policy.deny.covers(asked) {
        return Reason::GlobalDeny;
    }
    if plugin.granted.covers(asked) {
        return Reason::Granted;
    }
    if policy.allow.covers(asked) {
        return Reason::DefaultList;
    }
    match (policy.default, mode) {
        (Some(DefaultOutcome::Allow), _) => Reason::DefaultAllow,
        (Some(DefaultOutcome::Deny), _) => Reason::DefaultDeny,
        (Some(DefaultOutcome::Ask), _) => Reason::DefaultAsk,
        (None, Mode::Permissive) => Reason::Permissive,
        (None, Mode::Prompt) => Reason::Prompt,
        (None, Mode::Strict) => Reason::Strict,
        (None, Mode::Disabled) => Reason::Killed,
    }
}
