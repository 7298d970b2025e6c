//! The soak: thousands of connections that come, talk, stall and go at random, against a model of who must have seen what.
//!
//! Who is checked for what: [`model`]. What a client is made of: [`wire`]. Invariant: everything random comes from one seed, and every failure
//! names it; no failure depends on how fast the machine is.

pub mod model;
mod play;
pub mod slope;
pub mod wire;

pub use play::run;

use std::time::Duration;

/// How long, how many, from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How long connections are busy; settling comes on top.
    pub duration: Duration,
    /// How many places for connections there are; at any time most of them are taken.
    pub connections: usize,
    /// Where chance begins.
    pub seed: u64,
    /// How often everything is brought to rest and compared with the model.
    pub settle_every: Duration,
}

impl Plan {
    /// Rooms: some fifty connections in each, besides the first one, which is small and loud.
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

/// What has happened.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Messages sent.
    pub sent: u64,
    /// Messages that reached somebody, counted per receiver, each of them checked.
    pub received: u64,
    /// `user_joined` and `user_left` that reached somebody.
    pub presence: u64,
    /// Connections opened.
    pub opened: u64,
    /// Connections that ended without a farewell.
    pub cut: u64,
    /// Connections that had stalled and were closed as too slow.
    pub slow: u64,
    /// Stalls that were survived.
    pub resumed: u64,
    /// How often everything was brought to rest.
    pub settled: u64,
    /// Rosters of fresh joiners that were compared.
    pub rosters: u64,
    /// Resident memory of the host: seconds since the start, bytes.
    pub memory: Vec<(f64, f64)>,
}
