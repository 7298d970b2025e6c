//! State that all shards share: rooms, connected users, counters, and the client of the directory.
//!
//! No lock of this module is held while another one is taken, except a room's state around shard inboxes.

use crate::{
    config::{Config, Direct},
    directory::{DirectoryClient, state::UserView},
    metrics::Metrics,
    rate::{Addresses, Bucket},
    room::Room,
    shard::{Message, inbox::ShardHandle},
};
use envelope::verdict::ForwardClass;
use limits::{
    dispatch::ALARMS,
    rate::Rate,
    socket::{HALF_OPEN_MAX, HALF_OPEN_MIN},
};
use parking_lot::{Mutex, RwLock};
use plugin_bus::PluginHost;
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Names one connection for as long as it lives; a later connection in the same slot has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnRef {
    /// Which shard owns it.
    pub shard: u16,
    /// Its place there.
    pub slot: u32,
    /// Counts the users of that place.
    pub generation: u32,
}

/// Why a connection is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdmissionError {
    /// The process is about to end.
    #[error("the server is shutting down")]
    Draining,
    /// The limit of connections of one address.
    #[error("too many connections from this address")]
    AddressConnections,
    /// The limit of all connections.
    #[error("the server has reached its connection limit")]
    Connections,
    /// The rate of handshakes of one address.
    #[error("too many handshakes from this address")]
    HandshakeRate {
        /// Milliseconds until the address may connect again.
        wait_ms: u32,
    },
}

/// A connection of an identity, as others find it.
#[derive(Debug, Clone)]
struct Presence {
    conn: ConnRef,
    /// Grows with every connection: the newest has the greatest.
    age: u64,
    /// Joined and viewed rooms.
    rooms: Vec<u64>,
    connection_id: Arc<str>,
    scope: Option<Box<str>>,
    since_ms: u64,
}

/// A connection as shown to operators.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionInfo {
    /// The connection's id.
    pub connection_id: Box<str>,
    /// Its identity.
    pub oder_id: Box<str>,
    /// The scope from its `identify`.
    pub connection_scope: Option<Box<str>>,
    /// When it identified, milliseconds since 1970.
    pub identified_at: u64,
    /// Joined and viewed servers.
    pub servers: usize,
}

#[derive(Debug, Default)]
struct User {
    connections: Vec<Presence>,
    view: Arc<UserView>,
}

/// A map cut into stripes, so that threads rarely meet.
#[derive(Debug)]
struct Striped<V> {
    stripes: [Mutex<HashMap<Arc<str>, V>>; 64],
    hasher: RandomState,
}

impl<V> Striped<V> {
    fn new() -> Self {
        Self {
            stripes: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    fn stripe(&self, key: &str) -> &Mutex<HashMap<Arc<str>, V>> {
        &self.stripes[self.hasher.hash_one(key) as usize % self.stripes.len()]
    }
}

/// Pairs of users of whom one wrote to the other: a later call or icon request passes without a shared server. In memory, bounded, for a day.
#[derive(Debug, Default)]
struct Relations {
    seen: HashMap<(Arc<str>, Arc<str>), Instant>,
    order: VecDeque<(Arc<str>, Arc<str>)>,
}

const RELATIONS_MAX: usize = 100_000;
const RELATION_LIFETIME_SECONDS: u64 = 24 * 3_600;

/// What all shards share.
#[derive(Debug)]
pub struct Hub {
    /// What the operator set.
    pub config: Config,
    /// Counters.
    pub metrics: Metrics,
    /// The client of the directory.
    pub directory: DirectoryClient,
    /// Verifies tokens; replaced when keys change.
    pub verifier: RwLock<Arc<identity::Verifier>>,
    /// What `connected.protocol.limits` says.
    pub advertised: serde_json::Value,
    /// What `connected` says of the protocol.
    pub(crate) protocol: Box<RawValue>,
    /// The origin that key proofs name; known once the listener is bound.
    pub origin: RwLock<Arc<str>>,
    /// The rates of one connection, by class.
    pub(crate) rates: [Rate; 7],
    /// KiB that one connection may cause to be sent on.
    pub(crate) volume: Rate,
    /// Identities that one connection may address for the first time.
    pub(crate) new_targets: Rate,
    /// The cap on connections.
    pub connections_max: usize,
    /// Connections now.
    pub connections: AtomicUsize,
    /// Sockets whose request head is not complete.
    pub(crate) half_open: AtomicUsize,
    /// The cap on them.
    pub(crate) half_open_max: usize,
    /// New connections are refused; the process is about to end.
    pub draining: AtomicBool,
    started: Instant,
    shards: RwLock<Arc<[ShardHandle]>>,
    /// Servers with at least one connection, joined or viewing.
    pub(crate) rooms: Mutex<HashMap<Arc<str>, Arc<Room>>>,
    pub(crate) room_index: AtomicU64,
    users: Striped<User>,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    handshakes: Addresses,
    relations: Mutex<Relations>,
    ages: AtomicU64,
    /// The plugin host, if there is one.
    pub(crate) plugins: OnceLock<Arc<dyn PluginHost>>,
    /// What plugins sent and no shard has taken yet.
    pub(crate) publications: AtomicUsize,
    alarms: Mutex<Bucket>,
}

impl Hub {
    /// A hub without shards.
    #[must_use]
    pub fn new(
        config: Config,
        metrics: Metrics,
        directory: DirectoryClient,
        verifier: identity::Verifier,
        connections_max: usize,
    ) -> Self {
        let advertised = crate::advertised::limits(&config);
        Self {
            rates: config.rates.by_class(),
            volume: config.volume(),
            new_targets: config.rates.new_targets(),
            handshakes: Addresses::new(config.socket.handshakes_per_address.into()),
            config,
            protocol: envelope::reply::protocol(&advertised),
            metrics,
            directory,
            verifier: RwLock::new(Arc::new(verifier)),
            advertised,
            origin: RwLock::new("".into()),
            connections_max,
            connections: AtomicUsize::new(0),
            half_open: AtomicUsize::new(0),
            half_open_max: (connections_max / 7).clamp(HALF_OPEN_MIN, HALF_OPEN_MAX),
            draining: AtomicBool::new(false),
            started: Instant::now(),
            shards: RwLock::new(Arc::from([])),
            rooms: Mutex::default(),
            room_index: AtomicU64::new(0),
            users: Striped::new(),
            addresses: Mutex::default(),
            relations: Mutex::default(),
            ages: AtomicU64::new(0),
            plugins: OnceLock::new(),
            publications: AtomicUsize::new(0),
            alarms: Mutex::new(Bucket::full(ALARMS, 0)),
        }
    }

    pub(crate) fn set_shards(&self, shards: Vec<ShardHandle>) {
        *self.shards.write() = shards.into();
    }

    pub(crate) fn shards(&self) -> Arc<[ShardHandle]> {
        self.shards.read().clone()
    }

    /// Milliseconds since the hub was made; wraps after 49 days, users take differences.
    #[must_use]
    pub fn monotonic_ms(&self) -> u32 {
        self.started.elapsed().as_millis() as u32
    }

    /// Wall clock, milliseconds since 1970.
    #[must_use]
    pub fn now_ms() -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_millis() as u64)
    }

    /// Logs an event that any client can cause, at a bounded rate; counters count all of them.
    pub(crate) fn alarm(&self, say: impl FnOnce()) {
        if self.alarms.lock().take(ALARMS, self.monotonic_ms()).is_ok() {
            say();
        }
    }

    // ---- connections

    /// Takes a place for a connection from `address`.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<(), AdmissionError> {
        if self.draining.load(Ordering::Acquire) {
            return Err(AdmissionError::Draining);
        }
        self.handshakes
            .take(address, self.monotonic_ms())
            .map_err(|wait_ms| AdmissionError::HandshakeRate { wait_ms })?;
        let mut addresses = self.addresses.lock();
        let mine = addresses.get(&address).copied().unwrap_or(0);
        if mine >= self.config.socket.connections_per_address_max {
            return Err(AdmissionError::AddressConnections);
        }
        if self.connections.fetch_add(1, Ordering::AcqRel) >= self.connections_max {
            self.connections.fetch_sub(1, Ordering::AcqRel);
            return Err(AdmissionError::Connections);
        }
        addresses.insert(address, mine + 1);
        drop(addresses);
        self.metrics.connections.inc();
        self.metrics.accepted.inc();
        Ok(())
    }

    /// Gives the place back.
    pub(crate) fn release(&self, address: IpAddr) {
        let mut addresses = self.addresses.lock();
        if let Some(count) = addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&address);
            }
        }
        drop(addresses);
        self.connections.fetch_sub(1, Ordering::AcqRel);
        self.metrics.connections.dec();
    }

    // ---- identities

    /// Enters a connection under its identity.
    ///
    /// # Errors
    /// The identity has as many connections as it may.
    pub(crate) fn sign_in(
        &self,
        conn: ConnRef,
        user_id: &Arc<str>,
        view: Arc<UserView>,
        connection_id: &Arc<str>,
        scope: Option<&str>,
    ) -> Result<(), ()> {
        let mut users = self.users.stripe(user_id).lock();
        let user = users.entry(user_id.clone()).or_default();
        if user.connections.len() >= self.config.socket.connections_per_identity_max {
            return Err(());
        }
        user.view = view;
        let age = self.ages.fetch_add(1, Ordering::Relaxed);
        // Most identities have one connection; a vector's first growth would make room for four.
        user.connections.reserve_exact(1);
        user.connections.push(Presence {
            conn,
            age,
            rooms: Vec::new(),
            connection_id: connection_id.clone(),
            scope: scope.map(Into::into),
            since_ms: Self::now_ms(),
        });
        Ok(())
    }

    /// Identified connections, at most `entries_max`, in no order.
    #[must_use]
    pub fn connection_list(&self, entries_max: usize) -> Vec<ConnectionInfo> {
        let mut list = Vec::new();
        for stripe in &self.users.stripes {
            for (user_id, user) in stripe.lock().iter() {
                list.extend(user.connections.iter().map(|presence| ConnectionInfo {
                    connection_id: (&*presence.connection_id).into(),
                    oder_id: (&**user_id).into(),
                    connection_scope: presence.scope.clone(),
                    identified_at: presence.since_ms,
                    servers: presence.rooms.len(),
                }));
                if list.len() >= entries_max {
                    list.truncate(entries_max);
                    return list;
                }
            }
        }
        list
    }

    /// Removes a connection from its identity.
    pub(crate) fn sign_out(&self, conn: ConnRef, user_id: &str) {
        let mut users = self.users.stripe(user_id).lock();
        let Some(user) = users.get_mut(user_id) else {
            return;
        };
        user.connections.retain(|presence| presence.conn != conn);
        if user.connections.is_empty() {
            users.remove(user_id);
        }
    }

    /// Notes which rooms a connection is in, for forwarding.
    pub(crate) fn note_rooms(&self, conn: ConnRef, user_id: &str, rooms: Vec<u64>) {
        let mut users = self.users.stripe(user_id).lock();
        let presence = users.get_mut(user_id).and_then(|user| {
            user.connections
                .iter_mut()
                .find(|presence| presence.conn == conn)
        });
        if let Some(presence) = presence {
            presence.rooms = rooms;
        }
    }

    /// Takes a newer view of a user from the directory.
    pub(crate) fn update_user(&self, user_id: &str, view: &Arc<UserView>) {
        if let Some(user) = self.users.stripe(user_id).lock().get_mut(user_id) {
            user.view = view.clone();
        }
    }

    /// Whether an identity has a connection.
    pub(crate) fn is_connected(&self, user_id: &str) -> bool {
        self.users.stripe(user_id).lock().contains_key(user_id)
    }

    /// Connections that get an envelope from `from` to `to` under the forwarding rule; none if it is not allowed or `to` is not connected.
    pub(crate) fn route(
        &self,
        from: &Arc<str>,
        from_rooms: &[u64],
        to: &str,
        class: ForwardClass,
        known: Option<ConnRef>,
    ) -> Vec<ConnRef> {
        let (blocked, mut found) = {
            let users = self.users.stripe(to).lock();
            let Some((id, user)) = users.get_key_value(to) else {
                return Vec::new();
            };
            (
                user.view.blocks.contains(&**from),
                (id.clone(), user.connections.clone()),
            )
        };
        if blocked {
            return Vec::new();
        }
        let shares =
            |presence: &Presence| presence.rooms.iter().any(|room| from_rooms.contains(room));
        let shared = found.1.iter().any(shares);
        let to = found.0;
        if class == ForwardClass::Direct {
            let allowed =
                self.config.forward.direct == Direct::Anyone || shared || self.related(&to, from);
            if allowed {
                self.relate(from, &to);
                return found.1.into_iter().map(|presence| presence.conn).collect();
            }
            return Vec::new();
        }
        if !shared && !self.related(&to, from) {
            return Vec::new();
        }
        if class == ForwardClass::Reply
            && let Some(known) =
                known.filter(|known| found.1.iter().any(|presence| presence.conn == *known))
        {
            return vec![known];
        }
        found
            .1
            .sort_by_key(|presence| std::cmp::Reverse((shares(presence), presence.age)));
        found
            .1
            .first()
            .map(|presence| presence.conn)
            .into_iter()
            .collect()
    }

    fn related(&self, from: &Arc<str>, to: &Arc<str>) -> bool {
        let relations = self.relations.lock();
        relations
            .seen
            .get(&(from.clone(), to.clone()))
            .is_some_and(|at| at.elapsed().as_secs() < RELATION_LIFETIME_SECONDS)
    }

    fn relate(&self, from: &Arc<str>, to: &Arc<str>) {
        let mut relations = self.relations.lock();
        let key = (from.clone(), to.clone());
        if relations.seen.insert(key.clone(), Instant::now()).is_none() {
            relations.order.push_back(key);
            if relations.order.len() > RELATIONS_MAX
                && let Some(oldest) = relations.order.pop_front()
            {
                relations.seen.remove(&oldest);
            }
        }
    }

    /// Tells every shard to close its connections.
    pub(crate) fn broadcast_drain(&self) {
        self.draining.store(true, Ordering::Release);
        for shard in self.shards().iter() {
            shard.send(Message::Drain);
        }
    }
}
