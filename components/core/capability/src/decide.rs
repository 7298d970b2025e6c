//! The one place where a capability is decided (3c, J14).
//!
//! Layers: 0 kill switches, and what the manifest does not declare; 1 the plugin's own denials; 2 the operator's; 3 grants and remembered
//! consents; 4 the operator's default; 5 the mode. The first that says something decides.
//! What it is not: a network policy; requests pass that afterwards. Invariant: what is not declared is never allowed, a denial never widens,
//! and a grant never narrows.

use crate::{Asked, CapabilityId, Mode, PluginRules, Policy, Target, Terminal};
use serde::Serialize;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The call goes on.
    Allow,
    /// The call is refused.
    Deny,
    /// A person decides; until then the call is refused.
    Ask,
}

/// Which of the four refusals a plugin sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The manifest does not declare it, or not that far.
    NotDeclared,
    /// Declared, but nobody has granted it.
    NotGranted,
    /// A person has to decide first.
    ConsentPending,
    /// Somebody forbids it: a list or a kill switch.
    Denied,
}

impl Refusal {
    /// Its name on every interface.
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

/// What a decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ground {
    /// A kill switch, or the mode `disabled`.
    Killed,
    /// The question names no capability (J16).
    EmptyCapability,
    /// The question names something that is no capability.
    UnknownCapability,
    /// The manifest does not declare the capability.
    NotDeclared,
    /// The manifest declares the capability, but not for this target (H29).
    OutsideDeclaration,
    /// The plugin's own list of denials.
    PluginDeny,
    /// The operator's list of denials.
    GlobalDeny,
    /// A grant or a remembered consent.
    Granted,
    /// Every plugin holds it.
    Always,
    /// The operator's list of what is allowed by default.
    DefaultList,
    /// The operator allows what no list names.
    DefaultAllow,
    /// The operator denies what no list names.
    DefaultDeny,
    /// The operator is asked about what no list names.
    DefaultAsk,
    /// Mode `strict`.
    Strict,
    /// Mode `prompt`.
    Prompt,
    /// Mode `permissive`.
    Permissive,
    /// Somebody would have to be asked, and there is nobody (J20).
    NobodyToAsk,
}

impl Ground {
    /// All of them, by layer.
    pub const ALL: [Self; 17] = [
        Self::Killed,
        Self::EmptyCapability,
        Self::UnknownCapability,
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
        Self::NobodyToAsk,
    ];

    /// Which layer it belongs to, what follows from it, and its text in audit and answers.
    const fn facts(self) -> (u8, Outcome, &'static str) {
        use Outcome::{Allow, Ask, Deny};
        match self {
            Self::Killed => (0, Deny, "disabled (kill switch)"),
            Self::EmptyCapability => (0, Deny, "empty_capability"),
            Self::UnknownCapability => (0, Deny, "unknown capability"),
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
            Self::NobodyToAsk => (5, Deny, "requires approval"),
        }
    }

    /// What would help, for people.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::Killed => {
                "A kill switch is on, or the mode is `disabled`: somebody stopped plugins, or this one, on purpose."
            }
            Self::EmptyCapability | Self::UnknownCapability => {
                "There is no capability of this name."
            }
            Self::NotDeclared => "Declare the capability in the manifest; then it can be granted.",
            Self::OutsideDeclaration => {
                "The manifest declares the capability for other hosts, methods, ports, paths or names. No grant reaches further."
            }
            Self::PluginDeny => {
                "A person refused it to this plugin, or the server blocks the plugin."
            }
            Self::GlobalDeny => "The operator's policy denies it to all plugins.",
            Self::Granted => "A grant, or a consent that is remembered.",
            Self::Always => "Nobody has to grant it.",
            Self::DefaultList => "The operator's policy lists it for all plugins that declare it.",
            Self::DefaultAllow => "The operator's policy allows what no list names.",
            Self::DefaultDeny => {
                "The operator's policy denies what no list names; a grant allows it."
            }
            Self::DefaultAsk => "The operator's policy asks about what no list names.",
            Self::Strict => "In this mode only what is granted is allowed; a grant allows it.",
            Self::Prompt => "A question waits for a person: `jackfield plugin consents`.",
            Self::Permissive => "In this mode what is declared is allowed.",
            Self::NobodyToAsk => {
                "Somebody would have to be asked where nobody can be; a grant allows it."
            }
        }
    }

    /// The text of requirements 3c.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.facts().2
    }

    /// Which refusal follows; none when it allows.
    #[must_use]
    pub const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::EmptyCapability
            | Self::UnknownCapability
            | Self::NotDeclared
            | Self::OutsideDeclaration => Some(Refusal::NotDeclared),
            Self::Killed | Self::PluginDeny | Self::GlobalDeny => Some(Refusal::Denied),
            Self::DefaultDeny | Self::Strict | Self::NobodyToAsk => Some(Refusal::NotGranted),
            Self::DefaultAsk | Self::Prompt => Some(Refusal::ConsentPending),
            Self::Granted
            | Self::Always
            | Self::DefaultList
            | Self::DefaultAllow
            | Self::Permissive => None,
        }
    }
}

/// A decision. One audit entry belongs to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decision {
    /// What was decided.
    pub outcome: Outcome,
    /// Which layer decided, 0 to 5.
    pub layer: u8,
    /// Why.
    pub ground: Ground,
}

impl Decision {
    /// The decision that rests on `ground`.
    #[must_use]
    pub const fn on(ground: Ground) -> Self {
        let (layer, outcome, _) = ground.facts();
        Self {
            outcome,
            layer,
            ground,
        }
    }

    /// Whether the call goes on.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self.outcome, Outcome::Allow)
    }

    /// The text of its ground.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.ground.reason()
    }

    /// Which refusal the plugin sees; none when allowed.
    #[must_use]
    pub const fn refusal(self) -> Option<Refusal> {
        self.ground.refusal()
    }

    /// The same where nobody can be asked: what would ask is denied (J20).
    #[must_use]
    pub const fn without_asking(self) -> Self {
        if matches!(self.outcome, Outcome::Ask) {
            Self::on(Ground::NobodyToAsk)
        } else {
            self
        }
    }
}

/// Decides about one call.
#[must_use]
pub fn decide(asked: &Asked<'_>, plugin: &PluginRules, policy: &Policy) -> Decision {
    Decision::on(ground(asked, plugin, policy))
}

/// Decides about a capability that is named by text, as over REST and in `capabilities.check`. White space around it and case are
/// forgiven (J16); here nothing is granted by the spelling, it is only looked up.
#[must_use]
pub fn decide_named(
    capability: &str,
    target: Target<'_>,
    plugin: &PluginRules,
    policy: &Policy,
) -> Decision {
    let name = capability.trim();
    if name.is_empty() {
        return Decision::on(Ground::EmptyCapability);
    }
    match CapabilityId::all().find(|id| id.as_str().eq_ignore_ascii_case(name)) {
        Some(id) => decide(&Asked::new(id, target), plugin, policy),
        None => Decision::on(Ground::UnknownCapability),
    }
}

fn ground(asked: &Asked<'_>, plugin: &PluginRules, policy: &Policy) -> Ground {
    let mode = if policy.mode == Mode::Disabled {
        Mode::Disabled
    } else {
        plugin.mode.unwrap_or(policy.mode)
    };
    if plugin.killed || mode == Mode::Disabled || policy.kill.stops(asked.id).is_some() {
        return Ground::Killed;
    }
    if asked.id.entry().always {
        return Ground::Always;
    }
    if !plugin.declared.covers(asked) {
        return if plugin.declared.mentions(asked.id) {
            Ground::OutsideDeclaration
        } else {
            Ground::NotDeclared
        };
    }
    if plugin.denied.covers(asked) {
        return Ground::PluginDeny;
    }
    if policy.deny.covers(asked) {
        return Ground::GlobalDeny;
    }
    if plugin.granted.covers(asked) {
        return Ground::Granted;
    }
    if policy.allow.covers(asked) {
        return Ground::DefaultList;
    }
    match (policy.terminal, mode) {
        (Some(Terminal::Allow), _) => Ground::DefaultAllow,
        (Some(Terminal::Deny), _) => Ground::DefaultDeny,
        (Some(Terminal::Ask), _) => Ground::DefaultAsk,
        (None, Mode::Permissive) => Ground::Permissive,
        (None, Mode::Prompt) => Ground::Prompt,
        (None, Mode::Strict) => Ground::Strict,
        (None, Mode::Disabled) => Ground::Killed,
    }
}
