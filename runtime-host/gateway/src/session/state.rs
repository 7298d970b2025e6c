//! The state of one open connection above its socket. What most connections never use is behind a pointer that is empty
//! until then.

use crate::{
    hub::{ConnRef, Hub, IdentityRates},
    room::{
        DeclaredPlugins, MemberConnection, Profile, Room,
        local::{Admitted, RoomMembership},
    },
    session::{
        authority::Proof,
        forwarding_memory::ForwardingMemory,
        pending::Pending,
        rates::{Charge, Exceeded, SessionRates},
    },
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
    connection_id: Uuid,
    server_time_ms: u64,
    user: Option<User>,
    memberships: Vec<RoomMembership>,
    pending: Option<Box<Pending>>,
    rates: SessionRates,
    forwarding: Option<Box<ForwardingMemory>>,
}

/// The user of a connection, as it identified.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// Shared with the rosters.
    pub profile: Arc<Profile>,
    /// The presence of this connection.
    pub status: Status,
    /// The plugins that the client declared.
    pub plugins: Option<Arc<DeclaredPlugins>>,
    /// What the connection has shown.
    pub(super) proof: Option<Arc<Proof>>,
    /// What all connections of the user may send together.
    pub(super) shared_rates: Arc<IdentityRates>,
    /// The client announced the feature `errors`.
    pub(super) wants_errors: bool,
    /// The client announced the feature `roster-paging`.
    pub(super) pages_rosters: bool,
}

impl User {
    /// The end of its token, milliseconds since 1970, if it has shown one.
    pub(super) fn expires_at_ms(&self) -> Option<u64> {
        match self.proof.as_deref() {
            Some(Proof::Token { expires_at_ms }) => Some(*expires_at_ms),
            Some(Proof::Key(_)) | None => None,
        }
    }

    /// The connection as rooms know it.
    pub(super) fn as_member(&self, conn: ConnRef) -> MemberConnection {
        MemberConnection {
            conn,
            profile: self.profile.clone(),
            status: self.status,
            plugins: self.plugins.clone(),
        }
    }

    /// Whether the client declared a plugin.
    pub(crate) fn has_plugin(&self, plugin_id: &str) -> bool {
        let plugins = self.plugins.as_deref();
        plugins.is_some_and(|plugins| plugins.find(plugin_id).is_some())
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

    /// The `connectionId` of `connected`.
    pub(super) fn connection_id(&self) -> Uuid {
        self.connection_id
    }

    /// `serverTime` of `connected`, milliseconds since 1970: a part of what a key proof signs.
    pub(super) fn server_time_ms(&self) -> u64 {
        self.server_time_ms
    }

    // ---- the user

    /// The user; `None` before `identify`.
    pub(crate) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Takes the user that the connection identified as.
    pub(super) fn set_user(&mut self, user: User) {
        self.user = Some(user);
    }

    /// Takes the mark of a proof from the user.
    pub(super) fn unverify(&mut self) {
        if let Some(user) = &mut self.user {
            user.profile = Arc::new(Profile {
                verified: false,
                ..Profile::clone(&user.profile)
            });
        }
    }

    /// Removes the user.
    pub(super) fn take_user(&mut self) -> Option<User> {
        self.user.take()
    }

    /// Sets the presence of the connection; false before `identify`.
    pub(super) fn set_status(&mut self, status: Status) -> bool {
        let user = self.user.as_mut();
        user.map(|user| user.status = status).is_some()
    }

    /// Whether the client announced the feature `errors`.
    pub(super) fn wants_errors(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.wants_errors)
    }

    // ---- envelopes

    /// Whether an envelope of this connection waits for a reply.
    pub(crate) fn is_paused(&self) -> bool {
        self.pending.is_some()
    }

    /// The envelope that waits.
    pub(super) fn pending(&self) -> Option<&Pending> {
        self.pending.as_deref()
    }

    /// Lets an envelope wait; returns one that waited before.
    pub(super) fn set_pending(&mut self, pending: Pending) -> Option<Box<Pending>> {
        self.pending.replace(Box::new(pending))
    }

    /// Takes the envelope that waits.
    pub(super) fn take_pending(&mut self) -> Option<Box<Pending>> {
        self.pending.take()
    }

    /// The buckets and strikes of the connection.
    pub(super) fn rates(&mut self) -> &mut SessionRates {
        &mut self.rates
    }

    /// Gives back memory that an idle connection does not need.
    pub(crate) fn release_idle(&mut self, hub: &Hub, now_ms: u32) {
        self.rates.release_idle(&hub.rates, now_ms);
        if let Some(user) = &self.user {
            user.shared_rates.release_full(&hub.identity_rates, now_ms);
        }
    }

    /// Takes from the buckets of the connection, and from those of its user.
    ///
    /// # Errors
    /// The rate that is exceeded.
    pub(super) fn charge(
        &mut self,
        charge: Charge,
        hub: &Hub,
        now_ms: u32,
    ) -> Result<(), Exceeded> {
        let own = self.rates.take(charge, &hub.rates, now_ms);
        own.map_err(|wait_ms| Exceeded {
            charge,
            wait_ms,
            of_identity: false,
        })?;
        let Some(user) = &self.user else {
            return Ok(());
        };
        let (is_proven, limits) = (user.profile.verified, &hub.identity_rates);
        let shared = user.shared_rates.take(charge, is_proven, limits, now_ms);
        shared.map_err(|wait_ms| Exceeded {
            charge,
            wait_ms,
            of_identity: true,
        })
    }

    // ---- forwarding

    /// Takes a token for a user, unless it was addressed lately.
    ///
    /// # Errors
    /// No other user may be addressed now.
    pub(super) fn charge_target(
        &mut self,
        user_id: &str,
        hub: &Hub,
        now_ms: u32,
    ) -> Result<(), Exceeded> {
        let memory = self.forwarding.get_or_insert_default();
        if memory.has_target(user_id) {
            return Ok(());
        }
        self.charge(Charge::NewTarget, hub, now_ms)?;
        let memory = self.forwarding.get_or_insert_default();
        memory.add_target(user_id);
        Ok(())
    }

    /// The connection through which a user took part in signalling last.
    pub(super) fn peer(&self, user_id: &str) -> Option<ConnRef> {
        self.forwarding.as_ref()?.peer(user_id)
    }

    /// Records the connection through which a user takes part in signalling.
    pub(super) fn remember_peer(&mut self, user_id: Arc<str>, conn: ConnRef) {
        let memory = self.forwarding.get_or_insert_default();
        memory.set_peer(user_id, conn);
    }

    // ---- rooms

    /// The rooms that are joined or viewed.
    pub(crate) fn memberships(&self) -> &[RoomMembership] {
        &self.memberships
    }

    /// These rooms.
    pub(super) fn rooms(&self) -> Box<[Arc<Room>]> {
        let memberships = self.memberships.iter();
        memberships.map(|one| one.room.clone()).collect()
    }

    /// By what the connection is on a server.
    pub(super) fn admitted_mut(&mut self, server_id: &str) -> Option<&mut Admitted> {
        let mut memberships = self.memberships.iter_mut();
        let membership = memberships.find(|one| *one.room.server_id == *server_id)?;
        Some(&mut membership.admitted)
    }

    /// Adds a room.
    pub(super) fn add_membership(&mut self, membership: RoomMembership) {
        // Most connections have one server; a vector's first growth would reserve memory for four.
        self.memberships.reserve_exact(1);
        self.memberships.push(membership);
    }

    /// Removes the room of a server.
    pub(super) fn remove_membership(&mut self, server_id: &str) -> Option<RoomMembership> {
        let mut memberships = self.memberships.iter();
        let at = memberships.position(|one| *one.room.server_id == *server_id)?;
        Some(self.memberships.remove(at))
    }

    /// Removes all rooms.
    pub(super) fn take_memberships(&mut self) -> Vec<RoomMembership> {
        std::mem::take(&mut self.memberships)
    }

    /// Takes the position of a connection that has left the same room of the shard.
    pub(super) fn move_to(&mut self, vacated: &RoomMembership) {
        let mut memberships = self.memberships.iter_mut();
        if let Some(own) = memberships.find(|own| own.room.index == vacated.room.index) {
            own.move_to(vacated);
        }
    }

    /// The membership of the server named `server_id`.
    pub(super) fn membership(&self, server_id: &str) -> Option<&RoomMembership> {
        let mut memberships = self.memberships.iter();
        memberships.find(|membership| *membership.room.server_id == *server_id)
    }

    /// The server of an envelope without `serverId`: the sole joined one, else the sole viewed one.
    fn implied_membership(&self) -> Option<&RoomMembership> {
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
            server_revision: membership.map_or(0, |membership| membership.room.plugins_revision()),
            membership: match membership {
                None => verdict::Membership::None,
                Some(membership) if membership.joined => verdict::Membership::Joined,
                Some(_) => verdict::Membership::Viewing,
            },
        }
    }
}
