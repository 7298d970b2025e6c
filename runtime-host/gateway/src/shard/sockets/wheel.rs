//! The times at which deadlines of connections have to be checked: a wheel of coarse ticks. A shard with idle
//! connections sleeps until the next one.
//!
//! Entries are never removed. A connection remembers the tick of its newest entry, and older entries are skipped when
//! they come up.

use limits::socket::TIMER_TICK_MS;

/// Ticks that the wheel reaches ahead. An entry that is due later comes up at its end and is entered again.
const TICKS: u32 = 256;
const WORDS: usize = TICKS as usize / 64;

/// Slots of connections by the tick at which they are due.
#[derive(Debug)]
pub(crate) struct Wheel {
    buckets: Vec<Vec<u32>>,
    /// A bit for each bucket that is not empty.
    filled: [u64; WORDS],
    /// The present tick; wraps.
    tick: u32,
    /// When the present tick began, milliseconds of the shard's clock.
    began_ms: u32,
}

impl Wheel {
    /// An empty wheel.
    pub(crate) fn new(now_ms: u32) -> Self {
        Self {
            buckets: (0..TICKS).map(|_| Vec::new()).collect(),
            filled: [0; WORDS],
            tick: 0,
            began_ms: now_ms,
        }
    }

    /// The tick that ends `wait_ms` after `now_ms`, or soon after that; never the present one.
    pub(crate) fn tick_at(&self, now_ms: u32, wait_ms: u32) -> u32 {
        let ahead_ms = u64::from(now_ms.wrapping_sub(self.began_ms)) + u64::from(wait_ms);
        let ticks = ahead_ms
            .div_ceil(TIMER_TICK_MS)
            .clamp(1, u64::from(TICKS) - 1);
        self.tick.wrapping_add(ticks as u32)
    }

    /// Whether `tick` comes before `other`.
    pub(crate) fn is_before(&self, tick: u32, other: u32) -> bool {
        tick.wrapping_sub(self.tick) < other.wrapping_sub(self.tick)
    }

    /// Enters a slot at a tick from [`Wheel::tick_at`].
    pub(crate) fn enter(&mut self, tick: u32, slot: u32) {
        let at = (tick % TICKS) as usize;
        self.buckets[at].push(slot);
        self.filled[at / 64] |= 1 << (at % 64);
    }

    /// Milliseconds from `now_ms` until the next entry is due, if there is one.
    pub(crate) fn next_ms(&self, now_ms: u32) -> Option<u32> {
        let ahead = (1..TICKS).find(|ahead| {
            let at = (self.tick.wrapping_add(*ahead) % TICKS) as usize;
            self.filled[at / 64] >> (at % 64) & 1 == 1
        })?;
        let due_ms = ahead * TIMER_TICK_MS as u32;
        Some(due_ms.saturating_sub(now_ms.wrapping_sub(self.began_ms)))
    }

    /// Moves on towards `now_ms`, and stops at the next tick with entries: returns it with its entries.
    pub(crate) fn expired(&mut self, now_ms: u32) -> Option<(u32, Vec<u32>)> {
        while u64::from(now_ms.wrapping_sub(self.began_ms)) >= TIMER_TICK_MS {
            if self.filled == [0; WORDS] {
                let ticks = now_ms.wrapping_sub(self.began_ms) / TIMER_TICK_MS as u32;
                self.tick = self.tick.wrapping_add(ticks);
                self.began_ms = self.began_ms.wrapping_add(ticks * TIMER_TICK_MS as u32);
                return None;
            }
            self.tick = self.tick.wrapping_add(1);
            self.began_ms = self.began_ms.wrapping_add(TIMER_TICK_MS as u32);
            let at = (self.tick % TICKS) as usize;
            if self.filled[at / 64] >> (at % 64) & 1 == 1 {
                self.filled[at / 64] &= !(1 << (at % 64));
                return Some((self.tick, std::mem::take(&mut self.buckets[at])));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{TICKS, Wheel};
    use limits::socket::TIMER_TICK_MS;

    const TICK: u32 = TIMER_TICK_MS as u32;

    #[test]
    fn entries_come_up_in_order_and_never_early() {
        // The clock wraps in between.
        let start = u32::MAX - 10 * TICK;
        let mut wheel = Wheel::new(start);
        assert_eq!((wheel.next_ms(start), wheel.expired(start)), (None, None));
        for (slot, wait_ms) in [(1, 0), (2, 20 * TICK), (3, TICK + 1), (4, u32::MAX)] {
            let tick = wheel.tick_at(start, wait_ms);
            wheel.enter(tick, slot);
        }
        let mut seen = Vec::new();
        let mut now_ms = start;
        while let Some(wait_ms) = wheel.next_ms(now_ms) {
            assert_eq!(wheel.expired(now_ms.wrapping_add(wait_ms) - 1), None);
            now_ms = now_ms.wrapping_add(wait_ms);
            let (tick, slots) = wheel.expired(now_ms).expect("it is due");
            assert!(!wheel.is_before(tick, tick));
            seen.push((now_ms.wrapping_sub(start) / TICK, slots));
        }
        assert_eq!(
            seen,
            [
                (1, vec![1]),
                (2, vec![3]),
                (20, vec![2]),
                (TICKS - 1, vec![4])
            ],
            "an entry far ahead comes up at the wheel's end"
        );
    }

    #[test]
    fn an_empty_wheel_moves_on_at_once() {
        let mut wheel = Wheel::new(0);
        assert_eq!(wheel.expired(1_000_000 * TICK + 3), None);
        let tick = wheel.tick_at(1_000_000 * TICK + 3, TICK);
        assert_eq!(tick, 1_000_002);
        assert!(wheel.is_before(1_000_001, tick));
    }
}
