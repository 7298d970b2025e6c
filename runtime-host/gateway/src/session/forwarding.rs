//! The receivers of an envelope: all connections that joined a server, or one user under the forwarding rule.

use crate::{
    hub::ConnRef,
    room::Room,
    shard::{Delivery, Filter, Message, Shard},
};
use bytes::Bytes;
use envelope::{
    Scan,
    catalogue::{EnvelopeType, Routing},
    reply::{self, code},
    verdict::ForwardClass,
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// Identities one connection has addressed lately and may address again for free.
const TARGETS_REMEMBERED: usize = 256;
/// Signalling partners one connection remembers.
const PEERS_REMEMBERED: usize = 256;

impl Shard {
    /// Sends to each connection that joined the server, except the sending one.
    pub(crate) fn broadcast(
        &mut self,
        slot: u32,
        server_id: &str,
        frame: &Bytes,
        filter: Filter,
        envelope: Option<&'static EnvelopeType>,
    ) {
        let Some((room, user_id)) = self.joined_room(slot, server_id) else {
            tracing::warn!("a judge wants to send to a server that the sender has not joined");
            return;
        };
        let coalesce = match envelope {
            Some(kind) if kind.coalesce && kind.routing == Routing::Server => {
                key(&(kind.name, &*user_id, slot, room.index))
            }
            _ => 0,
        };
        let delivery = Delivery {
            frame: frame.clone(),
            skip: Some(self.reference(slot)),
            filter,
            coalesce,
        };
        self.spread(&room, delivery);
    }

    /// Sends to the joined connections of a room on all shards. A plugin that no connection declared addresses all of them.
    pub(crate) fn spread(&mut self, room: &Arc<Room>, mut delivery: Delivery) {
        if let Filter::Plugin(plugin) = &delivery.filter
            && !room.declares(plugin)
        {
            delivery.filter = Filter::All;
        }
        if self.shards.len() > 1 {
            room.publish(&delivery, self.index, &self.shards);
        }
        self.deliver(room.index, delivery, None);
    }

    /// Sends to one user if the forwarding rule allows it. The answer to a refusal is the same as to a user that is not connected.
    pub(crate) fn forward(
        &mut self,
        slot: u32,
        user_id: &str,
        class: ForwardClass,
        frame: &Bytes,
        scan: &Scan<'_>,
    ) {
        let (own, now_ms, hub) = (self.reference(slot), self.now_ms, self.hub.clone());
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        let Some(person) = session.person.as_ref() else {
            return;
        };
        let (from, wants_errors) = (person.profile.user_id.clone(), person.wants_errors);
        let target = key(&user_id);
        if !session.targets.contains(&target) {
            if let Err(wait_ms) = session.new_targets.take(hub.new_targets, now_ms) {
                return self.over_rate(slot, "new targets", wait_ms, scan);
            }
            session.targets.push_back(target);
            if session.targets.len() > TARGETS_REMEMBERED {
                session.targets.pop_front();
            }
        }
        let rooms: Vec<u64> = session.rooms.iter().map(|place| place.room.index).collect();
        let known = session
            .peers
            .iter()
            .rev()
            .find(|(user, _)| **user == *user_id)
            .map(|(_, conn)| *conn);
        let mut targets = hub.route(&from, &rooms, user_id, class, known);
        targets.retain(|target| *target != own);
        if targets.is_empty() {
            hub.metrics.unreachable.inc();
            if wants_errors {
                let message = "the target cannot be reached";
                self.refuse(
                    slot,
                    &reply::refuse(
                        code::NOT_REACHABLE,
                        message,
                        scan.type_name().as_deref(),
                        scan.request_id().as_deref(),
                    ),
                );
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

    pub(crate) fn send_to(&mut self, to: ConnRef, frame: Bytes, from: (Arc<str>, ConnRef)) {
        if to.shard != self.index {
            self.shards[usize::from(to.shard)].send_content(Message::Direct { to, frame, from });
        } else if let Some(slot) = self.resolve(to) {
            self.remember_peer(slot, from);
            self.push(slot, frame, 0);
        }
    }

    /// Records the connection through which a user takes part in signalling with this one.
    pub(crate) fn remember_peer(&mut self, slot: u32, peer: (Arc<str>, ConnRef)) {
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        session.peers.retain(|(user, _)| *user != peer.0);
        session.peers.push_back(peer);
        if session.peers.len() > PEERS_REMEMBERED {
            session.peers.pop_front();
        }
    }
}

/// A key for what is only compared within this process; never 0.
fn key(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish().max(1)
}
