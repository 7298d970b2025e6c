//! The soak: thousands of connections that join, talk, stall and leave at random, against a model
//! of the expected deliveries.
//!
//! [`model`] has the rules, [`wire`] the clients. All randomness comes from one seed, which every
//! failure names; no failure depends on the speed of the machine.

pub mod model;
mod play;
pub mod slope;
pub mod wire;

pub use play::run;

use std::time::Duration;

/// Parameters of a soak.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Time in which connections are active, without settling.
    pub duration: Duration,
    /// Number of connection slots; most of them are in use at any time.
    pub connections: usize,
    /// Seed of the random numbers.
    pub seed: u64,
    /// How often all traffic is settled and compared with the model.
    pub settle_every: Duration,
}

impl Plan {
    /// Rooms: about fifty connections in each; the first one is small and loud.
    #[must_use]
    pub const fn rooms(&self) -> usize {
        let rooms = self.connections / 40;
        if rooms < 4 { 4 } else { rooms }
    }

    /// Identities: every twentieth connection shares one with another.
    #[must_use]
    pub const fn users(&self) -> usize {
        self.connections - self.connections / 20
    }
}

/// Counts of a soak.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Messages sent.
    pub sent: u64,
    /// Messages received, counted per receiver, each of them checked.
    pub received: u64,
    /// `user_joined` and `user_left` received.
    pub presence: u64,
    /// Connections opened.
    pub opened: u64,
    /// Connections that were cut without a close frame.
    pub cut: u64,
    /// Stalled connections that were closed as too slow.
    pub slow: u64,
    /// Stalled connections that recovered.
    pub resumed: u64,
    /// How often all traffic was settled.
    pub settled: u64,
    /// Rosters of new members that were compared.
    pub rosters: u64,
    /// Resident memory of the host: seconds since the start, bytes.
    pub memory: Vec<(f64, f64)>,
}
