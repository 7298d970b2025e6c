//! The effective host list of a plugin: what the operator allows, intersected with what the manifest asks for, without
//! blocked hosts.
//!
//! Private addresses are checked elsewhere, after a name is resolved (`docs/concepts/sandbox.md`, "Egress rules").

use crate::HostPattern;

/// Hosts that a plugin may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EffectiveHosts {
    allowed: Vec<HostPattern>,
    blocked: Vec<HostPattern>,
}

/// The effective list. An empty `user` list allows no host. A plugin that names no hosts, or `*`, gets all of `user`;
/// otherwise it gets what both lists cover.
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

    /// The allowed patterns, for display.
    #[must_use]
    pub fn allowed(&self) -> &[HostPattern] {
        &self.allowed
    }
}

/// What two patterns both cover: patterns overlap only if one contains the other.
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
