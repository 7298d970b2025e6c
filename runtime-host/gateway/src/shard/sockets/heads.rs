//! Connections without a place, bounded in number: an honest request head takes milliseconds, and so does the answer to
//! one that is refused.

use crate::{hub::ConnRef, metrics::Metrics, shard::sockets::Sockets};
use std::collections::VecDeque;

/// Connections that were accepted, oldest first; the first one is without a place.
#[derive(Debug, Default)]
pub(super) struct RequestHeads(VecDeque<ConnRef>);

impl RequestHeads {
    pub(super) fn push(&mut self, conn: ConnRef) {
        self.0.push_back(conn);
    }
}

impl Sockets {
    /// Drops the oldest connections without a place while there are too many of them in the process.
    pub(super) fn drop_oldest_heads(&mut self, newest: ConnRef) {
        while let Some(oldest) = self.heads.0.front().copied() {
            let is_placeless = |slot: &u32| {
                let conn = self.connections.get(*slot);
                conn.is_some_and(|conn| !conn.has_place())
            };
            if let Some(slot) = self.resolve(oldest).filter(is_placeless) {
                if oldest == newest || !self.hub.admission.has_too_many_placeless() {
                    return;
                }
                Metrics::count(&self.hub.metrics.handshakes_refused, "half_open");
                self.remove(slot);
            }
            self.heads.0.pop_front();
        }
    }
}
