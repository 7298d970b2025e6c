//! What all shards share: admission of connections, connected users, rooms, the clients of directory and plugins, and
//! counters.
//!
//! Locks are taken in the order: registry of rooms, state of a room, inbox of a shard. Apart from these, no lock is held
//! while another one is taken.

pub(crate) mod admission;
mod earlier_contacts;
mod identity_rates;
mod key_set;
pub(crate) mod places;
pub(crate) mod users;

pub(crate) use admission::{Admission, AdmissionError};
pub(crate) use identity_rates::IdentityRates;
pub use key_set::FollowedKeySet;
pub use places::{HttpPlace, Place};
pub use users::ConnectionInfo;
pub(crate) use users::NoPlace;

use crate::{
    address::{Client, Source},
    config::Config,
    directory::{DirectoryClient, views::UserView},
    metrics::Metrics,
    plugins::bridge::PluginBridge,
    rate::Bucket,
    room::registry::Rooms,
    session::rates::RateLimits,
    shard::{assembly::UnfinishedBytes, inbox::ShardHandle, message::Message},
};
use identity::{Claims, TokenError, Verifier};
use limits::dispatch::ALARMS;
use parking_lot::{Mutex, RwLock};
use rest::HostError;
use serde_json::value::RawValue;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use users::Users;

/// Names one connection for as long as it lives; a later connection in the same slot has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnRef {
    /// The shard that owns it.
    pub shard: u16,
    /// Its slot there.
    pub slot: u32,
    /// Counts the connections of that slot.
    pub generation: u32,
}

/// What all shards share.
#[derive(Debug)]
pub struct Hub {
    /// The configuration.
    pub config: Config,
    /// Counters.
    pub metrics: Metrics,
    /// The client of the directory.
    pub directory: DirectoryClient,
    /// The value of `connected.protocol`.
    pub(crate) protocol: Box<RawValue>,
    /// The rates of one connection.
    pub(crate) rates: RateLimits,
    /// The rates that the connections of one identity share.
    pub(crate) identity_rates: RateLimits,
    pub(crate) admission: Admission,
    /// Bytes of messages that have begun to arrive.
    pub(crate) unfinished: UnfinishedBytes,
    pub(crate) users: Users,
    pub(crate) rooms: Rooms,
    pub(crate) plugins: PluginBridge,
    verifier: RwLock<Arc<Verifier>>,
    key_set: Option<FollowedKeySet>,
    origin: RwLock<Arc<str>>,
    limits: serde_json::Value,
    shards: RwLock<Arc<[ShardHandle]>>,
    alarms: Mutex<Bucket>,
    /// The log has told of a proxy that the configuration does not name.
    told_of_proxy: AtomicBool,
    /// Counts upgrades on HTTP connections, to deal them out to the shards in turn.
    pub(crate) upgrades: AtomicUsize,
    started: Instant,
}

impl Hub {
    /// A hub without shards, for at most `connections_max` connections.
    #[must_use]
    pub fn new(
        config: Config,
        metrics: Metrics,
        directory: DirectoryClient,
        verifier: Verifier,
        connections_max: usize,
    ) -> Self {
        let limits = crate::advertised::limits(&config);
        Self {
            protocol: envelope::reply::protocol(&limits),
            limits,
            rates: config.rate_limits(),
            identity_rates: config.identity_rate_limits(),
            admission: Admission::new(&config.socket, &metrics, connections_max),
            users: Users::new(&config),
            unfinished: UnfinishedBytes::default(),
            key_set: (!config.identity.jwks_url.is_empty()).then(FollowedKeySet::default),
            rooms: Rooms::new(metrics.rooms.clone()),
            plugins: PluginBridge::default(),
            config,
            metrics,
            directory,
            verifier: RwLock::new(Arc::new(verifier)),
            origin: RwLock::new("".into()),
            shards: RwLock::new(Arc::from([])),
            alarms: Mutex::new(Bucket::full(ALARMS, 0)),
            told_of_proxy: AtomicBool::new(false),
            upgrades: AtomicUsize::new(0),
            started: Instant::now(),
        }
    }

    pub(crate) fn set_shards(&self, shards: Arc<[ShardHandle]>) {
        *self.shards.write() = shards;
    }

    pub(crate) fn shards(&self) -> Arc<[ShardHandle]> {
        self.shards.read().clone()
    }

    /// Milliseconds since the hub was made. Wraps after 49 days, so only differences mean anything.
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
    pub(crate) fn alarm(&self, log: impl FnOnce()) {
        if self.alarms.lock().take(ALARMS, self.monotonic_ms()).is_ok() {
            log();
        }
    }

    /// The limits that clients can act on: the value of `connected.protocol.limits`.
    #[must_use]
    pub fn limits(&self) -> &serde_json::Value {
        &self.limits
    }

    /// The text that `/metrics` serves (OpenMetrics).
    #[must_use]
    pub fn render_metrics(&self) -> String {
        self.metrics
            .directory_lag
            .set(self.directory.lag().as_secs() as i64);
        self.metrics.render()
    }

    /// A limit of an address has refused a client. If a proxy seems to hide many clients behind its own address, the log
    /// says so once.
    pub fn note_refusal(&self, client: &Client) {
        let is_proxy = self.config.socket.trusts(client.address);
        let remedy = match client.source {
            Source::UntrustedProxy => {
                "it sends X-Forwarded-For: if it is a proxy, name it in socket.trusted_proxies"
            }
            Source::Proxy if is_proxy => "it is a trusted proxy and must send X-Forwarded-For",
            Source::Proxy | Source::Peer => return,
        };
        if !self.told_of_proxy.swap(true, Relaxed) {
            tracing::warn!(peer = %client.address, "an address has reached a limit of one address: {remedy}");
        }
    }

    // ---- identities

    /// Verifies a token.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let verifier = self.verifier.read().clone();
        let now_ms = Self::now_ms();
        let verified = verifier.verify(token, now_ms / 1_000);
        verified.map_err(|error| match &self.key_set {
            Some(set) => set.judge(error, now_ms),
            None => error,
        })
    }

    /// The key set of another issuer, if the configuration names one.
    #[must_use]
    pub fn key_set(&self) -> Option<&FollowedKeySet> {
        self.key_set.as_ref()
    }

    /// Takes the keys with which tokens are verified from now on.
    pub fn set_verifier(&self, verifier: Verifier) {
        *self.verifier.write() = Arc::new(verifier);
    }

    /// The origin that key proofs name; empty before [`Hub::set_origin`].
    #[must_use]
    pub fn origin(&self) -> Arc<str> {
        self.origin.read().clone()
    }

    /// Sets the origin that key proofs name, once the listener is bound.
    pub fn set_origin(&self, origin: &str) {
        *self.origin.write() = origin.into();
    }

    /// The directory's view of a user that is connected, if it is known; it counts for what is sent to the user from now
    /// on.
    pub(crate) fn latest_user(&self, user_id: &str) -> Option<Arc<UserView>> {
        let mut latest = self.directory.known_user(user_id)?;
        loop {
            self.users.update_view(user_id, &latest);
            // A newer one may have been taken in between.
            let known = self.directory.known_user(user_id)?;
            if Arc::ptr_eq(&known, &latest) {
                return Some(latest);
            }
            latest = known;
        }
    }

    /// Takes a newer view of a user: it counts for what is sent to the user from now on, and its connections are told.
    pub(crate) fn user_changed(&self, user_id: &Arc<str>, view: &Arc<UserView>) {
        let shards = self.shards();
        for to in self.users.update_view(user_id, view) {
            shards[usize::from(to.shard)].send(Message::UserChanged {
                to,
                user_id: user_id.clone(),
                view: view.clone(),
            });
        }
    }

    // ---- connections

    /// A request of `client` is open: a place for it, if it came through a trusted proxy.
    ///
    /// # Errors
    /// 503 (`CONNECTIONS_FULL`): the client's address has too many.
    pub fn open_request(&self, client: &Client) -> Result<Option<Place>, HostError> {
        let admitted = self.admission.request(client);
        admitted.map_err(|error| self.refuse_http(error))
    }

    /// A request begins on an HTTP connection that was idle.
    ///
    /// # Errors
    /// 503 (`CONNECTIONS_FULL`): its place was needed, and there is no other one.
    pub fn resume_http(&self, place: &mut HttpPlace) -> Result<(), HostError> {
        let resumed = place.resume();
        resumed.map_err(|error| self.refuse_http(error))
    }

    fn refuse_http(&self, error: AdmissionError) -> HostError {
        Metrics::count(&self.metrics.http_refused, error.reason());
        error.answer()
    }

    /// Open WebSocket connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.admission.connections()
    }

    /// The limit of [`Hub::connections`].
    #[must_use]
    pub fn connections_max(&self) -> usize {
        self.admission.connections_max()
    }

    /// Whether the process is about to end, so that new connections are refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.admission.is_draining()
    }

    /// Identified connections, at most `entries_max`, in no order.
    #[must_use]
    pub fn connection_list(&self, entries_max: usize) -> Vec<ConnectionInfo> {
        self.users.list(entries_max)
    }

    /// Refuses new connections, and tells every shard to close its own.
    pub(crate) fn drain(&self) {
        self.admission.drain();
        for shard in self.shards().iter() {
            shard.send(Message::Drain);
        }
    }
}
