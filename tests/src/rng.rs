//! Reproducible random numbers: tests print their seed, and `JACKFIELD_TEST_SEED` sets it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator (SplitMix64).
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The generator of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub const fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            0
        } else {
            (self.next() % end as u64) as usize
        }
    }

    /// True with a probability of `percent`.
    pub const fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// The seed of the environment, otherwise one from the clock.
///
/// # Panics
/// When `JACKFIELD_TEST_SEED` is not a number.
#[must_use]
pub fn seed() -> u64 {
    match std::env::var("JACKFIELD_TEST_SEED") {
        Ok(text) => text.parse().expect("JACKFIELD_TEST_SEED is a number"),
        Err(_) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64),
    }
}
