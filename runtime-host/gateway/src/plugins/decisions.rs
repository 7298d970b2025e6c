//! Envelopes that plugins listen to: plugins that only listen get a copy, and an envelope that plugins decide about waits for the decision.
//!
//! At most one decision is pending for a connection. Until then nothing further is read from that connection and from that one alone, so its
//! envelopes keep their order. Every pending decision ends: by an answer, at its deadline, or with its connection. An orderly close waits
//! behind the envelopes sent before it; a lost or expelled connection takes its pending envelope with it.

use crate::{
    frame,
    hub::Hub,
    metrics::Metrics,
    room::Room,
    shard::{Message, Shard, connection::Pending},
};
use bytes::Bytes;
use envelope::{
    Scan,
    catalogue::{EnvelopeType, RateClass},
    reply::{self, EventNames, code},
    verdict::{self, Decision, Effect, EventDirection, Refusal, Verdict},
};
use limits::{
    dispatch::{REASON_CHARS_MAX, RETRY_AFTER_MS},
    validator::CODE_CHARS_MAX,
};
use plugin_bus::{
    DecisionRequest, Interest, Offer, OfferKind, Outcome, Subject, SubjectKind, Ticket, Topic,
};
use std::sync::Arc;

/// Bits of a [`Ticket`] that count; the ones above them name the shard.
const TICKET_COUNTER_BITS: u32 = 48;

/// Routing data of an envelope that at least one plugin listens to.
#[derive(Debug)]
pub(crate) struct PluginInterest {
    room: Arc<Room>,
    user_id: Arc<str>,
    kind: OfferKind,
    /// Plugins decide about it.
    pub decides: bool,
}

/// An envelope that waits for a decision.
#[derive(Debug)]
pub(crate) struct PendingDecision {
    pub ticket: Ticket,
    kind: OfferKind,
    envelope: Bytes,
    effects: Vec<Effect>,
    r#type: &'static EnvelopeType,
}

/// Which connection waits for a decision, and since when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    slot: u32,
    since_ms: u32,
}

/// The first ticket of a shard. A shard counts up from it, so that a ticket names its shard.
pub(crate) fn first_ticket(shard: u16) -> Ticket {
    Ticket(u64::from(shard) << TICKET_COUNTER_BITS)
}

impl Hub {
    /// Hands a decision to the shard that waits for it. Callable from any thread. An answer that comes too late, or for a connection that
    /// has closed, is counted and has no effect.
    pub fn decided(&self, ticket: Ticket, outcome: Outcome) {
        let shards = self.shards();
        match shards.get((ticket.0 >> TICKET_COUNTER_BITS) as usize) {
            Some(shard) => shard.send(Message::Decided { ticket, outcome }),
            None => tracing::error!(?ticket, "a decision names a shard that does not exist"),
        }
    }
}

/// The topic of an envelope type, if plugins can listen to it; both types have a rate class of their own.
fn topic_of(envelope: &EnvelopeType) -> Option<Topic> {
    match envelope.rate {
        RateClass::Chat => Some(Topic::Chat),
        RateClass::PluginEvent => Some(Topic::PluginEvent),
        _ => None,
    }
}

impl Shard {
    /// What plugins want of a validated envelope, if anything.
    pub(crate) fn plugin_interest(
        &mut self,
        slot: u32,
        decision: &Decision,
        scan: &Scan<'_>,
        envelope: Option<&'static EnvelopeType>,
    ) -> Option<PluginInterest> {
        let plugins = self.hub.plugins.get()?;
        let topic = topic_of(envelope?)?;
        let listens = plugins.listens(topic);
        let channels = topic == Topic::Chat && plugins.listens(Topic::Channels);
        if !listens && !channels {
            return None;
        }
        let plugins = plugins.clone();
        let server_id = decision.effects.iter().find_map(sent_to)?;
        let (room, user_id) = self.joined_room(slot, server_id)?;
        if channels && let Some(channel) = scan.channel_id() {
            room.note_channel(&channel);
        }
        if !listens {
            return None;
        }
        let (plugin_id, event_name) = match topic {
            Topic::PluginEvent => (scan.plugin_id()?, scan.event_name()?),
            _ => Default::default(),
        };
        let kind = match topic {
            Topic::PluginEvent => {
                let direction = room.view().direction(&plugin_id, &event_name);
                let client_to_server = direction == Some(EventDirection::ClientToServer);
                SubjectKind::PluginEvent {
                    plugin_id: &plugin_id,
                    event_name: &event_name,
                    client_to_server,
                }
            }
            _ => SubjectKind::Chat,
        };
        match plugins.interest(&Subject { server_id, kind }) {
            Interest::None => None,
            interest => Some(PluginInterest {
                room,
                user_id,
                kind: kind.into(),
                decides: interest == Interest::Decide,
            }),
        }
    }

    fn offered(
        &mut self,
        slot: u32,
        interest: &PluginInterest,
        envelope: Bytes,
        decision: Option<DecisionRequest>,
    ) -> Option<Offer> {
        let person = self.conn(slot)?.session.as_ref()?.person.as_ref()?;
        Some(Offer {
            server_id: interest.room.server_id.clone(),
            kind: interest.kind.clone(),
            envelope,
            sender_id: interest.user_id.clone(),
            sender_name: person.profile.display_name.clone(),
            author: None,
            decision,
            hops: 0,
        })
    }

    /// Gives a copy of a sent envelope to the plugins that only listen.
    pub(crate) fn inform(&mut self, slot: u32, interest: &PluginInterest, envelope: Vec<u8>) {
        if let Some(offered) = self.offered(slot, interest, envelope.into(), None) {
            self.hub.inform(offered);
        }
    }

    /// Pauses the connection until plugins have decided about its envelope.
    pub(crate) fn ask_plugins(
        &mut self,
        slot: u32,
        interest: &PluginInterest,
        envelope: Vec<u8>,
        effects: Vec<Effect>,
        r#type: &'static EnvelopeType,
    ) {
        let ticket = self.next_ticket;
        self.next_ticket.0 += 1;
        let request = DecisionRequest {
            ticket,
            limit_ms: self.hub.config.decision_max_ms(),
        };
        let envelope = Bytes::from(envelope);
        let pending = PendingDecision {
            ticket,
            kind: interest.kind.clone(),
            envelope: envelope.clone(),
            effects,
            r#type,
        };
        let since_ms = self.now_ms;
        let Some(offered) = self.offered(slot, interest, envelope, Some(request)) else {
            return;
        };
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        session.pending = Some(Box::new(Pending::Plugins(pending)));
        self.waiting.insert(ticket, Deadline { slot, since_ms });
        self.hub.metrics.plugin_waiting.inc();
        if !self.hub.offer(offered, "decide")
            && let Some(pending) = self.take_pending(slot, ticket)
        {
            self.postpone(slot, &pending, "plugins have no room for it");
        }
    }

    /// Plugins have decided.
    pub(crate) fn decided(&mut self, ticket: Ticket, outcome: Outcome) {
        let slot = self.waiting.get(&ticket).map(|waiting| waiting.slot);
        let pending = slot.and_then(|slot| Some((slot, self.take_pending(slot, ticket)?)));
        let Some((slot, pending)) = pending else {
            return Metrics::count(&self.hub.metrics.plugin_decisions, "late");
        };
        Metrics::count(&self.hub.metrics.plugin_decisions, outcome.name());
        self.make_ready(slot);
        match outcome {
            Outcome::Relay => self.pass_on(slot, &pending),
            Outcome::Rewrite(bytes) => self.rewritten(slot, pending, &bytes),
            Outcome::Consume => {}
            Outcome::Refuse { code, message } => {
                self.refused_by_plugin(slot, &pending, &code, &message)
            }
            Outcome::Failed => {
                self.postpone(slot, &pending, "a plugin that decides about it failed")
            }
        }
    }

    /// Takes the envelope that waits under `ticket`; the connection is paused no longer.
    fn take_pending(&mut self, slot: u32, ticket: Ticket) -> Option<PendingDecision> {
        let session = self.conn(slot)?.session.as_mut()?;
        let pending = session.pending.take_if(
            |pending| matches!(&**pending, Pending::Plugins(pending) if pending.ticket == ticket),
        )?;
        self.forget_ticket(ticket);
        match *pending {
            Pending::Plugins(pending) => Some(pending),
            _ => None,
        }
    }

    /// Removes a ticket whose decision is not awaited any more.
    pub(crate) fn forget_ticket(&mut self, ticket: Ticket) {
        if let Some(waiting) = self.waiting.remove(&ticket) {
            let metrics = &self.hub.metrics;
            metrics.plugin_waiting.dec();
            metrics
                .plugin_decision_seconds
                .observe(f64::from(self.now_ms.wrapping_sub(waiting.since_ms)) / 1_000.0);
        }
    }

    /// Refuses what has waited too long; called with the clock.
    pub(crate) fn end_overdue_decisions(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let (now_ms, most_ms) = (self.now_ms, self.hub.config.decision_max_ms());
        let is_late = |waiting: &Deadline| now_ms.wrapping_sub(waiting.since_ms) >= most_ms;
        let late: Vec<(Ticket, u32)> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| is_late(waiting))
            .map(|(ticket, waiting)| (*ticket, waiting.slot))
            .collect();
        for (ticket, slot) in late {
            let Some(pending) = self.take_pending(slot, ticket) else {
                continue;
            };
            Metrics::count(&self.hub.metrics.plugin_decisions, "deadline");
            self.hub.alarm(|| {
                tracing::warn!(
                    kind = pending.r#type.name,
                    "plugins did not decide in time; the envelope was refused"
                )
            });
            self.make_ready(slot);
            self.postpone(
                slot,
                &pending,
                "a plugin that decides about it did not answer in time",
            );
        }
    }

    /// Sends what waited, if its sender is still where it spoke.
    fn pass_on(&mut self, slot: u32, pending: &PendingDecision) {
        let joined = pending
            .effects
            .iter()
            .filter_map(sent_to)
            .all(|server_id| self.joined_room(slot, server_id).is_some());
        if !joined {
            let message = "you have left the server while a plugin decided";
            return self.refuse(slot, &refusal(pending, code::NOT_A_MEMBER, message, None));
        }
        let frame = frame::text(&pending.envelope);
        let scan = Scan::new(&pending.envelope);
        for effect in &pending.effects {
            self.perform_one(slot, effect, Some(&frame), &scan, Some(pending.r#type));
        }
    }

    /// Validates a rewritten envelope as if its sender had sent it: a plugin can neither forge a sender nor avoid a schema.
    fn rewritten(&mut self, slot: u32, mut pending: PendingDecision, bytes: &Bytes) {
        let scan = Scan::new(bytes);
        let is_same = scan
            .envelope_type()
            .is_some_and(|kind| std::ptr::eq(kind, pending.r#type))
            && names(&pending.kind).is_none_or(|(plugin, event)| {
                scan.plugin_id().as_deref() == Some(plugin)
                    && scan.event_name().as_deref() == Some(event)
            })
            && pending
                .effects
                .iter()
                .filter_map(sent_to)
                .all(|server_id| scan.server_id().as_deref() == Some(server_id));
        let verdict = if is_same {
            self.verdict(slot, bytes, &scan)
        } else {
            Ok(Verdict::Pass)
        };
        let decision = match verdict {
            Ok(Verdict::Route(decision)) => Some(decision),
            _ => None,
        };
        let stamped = decision.and_then(|decision| {
            Some((verdict::apply(bytes, &decision.patches)?, decision.effects))
        });
        let Some((envelope, effects)) = stamped else {
            Metrics::count(&self.hub.metrics.plugin_decisions, "bad_rewrite");
            let kind = pending.r#type.name;
            self.hub.alarm(|| {
                tracing::warn!(
                    kind,
                    same = is_same,
                    "a plugin rewrote an envelope into one that is not legal; it was not sent"
                )
            });
            let message = "a plugin changed it into something that is not legal; it was not sent";
            return self.refuse(slot, &refusal(&pending, code::INTERNAL, message, None));
        };
        (pending.envelope, pending.effects) = (envelope.into(), effects);
        self.pass_on(slot, &pending);
    }

    fn refused_by_plugin(
        &mut self,
        slot: u32,
        pending: &PendingDecision,
        code: &str,
        message: &str,
    ) {
        let legal = (1..=CODE_CHARS_MAX).contains(&code.len())
            && code
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        let code = if legal { code } else { code::PLUGIN_REFUSED };
        let message: String = message.chars().take(REASON_CHARS_MAX).collect();
        self.refuse(slot, &refusal(pending, code, &message, None));
    }

    /// Refuses an envelope without a decision; the sender may try again.
    fn postpone(&mut self, slot: u32, pending: &PendingDecision, why: &str) {
        let message = format!("{why}; nothing was sent, try again");
        self.refuse(
            slot,
            &refusal(
                pending,
                code::PLUGIN_UNAVAILABLE,
                &message,
                Some(RETRY_AFTER_MS),
            ),
        );
    }
}

impl Hub {
    /// Offers an envelope that was sent already. A full queue is counted and delays no sender.
    pub(crate) fn inform(&self, offer: Offer) {
        self.offer(offer, "inform");
    }

    fn offer(&self, offer: Offer, how: &'static str) -> bool {
        let taken = self
            .plugins
            .get()
            .is_some_and(|plugins| plugins.offer(offer));
        Metrics::count(
            &self.metrics.plugin_offers,
            if taken { how } else { "dropped" },
        );
        if !taken {
            self.alarm(|| tracing::warn!(how, "plugins have no room for an envelope"));
        }
        taken
    }
}

/// The server whose members an effect sends to.
fn sent_to(effect: &Effect) -> Option<&str> {
    match effect {
        Effect::Broadcast(server_id)
        | Effect::SendToMember { server_id, .. }
        | Effect::SendToPlugin { server_id, .. } => Some(server_id),
        _ => None,
    }
}

/// Plugin and event, of a plugin event.
fn names(kind: &OfferKind) -> Option<(&str, &str)> {
    match kind.as_subject() {
        SubjectKind::PluginEvent {
            plugin_id,
            event_name,
            ..
        } => Some((plugin_id, event_name)),
        SubjectKind::Chat => None,
    }
}

/// Tells the sender in the words that its envelope's type calls for.
fn refusal(
    pending: &PendingDecision,
    code: &str,
    message: &str,
    retry_after_ms: Option<u64>,
) -> Refusal {
    let scan = Scan::new(&pending.envelope);
    let request_id = scan.request_id();
    match names(&pending.kind) {
        Some((plugin_id, event_name)) => {
            let names = EventNames {
                server_id: scan.server_id(),
                plugin_id: Some(plugin_id.into()),
                event_name: Some(event_name.into()),
                request_id,
            };
            reply::postpone_event(code, message, &names, retry_after_ms)
        }
        None => {
            let body = reply::error(
                code,
                message,
                Some(pending.r#type.name),
                request_id.as_deref(),
                retry_after_ms,
            );
            Refusal {
                code: code.to_owned(),
                reply: body,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::topic_of;
    use envelope::catalogue::CATALOGUE;
    use plugin_bus::Topic;

    #[test]
    fn each_topic_is_one_type() {
        let types = |topic| {
            CATALOGUE
                .iter()
                .filter(|kind| topic_of(kind) == Some(topic))
                .map(|kind| kind.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (types(Topic::Chat), types(Topic::PluginEvent)),
            (vec!["chat_message"], vec!["plugin_event"])
        );
        assert!(types(Topic::Channels).is_empty());
    }
}
