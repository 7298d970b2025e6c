//! Performs the effects of a decision. Each is checked against limits and live state before.

use crate::{
    frame,
    session::{Sessions, validation::broken_contract},
    shard::message::Receivers,
};
use bytes::Bytes;
use envelope::{
    Scan,
    verdict::{self, Decision, Effect, Status},
};

impl Sessions {
    /// Performs a decision: at once, or after the plugins that decide about the envelope.
    pub(super) fn perform(&mut self, slot: u32, scan: &Scan<'_>, decision: &Decision) {
        if !decision.effects.iter().any(sends) {
            for effect in &decision.effects {
                self.perform_one(slot, effect, None, scan);
            }
            return;
        }
        let Some(outgoing) = verdict::apply(scan.bytes(), &decision.patches) else {
            let error = broken_contract("its patches do not fit the envelope".into());
            return self.validation_failed(slot, scan, &error);
        };
        if !self.charge_volume(slot, outgoing.len(), scan) {
            return;
        }
        // A filter's rewrite replaces the whole envelope; otherwise the members that plugins are chosen by are those of
        // the first scan.
        let is_rewritten = decision
            .patches
            .first()
            .is_some_and(|patch| patch.offset == 0);
        let rewritten = is_rewritten.then(|| Scan::new(&outgoing));
        let final_scan = rewritten.as_ref().unwrap_or(scan);
        let interest = self.plugin_interest(slot, decision, final_scan);
        if let Some(interest) = interest.as_ref().filter(|interest| interest.decides) {
            let effects = decision.effects.clone();
            let request_id = scan.request_id();
            return self.ask_plugins(slot, request_id.as_deref(), interest, outgoing, effects);
        }
        let frame = frame::text(&outgoing);
        for effect in &decision.effects {
            self.perform_one(slot, effect, Some(&frame), scan);
        }
        if let Some(interest) = interest {
            self.inform_plugins(slot, &interest, outgoing);
        }
    }

    /// Performs one effect; `frame` is the patched envelope.
    pub(crate) fn perform_one(
        &mut self,
        slot: u32,
        effect: &Effect,
        frame: Option<&Bytes>,
        scan: &Scan<'_>,
    ) {
        match effect {
            Effect::Identify(identify) => {
                self.identify(slot, identify.clone(), scan.request_id().as_deref());
            }
            Effect::Keepalive => self.keepalive(slot),
            Effect::SetStatus(status) => self.set_status(slot, *status),
            Effect::Join(access) => {
                self.enter(slot, access.clone(), false, scan.request_id().as_deref());
            }
            Effect::View(access) => {
                self.enter(slot, access.clone(), true, scan.request_id().as_deref());
            }
            Effect::Leave(server_id) => self.leave(slot, server_id),
            Effect::IconAvailable {
                server_id,
                updated_at,
            } => {
                if let Some((room, user_id)) = self.joined_room(slot, server_id) {
                    room.offer_icon(&user_id, *updated_at);
                }
            }
            Effect::IconPeers {
                server_id,
                updated_at,
            } => {
                if let Some((room, user_id)) = self.joined_room(slot, server_id) {
                    let entries_max = self.hub.config.socket.roster_entries_max;
                    let peers = room.icon_peers(&user_id, *updated_at, entries_max);
                    self.sockets.push(slot, peers, None);
                }
            }
            Effect::Broadcast(_)
            | Effect::SendToMember { .. }
            | Effect::SendToPlugin { .. }
            | Effect::Forward { .. } => {
                if let Some(frame) = frame {
                    self.send(slot, effect, frame, scan);
                }
            }
        }
    }

    /// Performs an effect that sends the envelope on.
    fn send(&mut self, slot: u32, effect: &Effect, frame: &Bytes, scan: &Scan<'_>) {
        let (server_id, receivers) = match effect {
            Effect::Forward { user_id, class } => {
                return self.forward(slot, user_id, *class, frame, scan);
            }
            Effect::Broadcast(server_id) => (server_id, Receivers::All),
            Effect::SendToMember { server_id, user_id } => {
                (server_id, Receivers::User(user_id.as_str().into()))
            }
            Effect::SendToPlugin {
                server_id,
                plugin_id,
            } => (server_id, Receivers::Plugin(plugin_id.as_str().into())),
            _ => return,
        };
        self.broadcast(slot, server_id, frame, receivers, scan.envelope_type());
    }

    /// Answers `keepalive`, at most once per ping interval.
    fn keepalive(&mut self, slot: u32) {
        let now_ms = self.sockets.now_ms();
        let Some(session) = self.sockets.session_mut(slot) else {
            return;
        };
        if session.rates().answers_keepalive(&self.hub.rates, now_ms) {
            self.sockets.send_envelope(slot, br#"{"type":"keepalive"}"#);
        }
    }

    /// Sets the connection's presence; each joined server is told if the user's presence changed there.
    fn set_status(&mut self, slot: u32, status: Status) {
        let session = self.sockets.session_mut(slot);
        if session.is_some_and(|session| session.set_status(status)) {
            self.update_rooms(slot);
        }
    }

    /// Tells the registry of users and the joined rooms what a connection is now: user, presence, declared plugins.
    pub(super) fn update_rooms(&self, slot: u32) {
        let conn = self.sockets.reference(slot);
        let Some(session) = self.sockets.session(slot) else {
            return;
        };
        if let Some(user) = session.user() {
            let users = &self.hub.users;
            users.set_profile(conn, &user.profile, user.status);
            let connection = user.as_member(conn);
            for membership in session.memberships().iter().filter(|one| one.joined) {
                membership.room.update(&connection, &self.shards);
            }
        }
    }
}

/// Whether an effect sends the envelope on.
fn sends(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Broadcast(_)
            | Effect::SendToMember { .. }
            | Effect::SendToPlugin { .. }
            | Effect::Forward { .. }
    )
}
