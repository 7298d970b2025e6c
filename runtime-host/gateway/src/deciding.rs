//! Envelopes on their way past plugins: who only listens gets a copy, who decides is waited for.
//!
//! What it is not: a decision. Invariant: one question is open for a connection at most; while it is, nothing further is read from that
//! connection and from that one alone, so its envelopes keep their order; and every question ends, by an answer, at its deadline, or with
//! its connection. A client that says goodbye is heard after what it sent before; one that is torn away, or sent away, takes with it what
//! nobody has decided about.

use crate::{
    conn::Pending,
    frame,
    hub::{ConnRef, Hub},
    metrics::Metrics,
    plugins::{Ask, Interest, Offered, OfferedKind, Outcome, Subject, SubjectKind, Topic},
    room::Room,
    shard::{Message, Shard},
};
use bytes::Bytes;
use envelope::{
    catalogue::{EnvelopeType, RateClass},
    decode::Hint,
    reply::{self, EventNames, code},
    verdict::{self, Decision, Effect, EventDirection, Refusal, Verdict},
};
use limits::{
    dispatch::{REASON_CHARS_MAX, RETRY_AFTER_MS},
    validator::CODE_CHARS_MAX,
};
use std::sync::Arc;

/// An envelope that plugins listen to.
#[derive(Debug)]
pub(crate) struct Matter {
    room: Arc<Room>,
    user_id: Arc<str>,
    kind: OfferedKind,
    /// Plugins decide about it.
    pub decides: bool,
}

/// An envelope that waits for a decision.
#[derive(Debug)]
pub(crate) struct Asked {
    pub ticket: u64,
    kind: OfferedKind,
    envelope: Bytes,
    effects: Vec<Effect>,
    r#type: &'static EnvelopeType,
}

/// Who waits for an answer, and since when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    slot: u32,
    since_ms: u32,
}

impl Hub {
    /// What plugins decided about the envelope that waits under `ticket`. May be called on any thread; an answer that comes too late, or
    /// for a connection that is gone, is counted and does nothing.
    pub fn decided(&self, conn: ConnRef, ticket: u64, outcome: Outcome) {
        let shards = self.shards();
        match shards.get(usize::from(conn.shard)) {
            Some(shard) => shard.send(Message::Decided {
                to: conn,
                ticket,
                outcome,
            }),
            None => tracing::error!(
                shard = conn.shard,
                "a decision names a shard that does not exist"
            ),
        }
    }
}

impl Topic {
    /// What plugins may listen to of this type; each of the two has a rate class of its own.
    fn of(envelope: &EnvelopeType) -> Option<Self> {
        match envelope.rate {
            RateClass::Chat => Some(Self::Chat),
            RateClass::PluginEvent => Some(Self::PluginEvent),
            _ => None,
        }
    }
}

impl Shard {
    /// Whether plugins want anything of a legal envelope, and what.
    pub(crate) fn matter(
        &mut self,
        slot: u32,
        decision: &Decision,
        outgoing: &[u8],
        envelope: Option<&'static EnvelopeType>,
    ) -> Option<Matter> {
        let plugins = self.hub.plugins.get()?;
        let topic = Topic::of(envelope?)?;
        let listens = plugins.listens(topic);
        let channels = topic == Topic::Chat && plugins.listens(Topic::Channels);
        if !listens && !channels {
            return None;
        }
        let plugins = plugins.clone();
        let server_id = decision.effects.iter().find_map(sent_to)?;
        let (room, user_id) = self.joined_room(slot, server_id)?;
        let hint = Hint::scan(outgoing);
        if channels && let Some(channel) = hint.text("channelId") {
            room.note_channel(&channel);
        }
        if !listens {
            return None;
        }
        let (plugin_id, event_name) = match topic {
            Topic::PluginEvent => (hint.text("pluginId")?, hint.text("eventName")?),
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
            interest => Some(Matter {
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
        matter: &Matter,
        envelope: Bytes,
        ask: Option<Ask>,
    ) -> Option<Offered> {
        let person = self.conn(slot)?.session.as_ref()?.person.as_ref()?;
        Some(Offered {
            server_id: matter.room.server_id.clone(),
            kind: matter.kind.clone(),
            envelope,
            sender_id: matter.user_id.clone(),
            sender_name: person.profile.display_name.clone(),
            author: None,
            ask,
            hops: 0,
        })
    }

    /// A copy of an envelope that was sent, for those who only listen.
    pub(crate) fn inform(&mut self, slot: u32, matter: &Matter, envelope: Vec<u8>) {
        if let Some(offered) = self.offered(slot, matter, envelope.into(), None) {
            self.hub.inform(offered);
        }
    }

    /// Pauses the connection until plugins have decided about its envelope.
    pub(crate) fn ask_plugins(
        &mut self,
        slot: u32,
        matter: &Matter,
        envelope: Vec<u8>,
        effects: Vec<Effect>,
        r#type: &'static EnvelopeType,
    ) {
        let ask = Ask {
            conn: self.reference(slot),
            ticket: self.next_ticket,
        };
        self.next_ticket += 1;
        let envelope = Bytes::from(envelope);
        let asked = Asked {
            ticket: ask.ticket,
            kind: matter.kind.clone(),
            envelope: envelope.clone(),
            effects,
            r#type,
        };
        let since_ms = self.now_ms;
        let Some(offered) = self.offered(slot, matter, envelope, Some(ask)) else {
            return;
        };
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        session.pending = Some(Box::new(Pending::Plugins(asked)));
        self.waiting.insert(ask.ticket, Waiting { slot, since_ms });
        self.hub.metrics.plugin_waiting.inc();
        if !self.hub.offer(offered, "decide")
            && let Some(asked) = self.take_asked(slot, ask.ticket)
        {
            self.postpone(slot, &asked, "plugins have no room for it");
        }
    }

    /// Plugins have decided.
    pub(crate) fn decided(&mut self, to: ConnRef, ticket: u64, outcome: Outcome) {
        let asked = self
            .resolve(to)
            .and_then(|slot| Some((slot, self.take_asked(slot, ticket)?)));
        let Some((slot, asked)) = asked else {
            return Metrics::count(&self.hub.metrics.plugin_decisions, "late");
        };
        Metrics::count(&self.hub.metrics.plugin_decisions, outcome.name());
        self.make_ready(slot);
        match outcome {
            Outcome::Relay => self.pass_on(slot, &asked),
            Outcome::Rewrite(bytes) => self.rewritten(slot, asked, &bytes),
            Outcome::Consume => {}
            Outcome::Refuse { code, message } => {
                self.refused_by_plugin(slot, &asked, &code, &message)
            }
            Outcome::Failed => self.postpone(slot, &asked, "a plugin that decides about it failed"),
        }
    }

    /// Takes the envelope that waits under `ticket`; the connection is paused no longer.
    fn take_asked(&mut self, slot: u32, ticket: u64) -> Option<Asked> {
        let session = self.conn(slot)?.session.as_mut()?;
        let pending = session.pending.take_if(
            |pending| matches!(&**pending, Pending::Plugins(asked) if asked.ticket == ticket),
        )?;
        self.forget_ticket(ticket);
        match *pending {
            Pending::Plugins(asked) => Some(asked),
            _ => None,
        }
    }

    /// Nobody waits under `ticket` any more.
    pub(crate) fn forget_ticket(&mut self, ticket: u64) {
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
        let is_late = |waiting: &Waiting| now_ms.wrapping_sub(waiting.since_ms) >= most_ms;
        let late: Vec<(u64, u32)> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| is_late(waiting))
            .map(|(ticket, waiting)| (*ticket, waiting.slot))
            .collect();
        for (ticket, slot) in late {
            let Some(asked) = self.take_asked(slot, ticket) else {
                continue;
            };
            Metrics::count(&self.hub.metrics.plugin_decisions, "deadline");
            self.hub.alarm(|| {
                tracing::warn!(
                    kind = asked.r#type.name,
                    "plugins did not decide in time; the envelope was refused"
                )
            });
            self.make_ready(slot);
            self.postpone(
                slot,
                &asked,
                "a plugin that decides about it did not answer in time",
            );
        }
    }

    /// Sends what waited, if its sender is still where it spoke.
    fn pass_on(&mut self, slot: u32, asked: &Asked) {
        let joined = asked
            .effects
            .iter()
            .filter_map(sent_to)
            .all(|server_id| self.joined_room(slot, server_id).is_some());
        if !joined {
            let message = "you have left the server while a plugin decided";
            return self.refuse(slot, &refusal(asked, code::NOT_A_MEMBER, message, None));
        }
        let frame = frame::text(&asked.envelope);
        let hint = Hint::scan(&asked.envelope);
        for effect in &asked.effects {
            self.perform_one(slot, effect, Some(&frame), &hint, Some(asked.r#type));
        }
    }

    /// What a plugin made of an envelope is judged as if its sender had sent it: no plugin can forge a sender or pass a schema by.
    fn rewritten(&mut self, slot: u32, mut asked: Asked, bytes: &Bytes) {
        let hint = Hint::scan(bytes);
        let is_same = Hint::kind_only(bytes).is_some_and(|kind| std::ptr::eq(kind, asked.r#type))
            && names(&asked.kind).is_none_or(|(plugin, event)| {
                hint.text("pluginId").as_deref() == Some(plugin)
                    && hint.text("eventName").as_deref() == Some(event)
            })
            && asked
                .effects
                .iter()
                .filter_map(sent_to)
                .all(|server_id| hint.server_id.as_deref() == Some(server_id));
        let verdict = if is_same {
            self.verdict(slot, bytes, &hint)
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
            let kind = asked.r#type.name;
            self.hub.alarm(|| {
                tracing::warn!(
                    kind,
                    same = is_same,
                    "a plugin rewrote an envelope into one that is not legal; it was not sent"
                )
            });
            let message = "a plugin changed it into something that is not legal; it was not sent";
            return self.refuse(slot, &refusal(&asked, code::INTERNAL, message, None));
        };
        (asked.envelope, asked.effects) = (envelope.into(), effects);
        self.pass_on(slot, &asked);
    }

    fn refused_by_plugin(&mut self, slot: u32, asked: &Asked, code: &str, message: &str) {
        let legal = (1..=CODE_CHARS_MAX).contains(&code.len())
            && code
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        let code = if legal { code } else { code::PLUGIN_REFUSED };
        let message: String = message.chars().take(REASON_CHARS_MAX).collect();
        self.refuse(slot, &refusal(asked, code, &message, None));
    }

    /// Nobody decided: nothing is sent, and the sender may try again.
    fn postpone(&mut self, slot: u32, asked: &Asked, why: &str) {
        let message = format!("{why}; nothing was sent, try again");
        self.refuse(
            slot,
            &refusal(
                asked,
                code::PLUGIN_UNAVAILABLE,
                &message,
                Some(RETRY_AFTER_MS),
            ),
        );
    }
}

impl Hub {
    /// Offers an envelope that was sent already; a full queue is counted and costs nobody else anything.
    pub(crate) fn inform(&self, offered: Offered) {
        self.offer(offered, "inform");
    }

    fn offer(&self, offered: Offered, how: &'static str) -> bool {
        let taken = self
            .plugins
            .get()
            .is_some_and(|plugins| plugins.offer(offered));
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
fn names(kind: &OfferedKind) -> Option<(&str, &str)> {
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
fn refusal(asked: &Asked, code: &str, message: &str, retry_after_ms: Option<u64>) -> Refusal {
    let hint = Hint::scan(&asked.envelope);
    let request_id = hint.request_id();
    match names(&asked.kind) {
        Some((plugin_id, event_name)) => {
            let names = EventNames {
                server_id: hint.server_id.clone(),
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
                Some(asked.r#type.name),
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
    use super::Topic;
    use envelope::catalogue::CATALOGUE;

    #[test]
    fn each_topic_is_one_type() {
        let types = |topic| {
            CATALOGUE
                .iter()
                .filter(|kind| Topic::of(kind) == Some(topic))
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
