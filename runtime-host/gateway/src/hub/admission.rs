//! Which sockets are admitted: each is in the account of all and of its address ([`Places`]) as soon as its request head
//! is complete, and among those without a place until then.

use crate::{
    address::{AddressKey, Client, Source},
    config::Socket,
    hub::places::{HttpPlace, Place, Places},
    metrics::Metrics,
    rate::AddressRates,
};
use http::StatusCode;
use limits::socket::{HALF_OPEN_MAX, HALF_OPEN_MIN, RETRY_AFTER_SECONDS};
use prometheus_client::metrics::counter::Counter;
use rest::HostError;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Why a connection is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdmissionError {
    /// The process is about to end.
    #[error("the server is shutting down")]
    Draining,
    /// The limit of places of one address.
    #[error("too many connections and open requests of this address: {max} at once are allowed")]
    AddressConnections {
        /// The limit.
        max: usize,
    },
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

impl AdmissionError {
    /// The label in the counters of what is refused.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::AddressConnections { .. } => "address",
            Self::Connections => "full",
            Self::HandshakeRate { .. } => "rate",
        }
    }

    /// The answer. The advised wait has a random part, so that refused clients do not return all at once.
    pub(crate) fn answer(self) -> HostError {
        let (status, code, wait_ms) = match self {
            Self::Draining => (StatusCode::SERVICE_UNAVAILABLE, "DRAINING", 0),
            Self::AddressConnections { .. } | Self::Connections => {
                (StatusCode::SERVICE_UNAVAILABLE, "CONNECTIONS_FULL", 0)
            }
            Self::HandshakeRate { wait_ms } => {
                (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", wait_ms)
            }
        };
        let spread = u64::from(uuid::Uuid::new_v4().as_fields().0) % RETRY_AFTER_SECONDS;
        let wait_ms = u64::from(wait_ms) + (RETRY_AFTER_SECONDS + spread) * 1_000;
        HostError::of_host(status, code, self.to_string()).with("retryAfterMs", wait_ms)
    }
}

/// Admits sockets, and counts those without a place.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Arc<Places>,
    handshakes: AddressRates,
    /// Sockets whose request head is not complete, or was refused.
    placeless: AtomicUsize,
    placeless_max: usize,
    draining: AtomicBool,
    accepted: Counter,
}

impl Admission {
    pub(super) fn new(socket: &Socket, metrics: &Metrics, connections_max: usize) -> Self {
        let per_address_max = socket.connections_per_address_max;
        Self {
            places: Places::new(connections_max, per_address_max, metrics).into(),
            handshakes: AddressRates::new(socket.handshakes_per_address.into()),
            placeless: AtomicUsize::new(0),
            placeless_max: (connections_max / 7).clamp(HALF_OPEN_MIN, HALF_OPEN_MAX),
            draining: AtomicBool::new(false),
            accepted: metrics.accepted.clone(),
        }
    }

    // ---- places

    /// Admits a WebSocket of a client.
    ///
    /// # Errors
    /// A limit is reached, or the process is about to end.
    pub(crate) fn web_socket(
        &self,
        address: AddressKey,
        now_ms: u32,
    ) -> Result<Place, AdmissionError> {
        if self.is_draining() {
            return Err(AdmissionError::Draining);
        }
        self.handshakes
            .take(address, now_ms)
            .map_err(|wait_ms| AdmissionError::HandshakeRate { wait_ms })?;
        let place = self.places.web_socket(address)?;
        self.accepted.inc();
        Ok(place)
    }

    /// Admits an HTTP connection on which `client` sends the first request.
    ///
    /// # Errors
    /// A limit is reached.
    pub(crate) fn http(&self, client: &Client) -> Result<HttpPlace, AdmissionError> {
        let own = client.source != Source::Proxy;
        self.places.http(own.then_some(client.key))
    }

    /// Admits an open request of `client`; `None` if its connection has the place already.
    ///
    /// # Errors
    /// A limit is reached.
    pub(super) fn request(&self, client: &Client) -> Result<Option<Place>, AdmissionError> {
        match client.source {
            Source::Proxy => self.places.request(client.key).map(Some),
            Source::Peer | Source::UntrustedProxy => Ok(None),
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.places.web_sockets()
    }

    pub(super) fn connections_max(&self) -> usize {
        self.places.web_sockets_max()
    }

    /// Refuses new connections from now on.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether new connections are refused because the process is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    // ---- sockets without a place

    /// A socket was accepted, and its request head is awaited.
    pub(crate) fn add_placeless(&self) {
        self.placeless.fetch_add(1, Ordering::AcqRel);
    }

    /// A socket without a place got one, or was closed.
    pub(crate) fn remove_placeless(&self) {
        self.placeless.fetch_sub(1, Ordering::AcqRel);
    }

    /// More than half as many sockets are without a place as may be.
    pub(crate) fn placeless_are_crowded(&self) -> bool {
        self.placeless.load(Ordering::Acquire) * 2 > self.placeless_max
    }

    /// More sockets are without a place than may be.
    pub(crate) fn has_too_many_placeless(&self) -> bool {
        self.placeless.load(Ordering::Acquire) > self.placeless_max
    }
}
