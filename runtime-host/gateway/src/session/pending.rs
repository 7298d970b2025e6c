//! Envelopes that wait for a reply: of the directory, of plugins, or of a validator that answered `later`.
//!
//! At most one envelope of a connection waits. Until its reply, its deadline or the end of the connection, nothing
//! further is read from that connection and from that one alone, so its envelopes keep their order. The gateway owns
//! the deadline of each wait. A lost connection takes its envelope with it; an orderly close is read after the
//! envelope's end.

use crate::{
    directory::{Answer, JoinQuestion, Question},
    hub::Hub,
    metrics::Metrics,
    plugins::offer::HeldEnvelope,
    session::{
        Sessions,
        identify::Claim,
        refusals::Reason,
        tickets::{Paused, shard_of},
    },
    shard::message::Message,
};
use bytes::Bytes;
use envelope::{
    Scan,
    reply::code,
    verdict::{Access, ValidatorError, Verdict},
};
use limits::{directory::QUESTION_RETRY_AFTER_MS, dispatch::RETRY_AFTER_MS};
use plugin_bus::{OfferKind, Outcome, SubjectKind, Ticket};

/// An envelope that waits.
#[derive(Debug)]
pub(crate) struct Pending {
    ticket: Ticket,
    /// The `requestId` of the envelope, which each refusal repeats.
    request_id: Option<Box<str>>,
    on: Wait,
}

/// What an envelope waits for.
#[derive(Debug)]
pub(crate) enum Wait {
    /// The directory's view of a user that identifies.
    User(Claim),
    /// The binding of a key.
    KeyBinding(Claim),
    /// The directory's view of a server.
    Server {
        /// The request to enter it.
        access: Access,
        /// The server is only viewed.
        view_only: bool,
    },
    /// The directory's decision about a guarded server.
    Join {
        /// The question.
        question: JoinQuestion,
        /// The request to enter it.
        access: Access,
    },
    /// The decision of plugins.
    Plugins(HeldEnvelope),
    /// The verdict of the validator chain, which is asked again at each tick.
    Validator {
        /// The envelope.
        envelope: Bytes,
        /// The number that the chain gave, for the log.
        number: u64,
    },
}

/// The reply to a [`Wait`].
#[derive(Debug)]
pub(crate) enum Reply {
    /// The directory's answer.
    Directory(Answer),
    /// The decision of plugins.
    Plugins(Outcome),
    /// The verdict of the validator chain.
    Validator(Result<Verdict, ValidatorError>),
}

/// Why there is no [`Reply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// Too many others wait already.
    Full,
    /// The question failed.
    Failed,
    /// There was no reply in time.
    Deadline,
}

impl Hub {
    /// Hands a decision of plugins to the shard that waits for it. Callable from any thread. A decision that comes too
    /// late, or for a connection that has closed, is counted and has no effect.
    pub(crate) fn decided(&self, ticket: Ticket, outcome: Outcome) {
        self.reply(ticket, Ok(Reply::Plugins(outcome)));
    }

    /// Hands a reply to the shard that waits for it.
    pub(crate) fn reply(&self, ticket: Ticket, reply: Result<Reply, Unavailable>) {
        let shards = self.shards();
        match shards.get(shard_of(ticket)) {
            Some(shard) => shard.send(Message::Reply(ticket, reply)),
            None => tracing::error!(?ticket, "a reply names a shard that does not exist"),
        }
    }
}

impl Sessions {
    /// Pauses a connection. `None` if it is not open any more.
    pub(crate) fn pause(
        &mut self,
        slot: u32,
        request_id: Option<&str>,
        on: Wait,
    ) -> Option<Ticket> {
        self.sockets.session(slot)?;
        let config = &self.hub.config;
        let (limit_ms, asks_again) = match &on {
            Wait::Plugins(_) => (config.decision_max_ms(), false),
            Wait::Validator { .. } => (config.decision_max_ms(), true),
            _ => (config.directory_answer_max_ms(), false),
        };
        if matches!(on, Wait::Plugins(_)) {
            self.hub.metrics.plugin_waiting.inc();
        }
        let ticket = self.tickets.issue(Paused {
            slot,
            since_ms: self.sockets.now_ms(),
            limit_ms,
            asks_again,
        });
        let pending = Pending {
            ticket,
            request_id: request_id.map(Into::into),
            on,
        };
        let before = self.sockets.session_mut(slot)?.set_pending(pending);
        if let Some(before) = before {
            self.end_wait(&before);
        }
        Some(ticket)
    }

    /// Pauses a connection until the directory has answered.
    pub(super) fn ask_directory(
        &mut self,
        slot: u32,
        request_id: Option<&str>,
        on: Wait,
        question: Question,
    ) {
        let Some(ticket) = self.pause(slot, request_id, on) else {
            return;
        };
        if !self.hub.directory.ask(ticket, question) {
            self.resolve(ticket, Err(Unavailable::Full));
        }
    }

    /// Ends a pause: acts on the reply, or refuses the envelope if there is none. A late reply has no effect.
    pub(crate) fn resolve(&mut self, ticket: Ticket, reply: Result<Reply, Unavailable>) {
        let Some((slot, pending)) = self.take_pending(ticket) else {
            if let Ok(Reply::Plugins(_)) = reply {
                Metrics::count(&self.hub.metrics.plugin_decisions, "late");
            }
            return;
        };
        self.sockets.make_ready(slot);
        let request_id = pending.request_id.as_deref();
        match (pending.on, reply) {
            (Wait::User(claim), Ok(Reply::Directory(Answer::User(view)))) => {
                self.user_answered(slot, claim, &view, request_id);
            }
            (Wait::KeyBinding(claim), Ok(Reply::Directory(Answer::Bound))) => {
                self.key_bound(slot, claim, request_id);
            }
            (Wait::Server { access, view_only }, Ok(Reply::Directory(Answer::Server(view)))) => {
                self.enter_known(slot, access, view_only, request_id, &view);
            }
            (Wait::Join { question, access }, Ok(Reply::Directory(Answer::Join(answer)))) => {
                self.join_answered(slot, &question, &access, request_id, &answer);
            }
            (Wait::Plugins(held), Ok(Reply::Plugins(outcome))) => {
                self.act_on_outcome(slot, held, request_id, outcome);
            }
            (Wait::Validator { envelope, .. }, Ok(Reply::Validator(verdict))) => {
                self.act_on(slot, &Scan::new(&envelope), verdict);
            }
            (on, reply) => {
                let why = reply.err().unwrap_or(Unavailable::Failed);
                self.refuse_unavailable(slot, &on, request_id, why);
            }
        }
    }

    /// Takes the envelope that waits under a ticket.
    fn take_pending(&mut self, ticket: Ticket) -> Option<(u32, Pending)> {
        let slot = self.tickets.slot(ticket)?;
        let pending = self.sockets.session_mut(slot)?.take_pending()?;
        debug_assert_eq!(pending.ticket, ticket, "one ticket for each connection");
        self.end_wait(&pending);
        Some((slot, *pending))
    }

    /// Refuses the envelope of a connection that waits, unless it is an `identify`, which decides about the user itself.
    pub(super) fn refuse_waiting(&mut self, slot: u32, reason: &Reason<'_>) {
        let session = self.sockets.session(slot);
        let waits_for = session.and_then(|session| session.pending());
        let ticket = match waits_for.map(|pending| (&pending.on, pending.ticket)) {
            None | Some((Wait::User(_) | Wait::KeyBinding(_), _)) => return,
            Some((_, ticket)) => ticket,
        };
        if let Some((slot, pending)) = self.take_pending(ticket) {
            self.sockets.make_ready(slot);
            let request_id = pending.request_id.as_deref();
            self.refuse_pending(slot, &pending.on, request_id, reason.clone());
        }
    }

    /// Forgets the ticket of an envelope that waits no longer.
    pub(super) fn end_wait(&mut self, pending: &Pending) {
        let Some(paused) = self.tickets.remove(pending.ticket) else {
            return;
        };
        if matches!(pending.on, Wait::Plugins(_)) {
            let metrics = &self.hub.metrics;
            let waited_ms = self.sockets.now_ms().wrapping_sub(paused.since_ms);
            metrics.plugin_waiting.dec();
            metrics
                .plugin_decision_seconds
                .observe(f64::from(waited_ms) / 1_000.0);
        }
    }

    /// Asks the validator chain again, then ends the pauses whose deadline has passed. Called with the clock.
    pub(crate) fn tick(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        for ticket in self.tickets.to_ask_again() {
            self.ask_validator_again(ticket);
        }
        for ticket in self.tickets.overdue(self.sockets.now_ms()) {
            self.resolve(ticket, Err(Unavailable::Deadline));
        }
    }

    fn ask_validator_again(&mut self, ticket: Ticket) {
        let Some(slot) = self.tickets.slot(ticket) else {
            return;
        };
        let session = self.sockets.session(slot);
        let pending = session.and_then(|session| session.pending());
        let Some(Wait::Validator { envelope, .. }) = pending.map(|pending| &pending.on) else {
            return;
        };
        let envelope = envelope.clone();
        match self.validate(slot, &Scan::new(&envelope)) {
            Ok(Verdict::Later(_)) => {}
            verdict => self.resolve(ticket, Ok(Reply::Validator(verdict))),
        }
    }

    /// Refuses an envelope to which there is no reply; nothing was done, and the sender may try again.
    fn refuse_unavailable(
        &mut self,
        slot: u32,
        on: &Wait,
        request_id: Option<&str>,
        why: Unavailable,
    ) {
        match on {
            Wait::Plugins(held) => {
                let message = self.count_undecided(held, why);
                self.postpone(slot, on, request_id, message);
            }
            Wait::Validator { number, .. } => {
                Metrics::count(&self.hub.metrics.validator_failures, "undecided");
                self.hub.alarm(|| {
                    tracing::warn!(
                        number,
                        "a validator did not decide in time; the envelope was refused"
                    )
                });
                let limit_ms = self.hub.config.decision_max_ms();
                let message = format!(
                    "a component did not decide within {limit_ms} ms; nothing was sent, try again"
                );
                let reason = Reason::new(code::INTERNAL, message);
                self.refuse_pending(slot, on, request_id, reason);
            }
            _ => {
                let message = "the directory does not answer; try again";
                let reason =
                    Reason::retry(code::EDGE_UNAVAILABLE, message, QUESTION_RETRY_AFTER_MS);
                self.refuse_pending(slot, on, request_id, reason);
            }
        }
    }

    /// Refuses an envelope about which plugins did not decide.
    pub(crate) fn postpone(&mut self, slot: u32, on: &Wait, request_id: Option<&str>, why: &str) {
        let message = format!("{why}; nothing was sent, try again");
        let reason = Reason::retry(code::PLUGIN_UNAVAILABLE, message, RETRY_AFTER_MS);
        self.refuse_pending(slot, on, request_id, reason);
    }
}

/// Plugin and event of a plugin event.
pub(crate) fn event_names(kind: &OfferKind) -> Option<(&str, &str)> {
    match kind.as_subject() {
        SubjectKind::PluginEvent {
            plugin_id,
            event_name,
            ..
        } => Some((plugin_id, event_name)),
        SubjectKind::Chat => None,
    }
}
