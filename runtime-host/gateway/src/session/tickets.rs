//! The tickets of paused connections: under its ticket the reply comes back, and a deadline ends the pause without one.

use plugin_bus::Ticket;
use std::collections::HashMap;

/// Bits of a [`Ticket`] that count; the ones above them name the shard.
const COUNTER_BITS: u32 = 48;

/// The paused connections of a shard by ticket.
#[derive(Debug)]
pub(super) struct Tickets {
    next: Ticket,
    paused: HashMap<Ticket, Paused>,
}

/// A paused connection. Times are milliseconds of the shard's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paused {
    pub(super) slot: u32,
    pub(super) since_ms: u32,
    /// The deadline, after `since_ms`.
    pub(super) limit_ms: u32,
    /// The validator chain is asked again at each tick.
    pub(super) asks_again: bool,
}

/// The index of the shard that issued a ticket.
pub(super) fn shard_of(ticket: Ticket) -> usize {
    (ticket.0 >> COUNTER_BITS) as usize
}

impl Tickets {
    /// No tickets yet.
    pub(super) fn new(shard: u16) -> Self {
        Self {
            next: Ticket(u64::from(shard) << COUNTER_BITS),
            paused: HashMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paused.is_empty()
    }

    /// Gives a connection a ticket.
    pub(super) fn issue(&mut self, paused: Paused) -> Ticket {
        let ticket = self.next;
        self.next.0 += 1;
        self.paused.insert(ticket, paused);
        ticket
    }

    /// The slot of the connection that waits under a ticket.
    pub(super) fn slot(&self, ticket: Ticket) -> Option<u32> {
        self.paused.get(&ticket).map(|paused| paused.slot)
    }

    /// Ends a wait.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Paused> {
        self.paused.remove(&ticket)
    }

    /// The tickets under which the validator chain has to be asked again.
    pub(super) fn to_ask_again(&self) -> Vec<Ticket> {
        self.select(|paused| paused.asks_again)
    }

    /// The tickets whose deadline has passed.
    pub(super) fn overdue(&self, now_ms: u32) -> Vec<Ticket> {
        self.select(|paused| now_ms.wrapping_sub(paused.since_ms) >= paused.limit_ms)
    }

    fn select(&self, wanted: impl Fn(&Paused) -> bool) -> Vec<Ticket> {
        let paused = self.paused.iter().filter(|(_, paused)| wanted(paused));
        paused.map(|(ticket, _)| *ticket).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Paused, Tickets, shard_of};

    #[test]
    fn a_ticket_names_its_shard_and_ends_at_its_deadline() {
        let mut tickets = Tickets::new(7);
        // The clock wraps in between.
        let since_ms = u32::MAX - 5;
        let mut issue = |slot, limit_ms| {
            tickets.issue(Paused {
                slot,
                since_ms,
                limit_ms,
                asks_again: slot == 2,
            })
        };
        let (first, second) = (issue(1, 10), issue(2, 20));
        assert_eq!((shard_of(first), shard_of(second)), (7, 7));
        assert_eq!(
            (tickets.slot(first), tickets.slot(second)),
            (Some(1), Some(2))
        );
        assert_eq!(tickets.to_ask_again(), [second]);
        assert_eq!(tickets.overdue(since_ms.wrapping_add(9)), []);
        assert_eq!(tickets.overdue(since_ms.wrapping_add(10)), [first]);
        assert!(tickets.remove(first).is_some() && tickets.remove(first).is_none());
        assert!(tickets.remove(second).is_some() && tickets.is_empty());
    }
}
