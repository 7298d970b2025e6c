//! Envelopes of an open WebSocket: charged against rates, validated, and the effects of the verdict performed.

pub(crate) mod forwarding;
pub(crate) mod identify;
pub(crate) mod membership;
pub(crate) mod undecided;

use crate::{
    frame::{self, Opcode, close},
    hub::Hub,
    metrics::{Metrics, code_label},
    rate::Bucket,
    shard::{
        Filter, Shard,
        connection::{Pending, Phase, Session},
    },
};
use bytes::Bytes;
use envelope::{
    Scan,
    catalogue::{EnvelopeType, RateClass},
    reply::{self, code},
    verdict::{self, Context, Decision, Effect, Membership, Refusal, ValidatorError, Verdict},
};
use limits::rate::{STRIKE_WINDOW_MS, UNKNOWN_TYPE_ANSWER_INTERVAL_MS};
use std::{sync::Arc, time::Instant};

/// One of so many validator calls is timed for the histogram.
const JUDGEMENTS_PER_SAMPLE: u32 = 16;

impl Shard {
    /// Opens the WebSocket: sends the answer to the upgrade, then `connected`.
    pub(crate) fn open(&mut self, slot: u32, answer: String) {
        let (hub, now_ms) = (self.hub.clone(), self.now_ms);
        let connection_id = uuid::Uuid::new_v4().to_string();
        let server_time_ms = Hub::now_ms();
        let Some(conn) = self.conn(slot) else { return };
        (conn.seen_ms, conn.pinged_ms) = (now_ms, now_ms);
        conn.session = Some(Box::new(Session {
            connection_id: connection_id.as_str().into(),
            server_time_ms,
            person: None,
            buckets: hub.rates.map(|rate| Bucket::full(rate, now_ms)),
            volume: Bucket::full(hub.volume, now_ms),
            new_targets: Bucket::full(hub.new_targets, now_ms),
            targets: Default::default(),
            strikes: 0,
            strike_ms: now_ms,
            unknown_type_ms: None,
            keepalive_ms: None,
            pending: None,
            rooms: Vec::new(),
            peers: Default::default(),
        }));
        self.end_head(slot, Phase::Open);
        self.push(slot, Bytes::from(answer), 0);
        let connected = reply::connected(&connection_id, server_time_ms, &hub.protocol);
        self.reply(slot, &connected);
    }

    pub(crate) fn violated(&mut self, slot: u32, violation: frame::Violation) {
        match self.conn(slot).map(|conn| conn.phase) {
            Some(Phase::Open) => {
                self.close(slot, violation.code, violation.reason);
                // The stream cannot be understood any more: nothing further is read, the peer's answer is not awaited.
                if let Some(conn) = self.conn(slot) {
                    conn.phase = Phase::Closing { answered: true };
                }
            }
            Some(_) => {
                self.drop_conn(slot);
            }
            None => {}
        }
    }

    pub(crate) fn on_close(&mut self, slot: u32, payload: &[u8]) {
        match self.conn(slot).map(|conn| conn.phase) {
            Some(Phase::Open) => match frame::close_answer(payload) {
                Ok(code) => self.start_closing(slot, code, "", true),
                Err(violation) => self.start_closing(slot, violation.code, violation.reason, true),
            },
            Some(_) => {
                self.drop_conn(slot);
            }
            None => {}
        }
    }

    pub(crate) fn on_ping(&mut self, slot: u32, payload: &[u8]) {
        if self.charge(slot, RateClass::Other, &Scan::new(b"")) {
            self.push(slot, frame::encode(Opcode::Pong, payload), 0);
        }
    }

    /// Takes a token for a frame of a class and returns whether there was one. `about` is the envelope that an error answer names. A frame
    /// over the rate counts as a strike, and too many strikes close the connection.
    pub(crate) fn charge(&mut self, slot: u32, class: RateClass, about: &Scan<'_>) -> bool {
        let index = class as usize;
        let (rate, now_ms) = (self.hub.rates[index], self.now_ms);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return false;
        };
        match session.buckets[index].take(rate, now_ms) {
            Ok(()) => true,
            Err(wait_ms) => {
                self.over_rate(slot, class.name(), wait_ms, about);
                false
            }
        }
    }

    pub(crate) fn over_rate(
        &mut self,
        slot: u32,
        what: &'static str,
        wait_ms: u32,
        about: &Scan<'_>,
    ) {
        Metrics::count(&self.hub.metrics.rate_limited, what);
        let (now_ms, strikes_max) = (self.now_ms, self.hub.config.rates.strikes_max);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        let since = now_ms.wrapping_sub(session.strike_ms);
        let first = session.strikes == 0;
        if !first && since >= STRIKE_WINDOW_MS as u32 {
            session.strikes = 0;
        }
        // One burst is one strike: within a second of the last strike nothing is counted and nothing is answered.
        if !first && session.strikes > 0 && since < 1_000 {
            Metrics::count(&self.hub.metrics.refused, code::RATE_LIMITED);
            return;
        }
        session.strikes += 1;
        session.strike_ms = now_ms;
        if session.strikes > strikes_max {
            self.close(
                slot,
                close::RATE,
                &format!("over the rate of '{what}' again and again"),
            );
            return;
        }
        let message = format!("over the rate of '{what}'; see connected.protocol.limits.rates");
        let retry_after_ms = Some(u64::from(wait_ms.max(1)));
        let body = reply::error(
            code::RATE_LIMITED,
            &message,
            about.type_name().as_deref(),
            about.request_id().as_deref(),
            retry_after_ms,
        );
        self.refuse(
            slot,
            &Refusal {
                code: code::RATE_LIMITED.into(),
                reply: body,
            },
        );
    }

    /// One whole text message: charged before anything but its type is read, then validated.
    pub(crate) fn on_message(&mut self, slot: u32, bytes: &[u8]) {
        let scan = Scan::new(bytes);
        if !self.charge(slot, RateClass::Other, &scan) {
            return;
        }
        let envelope = scan.envelope_type();
        self.hub.metrics.receive(envelope);
        let class = envelope.map_or(RateClass::Other, |envelope| envelope.rate);
        if class == RateClass::Other || self.charge(slot, class, &scan) {
            self.judge(slot, bytes, &scan, envelope);
        }
    }

    /// Validates an envelope and acts on the verdict.
    fn judge(
        &mut self,
        slot: u32,
        bytes: &[u8],
        scan: &Scan<'_>,
        envelope: Option<&'static EnvelopeType>,
    ) {
        // Reading a clock costs as much as the rest of the accounting, so only some calls are timed.
        self.judgements = self.judgements.wrapping_add(1);
        let asked = self
            .judgements
            .is_multiple_of(JUDGEMENTS_PER_SAMPLE)
            .then(Instant::now);
        let verdict = self.verdict(slot, bytes, scan);
        if let Some(asked) = asked {
            self.hub
                .metrics
                .judge_seconds
                .observe(asked.elapsed().as_secs_f64());
        }
        self.judged(slot, bytes, scan, envelope, verdict);
    }

    /// Acts on a verdict.
    pub(crate) fn judged(
        &mut self,
        slot: u32,
        bytes: &[u8],
        scan: &Scan<'_>,
        envelope: Option<&'static EnvelopeType>,
        verdict: Result<Verdict, ValidatorError>,
    ) {
        match verdict {
            Ok(Verdict::Route(decision)) => self.perform(slot, bytes, &decision, scan, envelope),
            Ok(Verdict::Refuse(refusal)) => self.refuse(slot, &refusal),
            Ok(Verdict::Later(ticket)) => self.wait_for_judges(slot, bytes, ticket),
            Ok(Verdict::Pass | Verdict::Rewrite(_) | Verdict::NeedSnapshot(_)) => {
                self.judge_failed(slot, &broken("it ended without a decision".into()), scan);
            }
            Err(error) => self.judge_failed(slot, &error, scan),
        }
    }

    /// The verdict of the chain; sends it the server's definitions first if it asks for them.
    pub(crate) fn verdict(
        &mut self,
        slot: u32,
        bytes: &[u8],
        scan: &Scan<'_>,
    ) -> Result<Verdict, ValidatorError> {
        match self.ask_judge(slot, bytes, scan) {
            Ok(Verdict::NeedSnapshot(server_id)) => self
                .teach(slot, &server_id)
                .and_then(|()| self.ask_judge(slot, bytes, scan)),
            verdict => verdict,
        }
    }

    fn ask_judge(
        &mut self,
        slot: u32,
        bytes: &[u8],
        scan: &Scan<'_>,
    ) -> Result<Verdict, ValidatorError> {
        // The context borrows from the session, so that no text is copied.
        let Some(session) = self.slots[slot as usize]
            .conn
            .as_ref()
            .and_then(|conn| conn.session.as_ref())
        else {
            return Ok(Verdict::Pass);
        };
        let named = scan.server_id();
        let (place, server_id, implied) = match named.as_deref() {
            Some(named) => (session.place(named), Some(named), false),
            None => {
                let implied = session.implied();
                (
                    implied,
                    implied.map(|place| &*place.room.server_id),
                    implied.is_some(),
                )
            }
        };
        let context = Context {
            now_ms: Hub::now_ms(),
            connection_id: &session.connection_id,
            user_id: session
                .person
                .as_ref()
                .map(|person| &*person.profile.user_id),
            display_name: session
                .person
                .as_ref()
                .map_or("", |person| &person.profile.display_name),
            server_id,
            server_implied: implied,
            server_revision: place.map_or(0, |place| place.room.revision()),
            membership: match place {
                None => Membership::None,
                Some(place) if place.joined => Membership::Joined,
                Some(_) => Membership::Viewing,
            },
        };
        self.judge.validate(&context, bytes)
    }

    pub(crate) fn judge_failed(&mut self, slot: u32, error: &ValidatorError, scan: &Scan<'_>) {
        Metrics::count(&self.hub.metrics.judge_failures, failure_label(error));
        tracing::warn!(%error, "an envelope could not be judged");
        let message = "a component failed on this envelope; it was not sent";
        self.refuse(
            slot,
            &reply::refuse(
                code::INTERNAL,
                message,
                scan.type_name().as_deref(),
                scan.request_id().as_deref(),
            ),
        );
    }

    /// Sends a server's definitions to the validator chain.
    fn teach(&mut self, slot: u32, server_id: &str) -> Result<(), ValidatorError> {
        let session = self.conn(slot).and_then(|conn| conn.session.as_ref());
        match session
            .and_then(|session| session.place(server_id))
            .map(|place| place.room.view())
        {
            Some(view) => self.judge.update_definitions(&view.judged),
            None => Err(broken(format!(
                "it asked for a server that the connection is not in: {}",
                envelope::decode::shorten(server_id)
            ))),
        }
    }

    /// Tells the sender of a refusal, if it asked for errors. Unknown types are answered at a bounded rate.
    pub(crate) fn refuse(&mut self, slot: u32, refusal: &Refusal) {
        Metrics::count(&self.hub.metrics.refused, code_label(&refusal.code));
        let (now_ms, everyone) = (
            self.now_ms,
            self.hub.config.socket.compat == crate::config::Compat::Guarded,
        );
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        if refusal.code == code::UNKNOWN_TYPE {
            let lately = session.unknown_type_ms.is_some_and(|at| {
                u64::from(now_ms.wrapping_sub(at)) < UNKNOWN_TYPE_ANSWER_INTERVAL_MS
            });
            if lately {
                return;
            }
            session.unknown_type_ms = Some(now_ms);
        }
        if everyone
            || session
                .person
                .as_ref()
                .is_some_and(|person| person.wants_errors)
        {
            self.reply(slot, &refusal.reply);
        }
    }

    // ---- effects

    pub(crate) fn perform(
        &mut self,
        slot: u32,
        bytes: &[u8],
        decision: &Decision,
        scan: &Scan<'_>,
        envelope: Option<&'static EnvelopeType>,
    ) {
        let passed_on = |effect: &Effect| {
            matches!(
                effect,
                Effect::Broadcast(_)
                    | Effect::SendToMember { .. }
                    | Effect::SendToPlugin { .. }
                    | Effect::Forward { .. }
            )
        };
        let (mut frame, mut informs) = (None, None);
        if decision.effects.iter().any(passed_on) {
            let Some(outgoing) = verdict::apply(bytes, &decision.patches) else {
                return self.judge_failed(
                    slot,
                    &broken("its patches do not fit the envelope".into()),
                    scan,
                );
            };
            if !self.charge_volume(slot, outgoing.len(), scan) {
                return;
            }
            // A filter's rewrite replaces the whole envelope; otherwise the members that plugins are chosen by are those of the first scan.
            let is_rewritten = decision
                .patches
                .first()
                .is_some_and(|patch| patch.offset == 0);
            let rewritten = is_rewritten.then(|| Scan::new(&outgoing));
            let final_scan = rewritten.as_ref().unwrap_or(scan);
            let interest = self.plugin_interest(slot, decision, final_scan, envelope);
            if let (Some(interest), Some(kind)) = (
                interest.as_ref().filter(|interest| interest.decides),
                envelope,
            ) {
                return self.ask_plugins(slot, interest, outgoing, decision.effects.clone(), kind);
            }
            frame = Some(frame::text(&outgoing));
            informs = interest.map(|interest| (interest, outgoing));
        }
        for effect in &decision.effects {
            self.perform_one(slot, effect, frame.as_ref(), scan, envelope);
        }
        if let Some((interest, outgoing)) = informs {
            self.inform(slot, &interest, outgoing);
        }
    }

    pub(crate) fn charge_volume(&mut self, slot: u32, bytes: usize, scan: &Scan<'_>) -> bool {
        let (rate, now_ms) = (self.hub.volume, self.now_ms);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return false;
        };
        match session
            .volume
            .take_many(rate, now_ms, bytes.div_ceil(limits::KIB) as u32)
        {
            Ok(()) => true,
            Err(wait_ms) => {
                self.over_rate(slot, "bytes", wait_ms, scan);
                false
            }
        }
    }

    pub(crate) fn perform_one(
        &mut self,
        slot: u32,
        effect: &Effect,
        frame: Option<&Bytes>,
        scan: &Scan<'_>,
        envelope: Option<&'static EnvelopeType>,
    ) {
        match (effect, frame) {
            (Effect::Identify(wish), _) => {
                self.identify(slot, wish.clone(), scan.request_id().as_deref())
            }
            (Effect::Keepalive, _) => self.keepalive(slot),
            (Effect::SetStatus(status), _) => self.set_status(slot, *status),
            (Effect::Join(access), _) => {
                self.enter(slot, access.clone(), false, scan.request_id().as_deref())
            }
            (Effect::View(access), _) => {
                self.enter(slot, access.clone(), true, scan.request_id().as_deref())
            }
            (Effect::Leave(server_id), _) => self.leave(slot, server_id),
            (Effect::Broadcast(server_id), Some(frame)) => {
                self.broadcast(slot, server_id, frame, Filter::All, envelope)
            }
            (Effect::SendToMember { server_id, user_id }, Some(frame)) => {
                self.broadcast(
                    slot,
                    server_id,
                    frame,
                    Filter::User(user_id.as_str().into()),
                    envelope,
                );
            }
            (
                Effect::SendToPlugin {
                    server_id,
                    plugin_id,
                },
                Some(frame),
            ) => {
                self.broadcast(
                    slot,
                    server_id,
                    frame,
                    Filter::Plugin(plugin_id.as_str().into()),
                    envelope,
                );
            }
            (Effect::Forward { user_id, class }, Some(frame)) => {
                self.forward(slot, user_id, *class, frame, scan)
            }
            (
                Effect::IconAvailable {
                    server_id,
                    updated_at,
                },
                _,
            ) => {
                if let Some((room, user)) = self.joined_room(slot, server_id) {
                    room.offer_icon(&user, *updated_at);
                }
            }
            (
                Effect::IconPeers {
                    server_id,
                    updated_at,
                },
                _,
            ) => {
                if let Some((room, user)) = self.joined_room(slot, server_id) {
                    let entries_max = self.hub.config.socket.roster_entries_max;
                    let peers = room.icon_peers(&user, *updated_at, entries_max);
                    self.reply(slot, &peers);
                }
            }
            (
                Effect::Broadcast(_)
                | Effect::SendToMember { .. }
                | Effect::SendToPlugin { .. }
                | Effect::Forward { .. },
                None,
            ) => {}
        }
    }

    /// Answers `keepalive`, at most once per ping interval.
    pub(crate) fn keepalive(&mut self, slot: u32) {
        let (now_ms, interval_ms) = (self.now_ms, self.hub.config.socket.ping_interval_ms as u32);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        if session
            .keepalive_ms
            .is_none_or(|at| now_ms.wrapping_sub(at) >= interval_ms)
        {
            session.keepalive_ms = Some(now_ms);
            self.reply(slot, br#"{"type":"keepalive"}"#);
        }
    }

    pub(crate) fn joined_room(
        &mut self,
        slot: u32,
        server_id: &str,
    ) -> Option<(Arc<crate::room::Room>, Arc<str>)> {
        let session = self.conn(slot)?.session.as_ref()?;
        let place = session.place(server_id).filter(|place| place.joined)?;
        Some((
            place.room.clone(),
            session.person.as_ref()?.profile.user_id.clone(),
        ))
    }

    /// Pauses a connection until the directory has answered; if it cannot be asked, the answer is `Unavailable`.
    pub(crate) fn pause(
        &mut self,
        slot: u32,
        pending: Pending,
        question: crate::directory::Question,
    ) {
        let reference = self.reference(slot);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        session.pending = Some(Box::new(pending));
        if !self.hub.directory.ask(reference, question) {
            self.answered(reference, crate::directory::Answer::Unavailable);
        }
    }
}

/// A label for the counter of validator failures.
pub(crate) fn failure_label(error: &ValidatorError) -> &'static str {
    match error {
        ValidatorError::Deadline { .. } => "deadline",
        ValidatorError::Trap { .. } => "trap",
        ValidatorError::Contract { .. } => "contract",
    }
}

/// The validator chain broke its contract.
pub(crate) fn broken(reason: String) -> ValidatorError {
    ValidatorError::Contract {
        component: "chain".into(),
        reason,
    }
}
