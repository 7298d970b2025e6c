//! The receivers of an envelope: all connections that joined a server, or one user under the forwarding rule.

use crate::{
    hub::ConnRef,
    room::Room,
    session::{Sessions, refusals::Reason},
    shard::{
        coalesce::CoalesceKey,
        message::{Delivery, Message, Receivers},
    },
};
use bytes::Bytes;
use envelope::{
    Scan,
    catalogue::{EnvelopeType, Routing},
    reply::code,
    verdict::ForwardClass,
};
use std::sync::Arc;

impl Sessions {
    /// Sends to each connection that joined the server, except the sending one.
    pub(super) fn broadcast(
        &mut self,
        slot: u32,
        server_id: &str,
        frame: &Bytes,
        receivers: Receivers,
        envelope_type: Option<&'static EnvelopeType>,
    ) {
        let Some((room, user_id)) = self.joined_room(slot, server_id) else {
            tracing::warn!("a validator sends to a server that the sender has not joined");
            return;
        };
        let coalesce = match envelope_type {
            Some(kind) if kind.coalesce && kind.routing == Routing::Server => {
                Some(CoalesceKey::state(kind, &user_id, slot, room.index))
            }
            _ => None,
        };
        let delivery = Delivery {
            frame: frame.clone(),
            skip: Some(self.sockets.reference(slot)),
            receivers,
            coalesce,
        };
        self.send_to_room(&room, delivery);
    }

    /// Sends to the joined connections of a room on all shards. A plugin that no connection declared addresses all of
    /// them.
    pub(crate) fn send_to_room(&mut self, room: &Arc<Room>, mut delivery: Delivery) {
        if let Receivers::Plugin(plugin) = &delivery.receivers
            && !room.declares(plugin)
        {
            delivery.receivers = Receivers::All;
        }
        if self.shards.len() > 1 {
            room.send_to_other_shards(&delivery, self.sockets.shard(), &self.shards);
        }
        self.sockets.deliver(room.index, delivery, None);
    }

    /// Sends to one user if the forwarding rule allows it. The answer to a refusal is the same as to a user that is not
    /// connected.
    pub(super) fn forward(
        &mut self,
        slot: u32,
        user_id: &str,
        class: ForwardClass,
        frame: &Bytes,
        scan: &Scan<'_>,
    ) {
        let own = self.sockets.reference(slot);
        let Some((from, wants_errors)) = self.user(slot).map(|user| {
            let from = user.profile.user_id.clone();
            (from, user.wants_errors)
        }) else {
            return;
        };
        if !self.charge_target(slot, user_id, scan) {
            return;
        }
        let Some(session) = self.sockets.session(slot) else {
            return;
        };
        let (rooms, peer) = (session.rooms(), session.peer(user_id));
        let users = &self.hub.users;
        let receivers = users.route(&from, &rooms, user_id, class, peer, own);
        if receivers.is_empty() {
            self.hub.metrics.unreachable.inc();
            if wants_errors {
                self.refuse_scanned(slot, scan, not_reachable());
            }
            return;
        }
        // A direct message comes from any connection of its sender, which need not be the one that signals.
        let is_signalling = matches!(class, ForwardClass::Offer | ForwardClass::Reply);
        if let (true, [receiver]) = (is_signalling, &receivers[..]) {
            self.remember_peer(slot, user_id.into(), *receiver);
        }
        for to in receivers {
            let peer = is_signalling.then(|| from.clone());
            self.send_direct(to, frame.clone(), own, peer);
        }
    }

    /// Takes a token for a user that is addressed for the first time; false if there was none.
    fn charge_target(&mut self, slot: u32, user_id: &str, scan: &Scan<'_>) -> bool {
        let now_ms = self.sockets.now_ms();
        let Some(session) = self.sockets.session_mut(slot) else {
            return false;
        };
        let taken = session.charge_target(user_id, &self.hub, now_ms);
        self.check_charge(slot, taken, scan)
    }

    fn send_direct(&mut self, to: ConnRef, frame: Bytes, sender: ConnRef, peer: Option<Arc<str>>) {
        if to.shard == self.sockets.shard() {
            self.receive_direct(to, frame, sender, peer);
        } else {
            self.shards[usize::from(to.shard)].send_content(Message::Direct {
                to,
                frame,
                sender,
                peer,
            });
        }
    }

    /// Sends a frame to one connection of this shard, unless too much waits for it; `peer` is the user of `sender` if
    /// the frame is signalling.
    pub(crate) fn receive_direct(
        &mut self,
        to: ConnRef,
        frame: Bytes,
        sender: ConnRef,
        peer: Option<Arc<str>>,
    ) {
        let Some(slot) = self.sockets.resolve(to) else {
            return;
        };
        if !self.sockets.has_room_for_direct(slot, frame.len()) {
            if sender.shard == self.sockets.shard() {
                return self.direct_undelivered(sender);
            }
            return self.shards[usize::from(sender.shard)].send(Message::Undelivered(sender));
        }
        if let Some(user_id) = peer {
            self.remember_peer(slot, user_id, sender);
        }
        self.sockets.push(slot, frame, None);
    }

    /// Tells a connection that a frame of it was not delivered.
    pub(crate) fn direct_undelivered(&mut self, sender: ConnRef) {
        self.hub.metrics.unreachable.inc();
        let Some(slot) = self.sockets.resolve(sender) else {
            return;
        };
        let session = self.sockets.session(slot);
        if session.is_some_and(|session| session.wants_errors()) {
            self.refuse(slot, &not_reachable().error(None, None));
        }
    }

    fn remember_peer(&mut self, slot: u32, user_id: Arc<str>, conn: ConnRef) {
        if let Some(session) = self.sockets.session_mut(slot) {
            session.remember_peer(user_id, conn);
        }
    }
}

/// The reason of a refusal that is the same for a user that is unknown, not connected, not allowed or too far behind.
fn not_reachable() -> Reason<'static> {
    Reason::new(code::NOT_REACHABLE, "the target cannot be reached")
}
