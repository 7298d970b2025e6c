//! What one plugin may do now: manifest, grants and the operator's policy, evaluated at every call that needs a
//! capability.
//!
//! [`capability::decide`] makes every decision; grants and revocations take effect at the next call. Decisions about
//! calls of the plugin and about requests on its route are in the audit log, where equal allowed ones of an instance
//! within a minute are one entry with a count. Whether an envelope, a hook or a tool is delivered to the plugin leaves an
//! entry where it is refused, folded likewise.

pub(crate) mod options;
pub(crate) mod quota;
pub(crate) mod rules;

use crate::bindings::jackfield::plugin::types::{ErrorCode, PluginError};
use arc_swap::ArcSwap;
use capability::{CapabilityId, CapabilityUse, Decision, Outcome, Policy, Reason, Refusal, Target};
use limits::plugin as bounds;
use parking_lot::Mutex;
use plugin_manifest::Manifest;
use plugin_store::{AuditDecision, AuditEntry, ConsentState, NewConsent, PluginStore};
use rules::CurrentRules;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// The rules of one plugin and the record of its decisions.
pub(crate) struct Authority {
    manifest: Arc<Manifest>,
    /// Replaced when a grant changes or expires.
    rules: ArcSwap<CurrentRules>,
    /// Replaced when a kill switch or the operator's policy changes.
    policy: Arc<ArcSwap<Policy>>,
    store: PluginStore,
    /// Decisions about incoming calls, which no instance makes.
    audit: Mutex<AuditAggregator>,
    /// Counts changes of the rules, for what waits for one.
    changes: watch::Sender<u64>,
    /// Set once, when the instances are to end; the rules then stay those that deny everything.
    closed: Mutex<bool>,
}

impl Authority {
    pub(crate) fn new(
        manifest: Arc<Manifest>,
        rules: CurrentRules,
        policy: Arc<ArcSwap<Policy>>,
        store: PluginStore,
    ) -> Self {
        Self {
            manifest,
            rules: ArcSwap::from_pointee(rules),
            policy,
            store,
            audit: Mutex::default(),
            changes: watch::Sender::new(0),
            closed: Mutex::new(false),
        }
    }

    /// Replaces the rules; they take effect at the next call. Rules of a closed authority stay as they are.
    pub(crate) fn replace(&self, rules: CurrentRules) {
        let closed = self.closed.lock();
        if !*closed {
            self.rules.store(Arc::new(rules));
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Denies every call from now on, for good.
    pub(crate) fn close(&self) {
        let mut closed = self.closed.lock();
        *closed = true;
        self.rules.store(Arc::new(CurrentRules::nothing()));
        self.changes.send_modify(|count| *count += 1);
    }

    /// Receives a count at each change of the rules.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Records a decision of [`Authority::decide`] in the audit log, and how long what was allowed took, where that is
    /// known.
    pub(crate) fn note(
        &self,
        asked: &CapabilityUse<'_>,
        decision: Decision,
        took: Option<Duration>,
    ) {
        let mut entry = self.entry(asked, decision, 1);
        entry.duration_us = took.map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.store.audit(entry);
    }

    /// Records that something besides the capability, which allows it, refused a call: a network rule of the operator, or
    /// the server that it concerns.
    pub(crate) fn note_refusal(&self, asked: &CapabilityUse<'_>, why: &str) {
        let decision = Decision::because(Reason::GlobalDeny);
        let mut entry = self.entry(asked, decision, 1);
        entry.reason = why.to_owned();
        self.store.audit(entry);
    }

    /// Whether a kill switch skips what takes part in the host's work: hooks, and the moderation of chat.
    pub(crate) fn skips_hooks(&self) -> bool {
        self.policy.load().kill.skip_hooks.is_some()
    }

    /// Whether something is delivered to the plugin now. A refusal is recorded; equal ones within a minute are one entry.
    pub(crate) fn delivers(&self, asked: &CapabilityUse<'_>) -> bool {
        let decision = self.decide(asked);
        if !decision.is_allowed() {
            self.audit.lock().count(self, asked, decision);
        }
        decision.is_allowed()
    }

    /// The decision now, without recording it.
    pub(crate) fn decide(&self, asked: &CapabilityUse<'_>) -> Decision {
        let mut current = self.rules.load();
        // The clock is read only where something expires.
        if let Some(end_ms) = current.expires_at_ms
            && let now_ms = crate::now_ms()
            && now_ms >= end_ms
        {
            // A concurrent replacement has rules that are newer, and stays.
            let fresh = Arc::new(current.at(&self.manifest, now_ms));
            self.rules.compare_and_swap(&*current, fresh);
            current = self.rules.load();
        }
        capability::decide(asked, &current.rules, &self.policy.load())
    }

    /// Decides about a call and records the decision. If it needs consent, consent is requested.
    ///
    /// # Errors
    /// `not-declared`, `not-granted`, `denied` or `consent-pending`, with the capability, the target and the reason.
    pub(crate) async fn authorize(
        &self,
        audit: &mut AuditAggregator,
        id: CapabilityId,
        target: Target<'_>,
    ) -> Result<(), PluginError> {
        let asked = CapabilityUse { id, target };
        match self.noted(audit, &asked) {
            decision if decision.is_allowed() => Ok(()),
            decision => Err(self.refusal(&asked, decision).await),
        }
    }

    /// As [`Authority::authorize`], for calls that the host makes on a request, such as one on the plugin's route.
    ///
    /// # Errors
    /// As [`Authority::authorize`].
    pub(crate) async fn authorize_incoming(
        &self,
        id: CapabilityId,
        target: Target<'_>,
    ) -> Result<(), PluginError> {
        let asked = CapabilityUse { id, target };
        let decision = self.noted(&mut self.audit.lock(), &asked);
        if decision.is_allowed() {
            Ok(())
        } else {
            Err(self.refusal(&asked, decision).await)
        }
    }

    /// Decides and records the decision.
    fn noted(&self, audit: &mut AuditAggregator, asked: &CapabilityUse<'_>) -> Decision {
        let decision = self.decide(asked);
        match decision.outcome {
            Outcome::Allow => audit.count(self, asked, decision),
            Outcome::Deny | Outcome::Ask => self.note(asked, decision, None),
        }
        decision
    }

    /// Records the decisions that are counted and not recorded yet; called when their instance ends.
    pub(crate) fn flush(&self, audit: &mut AuditAggregator) {
        for group in audit.0.drain(..) {
            self.note_group(&group);
        }
    }

    fn note_group(&self, group: &AuditGroup) {
        if group.count > 0 {
            let target = Target {
                host: group.host.as_deref(),
                ..Target::ANY
            };
            let asked = CapabilityUse::new(group.id, target);
            self.store
                .audit(self.entry(&asked, group.decision, group.count));
        }
    }

    async fn refusal(&self, asked: &CapabilityUse<'_>, decision: Decision) -> PluginError {
        let code = match decision.refusal() {
            Some(Refusal::ConsentPending) => return self.ask(asked).await,
            Some(Refusal::NotDeclared) => ErrorCode::NotDeclared,
            Some(Refusal::Denied) => ErrorCode::Denied,
            Some(Refusal::NotGranted) | None => ErrorCode::NotGranted,
        };
        crate::imports::error(
            code,
            format!(
                "{} ({}): {}",
                asked.id,
                asked.target,
                decision.reason.text()
            ),
        )
    }

    /// Requests consent, with the reason of the manifest's declaration; equal requests are one.
    pub(crate) async fn ask(&self, asked: &CapabilityUse<'_>) -> PluginError {
        // Consent is requested for a host by name, and for any other target as a whole: one request for each key would
        // be too many.
        let target = match (asked.target.host, asked.target.port) {
            (Some(host), Some(port)) => Target::host(host, port).to_string(),
            (Some(host), None) => host.to_owned(),
            (None, _) => String::new(),
        };
        let reason = self.manifest.reason_for(asked.id).map(str::to_owned);
        self.request_consent(asked.id, target, reason).await
    }

    /// What users have said about the tool with this canonical name: a grant or a denial of `tools.register` for it by
    /// name. A denial wins.
    pub(crate) fn said_of_tool(&self, name: &str) -> Option<Outcome> {
        let (rules, now_ms) = (self.rules.load(), crate::now_ms());
        let names = |grant: &&plugin_store::Grant| {
            grant.capability == CapabilityId::ToolsRegister
                && grant.expires_at_ms.is_none_or(|end| end > now_ms)
                && grant.scope.names.iter().flatten().any(|one| one == name)
        };
        let said = rules.grants.iter().filter(names);
        let said = said.map(|grant| match grant.deny {
            true => Outcome::Deny,
            false => Outcome::Allow,
        });
        // Of both the denial is the greater.
        said.max()
    }

    /// Records that a call of a tool is denied, or waits for a user.
    pub(crate) fn note_tool(&self, name: &str, outcome: Outcome, reason: String) {
        self.store.audit(AuditEntry {
            at_ms: crate::now_ms(),
            plugin: self.manifest.id.to_string(),
            capability: CapabilityId::ToolsRegister.as_str().to_owned(),
            target: Some(name.to_owned()),
            action: "call of a tool".to_owned(),
            decision: recorded(outcome),
            layer: 5,
            reason,
            duration_us: None,
            by: None,
        });
    }

    /// Requests consent to a capability for a target, and says so.
    pub(crate) async fn request_consent(
        &self,
        id: CapabilityId,
        target: String,
        reason: Option<String>,
    ) -> PluginError {
        let question = NewConsent {
            plugin: self.manifest.id.to_string(),
            capability: id,
            target: target.clone(),
            reason,
        };
        match self.store.ask_consent(question).await {
            Ok(consent) if consent.state == ConsentState::Denied => crate::imports::error(
                ErrorCode::NotGranted,
                format!("{id} ({target}): a user refused it"),
            ),
            Ok(consent) => PluginError {
                code: ErrorCode::ConsentPending,
                message: format!("{id} ({target}): a user has to allow it first"),
                details: Some(serde_json::json!({"consent": consent.id}).to_string()),
            },
            Err(error) => crate::imports::store_error(&error),
        }
    }

    fn entry(&self, asked: &CapabilityUse<'_>, decision: Decision, count: u64) -> AuditEntry {
        AuditEntry {
            at_ms: crate::now_ms(),
            plugin: self.manifest.id.to_string(),
            capability: asked.id.as_str().to_owned(),
            target: (asked.target != Target::ANY).then(|| asked.target.to_string()),
            action: if count > 1 {
                format!("{count} calls")
            } else {
                "call".to_owned()
            },
            decision: recorded(decision.outcome),
            layer: decision.layer,
            reason: decision.reason.text().to_owned(),
            duration_us: None,
            by: None,
        }
    }
}

/// An outcome as the audit has it.
const fn recorded(outcome: Outcome) -> AuditDecision {
    match outcome {
        Outcome::Allow => AuditDecision::Allowed,
        Outcome::Deny => AuditDecision::Denied,
        Outcome::Ask => AuditDecision::NeedsApproval,
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let mut audit = std::mem::take(&mut *self.audit.lock());
        self.flush(&mut audit);
    }
}

/// Aggregates equal decisions of one instance, or about what is delivered, within a minute into one audit entry with a
/// count.
#[derive(Default)]
pub(crate) struct AuditAggregator(Vec<AuditGroup>);

struct AuditGroup {
    id: CapabilityId,
    /// The target host. Keys and names are not distinguished; otherwise each would be an entry of its own.
    host: Option<Box<str>>,
    decision: Decision,
    since_ms: u64,
    /// Decisions that are not recorded yet.
    count: u64,
}

impl AuditAggregator {
    /// Counts a decision, and records it if it is the first of its group or the group's minute is over.
    fn count(&mut self, authority: &Authority, asked: &CapabilityUse<'_>, decision: Decision) {
        let now_ms = crate::now_ms();
        let known = self.0.iter_mut().find(|group| {
            group.id == asked.id
                && group.host.as_deref() == asked.target.host
                && group.decision.outcome == decision.outcome
        });
        if let Some(group) = known {
            group.count += 1;
            group.decision = decision;
            if now_ms.saturating_sub(group.since_ms) >= bounds::AUDIT_WINDOW_MS {
                authority.note_group(group);
                group.count = 0;
                group.since_ms = now_ms;
            }
            return;
        }
        if self.0.len() == bounds::AUDIT_AGGREGATES_MAX {
            authority.note_group(&self.0.remove(0));
        }
        self.0.push(AuditGroup {
            id: asked.id,
            host: asked.target.host.map(Into::into),
            decision,
            since_ms: now_ms,
            count: 0,
        });
        authority.note(asked, decision, None);
    }
}
