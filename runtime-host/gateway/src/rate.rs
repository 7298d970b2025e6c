//! Token buckets. They have no clock; the caller passes milliseconds.

use crate::address::AddressKey;
use limits::{rate::Rate, socket::ADDRESSES_MAX};
use parking_lot::Mutex;
use std::collections::HashMap;

/// One bucket. Thousandths of a token are kept, so that slow refills do not round away.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    millitokens: u32,
    at_ms: u32,
}

impl Bucket {
    /// A full bucket at `now_ms` (milliseconds of the shard's clock, may wrap).
    #[must_use]
    pub fn full(rate: Rate, now_ms: u32) -> Self {
        Self {
            millitokens: rate.burst.saturating_mul(1_000),
            at_ms: now_ms,
        }
    }

    /// Whether it is full at `now_ms`.
    #[must_use]
    pub fn is_full(&mut self, rate: Rate, now_ms: u32) -> bool {
        self.refill(rate, now_ms);
        self.millitokens == rate.burst.saturating_mul(1_000)
    }

    /// Takes one token.
    ///
    /// # Errors
    /// Milliseconds until there is one.
    pub fn take(&mut self, rate: Rate, now_ms: u32) -> Result<(), u32> {
        self.take_many(rate, now_ms, 1)
    }

    /// Takes `count` tokens. More than the bucket can hold empties a full one, so that a large envelope still passes
    /// once in a while.
    ///
    /// # Errors
    /// Milliseconds until there are enough.
    pub fn take_many(&mut self, rate: Rate, now_ms: u32, count: u32) -> Result<(), u32> {
        self.refill(rate, now_ms);
        let capacity = rate.burst.saturating_mul(1_000);
        let price = count.saturating_mul(1_000).min(capacity);
        if self.millitokens < price {
            return Err((price - self.millitokens).div_ceil(rate.per_second.max(1)));
        }
        self.millitokens -= price;
        Ok(())
    }

    fn refill(&mut self, rate: Rate, now_ms: u32) {
        let elapsed_ms = now_ms.wrapping_sub(self.at_ms);
        // Threads that share a bucket read the clock before they lock it: a time just before the last one is no time at all.
        if elapsed_ms > u32::MAX / 2 {
            return;
        }
        self.millitokens = self
            .millitokens
            .saturating_add(elapsed_ms.saturating_mul(rate.per_second))
            .min(rate.burst.saturating_mul(1_000));
        self.at_ms = now_ms;
    }
}

/// One bucket for each address, [`ADDRESSES_MAX`] of them at most.
#[derive(Debug)]
pub struct AddressRates {
    rate: Rate,
    buckets: Mutex<Buckets>,
}

/// Buckets in two generations. Where the recent one is full, it becomes the older one, and the older one is forgotten:
/// an address that is limited asks again and stays.
#[derive(Debug, Default)]
struct Buckets {
    recent: HashMap<AddressKey, Bucket>,
    older: HashMap<AddressKey, Bucket>,
}

impl Buckets {
    fn get(&mut self, address: AddressKey, full: Bucket) -> &mut Bucket {
        if !self.recent.contains_key(&address) {
            let known = self.older.remove(&address);
            if self.recent.len() >= ADDRESSES_MAX / 2 {
                self.older = std::mem::take(&mut self.recent);
            }
            self.recent.insert(address, known.unwrap_or(full));
        }
        self.recent.entry(address).or_insert(full)
    }
}

impl AddressRates {
    /// A full bucket for each address.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Takes a token of an address.
    ///
    /// # Errors
    /// Milliseconds until there is one.
    pub fn take(&self, address: AddressKey, now_ms: u32) -> Result<(), u32> {
        let full = Bucket::full(self.rate, now_ms);
        let mut buckets = self.buckets.lock();
        buckets.get(address, full).take(self.rate, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressRates, Bucket};
    use crate::address::AddressKey;
    use limits::{rate::Rate, socket::ADDRESSES_MAX};
    use std::net::IpAddr;

    const ONE: Rate = Rate {
        per_second: 1,
        burst: 1,
    };

    #[test]
    fn a_bucket_holds_its_burst_and_refills() {
        let rate = Rate {
            per_second: 5,
            burst: 3,
        };
        let mut bucket = Bucket::full(rate, u32::MAX - 10);
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, u32::MAX - 10), Ok(()));
        }
        assert_eq!(bucket.take(rate, u32::MAX - 10), Err(200));
        assert_eq!(
            bucket.take(rate, 189),
            Ok(()),
            "the clock wrapped and 200 ms passed"
        );
        assert_eq!(bucket.take(rate, 189), Err(200));
        assert_eq!(
            bucket.take_many(rate, 100_000, 50),
            Ok(()),
            "larger than the bucket empties it"
        );
    }

    #[test]
    fn a_time_before_the_last_one_refills_nothing() {
        let rate = Rate {
            per_second: 1,
            burst: 2,
        };
        for last in [101, 0] {
            let mut bucket = Bucket::full(rate, last);
            assert_eq!(bucket.take_many(rate, last, 2), Ok(()));
            assert_eq!(bucket.take(rate, last.wrapping_sub(1)), Err(1_000));
            assert_eq!(bucket.take(rate, last + 1_000), Ok(()));
        }
    }

    fn key(at: u32) -> AddressKey {
        AddressKey::new(IpAddr::from(at.to_be_bytes()), 64)
    }

    #[test]
    fn addresses_do_not_share_their_buckets() {
        let addresses = AddressRates::new(ONE);
        assert_eq!(addresses.take(key(1), 0), Ok(()));
        assert_eq!(addresses.take(key(1), 0), Err(1_000));
        assert_eq!(addresses.take(key(2), 0), Ok(()));
        assert_eq!(addresses.take(key(1), 1_000), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_does_not_refill_the_bucket_of_one_that_asks_on() {
        let addresses = AddressRates::new(ONE);
        assert_eq!(addresses.take(key(0), 0), Ok(()));
        let mut refused = 0;
        for at in 1..=2 * ADDRESSES_MAX as u32 {
            assert_eq!(addresses.take(key(at), 0), Ok(()));
            if at % 1_000 == 0 {
                refused += u32::from(addresses.take(key(0), 0).is_err());
            }
        }
        assert_eq!(refused, 2 * ADDRESSES_MAX as u32 / 1_000);
        let buckets = addresses.buckets.lock();
        assert!(buckets.recent.len() + buckets.older.len() <= ADDRESSES_MAX);
    }
}
