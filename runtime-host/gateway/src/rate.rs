//! Token buckets: how often something may happen. No clock of their own; the caller passes milliseconds.

use limits::rate::Rate;

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
        Self { millitokens: rate.burst.saturating_mul(1_000), at_ms: now_ms }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// Milliseconds until there is one.
    pub fn take(&mut self, rate: Rate, now_ms: u32) -> Result<(), u32> {
        self.take_many(rate, now_ms, 1)
    }

    /// Takes `count` tokens; more than the bucket holds empties it, so that one large thing still passes once in a while.
    ///
    /// # Errors
    /// Milliseconds until there are enough.
    pub fn take_many(&mut self, rate: Rate, now_ms: u32, count: u32) -> Result<(), u32> {
        let capacity = rate.burst.saturating_mul(1_000);
        let elapsed_ms = now_ms.wrapping_sub(self.at_ms);
        self.millitokens = self.millitokens.saturating_add(elapsed_ms.saturating_mul(rate.per_second)).min(capacity);
        self.at_ms = now_ms;
        let price = count.saturating_mul(1_000).min(capacity);
        if self.millitokens < price {
            return Err((price - self.millitokens).div_ceil(rate.per_second.max(1)));
        }
        self.millitokens -= price;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;
    use limits::rate::Rate;

    #[test]
    fn a_bucket_holds_its_burst_and_refills() {
        let rate = Rate { per_second: 5, burst: 3 };
        let mut bucket = Bucket::full(rate, u32::MAX - 10);
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, u32::MAX - 10), Ok(()));
        }
        assert_eq!(bucket.take(rate, u32::MAX - 10), Err(200));
        assert_eq!(bucket.take(rate, 189), Ok(()), "the clock wrapped and 200 ms passed");
        assert_eq!(bucket.take(rate, 189), Err(200));
        assert_eq!(bucket.take_many(rate, 100_000, 50), Ok(()), "larger than the bucket empties it");
    }
}
