//! The effective allow-list of a plugin's network (H28): what a person allows, what the plugin asks for, and what is blocked.
//!
//! What it is not: the guard against private addresses, which looks at what a name resolves to. Invariant: what is blocked is never allowed,
//! and the list is never wider than what the person allows.

use crate::HostPattern;

/// Hosts that a plugin may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EffectiveHosts {
    allowed: Vec<HostPattern>,
    blocked: Vec<HostPattern>,
}

/// The effective list. A person who allows nothing allows nothing; a plugin that asks for nothing, or for `*`, gets what the person allows;
/// of two lists that narrow, what both cover.
#[must_use]
pub fn effective_hosts(
    user: &[HostPattern],
    plugin: &[HostPattern],
    blocked: &[HostPattern],
) -> EffectiveHosts {
    let allowed = if user.is_empty() {
        Vec::new()
    } else if plugin.is_empty() || plugin.contains(&HostPattern::Any) {
        user.to_vec()
    } else if user.contains(&HostPattern::Any) {
        plugin.to_vec()
    } else {
        let mut both: Vec<HostPattern> = user
            .iter()
            .flat_map(|user| plugin.iter().filter_map(|plugin| common(user, plugin)))
            .collect();
        both.sort_unstable();
        both.dedup();
        both
    };
    EffectiveHosts {
        allowed,
        blocked: blocked.to_vec(),
    }
}

impl EffectiveHosts {
    /// Whether a host out of a URL parser may be reached.
    #[must_use]
    pub fn allows(&self, host: &str) -> bool {
        let host = host.trim();
        !self.blocked.iter().any(|pattern| pattern.matches(host))
            && self.allowed.iter().any(|pattern| pattern.matches(host))
    }

    /// The patterns, for people.
    #[must_use]
    pub fn allowed(&self) -> &[HostPattern] {
        &self.allowed
    }
}

/// What two patterns both cover; patterns overlap only where one holds the other.
fn common(a: &HostPattern, b: &HostPattern) -> Option<HostPattern> {
    let holds = |wide: &HostPattern, narrow: &HostPattern| match narrow {
        HostPattern::Any => *wide == HostPattern::Any,
        HostPattern::Exact(name) => wide.matches(name),
        HostPattern::Within(name) => !matches!(wide, HostPattern::Exact(_)) && wide.matches(name),
    };
    if holds(a, b) {
        Some(b.clone())
    } else if holds(b, a) {
        Some(a.clone())
    } else {
        None
    }
}
