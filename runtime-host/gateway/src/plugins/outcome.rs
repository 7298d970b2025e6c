//! What follows from the decision of plugins about an envelope that waited for it.

use crate::{
    frame,
    metrics::Metrics,
    plugins::offer::{HeldEnvelope, sent_to},
    session::{
        Sessions,
        pending::{Unavailable, Wait, event_names},
        refusals::Reason,
    },
};
use bytes::Bytes;
use envelope::{
    Scan,
    reply::code,
    verdict::{self, Verdict},
};
use limits::{dispatch::REASON_CHARS_MAX, validator::CODE_CHARS_MAX};
use plugin_bus::Outcome;

impl Sessions {
    /// Acts on the decision of plugins.
    pub(crate) fn act_on_outcome(
        &mut self,
        slot: u32,
        held: HeldEnvelope,
        request_id: Option<&str>,
        outcome: Outcome,
    ) {
        Metrics::count(&self.hub().metrics.plugin_decisions, outcome.name());
        match outcome {
            Outcome::Relay => self.relay(slot, held, request_id),
            Outcome::Rewrite(bytes) => self.rewrite(slot, held, request_id, &bytes),
            Outcome::Consume => {}
            Outcome::Refuse { code, message } => {
                let code = if is_code(&code) {
                    &code
                } else {
                    code::PLUGIN_REFUSED
                };
                let message: String = message.chars().take(REASON_CHARS_MAX).collect();
                let reason = Reason::new(code, message);
                self.refuse_pending(slot, &Wait::Plugins(held), request_id, reason);
            }
            Outcome::Failed => {
                let why = "a plugin that decides about it failed";
                self.postpone(slot, &Wait::Plugins(held), request_id, why);
            }
        }
    }

    /// Counts an envelope about which plugins did not decide; the reason as a text for its sender.
    pub(crate) fn count_undecided(&self, held: &HeldEnvelope, why: Unavailable) -> &'static str {
        if why != Unavailable::Deadline {
            return "plugins have no room for it";
        }
        Metrics::count(&self.hub().metrics.plugin_decisions, "deadline");
        self.hub().alarm(|| {
            tracing::warn!(
                kind = held.envelope_type.name,
                "plugins did not decide in time; the envelope was refused"
            )
        });
        "a plugin that decides about it did not answer in time"
    }

    /// Sends the envelope, if its sender is still in the server.
    fn relay(&mut self, slot: u32, held: HeldEnvelope, request_id: Option<&str>) {
        let is_joined = |server_id: &str| self.joined_room(slot, server_id).is_some();
        if !held.effects.iter().filter_map(sent_to).all(is_joined) {
            let message = "you have left the server while a plugin decided";
            let reason = Reason::new(code::NOT_A_MEMBER, message);
            return self.refuse_pending(slot, &Wait::Plugins(held), request_id, reason);
        }
        let (frame, scan) = (frame::text(&held.envelope), Scan::new(&held.envelope));
        for effect in &held.effects {
            self.perform_one(slot, effect, Some(&frame), &scan);
        }
    }

    /// Validates a rewritten envelope as if its sender had sent it: a plugin can neither forge a sender nor avoid a
    /// schema.
    fn rewrite(
        &mut self,
        slot: u32,
        mut held: HeldEnvelope,
        request_id: Option<&str>,
        bytes: &Bytes,
    ) {
        let scan = Scan::new(bytes);
        let is_same = is_same_subject(&held, &scan);
        let verdict = if is_same {
            self.validate(slot, &scan)
        } else {
            Ok(Verdict::Pass)
        };
        if let Ok(Verdict::Route(decision)) = verdict
            && let Some(envelope) = verdict::apply(bytes, &decision.patches)
        {
            (held.envelope, held.effects) = (envelope.into(), decision.effects);
            return self.relay(slot, held, request_id);
        }
        Metrics::count(&self.hub().metrics.plugin_decisions, "bad_rewrite");
        self.hub().alarm(|| {
            tracing::warn!(
                kind = held.envelope_type.name,
                same = is_same,
                "a plugin rewrote an envelope into one that is not legal; it was not sent"
            )
        });
        let message = "a plugin changed it into something that is not legal; it was not sent";
        let reason = Reason::new(code::INTERNAL, message);
        self.refuse_pending(slot, &Wait::Plugins(held), request_id, reason);
    }
}

/// Whether a rewritten envelope has the same type, server, plugin and event.
fn is_same_subject(held: &HeldEnvelope, scan: &Scan<'_>) -> bool {
    let is_same_type = scan
        .envelope_type()
        .is_some_and(|kind| std::ptr::eq(kind, held.envelope_type));
    let is_same_event = event_names(&held.kind).is_none_or(|(plugin_id, event_name)| {
        scan.plugin_id().as_deref() == Some(plugin_id)
            && scan.event_name().as_deref() == Some(event_name)
    });
    let mut servers = held.effects.iter().filter_map(sent_to);
    is_same_type
        && is_same_event
        && servers.all(|server_id| scan.server_id().as_deref() == Some(server_id))
}

/// Whether a plugin's code of a refusal may go to a client.
fn is_code(code: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=CODE_CHARS_MAX).contains(&code.len()) && code.bytes().all(is_legal)
}
