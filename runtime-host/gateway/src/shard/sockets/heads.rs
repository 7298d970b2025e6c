//! Incomplete request heads, bounded in number: an honest head takes milliseconds.

use crate::{
    hub::ConnRef,
    metrics::Metrics,
    shard::sockets::{Sockets, connection::Phase},
};
use std::collections::VecDeque;

/// Connections whose request head was awaited, oldest first; the head of the first one still is.
#[derive(Debug, Default)]
pub(super) struct RequestHeads(VecDeque<ConnRef>);

impl RequestHeads {
    pub(super) fn push(&mut self, conn: ConnRef) {
        self.0.push_back(conn);
    }
}

impl Sockets {
    /// Drops the oldest incomplete request heads while there are too many of them in the process.
    pub(super) fn drop_oldest_heads(&mut self, newest: ConnRef) {
        while let Some(oldest) = self.heads.0.front().copied() {
            let awaited = |slot: &u32| {
                let conn = self.connections.get(*slot);
                conn.is_some_and(|conn| conn.phase == Phase::Head)
            };
            if let Some(slot) = self.resolve(oldest).filter(awaited) {
                if oldest == newest || !self.hub.admission.has_too_many_heads() {
                    return;
                }
                Metrics::count(&self.hub.metrics.handshakes_refused, "half_open");
                self.remove(slot);
            }
            self.heads.0.pop_front();
        }
    }
}
