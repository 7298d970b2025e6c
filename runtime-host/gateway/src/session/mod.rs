//! The sessions of a shard's connections: each envelope is charged against rates and validated, and the effects of the
//! verdict are performed.
//!
//! A session has a user, the memberships of servers, and at most one envelope that waits for a reply.

pub(crate) mod authority;
mod effects;
mod forwarding;
mod forwarding_memory;
mod identify;
mod join;
mod membership;
pub(crate) mod pending;
pub(crate) mod rates;
pub(crate) mod refusals;
mod state;
mod tickets;
pub(crate) mod validation;

pub(crate) use state::{Session, User};

use crate::{
    frame::{self, Opcode},
    hub::Hub,
    room::Room,
    shard::{inbox::ShardHandle, sockets::Sockets},
};
use authority::Expiries;
use bytes::Bytes;
use envelope::{Scan, Validator, catalogue::RateClass, reply};
use std::sync::Arc;
use tickets::Tickets;
use validation::TimedChain;

/// The sessions of a shard, on top of its sockets.
pub(crate) struct Sessions {
    /// The sockets of these sessions.
    pub sockets: Sockets,
    hub: Arc<Hub>,
    shards: Arc<[ShardHandle]>,
    validator: TimedChain,
    tickets: Tickets,
    expiries: Expiries,
}

impl Sessions {
    pub(crate) fn new(
        hub: Arc<Hub>,
        shards: Arc<[ShardHandle]>,
        sockets: Sockets,
        validator: Box<dyn Validator>,
    ) -> Self {
        Self {
            tickets: Tickets::new(sockets.shard()),
            validator: TimedChain::new(validator),
            expiries: Expiries::default(),
            hub,
            shards,
            sockets,
        }
    }

    /// What all shards share.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Opens the WebSocket: sends the answer to the upgrade, unless that is done, then `connected`.
    pub(crate) fn open(&mut self, slot: u32, answer: Option<String>) {
        let session = Session::new(&self.hub, self.sockets.now_ms());
        let connected = reply::connected(
            &session.connection_id().to_string(),
            session.server_time_ms(),
            &self.hub.protocol,
        );
        self.sockets.open(slot, session);
        if let Some(answer) = answer {
            self.sockets.push(slot, Bytes::from(answer), None);
        }
        self.sockets.send_envelope(slot, &connected);
    }

    /// One whole text message: charged before anything but its type is read, then validated.
    pub(crate) fn on_message(&mut self, slot: u32, bytes: &[u8]) {
        let scan = Scan::new(bytes);
        if !self.charge(slot, RateClass::Other, &scan) {
            return;
        }
        let envelope_type = scan.envelope_type();
        self.hub.metrics.receive(envelope_type);
        let class = envelope_type.map_or(RateClass::Other, |kind| kind.rate);
        if class == RateClass::Other || self.charge(slot, class, &scan) {
            let verdict = self.validate(slot, &scan);
            self.act_on(slot, &scan, verdict);
        }
    }

    /// A ping of the client: charged and answered.
    pub(crate) fn on_ping(&mut self, slot: u32, payload: &[u8]) {
        if self.charge(slot, RateClass::Other, &Scan::new(b"")) {
            let pong = frame::encode(Opcode::Pong, payload);
            self.sockets.push(slot, pong, None);
        }
    }

    /// A pong that answers no ping: charged.
    pub(crate) fn on_pong(&mut self, slot: u32) {
        self.charge(slot, RateClass::Other, &Scan::new(b""));
    }

    /// Whether a connection is paused.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.tickets.is_empty()
    }

    /// Takes the connections that ended out of their rooms, and removes those whose socket is lost.
    pub(crate) fn remove_ended(&mut self) {
        for reference in self.sockets.take_ended() {
            let Some(slot) = self.sockets.resolve(reference) else {
                continue;
            };
            self.end(slot);
            if self.sockets.is_lost(slot) {
                self.sockets.remove(slot);
            }
        }
    }

    /// The user of a connection.
    pub(crate) fn user(&self, slot: u32) -> Option<&User> {
        self.sockets.session(slot)?.user()
    }

    /// The room of a server that the connection has joined, and its user.
    pub(crate) fn joined_room(&self, slot: u32, server_id: &str) -> Option<(Arc<Room>, Arc<str>)> {
        let session = self.sockets.session(slot)?;
        let membership = session.membership(server_id).filter(|one| one.joined)?;
        let user_id = session.user()?.profile.user_id.clone();
        Some((membership.room.clone(), user_id))
    }
}
