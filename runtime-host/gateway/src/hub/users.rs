//! The connected users of all shards: their connections and rooms, and which connections a forwarded envelope reaches.

use crate::{
    config::{Config, Direct},
    directory::views::UserView,
    hub::{
        ConnRef, Hub, IdentityRates, earlier_contacts::EarlierContacts, identity_rates::FormerRates,
    },
    room::{Profile, Room},
    session::rates::RateLimits,
};
use envelope::verdict::{ForwardClass, Status};
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use uuid::Uuid;

/// A connection as shown to operators.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionInfo {
    /// The connection's id.
    pub connection_id: Box<str>,
    /// The user.
    pub oder_id: Box<str>,
    /// The scope from its `identify`.
    pub connection_scope: Option<Box<str>>,
    /// The name that it shows.
    pub display_name: Box<str>,
    /// The text of its profile.
    pub description: Option<Box<str>>,
    /// Whether it has proven the user.
    pub verified: bool,
    /// Its presence: `online`, `away`, `busy` or `offline`.
    pub status: &'static str,
    /// When it identified, milliseconds since 1970.
    pub identified_at: u64,
    /// The number of joined and viewed servers.
    pub servers: usize,
    /// Their ids.
    pub server_ids: Vec<Box<str>>,
}

/// A connection of a user.
#[derive(Debug, Clone)]
struct UserConnection {
    conn: ConnRef,
    /// It has proven the user.
    is_proven: bool,
    /// Grows with every connection: the newest has the greatest.
    age: u64,
    /// Joined and viewed rooms.
    rooms: Box<[Arc<Room>]>,
    connection_id: Uuid,
    scope: Option<Box<str>>,
    /// As it identified; none between its registration and the end of its sign-in.
    profile: Option<Arc<Profile>>,
    status: Status,
    identified_at_ms: u64,
}

impl UserConnection {
    fn info(&self, user_id: &str) -> ConnectionInfo {
        let profile = self.profile.as_deref();
        let server_ids = self.rooms.iter().map(|room| (&*room.server_id).into());
        ConnectionInfo {
            connection_id: self.connection_id.to_string().into(),
            oder_id: user_id.into(),
            connection_scope: self.scope.clone(),
            display_name: profile.map_or("", |profile| &profile.display_name).into(),
            description: profile.and_then(|profile| profile.description.as_deref().map(Into::into)),
            verified: profile.is_some_and(|profile| profile.verified),
            status: self.status.as_str(),
            identified_at: self.identified_at_ms,
            servers: self.rooms.len(),
            server_ids: server_ids.collect(),
        }
    }
}

/// A user has as many connections of the same kind, proven or not, as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoPlace;

#[derive(Debug, Default)]
struct ConnectedUser {
    connections: Vec<UserConnection>,
    view: Arc<UserView>,
    /// What its connections may send together.
    rates: Arc<IdentityRates>,
}

impl ConnectedUser {
    /// Connections that have proven the user count by themselves: strangers under its name take none of its places.
    fn check_place(&self, is_proven: bool, connections_max: usize) -> Result<(), NoPlace> {
        let same_kind = self.connections.iter();
        let taken = same_kind.filter(|one| one.is_proven == is_proven).count();
        if taken < connections_max {
            Ok(())
        } else {
            Err(NoPlace)
        }
    }
}

type Stripe = Mutex<HashMap<Arc<str>, ConnectedUser>>;

/// The connected users. The map is cut into stripes, so that threads rarely wait for each other.
#[derive(Debug)]
pub(crate) struct Users {
    stripes: [Stripe; 64],
    hasher: RandomState,
    earlier_contacts: EarlierContacts,
    former_rates: Mutex<FormerRates>,
    rate_limits: RateLimits,
    ages: AtomicU64,
    connections_max: usize,
    direct: Direct,
}

impl Users {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            stripes: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            earlier_contacts: EarlierContacts::default(),
            former_rates: Mutex::default(),
            rate_limits: config.identity_rate_limits(),
            ages: AtomicU64::new(0),
            connections_max: config.socket.connections_per_identity_max,
            direct: config.forward.direct,
        }
    }

    fn stripe(&self, user_id: &str) -> &Stripe {
        &self.stripes[self.hasher.hash_one(user_id) as usize % self.stripes.len()]
    }

    /// Enters a connection under its user. Returns the rates that it shares with the others of the user.
    ///
    /// # Errors
    /// There is no place for it.
    pub(crate) fn sign_in(
        &self,
        conn: ConnRef,
        user_id: &Arc<str>,
        view: Arc<UserView>,
        connection_id: Uuid,
        scope: Option<&str>,
        is_proven: bool,
    ) -> Result<Arc<IdentityRates>, NoPlace> {
        let mut users = self.stripe(user_id).lock();
        let user = users
            .entry(user_id.clone())
            .or_insert_with(|| ConnectedUser {
                rates: self.former_rates.lock().take(user_id).unwrap_or_default(),
                ..ConnectedUser::default()
            });
        user.check_place(is_proven, self.connections_max)?;
        user.view = view;
        // Most users have one connection; a vector's first growth would reserve memory for four.
        user.connections.reserve_exact(1);
        user.connections.push(UserConnection {
            conn,
            is_proven,
            age: self.ages.fetch_add(1, Ordering::Relaxed),
            rooms: Box::default(),
            connection_id,
            scope: scope.map(Into::into),
            profile: None,
            status: Status::default(),
            identified_at_ms: Hub::now_ms(),
        });
        Ok(user.rates.clone())
    }

    /// Lets a connection, which identifies again as its user, have proven it or not.
    ///
    /// # Errors
    /// There is no place of that kind.
    pub(crate) fn set_proven(
        &self,
        conn: ConnRef,
        user_id: &str,
        is_proven: bool,
    ) -> Result<(), NoPlace> {
        let mut users = self.stripe(user_id).lock();
        let Some(user) = users.get_mut(user_id) else {
            return Ok(());
        };
        let changes = |one: &UserConnection| one.conn == conn && one.is_proven != is_proven;
        let Some(at) = user.connections.iter().position(changes) else {
            return Ok(());
        };
        user.check_place(is_proven, self.connections_max)?;
        user.connections[at].is_proven = is_proven;
        Ok(())
    }

    /// Removes a connection from its user. What the user has sent lately is remembered.
    pub(crate) fn sign_out(&self, conn: ConnRef, user_id: &str, now_ms: u32) {
        let mut users = self.stripe(user_id).lock();
        let Some(user) = users.get_mut(user_id) else {
            return;
        };
        user.connections.retain(|one| one.conn != conn);
        if user.connections.is_empty()
            && let Some((user_id, user)) = users.remove_entry(user_id)
            && !user.rates.release_full(&self.rate_limits, now_ms)
        {
            self.former_rates.lock().keep(user_id, user.rates);
        }
    }

    /// Takes the rooms that a connection is in.
    pub(crate) fn set_rooms(&self, conn: ConnRef, user_id: &str, rooms: Box<[Arc<Room>]>) {
        self.change(conn, user_id, |connection| connection.rooms = rooms);
    }

    /// Takes what a connection shows of its user.
    pub(crate) fn set_profile(&self, conn: ConnRef, profile: &Arc<Profile>, status: Status) {
        self.change(conn, &profile.user_id, |connection| {
            connection.is_proven = profile.verified;
            connection.profile = Some(profile.clone());
            connection.status = status;
        });
    }

    fn change(&self, conn: ConnRef, user_id: &str, change: impl FnOnce(&mut UserConnection)) {
        let mut users = self.stripe(user_id).lock();
        let Some(user) = users.get_mut(user_id) else {
            return;
        };
        let mut connections = user.connections.iter_mut();
        if let Some(connection) = connections.find(|one| one.conn == conn) {
            change(connection);
        }
    }

    /// Takes a newer view of a user from the directory. Returns the connections of the user.
    pub(crate) fn update_view(&self, user_id: &str, view: &Arc<UserView>) -> Vec<ConnRef> {
        let mut users = self.stripe(user_id).lock();
        let Some(user) = users.get_mut(user_id) else {
            return Vec::new();
        };
        user.view = view.clone();
        user.connections.iter().map(|one| one.conn).collect()
    }

    /// The users with a connection in a room.
    pub(crate) fn in_room(&self, room: &Room) -> Vec<Arc<str>> {
        let mut found = Vec::new();
        for stripe in &self.stripes {
            let users = stripe.lock();
            let inside = users.iter().filter(|(_, user)| {
                let mut rooms = user.connections.iter().flat_map(|one| one.rooms.iter());
                rooms.any(|one| one.index == room.index)
            });
            found.extend(inside.map(|(user_id, _)| user_id.clone()));
        }
        found
    }

    /// The rooms that the connections of a user have joined or view.
    pub(crate) fn rooms(&self, user_id: &str) -> Vec<Arc<Room>> {
        let users = self.stripe(user_id).lock();
        let Some(user) = users.get(user_id) else {
            return Vec::new();
        };
        let rooms = user.connections.iter().flat_map(|one| one.rooms.iter());
        let mut rooms: Vec<_> = rooms.cloned().collect();
        rooms.sort_unstable_by_key(|room| room.index);
        rooms.dedup_by_key(|room| room.index);
        rooms
    }

    /// The connected users.
    pub(crate) fn connected(&self) -> Vec<Arc<str>> {
        let stripes = self.stripes.iter();
        stripes
            .flat_map(|stripe| stripe.lock().keys().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Whether a user has a connection.
    pub(crate) fn is_connected(&self, user_id: &str) -> bool {
        self.stripe(user_id).lock().contains_key(user_id)
    }

    /// The connections, at most `entries_max`, in no order.
    pub(super) fn list(&self, entries_max: usize) -> Vec<ConnectionInfo> {
        let mut list = Vec::new();
        for stripe in &self.stripes {
            for (user_id, user) in stripe.lock().iter() {
                list.extend(user.connections.iter().map(|one| one.info(user_id)));
                if list.len() >= entries_max {
                    list.truncate(entries_max);
                    return list;
                }
            }
        }
        list
    }

    /// The connections that get an envelope from `from`, which is in `from_rooms`, to `to`. Empty if the
    /// forwarding rule does not allow it or `to` is not connected. `peer` is the connection through which `to` took
    /// part in signalling last; `sender` gets nothing.
    pub(crate) fn route(
        &self,
        from: &Arc<str>,
        from_rooms: &[Arc<Room>],
        to: &str,
        class: ForwardClass,
        peer: Option<ConnRef>,
        sender: ConnRef,
    ) -> Vec<ConnRef> {
        let Some((to, mut connections)) = self.receivers(from, to) else {
            return Vec::new();
        };
        // A user may write to and call its own other connections.
        connections.retain(|one| one.conn != sender);
        let shares = |one: &UserConnection| {
            let mut rooms = one.rooms.iter();
            rooms.any(|room| from_rooms.iter().any(|from| from.index == room.index))
        };
        let is_allowed = (class == ForwardClass::Direct && self.direct == Direct::Anyone)
            || connections.iter().any(shares)
            || self.earlier_contacts.contains(&to, from);
        if !is_allowed {
            return Vec::new();
        }
        if class == ForwardClass::Direct {
            self.earlier_contacts.insert(from, &to);
            return connections.into_iter().map(|one| one.conn).collect();
        }
        if class == ForwardClass::Reply
            && let Some(peer) = peer.filter(|peer| connections.iter().any(|one| one.conn == *peer))
        {
            return vec![peer];
        }
        connections.sort_by_key(|one| Reverse((shares(one), one.age)));
        connections
            .first()
            .map(|one| one.conn)
            .into_iter()
            .collect()
    }

    /// A connected user with its connections, unless it blocks `from`.
    fn receivers(&self, from: &str, to: &str) -> Option<(Arc<str>, Vec<UserConnection>)> {
        let users = self.stripe(to).lock();
        let (user_id, user) = users.get_key_value(to)?;
        if user.view.blocks.contains(from) {
            return None;
        }
        Some((user_id.clone(), user.connections.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::{NoPlace, Users};
    use crate::{
        config::{Config, Direct},
        directory::views::{ServerView, UserView},
        hub::ConnRef,
        room::Room,
        session::rates::Charge,
    };
    use envelope::{catalogue::RateClass, verdict::ForwardClass};
    use limits::rate::NEW_TARGET_PRICE;
    use std::sync::Arc;
    use uuid::Uuid;

    fn conn(slot: u32) -> ConnRef {
        ConnRef {
            shard: 0,
            slot,
            generation: 0,
        }
    }

    /// The connection that sends.
    const SENDER: u32 = 100;

    fn rooms(indices: &[u64]) -> Box<[Arc<Room>]> {
        let room = |index: &u64| Arc::new(Room::new(*index, Arc::new(ServerView::at_revision(1))));
        indices.iter().map(room).collect()
    }

    /// Bob has connection 1 in the rooms 10 and 20, connection 2 in room 10, and connection 3, the newest one, in none.
    fn bob(config: &Config, blocks: &[&str]) -> Users {
        let users = Users::new(config);
        let view = Arc::new(UserView {
            blocks: blocks.iter().copied().map(Into::into).collect(),
            ..UserView::default()
        });
        for (slot, indices) in [(1, &[10, 20][..]), (2, &[10]), (3, &[])] {
            let (conn, user_id) = (conn(slot), "bob".into());
            let entered = users.sign_in(conn, &user_id, view.clone(), Uuid::new_v4(), None, false);
            assert!(entered.is_ok());
            users.set_rooms(conn, "bob", rooms(indices));
        }
        users
    }

    #[test]
    fn one_connection_gets_a_call_and_all_get_a_direct_message() {
        let users = bob(&Config::default(), &[]);
        let alice = "alice".into();
        let route = |indices: &[u64], class, peer| {
            users.route(&alice, &rooms(indices), "bob", class, peer, conn(SENDER))
        };
        assert_eq!(route(&[20], ForwardClass::Offer, None), [conn(1)]);
        assert_eq!(
            route(&[10], ForwardClass::Offer, None),
            [conn(2)],
            "the newest one that shares a server"
        );
        let peer = Some(conn(3));
        assert_eq!(route(&[10], ForwardClass::Reply, peer), [conn(3)]);
        let gone = Some(conn(9));
        assert_eq!(route(&[10], ForwardClass::Reply, gone), [conn(2)]);
        assert_eq!(route(&[30], ForwardClass::Icon, None), []);
        assert_eq!(route(&[], ForwardClass::Direct, None).len(), 3);
        let carol = "carol";
        let (class, sender) = (ForwardClass::Direct, conn(SENDER));
        assert_eq!(
            users.route(&alice, &rooms(&[10]), carol, class, None, sender),
            []
        );
    }

    #[test]
    fn a_user_reaches_its_own_other_connections() {
        let users = bob(&Config::default(), &[]);
        let route = |class| users.route(&"bob".into(), &rooms(&[10]), "bob", class, None, conn(2));
        assert_eq!(
            route(ForwardClass::Offer),
            [conn(1)],
            "the newest one that shares a server is the sender's"
        );
        assert_eq!(route(ForwardClass::Direct), [conn(1), conn(3)]);
    }

    #[test]
    fn an_earlier_contact_allows_the_answer() {
        let users = bob(&Config::default(), &[]);
        let alice: Arc<str> = "alice".into();
        let view = Arc::default();
        let entered = users.sign_in(conn(4), &alice, view, Uuid::new_v4(), None, false);
        assert!(entered.is_ok());
        let call = |from: &str, to: &str| {
            let receivers = users.route(
                &from.into(),
                &[],
                to,
                ForwardClass::Offer,
                None,
                conn(SENDER),
            );
            receivers.len()
        };
        assert_eq!((call("alice", "bob"), call("bob", "alice")), (0, 0));
        users.route(&alice, &[], "bob", ForwardClass::Direct, None, conn(SENDER));
        assert_eq!(
            (call("alice", "bob"), call("bob", "alice")),
            (0, 1),
            "the user that was written to may call back"
        );
    }

    #[test]
    fn blocks_and_the_configured_rule_hold() {
        let mut config = Config::default();
        config.socket.connections_per_identity_max = 3;
        config.forward.direct = Direct::SharedServer;
        let users = bob(&config, &["mallory"]);
        let direct = |from: &str, indices: &[u64]| {
            let (class, sender) = (ForwardClass::Direct, conn(SENDER));
            let receivers = users.route(&from.into(), &rooms(indices), "bob", class, None, sender);
            receivers.len()
        };
        assert_eq!((direct("alice", &[]), direct("alice", &[20])), (0, 3));
        assert_eq!(direct("mallory", &[10]), 0);
        let (user_id, view) = ("bob".into(), Arc::default());
        let entered = users.sign_in(conn(4), &user_id, view, Uuid::new_v4(), None, false);
        assert!(
            entered.is_err(),
            "the user has as many connections as it may"
        );
        (1..=3).for_each(|slot| users.sign_out(conn(slot), "bob", 0));
        assert!(!users.is_connected("bob") && users.list(10).is_empty());
    }

    #[test]
    fn a_user_that_connects_anew_goes_on_with_its_rates() {
        let config = Config::default();
        let limits = config.identity_rate_limits();
        let users = Users::new(&config);
        let sign_in = |slot| {
            let (user_id, view) = ("eve".into(), Arc::default());
            let entered = users.sign_in(conn(slot), &user_id, view, Uuid::new_v4(), None, false);
            entered.expect("a place")
        };
        for charge in [Charge::Message(RateClass::Chat), Charge::NewTarget] {
            let mut sent = 0;
            for slot in 0..1_000 {
                let rates = sign_in(slot);
                sent += u32::from(rates.take(charge, false, &limits, 0).is_ok());
                users.sign_out(conn(slot), "eve", 0);
            }
            let rate = match charge {
                Charge::NewTarget => limits.new_targets.burst / NEW_TARGET_PRICE,
                _ => limits.classes[RateClass::Chat as usize].burst,
            };
            assert_eq!(sent, rate, "{charge:?}");
        }
    }

    #[test]
    fn connections_without_proof_take_no_place_of_the_owner() {
        let mut config = Config::default();
        config.socket.connections_per_identity_max = 2;
        let users = Users::new(&config);
        let sign_in = |slot, is_proven| {
            let (id, user_id, view) = (Uuid::new_v4(), "carol".into(), Arc::default());
            let entered = users.sign_in(conn(slot), &user_id, view, id, None, is_proven);
            entered.is_ok()
        };
        assert_eq!(
            [1, 2, 3].map(|slot| sign_in(slot, false)),
            [true, true, false]
        );
        assert_eq!(
            [4, 5, 6].map(|slot| sign_in(slot, true)),
            [true, true, false]
        );
        // Who proves the name later needs a place as well.
        let prove = |slot| users.set_proven(conn(slot), "carol", true);
        assert_eq!((prove(4), prove(1)), (Ok(()), Err(NoPlace)));
        users.sign_out(conn(4), "carol", 0);
        assert_eq!(prove(1), Ok(()));
        assert_eq!((sign_in(4, true), sign_in(7, false)), (false, true));
    }
}
