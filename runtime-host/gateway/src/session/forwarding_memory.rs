//! What a connection remembers of the users that it exchanges forwarded envelopes with.

use crate::hub::ConnRef;
use limits::socket::{PEERS_REMEMBERED_MAX, TARGETS_REMEMBERED_MAX};
use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// The users that a connection exchanges forwarded envelopes with.
#[derive(Debug, Default)]
pub(crate) struct ForwardingMemory {
    /// Hashes of users addressed lately, oldest first.
    targets: VecDeque<u64>,
    /// The connection of each signalling partner, oldest first.
    peers: VecDeque<(Arc<str>, ConnRef)>,
}

impl ForwardingMemory {
    pub(super) fn has_target(&self, user_id: &str) -> bool {
        self.targets.contains(&hash(user_id))
    }

    pub(super) fn add_target(&mut self, user_id: &str) {
        self.targets.push_back(hash(user_id));
        if self.targets.len() > TARGETS_REMEMBERED_MAX {
            self.targets.pop_front();
        }
    }

    /// The connection through which a user took part in signalling last.
    pub(super) fn peer(&self, user_id: &str) -> Option<ConnRef> {
        let mut peers = self.peers.iter().rev();
        let (_, conn) = peers.find(|(user, _)| **user == *user_id)?;
        Some(*conn)
    }

    pub(super) fn set_peer(&mut self, user_id: Arc<str>, conn: ConnRef) {
        self.peers.retain(|(user, _)| *user != user_id);
        self.peers.push_back((user_id, conn));
        if self.peers.len() > PEERS_REMEMBERED_MAX {
            self.peers.pop_front();
        }
    }
}

fn hash(user_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    user_id.hash(&mut hasher);
    hasher.finish()
}
