//! Which connections are admitted: limits on all, on those of one address, and on incomplete request heads.

use crate::{address::AddressKey, config::Socket, metrics::Metrics, rate::AddressRates};
use limits::socket::{HALF_OPEN_MAX, HALF_OPEN_MIN};
use parking_lot::Mutex;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

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

/// Counts connections and incomplete request heads.
#[derive(Debug)]
pub(crate) struct Admission {
    connections: AtomicUsize,
    connections_max: usize,
    by_address: Mutex<HashMap<AddressKey, usize>>,
    by_address_max: usize,
    handshakes: AddressRates,
    /// Sockets whose request head is not complete.
    heads: AtomicUsize,
    heads_max: usize,
    draining: AtomicBool,
    connections_gauge: Gauge,
    accepted: Counter,
}

impl Admission {
    pub(super) fn new(socket: &Socket, metrics: &Metrics, connections_max: usize) -> Self {
        Self {
            connections: AtomicUsize::new(0),
            connections_max,
            by_address: Mutex::default(),
            by_address_max: socket.connections_per_address_max,
            handshakes: AddressRates::new(socket.handshakes_per_address.into()),
            heads: AtomicUsize::new(0),
            heads_max: (connections_max / 7).clamp(HALF_OPEN_MIN, HALF_OPEN_MAX),
            draining: AtomicBool::new(false),
            connections_gauge: metrics.connections.clone(),
            accepted: metrics.accepted.clone(),
        }
    }

    // ---- connections

    /// Admits a connection from `address`; each is given back by [`Admission::release`].
    ///
    /// # Errors
    /// A limit is reached, or the process is about to end.
    pub(crate) fn admit(&self, address: AddressKey, now_ms: u32) -> Result<(), AdmissionError> {
        if self.is_draining() {
            return Err(AdmissionError::Draining);
        }
        self.handshakes
            .take(address, now_ms)
            .map_err(|wait_ms| AdmissionError::HandshakeRate { wait_ms })?;
        let mut by_address = self.by_address.lock();
        let count = by_address.get(&address).copied().unwrap_or(0);
        if count >= self.by_address_max {
            return Err(AdmissionError::AddressConnections);
        }
        if self.connections.fetch_add(1, Ordering::AcqRel) >= self.connections_max {
            self.connections.fetch_sub(1, Ordering::AcqRel);
            return Err(AdmissionError::Connections);
        }
        by_address.insert(address, count + 1);
        drop(by_address);
        self.connections_gauge.inc();
        self.accepted.inc();
        Ok(())
    }

    /// An admitted connection from `address` has ended.
    pub(crate) fn release(&self, address: AddressKey) {
        let mut by_address = self.by_address.lock();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
        drop(by_address);
        self.connections.fetch_sub(1, Ordering::AcqRel);
        self.connections_gauge.dec();
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    pub(super) fn connections_max(&self) -> usize {
        self.connections_max
    }

    /// Refuses new connections from now on.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether new connections are refused because the process is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    // ---- request heads

    /// A socket was accepted, and its request head is awaited.
    pub(crate) fn head_began(&self) {
        self.heads.fetch_add(1, Ordering::AcqRel);
    }

    /// A request head is complete, or its socket was closed.
    pub(crate) fn head_ended(&self) {
        self.heads.fetch_sub(1, Ordering::AcqRel);
    }

    /// More than half as many request heads are incomplete as may be.
    pub(crate) fn heads_are_crowded(&self) -> bool {
        self.heads.load(Ordering::Acquire) * 2 > self.heads_max
    }

    /// More request heads are incomplete than may be.
    pub(crate) fn has_too_many_heads(&self) -> bool {
        self.heads.load(Ordering::Acquire) > self.heads_max
    }
}
