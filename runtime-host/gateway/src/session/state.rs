//! The state of one open connection above its socket. What most connections never use is behind a pointer that is empty
//! until then.

use crate::{
    hub::Hub,
    room::{Profile, local::RoomMembership},
    session::{forwarding::ForwardingMemory, pending::Pending, rates::SessionRates},
};
use envelope::{
    Context,
    verdict::{self, Status},
};
use std::{borrow::Cow, sync::Arc};
use uuid::{Uuid, fmt::Hyphenated};

/// The session of an open WebSocket.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) connection_id: Uuid,
    /// `serverTime` of `connected`, milliseconds since 1970: a part of what a key proof signs.
    pub(super) server_time_ms: u64,
    pub(super) user: Option<User>,
    pub(super) memberships: Vec<RoomMembership>,
    pub(super) pending: Option<Box<Pending>>,
    pub(super) rates: SessionRates,
    pub(super) forwarding: Option<Box<ForwardingMemory>>,
}

/// The user of a connection, as it identified.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// Shared with the rosters.
    pub profile: Arc<Profile>,
    /// The presence of this connection.
    pub status: Status,
    /// The plugins that the client declared.
    pub plugins: Option<Arc<[Box<str>]>>,
    /// The client announced the feature `errors`.
    pub(super) wants_errors: bool,
}

impl User {
    /// Whether the client declared a plugin.
    pub(crate) fn has_plugin(&self, plugin_id: &str) -> bool {
        let plugins = self.plugins.as_deref().unwrap_or_default();
        plugins.iter().any(|declared| **declared == *plugin_id)
    }
}

impl Session {
    pub(super) fn new(hub: &Hub, now_ms: u32) -> Self {
        Self {
            connection_id: Uuid::new_v4(),
            server_time_ms: Hub::now_ms(),
            user: None,
            memberships: Vec::new(),
            pending: None,
            rates: SessionRates::new(&hub.rates, now_ms),
            forwarding: None,
        }
    }

    /// The user; `None` before `identify`.
    pub(crate) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// The rooms that are joined or viewed.
    pub(crate) fn memberships(&self) -> &[RoomMembership] {
        &self.memberships
    }

    /// Whether an envelope of this connection waits for a reply.
    pub(crate) fn is_paused(&self) -> bool {
        self.pending.is_some()
    }

    /// Gives back memory that an idle connection does not need.
    pub(crate) fn release_idle(&mut self, hub: &Hub, now_ms: u32) {
        self.rates.release_idle(&hub.rates, now_ms);
    }

    /// The membership of the server named `server_id`.
    pub(super) fn membership(&self, server_id: &str) -> Option<&RoomMembership> {
        let mut memberships = self.memberships.iter();
        memberships.find(|membership| *membership.room.server_id == *server_id)
    }

    /// The server of an envelope without `serverId`: the sole joined one, else the sole viewed one.
    pub(super) fn implied_membership(&self) -> Option<&RoomMembership> {
        let any_joined = self.memberships.iter().any(|membership| membership.joined);
        let mut candidates = self.memberships.iter();
        let mut candidates = candidates.by_ref().filter(|one| one.joined == any_joined);
        candidates.next().filter(|_| candidates.next().is_none())
    }

    /// The number of joined, or of viewed, servers.
    pub(super) fn count(&self, joined: bool) -> usize {
        let memberships = self.memberships.iter();
        memberships.filter(|one| one.joined == joined).count()
    }

    /// What the validator chain gets to know of an envelope that names `server_id`.
    pub(super) fn context<'a>(
        &'a self,
        server_id: Option<&'a Cow<'a, str>>,
        connection_id: &'a mut [u8; Hyphenated::LENGTH],
    ) -> Context<'a> {
        let implied = match server_id {
            Some(_) => None,
            None => self.implied_membership(),
        };
        let membership = match server_id {
            Some(server_id) => self.membership(server_id),
            None => implied,
        };
        Context {
            now_ms: Hub::now_ms(),
            connection_id: self
                .connection_id
                .as_hyphenated()
                .encode_lower(connection_id),
            user_id: self.user.as_ref().map(|user| &*user.profile.user_id),
            display_name: self
                .user
                .as_ref()
                .map_or("", |user| &user.profile.display_name),
            server_id: match server_id {
                Some(server_id) => Some(server_id),
                None => implied.map(|implied| &*implied.room.server_id),
            },
            server_implied: implied.is_some(),
            server_revision: membership.map_or(0, |membership| membership.room.revision()),
            membership: match membership {
                None => verdict::Membership::None,
                Some(membership) if membership.joined => verdict::Membership::Joined,
                Some(_) => verdict::Membership::Viewing,
            },
        }
    }
}
