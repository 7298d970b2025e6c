//! What one plugin may do now: its manifest, its grants and the operator's policy, asked at every call that needs a capability.
//!
//! What it is not: the decision itself, which is [`capability::decide`] and nothing else. Invariant: grants and revocations act at the next
//! call (T27), and every decision is in the audit log, equal allowed ones of a minute as one entry with a count.

use super::bindings::jackfield::plugin::types::{ErrorCode, PluginError};
use arc_swap::ArcSwap;
use capability::{Asked, CapabilityId, Decision, Outcome, PluginRules, Policy, Refusal, Target};
use limits::plugin as bounds;
use std::sync::Arc;
use storage::{AuditDecision, AuditEntry, ConsentState, PluginStore};

/// What decides about one plugin.
pub(crate) struct Authority {
    plugin: Arc<str>,
    /// Replaced when a grant changes.
    pub(crate) rules: ArcSwap<PluginRules>,
    /// Replaced when a kill switch or the operator's policy changes.
    policy: Arc<ArcSwap<Policy>>,
    store: PluginStore,
}

impl Authority {
    pub(crate) fn new(plugin: Arc<str>, rules: PluginRules, policy: Arc<ArcSwap<Policy>>, store: PluginStore) -> Self {
        Self { plugin, rules: ArcSwap::from_pointee(rules), policy, store }
    }

    /// What would be decided now.
    pub(crate) fn decide(&self, asked: &Asked<'_>) -> Decision {
        capability::decide(asked, &self.rules.load(), &self.policy.load())
    }

    /// Decides about a call and notes the decision; a call that needs a person's consent asks for it.
    ///
    /// # Errors
    /// `not-declared`, `not-granted`, `denied` or `consent-pending`, with the capability, the target and the reason.
    pub(crate) async fn demand(&self, folds: &mut Folds, id: CapabilityId, target: Target<'_>) -> Result<(), PluginError> {
        let asked = Asked { id, target };
        let decision = self.decide(&asked);
        if decision.outcome == Outcome::Allow {
            if let Some(entry) = folds.allowed(self, &asked, decision) {
                self.store.audit(entry);
            }
            return Ok(());
        }
        self.store.audit(self.entry(&asked, decision, 1));
        let code = match decision.ground.refusal() {
            _ if decision.outcome == Outcome::Ask => return Err(self.ask(&asked, decision).await),
            Refusal::NotDeclared => ErrorCode::NotDeclared,
            Refusal::NotGranted => ErrorCode::NotGranted,
            Refusal::Policy => ErrorCode::Denied,
        };
        Err(super::imports::error(code, format!("{id}{}: {}", shown(&asked.target), decision.ground.reason())))
    }

    /// Asks a person; equal questions are one.
    async fn ask(&self, asked: &Asked<'_>, decision: Decision) -> PluginError {
        let target = asked.target.to_string();
        let reason = decision.ground.reason();
        match self.store.ask_consent(&self.plugin, asked.id, &target, reason).await {
            Ok(consent) if consent.state == ConsentState::Denied => {
                super::imports::error(ErrorCode::NotGranted, format!("{}{}: a person refused it", asked.id, shown(&asked.target)))
            }
            Ok(consent) => PluginError {
                code: ErrorCode::ConsentPending,
                message: format!("{}{}: a person has to allow it first", asked.id, shown(&asked.target)),
                details: Some(serde_json::json!({"consent": consent.id}).to_string()),
            },
            Err(error) => super::imports::stored(&error),
        }
    }

    fn entry(&self, asked: &Asked<'_>, decision: Decision, count: u64) -> AuditEntry {
        AuditEntry {
            at_ms: super::now_ms(),
            plugin: self.plugin.to_string(),
            capability: asked.id.as_str().to_owned(),
            target: asked.target.to_string(),
            decision: match decision.outcome {
                Outcome::Allow => AuditDecision::Allowed,
                Outcome::Deny => AuditDecision::Denied,
                Outcome::Ask => AuditDecision::NeedsApproval,
            },
            layer: decision.layer,
            reason: decision.ground.reason().to_owned(),
            count,
        }
    }
}

fn shown(target: &Target<'_>) -> String {
    match target {
        Target::Any => String::new(),
        target => format!(" ({target})"),
    }
}

/// Allowed decisions of one instance that are alike and close together, so that a busy plugin does not drown the log.
#[derive(Default)]
pub(crate) struct Folds(Vec<Fold>);

struct Fold {
    id: CapabilityId,
    target: Box<str>,
    since_ms: u64,
    count: u64,
}

impl Folds {
    /// Counts an allowed decision; the entry that is due, if one is.
    fn allowed(&mut self, authority: &Authority, asked: &Asked<'_>, decision: Decision) -> Option<AuditEntry> {
        let now_ms = super::now_ms();
        let known = self.0.iter_mut().find(|fold| fold.id == asked.id && asked.target.is(&fold.target));
        if let Some(fold) = known {
            fold.count += 1;
            if now_ms.saturating_sub(fold.since_ms) < bounds::AUDIT_FOLD_MS {
                return None;
            }
            let count = std::mem::take(&mut fold.count);
            fold.since_ms = now_ms;
            return Some(authority.entry(asked, decision, count));
        }
        if self.0.len() == bounds::AUDIT_FOLDS_MAX {
            self.0.remove(0);
        }
        self.0.push(Fold { id: asked.id, target: asked.target.to_string().into(), since_ms: now_ms, count: 0 });
        Some(authority.entry(asked, decision, 1))
    }
}
