//! The places of clients: one account for each address, and one for all, of WebSockets and HTTP alike.
//!
//! A place of an address is held by a WebSocket, by an HTTP connection, and by an open request that came through a
//! trusted proxy, whose own connections count among all sockets only. An HTTP connection without an open request keeps
//! its place until another client needs it: then the one that has waited longest is closed.

use crate::{address::AddressKey, hub::AdmissionError, metrics::Metrics};
use limits::socket::{HTTP_BESIDE_MAX, HTTP_BESIDE_MIN, HTTP_BESIDE_PER_ADDRESS};
use parking_lot::Mutex;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use tokio::sync::Notify;

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    bounds: Bounds,
    held: Mutex<Held>,
    web_sockets: Gauge,
    http_connections: Gauge,
    http_idle_closed: Counter,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    web_sockets_max: usize,
    /// WebSockets and HTTP connections together.
    sockets_max: usize,
    per_address_max: usize,
}

/// What holds a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    WebSocket,
    /// An HTTP connection.
    Http,
    /// An open request of a client behind a trusted proxy.
    Request,
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    kind: Kind,
    /// `None` for the connection of a trusted proxy.
    address: Option<AddressKey>,
}

#[derive(Debug, Default)]
struct Held {
    web_sockets: usize,
    sockets: usize,
    addresses: HashMap<AddressKey, Account>,
    /// HTTP connections without an open request, by the order in which they began to wait.
    idle: BTreeMap<u64, Idle>,
    next_idle: u64,
}

/// The places of one address.
#[derive(Debug, Default)]
struct Account {
    places: usize,
    /// Those in [`Held::idle`].
    idle: BTreeSet<u64>,
}

#[derive(Debug)]
struct Idle {
    holder: Holder,
    revoked: Arc<Notify>,
}

impl Held {
    /// Takes a place. Returns the idle connection that lost its own for it.
    fn take(&mut self, holder: Holder, bounds: &Bounds) -> Result<Option<Idle>, AdmissionError> {
        let max = match holder.kind {
            Kind::Http => bounds
                .per_address_max
                .saturating_add(HTTP_BESIDE_PER_ADDRESS),
            Kind::WebSocket | Kind::Request => bounds.per_address_max,
        };
        let account = holder.address.and_then(|key| self.addresses.get(&key));
        let mut loser = None;
        if let Some(account) = account.filter(|account| account.places >= max) {
            let oldest = account.idle.first().copied();
            let max = bounds.per_address_max;
            loser = Some(oldest.ok_or(AdmissionError::AddressConnections { max })?);
        }
        if holder.kind == Kind::WebSocket && self.web_sockets >= bounds.web_sockets_max {
            return Err(AdmissionError::Connections);
        }
        if holder.kind != Kind::Request && self.sockets >= bounds.sockets_max && loser.is_none() {
            let oldest = self.idle.first_key_value().map(|(at, _)| *at);
            loser = Some(oldest.ok_or(AdmissionError::Connections)?);
        }
        let loser = loser.and_then(|at| self.take_idle(at));
        if let Some(loser) = &loser {
            self.release(loser.holder);
        }
        self.web_sockets += usize::from(holder.kind == Kind::WebSocket);
        self.sockets += usize::from(holder.kind != Kind::Request);
        if let Some(key) = holder.address {
            self.addresses.entry(key).or_default().places += 1;
        }
        Ok(loser)
    }

    fn release(&mut self, holder: Holder) {
        self.web_sockets -= usize::from(holder.kind == Kind::WebSocket);
        self.sockets -= usize::from(holder.kind != Kind::Request);
        if let Some(key) = holder.address
            && let Some(account) = self.addresses.get_mut(&key)
        {
            account.places -= 1;
            if account.places == 0 {
                self.addresses.remove(&key);
            }
        }
    }

    fn add_idle(&mut self, idle: Idle) -> u64 {
        let at = self.next_idle;
        self.next_idle += 1;
        if let Some(key) = idle.holder.address
            && let Some(account) = self.addresses.get_mut(&key)
        {
            account.idle.insert(at);
        }
        self.idle.insert(at, idle);
        at
    }

    fn take_idle(&mut self, at: u64) -> Option<Idle> {
        let idle = self.idle.remove(&at)?;
        if let Some(key) = idle.holder.address
            && let Some(account) = self.addresses.get_mut(&key)
        {
            account.idle.remove(&at);
        }
        Some(idle)
    }
}

impl Places {
    /// For so many WebSockets, and so many places of one address.
    pub(super) fn new(web_sockets_max: usize, per_address_max: usize, metrics: &Metrics) -> Self {
        let beside = (web_sockets_max / 7).clamp(HTTP_BESIDE_MIN, HTTP_BESIDE_MAX);
        Self {
            bounds: Bounds {
                web_sockets_max,
                sockets_max: web_sockets_max.saturating_add(beside),
                per_address_max,
            },
            held: Mutex::default(),
            web_sockets: metrics.connections.clone(),
            http_connections: metrics.http_connections.clone(),
            http_idle_closed: metrics.http_idle_closed.clone(),
        }
    }

    /// Open WebSockets.
    pub(super) fn web_sockets(&self) -> usize {
        self.held.lock().web_sockets
    }

    /// The limit of [`Places::web_sockets`].
    pub(super) fn web_sockets_max(&self) -> usize {
        self.bounds.web_sockets_max
    }

    fn take(&self, holder: Holder) -> Result<(), AdmissionError> {
        let loser = self.held.lock().take(holder, &self.bounds)?;
        if let Some(loser) = loser {
            self.http_connections.dec();
            self.http_idle_closed.inc();
            loser.revoked.notify_one();
        }
        match holder.kind {
            Kind::WebSocket => self.web_sockets.inc(),
            Kind::Http => self.http_connections.inc(),
            Kind::Request => 0,
        };
        Ok(())
    }

    fn release(&self, holder: Holder) {
        self.held.lock().release(holder);
        match holder.kind {
            Kind::WebSocket => self.web_sockets.dec(),
            Kind::Http => self.http_connections.dec(),
            Kind::Request => 0,
        };
    }

    fn place(self: &Arc<Self>, holder: Holder) -> Result<Place, AdmissionError> {
        self.take(holder)?;
        Ok(Place {
            places: self.clone(),
            holder,
        })
    }

    /// A place for a WebSocket of a client.
    pub(super) fn web_socket(self: &Arc<Self>, key: AddressKey) -> Result<Place, AdmissionError> {
        self.place(Holder {
            kind: Kind::WebSocket,
            address: Some(key),
        })
    }

    /// A place for an open request of a client behind a trusted proxy.
    pub(super) fn request(self: &Arc<Self>, key: AddressKey) -> Result<Place, AdmissionError> {
        self.place(Holder {
            kind: Kind::Request,
            address: Some(key),
        })
    }

    /// A place for an HTTP connection; `None` for one of a trusted proxy.
    pub(super) fn http(
        self: &Arc<Self>,
        address: Option<AddressKey>,
    ) -> Result<HttpPlace, AdmissionError> {
        let kind = Kind::Http;
        let holder = Holder { kind, address };
        self.take(holder)?;
        Ok(HttpPlace {
            places: self.clone(),
            holder,
            state: State::Held,
            revoked: Arc::default(),
        })
    }
}

/// A place; it is given back when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    holder: Holder,
}

impl Place {
    /// The address that it counts for.
    pub(crate) fn address(&self) -> Option<AddressKey> {
        self.holder.address
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.release(self.holder);
    }
}

/// The place of an HTTP connection; it is given back when this is dropped.
#[derive(Debug)]
pub struct HttpPlace {
    places: Arc<Places>,
    holder: Holder,
    state: State,
    revoked: Arc<Notify>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Held,
    /// Another client may get it.
    Idle(u64),
    Lost,
}

impl HttpPlace {
    /// No request is open: from now on another client may get the place.
    pub fn idle(&mut self) {
        if matches!(self.state, State::Held) {
            let idle = Idle {
                holder: self.holder,
                revoked: self.revoked.clone(),
            };
            self.state = State::Idle(self.places.held.lock().add_idle(idle));
        }
    }

    /// A request is open: the place is held, or taken again if another client got it.
    ///
    /// # Errors
    /// There is no place any more.
    pub(super) fn resume(&mut self) -> Result<(), AdmissionError> {
        if !self.withdraw() {
            self.places.take(self.holder)?;
        }
        self.state = State::Held;
        Ok(())
    }

    /// Gives the place back before the connection ends.
    pub fn give_back(&mut self) {
        if self.withdraw() {
            self.places.release(self.holder);
        }
    }

    /// Takes the place out of the account of this, so that no other client gets it; whether there was one.
    fn withdraw(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Held => true,
            State::Idle(at) => self.places.held.lock().take_idle(at).is_some(),
            State::Lost => false,
        }
    }

    /// Is notified when another client gets the place: the connection has to end unless a request comes first.
    #[must_use]
    pub fn revoked(&self) -> Arc<Notify> {
        self.revoked.clone()
    }
}

impl Drop for HttpPlace {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::{AdmissionError, HTTP_BESIDE_MIN, HTTP_BESIDE_PER_ADDRESS, HttpPlace, Places};
    use crate::{address::AddressKey, metrics::Metrics};
    use std::{net::IpAddr, sync::Arc};

    const PER_ADDRESS: usize = 3;

    fn places(web_sockets_max: usize) -> Arc<Places> {
        Places::new(web_sockets_max, PER_ADDRESS, &Metrics::default()).into()
    }

    fn key(at: u8) -> AddressKey {
        AddressKey::new(IpAddr::from([203, 0, 113, at]), 64)
    }

    fn is_revoked(place: &HttpPlace) -> bool {
        use std::task::{Context, Waker};
        let revoked = place.revoked();
        let notified = std::pin::pin!(revoked.notified());
        notified
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn web_sockets_http_and_requests_share_the_places_of_an_address() {
        let places = places(100);
        let web_socket = places.web_socket(key(1)).expect("the first");
        let http = places.http(Some(key(1))).expect("the second");
        let request = places.request(key(1)).expect("the third");
        let full = AdmissionError::AddressConnections { max: PER_ADDRESS };
        assert_eq!(places.web_socket(key(1)).expect_err("a fourth"), full);
        assert_eq!(places.request(key(1)).expect_err("a fourth"), full);
        let _other = places.web_socket(key(2)).expect("another address");
        // Health checks of a full address are answered.
        let beside: Vec<_> = (0..HTTP_BESIDE_PER_ADDRESS)
            .map(|_| places.http(Some(key(1))).expect("beside the others"))
            .collect();
        let _ = places.http(Some(key(1))).expect_err("no more of them");
        drop((beside, request));
        let _third = places.request(key(1)).expect("it was given back");
        drop((web_socket, http));
        assert_eq!(places.web_sockets(), 1);
    }

    #[test]
    fn the_idle_connection_that_waited_longest_makes_room() {
        let places = places(100);
        let mut http: Vec<HttpPlace> = (0..3)
            .map(|_| places.http(Some(key(1))).expect("a place"))
            .collect();
        http[1].idle();
        http[0].idle();
        let first = places.web_socket(key(1)).expect("the place of an idle one");
        assert_eq!(
            http.iter().map(is_revoked).collect::<Vec<_>>(),
            [false, true, false]
        );
        // It is served all the same while there is room, here beside the others.
        http[1].resume().expect("a place again");
        http[0].resume().expect("it was not lost");
        let _ = places.web_socket(key(1)).expect_err("none is idle");
        drop((first, http));
        assert!(places.held.lock().addresses.is_empty() && places.held.lock().idle.is_empty());
        assert_eq!(places.held.lock().sockets, 0);
    }

    #[test]
    fn all_sockets_are_bounded_and_proxies_count_there_only() {
        let places = places(1);
        let all = 1 + HTTP_BESIDE_MIN;
        let mut http: Vec<HttpPlace> = (0..all)
            .map(|_| {
                places
                    .http(None)
                    .expect("a proxy has no limit of an address")
            })
            .collect();
        assert_eq!(
            places.web_socket(key(1)).expect_err("all are in use"),
            AdmissionError::Connections
        );
        http[7].idle();
        let _web_socket = places.web_socket(key(1)).expect("one was idle");
        assert!(is_revoked(&http[7]));
        let _ = http[7].resume().expect_err("all are in use");
        let _ = places
            .web_socket(key(2))
            .expect_err("the limit of WebSockets");
        drop(http);
        assert_eq!(places.held.lock().sockets, 1);
    }
}
