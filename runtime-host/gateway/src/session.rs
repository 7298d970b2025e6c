//! An open WebSocket: frames become messages, messages are judged, and what the judge allows is performed.

use crate::{
    conn::{Assembly, Pending, Phase, Session},
    frame::{self, Header, Opcode, close},
    handshake,
    hub::{ConnRef, Hub},
    metrics::{Metrics, code_label},
    rate::Bucket,
    shard::{Delivery, Filter, Message, Shard},
};
use bytes::Bytes;
use envelope::{
    catalogue::{self, EnvelopeType, RateClass, Routing},
    decode::Hint,
    reply::{self, code},
    verdict::{self, Context, Decision, Effect, ForwardClass, JudgeError, Membership, Refusal, Verdict},
};
use limits::{
    rate::{Rate, STRIKE_WINDOW_MS, UNKNOWN_TYPE_ANSWER_INTERVAL_MS},
    socket::FRAGMENTS_MAX,
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Instant,
};

/// Identities one connection has addressed lately and may address again for free.
const TARGETS_REMEMBERED: usize = 256;
/// Signalling partners one connection remembers.
const PEERS_REMEMBERED: usize = 256;

impl Shard {
    /// The upgrade is accepted: the answer, then `connected` (W1).
    pub(crate) fn open(&mut self, slot: u32, accept: &str) {
        let (hub, now_ms) = (self.hub.clone(), self.now_ms);
        let rates = hub.config.rates.by_class();
        let connection_id = uuid::Uuid::new_v4().to_string();
        let server_time_ms = Hub::now_ms();
        let volume = volume(&hub);
        let Some(conn) = self.conn(slot) else { return };
        conn.phase = Phase::Open;
        (conn.since_ms, conn.seen_ms, conn.pinged_ms) = (now_ms, now_ms, now_ms);
        conn.session = Some(Box::new(Session {
            connection_id: connection_id.as_str().into(),
            server_time_ms,
            person: None,
            buckets: rates.map(|rate| Bucket::full(rate, now_ms)),
            volume: Bucket::full(volume, now_ms),
            new_targets: Bucket::full(new_targets(&hub), now_ms),
            targets: Default::default(),
            strikes: 0,
            strike_ms: now_ms,
            unknown_type_ms: None,
            keepalive_ms: None,
            pending: None,
            rooms: Vec::new(),
            peers: Default::default(),
        }));
        self.push(slot, Bytes::from(handshake::accepted(accept)), 0);
        let connected = reply::connected(&connection_id, server_time_ms, &hub.advertised);
        self.reply(slot, &connected);
    }

    /// Handles one frame at the start of `bytes`; how many bytes it took, `None` when it is not whole yet.
    pub(crate) fn read_frame(&mut self, slot: u32, bytes: &mut [u8]) -> Option<usize> {
        let (bytes_max, now_ms) = (self.hub.config.socket.message_bytes_max, self.now_ms);
        let conn = self.conn(slot)?;
        let collected = conn.assembly.as_ref().map_or(0, |assembly| assembly.bytes.len());
        let header = match Header::read(bytes, bytes_max.saturating_sub(collected)) {
            Ok(header) => header?,
            Err(violation) => {
                self.violated(slot, violation);
                return Some(bytes.len());
            }
        };
        let whole = header.header_bytes + header.payload_bytes;
        if bytes.len() < whole {
            // Room for the rest at once, instead of growing bit by bit; the header was checked against the limit.
            conn.unread.reserve_exact(whole.min(bytes_max + header.header_bytes));
            return None;
        }
        conn.seen_ms = now_ms;
        let payload = &mut bytes[header.header_bytes..whole];
        frame::unmask(payload, header.mask);
        let closing = conn.phase != Phase::Open;
        match header.opcode {
            Opcode::Close => self.on_close(slot, payload),
            _ if closing => {}
            Opcode::Ping => self.on_ping(slot, payload),
            Opcode::Pong => {
                self.charge(slot, RateClass::Other, None, None);
            }
            Opcode::Binary => self.close(slot, close::UNSUPPORTED, "binary messages are not part of the contract"),
            Opcode::Text | Opcode::Continuation => self.on_data(slot, &header, payload),
        }
        Some(whole)
    }

    fn violated(&mut self, slot: u32, violation: frame::Violation) {
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

    fn on_close(&mut self, slot: u32, payload: &[u8]) {
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

    fn on_ping(&mut self, slot: u32, payload: &[u8]) {
        if self.charge(slot, RateClass::Other, None, None) {
            self.push(slot, frame::encode(Opcode::Pong, payload), 0);
        }
    }

    fn on_data(&mut self, slot: u32, header: &Header, payload: &[u8]) {
        let Some(conn) = self.conn(slot) else { return };
        let violation = |code, reason| frame::Violation { code, reason };
        let fault = match (&mut conn.assembly, header.opcode) {
            (None, Opcode::Continuation) => Some(violation(close::PROTOCOL, "continuation of nothing")),
            (Some(_), Opcode::Text) => Some(violation(close::PROTOCOL, "a message began inside another")),
            (None, _) if header.fin => {
                if std::str::from_utf8(payload).is_ok() {
                    self.on_message(slot, payload);
                    return;
                }
                Some(violation(close::INVALID_UTF8, "text is not UTF-8"))
            }
            (assembly, _) => {
                let assembly = assembly.get_or_insert_with(Box::<Assembly>::default);
                assembly.bytes.extend_from_slice(payload);
                assembly.fragments += 1;
                if assembly.fragments > FRAGMENTS_MAX {
                    Some(violation(close::TOO_BIG, "too many fragments"))
                } else if !assembly.check(header.fin) {
                    Some(violation(close::INVALID_UTF8, "text is not UTF-8"))
                } else {
                    None
                }
            }
        };
        if let Some(fault) = fault {
            self.violated(slot, fault);
        } else if header.fin
            && let Some(assembly) = self.conn(slot).and_then(|conn| conn.assembly.take())
        {
            self.on_message(slot, &assembly.bytes);
        }
    }

    /// Takes tokens for one frame of a class; refused ones cost a strike, and strikes cost the connection. Whether it may go on.
    fn charge(&mut self, slot: u32, class: RateClass, kind: Option<&str>, request_id: Option<&str>) -> bool {
        let (hub, now_ms) = (self.hub.clone(), self.now_ms);
        let rates = hub.config.rates.by_class();
        let index = RateClass::ALL.iter().position(|known| *known == class).unwrap_or(0);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else { return false };
        match session.buckets[index].take(rates[index], now_ms) {
            Ok(()) => true,
            Err(wait_ms) => {
                self.over_rate(slot, class.name(), u64::from(wait_ms), kind, request_id);
                false
            }
        }
    }

    fn over_rate(&mut self, slot: u32, what: &str, wait_ms: u64, kind: Option<&str>, request_id: Option<&str>) {
        let (now_ms, strikes_max) = (self.now_ms, self.hub.config.rates.strikes_max);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else { return };
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
            self.close(slot, close::RATE, &format!("over the rate of '{what}' again and again"));
            return;
        }
        let message = format!("over the rate of '{what}'; see connected.protocol.limits.rates");
        let body = reply::error(code::RATE_LIMITED, &message, kind, request_id, Some(wait_ms.max(1)));
        self.refuse(slot, &Refusal { code: code::RATE_LIMITED.into(), reply: body });
    }

    /// One whole text message.
    fn on_message(&mut self, slot: u32, bytes: &[u8]) {
        if !self.charge(slot, RateClass::Other, None, None) {
            return;
        }
        let hint = Hint::scan(bytes);
        let envelope = hint.kind.as_deref().and_then(catalogue::find);
        Metrics::count(&self.hub.metrics.received, envelope.map_or("unknown", |envelope| envelope.name));
        let class = envelope.map_or(RateClass::Other, |envelope| envelope.rate);
        if class != RateClass::Other && !self.charge(slot, class, hint.kind.as_deref(), hint.request_id.as_deref()) {
            return;
        }
        self.judge(slot, bytes, &hint, envelope);
    }

    /// Asks the judge, and does what it says. `bytes` may come again, after the judge has learned.
    pub(crate) fn judge(&mut self, slot: u32, bytes: &[u8], hint: &Hint<'_>, envelope: Option<&'static EnvelopeType>) {
        let asked = Instant::now();
        let verdict = self.ask_judge(slot, bytes, hint);
        self.hub.metrics.judge_seconds.observe(asked.elapsed().as_secs_f64());
        match verdict {
            Ok(Verdict::Route(decision)) => self.perform(slot, bytes, &decision, hint, envelope),
            Ok(Verdict::Refuse(refusal)) => self.refuse(slot, &refusal),
            Ok(Verdict::NeedSnapshot(server_id)) => self.teach(slot, &server_id, bytes),
            Ok(Verdict::Pass | Verdict::Rewrite(_) | Verdict::Later(_)) => {
                let reason = "the chain of judges ended without a decision".into();
                self.judge_failed(slot, &JudgeError::Contract { component: "chain".into(), reason }, hint);
            }
            Err(error) => self.judge_failed(slot, &error, hint),
        }
    }

    fn ask_judge(&mut self, slot: u32, bytes: &[u8], hint: &Hint<'_>) -> Result<Verdict, JudgeError> {
        // The session is lent to the judge's context for the call, so that no text is copied.
        let Some(session) = self.slots[slot as usize].conn.as_ref().and_then(|conn| conn.session.as_ref()) else {
            return Ok(Verdict::Pass);
        };
        let (place, server_id, implied) = match hint.server_id.as_deref() {
            Some(named) => (session.place(named), Some(named), false),
            None => {
                let implied = session.implied();
                (implied, implied.map(|place| &*place.room.server_id), implied.is_some())
            }
        };
        let context = Context {
            now_ms: Hub::now_ms(),
            connection_id: &session.connection_id,
            user_id: session.person.as_ref().map(|person| &*person.profile.user_id),
            display_name: session.person.as_ref().map_or("", |person| &person.profile.display_name),
            server_id,
            server_implied: implied,
            server_revision: place.map_or(0, |place| place.room.revision()),
            membership: match place {
                None => Membership::None,
                Some(place) if place.joined => Membership::Joined,
                Some(_) => Membership::Viewing,
            },
        };
        self.judge.judge(&context, bytes)
    }

    fn judge_failed(&mut self, slot: u32, error: &JudgeError, hint: &Hint<'_>) {
        let kind = match error {
            JudgeError::Deadline { .. } => "deadline",
            JudgeError::Trap { .. } => "trap",
            JudgeError::Contract { .. } => "contract",
        };
        Metrics::count(&self.hub.metrics.judge_failures, kind);
        tracing::warn!(%error, "an envelope could not be judged");
        let message = "a component failed on this envelope; it was not sent";
        self.refuse(slot, &reply::refuse(code::INTERNAL, message, hint.kind.as_deref(), hint.request_id.as_deref()));
    }

    /// Teaches the judge a server's definitions and asks again.
    fn teach(&mut self, slot: u32, server_id: &str, bytes: &[u8]) {
        let known = self
            .conn(slot)
            .and_then(|conn| conn.session.as_ref())
            .and_then(|session| session.place(server_id))
            .map(|place| place.room.view());
        let hint = Hint::scan(bytes);
        let Some(view) = known else {
            let reason = format!("it asked for a server that the connection is not in: {}", envelope::decode::shorten(server_id));
            return self.judge_failed(slot, &JudgeError::Contract { component: "chain".into(), reason }, &hint);
        };
        if let Err(error) = self.judge.learn(&view.judged) {
            return self.judge_failed(slot, &error, &hint);
        }
        match self.ask_judge(slot, bytes, &hint) {
            Ok(Verdict::NeedSnapshot(_)) => {
                let reason = "it did not keep the definitions that it was taught".into();
                self.judge_failed(slot, &JudgeError::Contract { component: "chain".into(), reason }, &hint);
            }
            Ok(Verdict::Route(decision)) => {
                let envelope = hint.kind.as_deref().and_then(catalogue::find);
                self.perform(slot, bytes, &decision, &hint, envelope);
            }
            Ok(Verdict::Refuse(refusal)) => self.refuse(slot, &refusal),
            Ok(_) => {
                let reason = "the chain of judges ended without a decision".into();
                self.judge_failed(slot, &JudgeError::Contract { component: "chain".into(), reason }, &hint);
            }
            Err(error) => self.judge_failed(slot, &error, &hint),
        }
    }

    /// Tells the sender of a refusal, if it is one who wants to know (decision: unknown types).
    pub(crate) fn refuse(&mut self, slot: u32, refusal: &Refusal) {
        Metrics::count(&self.hub.metrics.refused, code_label(&refusal.code));
        let (now_ms, everyone) = (self.now_ms, self.hub.config.socket.compat == crate::config::Compat::Guarded);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else { return };
        if refusal.code == code::UNKNOWN_TYPE {
            let lately = session.unknown_type_ms.is_some_and(|at| u64::from(now_ms.wrapping_sub(at)) < UNKNOWN_TYPE_ANSWER_INTERVAL_MS);
            if lately {
                return;
            }
            session.unknown_type_ms = Some(now_ms);
        }
        if everyone || session.person.as_ref().is_some_and(|person| person.wants_errors) {
            self.reply(slot, &refusal.reply);
        }
    }

    // ---- effects

    fn perform(&mut self, slot: u32, bytes: &[u8], decision: &Decision, hint: &Hint<'_>, envelope: Option<&'static EnvelopeType>) {
        let passed_on = |effect: &Effect| {
            matches!(effect, Effect::Broadcast(_) | Effect::SendToMember { .. } | Effect::SendToPlugin { .. } | Effect::Forward { .. })
        };
        let mut frame = None;
        if decision.effects.iter().any(passed_on) {
            let Some(outgoing) = verdict::apply(bytes, &decision.patches) else {
                let reason = "its patches do not fit the envelope".into();
                return self.judge_failed(slot, &JudgeError::Contract { component: "chain".into(), reason }, hint);
            };
            if !self.charge_volume(slot, outgoing.len(), hint) {
                return;
            }
            frame = Some(frame::text(&outgoing));
        }
        for effect in &decision.effects {
            self.perform_one(slot, effect, frame.as_ref(), hint, envelope);
        }
    }

    fn charge_volume(&mut self, slot: u32, bytes: usize, hint: &Hint<'_>) -> bool {
        let (rate, now_ms) = (volume(&self.hub), self.now_ms);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else { return false };
        match session.volume.take_many(rate, now_ms, bytes.div_ceil(limits::KIB) as u32) {
            Ok(()) => true,
            Err(wait_ms) => {
                self.over_rate(slot, "bytes", u64::from(wait_ms), hint.kind.as_deref(), hint.request_id.as_deref());
                false
            }
        }
    }

    fn perform_one(&mut self, slot: u32, effect: &Effect, frame: Option<&Bytes>, hint: &Hint<'_>, envelope: Option<&'static EnvelopeType>) {
        let request_id = hint.request_id.as_deref();
        match (effect, frame) {
            (Effect::Identify(wish), _) => self.identify(slot, wish.clone(), request_id),
            (Effect::Keepalive, _) => self.keepalive(slot),
            (Effect::SetStatus(status), _) => self.set_status(slot, *status),
            (Effect::Join(access), _) => self.enter(slot, access.clone(), false, request_id),
            (Effect::View(access), _) => self.enter(slot, access.clone(), true, request_id),
            (Effect::Leave(server_id), _) => self.leave(slot, server_id),
            (Effect::Broadcast(server_id), Some(frame)) => self.broadcast(slot, server_id, frame, Filter::All, envelope),
            (Effect::SendToMember { server_id, user_id }, Some(frame)) => {
                self.broadcast(slot, server_id, frame, Filter::User(user_id.as_str().into()), envelope);
            }
            (Effect::SendToPlugin { server_id, plugin_id }, Some(frame)) => {
                self.broadcast(slot, server_id, frame, Filter::Plugin(plugin_id.as_str().into()), envelope);
            }
            (Effect::Forward { user_id, class }, Some(frame)) => self.forward(slot, user_id, *class, frame, hint),
            (Effect::IconAvailable { server_id, updated_at }, _) => {
                if let Some((room, user)) = self.joined_room(slot, server_id) {
                    room.offer_icon(&user, *updated_at);
                }
            }
            (Effect::IconPeers { server_id, updated_at }, _) => {
                if let Some((room, user)) = self.joined_room(slot, server_id) {
                    let entries_max = self.hub.config.socket.roster_entries_max;
                    let peers = room.icon_peers(&user, *updated_at, entries_max);
                    self.reply(slot, &peers);
                }
            }
            (Effect::Broadcast(_) | Effect::SendToMember { .. } | Effect::SendToPlugin { .. } | Effect::Forward { .. }, None) => {}
        }
    }

    /// W9, D10: answered at most once per ping interval.
    fn keepalive(&mut self, slot: u32) {
        let (now_ms, interval_ms) = (self.now_ms, self.hub.config.socket.ping_interval_ms as u32);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else { return };
        if session.keepalive_ms.is_none_or(|at| now_ms.wrapping_sub(at) >= interval_ms) {
            session.keepalive_ms = Some(now_ms);
            self.reply(slot, br#"{"type":"keepalive"}"#);
        }
    }

    fn joined_room(&mut self, slot: u32, server_id: &str) -> Option<(Arc<crate::room::Room>, Arc<str>)> {
        let session = self.conn(slot)?.session.as_ref()?;
        let place = session.place(server_id).filter(|place| place.joined)?;
        Some((place.room.clone(), session.person.as_ref()?.profile.user_id.clone()))
    }

    /// D5: to each connection that joined, the sending one excluded.
    fn broadcast(&mut self, slot: u32, server_id: &str, frame: &Bytes, filter: Filter, envelope: Option<&'static EnvelopeType>) {
        let Some((room, user_id)) = self.joined_room(slot, server_id) else {
            tracing::warn!("a judge wants to send to a server that the sender has not joined");
            return;
        };
        let filter = match filter {
            Filter::Plugin(plugin) if !room.declares(&plugin) => Filter::All,
            filter => filter,
        };
        let coalesce = match envelope {
            Some(kind) if kind.coalesce && kind.routing == Routing::Server => key(&(kind.name, &*user_id, slot, room.index)),
            _ => 0,
        };
        let delivery = Delivery { frame: frame.clone(), skip: Some(self.reference(slot)), filter, coalesce };
        self.deliver(room.index, &delivery, None);
        if self.shards.len() > 1 {
            room.publish(&delivery, self.index, &self.shards);
        }
    }

    /// D8, D13: to one identity, where the rule lets it; otherwise nowhere, silently or with one uniform answer (decision: unreachable).
    fn forward(&mut self, slot: u32, user_id: &str, class: ForwardClass, frame: &Bytes, hint: &Hint<'_>) {
        let (own, now_ms, hub) = (self.reference(slot), self.now_ms, self.hub.clone());
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else { return };
        let Some(person) = session.person.as_ref() else { return };
        let (from, wants_errors) = (person.profile.user_id.clone(), person.wants_errors);
        let target = key(&user_id);
        if !session.targets.contains(&target) {
            if let Err(wait_ms) = session.new_targets.take(new_targets(&hub), now_ms) {
                return self.over_rate(slot, "new targets", u64::from(wait_ms), hint.kind.as_deref(), hint.request_id.as_deref());
            }
            session.targets.push_back(target);
            if session.targets.len() > TARGETS_REMEMBERED {
                session.targets.pop_front();
            }
        }
        let rooms: Vec<u64> = session.rooms.iter().map(|place| place.room.index).collect();
        let known = session.peers.iter().rev().find(|(user, _)| **user == *user_id).map(|(_, conn)| *conn);
        let mut targets = hub.route(&from, &rooms, user_id, class, known);
        targets.retain(|target| *target != own);
        if targets.is_empty() {
            hub.metrics.unreachable.inc();
            if wants_errors {
                let message = "the target cannot be reached";
                self.refuse(slot, &reply::refuse(code::NOT_REACHABLE, message, hint.kind.as_deref(), hint.request_id.as_deref()));
            }
            return;
        }
        if let (ForwardClass::Offer | ForwardClass::Reply, [target]) = (class, &targets[..]) {
            self.remember_peer(slot, (user_id.into(), *target));
        }
        for to in targets {
            self.send_to(to, frame.clone(), (from.clone(), own));
        }
    }

    fn send_to(&mut self, to: ConnRef, frame: Bytes, from: (Arc<str>, ConnRef)) {
        if to.shard != self.index {
            self.shards[usize::from(to.shard)].send_content(Message::Direct { to, frame, from });
        } else if let Some(slot) = self.resolve(to) {
            self.remember_peer(slot, from);
            self.push(slot, frame, 0);
        }
    }

    /// Remembers through which connection somebody takes part in signalling with this one (D13).
    pub(crate) fn remember_peer(&mut self, slot: u32, peer: (Arc<str>, ConnRef)) {
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else { return };
        session.peers.retain(|(user, _)| *user != peer.0);
        session.peers.push_back(peer);
        if session.peers.len() > PEERS_REMEMBERED {
            session.peers.pop_front();
        }
    }

    /// Pauses a connection until the edge has answered; `unavailable` runs when the question could not even be asked.
    pub(crate) fn pause(&mut self, slot: u32, pending: Pending, question: crate::edge::Question) {
        let reference = self.reference(slot);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else { return };
        session.pending = Some(Box::new(pending));
        if !self.hub.edge.ask(reference, question) {
            self.answered(reference, crate::edge::Answer::Unavailable);
        }
    }
}

fn volume(hub: &Hub) -> Rate {
    let kib = (hub.config.rates.bytes_per_second / limits::KIB as u32).max(1);
    Rate { per_second: kib, burst: kib.max((hub.config.socket.message_bytes_max / limits::KIB) as u32) }
}

fn new_targets(hub: &Hub) -> Rate {
    let per_minute = hub.config.rates.new_targets_per_minute;
    Rate { per_second: per_minute.div_ceil(60), burst: per_minute }
}

/// A key for what is only compared within this process; never 0.
fn key(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish().max(1)
}
