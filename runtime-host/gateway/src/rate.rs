//! Token buckets. They have no clock; the caller passes milliseconds.

use limits::{rate::Rate, socket::ADDRESSES_MAX};
use parking_lot::Mutex;
use std::{collections::HashMap, net::IpAddr};

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
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
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
    pub fn take(&self, address: IpAddr, now_ms: u32) -> Result<(), u32> {
        let mut buckets = self.buckets.lock();
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address) {
            // Dropping all buckets refills them once; a flood of addresses cannot fill the memory.
            buckets.clear();
        }
        buckets
            .entry(address)
            .or_insert_with(|| Bucket::full(self.rate, now_ms))
            .take(self.rate, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressRates, Bucket};
    use limits::rate::Rate;

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

    #[test]
    fn addresses_do_not_share_their_buckets() {
        let addresses = AddressRates::new(Rate {
            per_second: 1,
            burst: 1,
        });
        let [one, other] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(std::net::IpAddr::from);
        assert_eq!(addresses.take(one, 0), Ok(()));
        assert_eq!(addresses.take(one, 0), Err(1_000));
        assert_eq!(addresses.take(other, 0), Ok(()));
        assert_eq!(addresses.take(one, 1_000), Ok(()));
    }
}
