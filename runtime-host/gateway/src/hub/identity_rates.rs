//! The rates that the connections of one identity share, once there is more than one of them.

use crate::session::rates::{Buckets, Charge, RateLimits};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the connections of an identity may send together.
#[derive(Debug, Default)]
pub(crate) struct IdentityRates {
    connections: AtomicUsize,
    /// Those of connections that have not proven the identity, and of those that have: under a name that needs no proof
    /// a stranger uses up nothing of what its owner may send.
    buckets: Mutex<[Option<Box<Buckets>>; 2]>,
}

impl IdentityRates {
    /// The identity has so many connections now.
    pub(super) fn set_connections(&self, connections: usize) {
        self.connections.store(connections, Ordering::Relaxed);
    }

    /// Takes what a connection has taken from its own buckets.
    ///
    /// # Errors
    /// Milliseconds until there is enough.
    pub(crate) fn take(
        &self,
        charge: Charge,
        is_proven: bool,
        limits: &RateLimits,
        now_ms: u32,
    ) -> Result<(), u32> {
        // The buckets of a sole connection are smaller.
        if self.connections.load(Ordering::Relaxed) < 2 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock();
        let buckets = buckets[usize::from(is_proven)]
            .get_or_insert_with(|| Box::new(Buckets::full(limits, now_ms)));
        buckets.take(charge, limits, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::IdentityRates;
    use crate::{
        config::Config,
        session::rates::{Charge, RateLimits},
    };
    use envelope::catalogue::RateClass;

    fn chats(rates: &IdentityRates, is_proven: bool, limits: &RateLimits) -> usize {
        let chat = Charge::Message(RateClass::Chat);
        let passes = |_: &usize| rates.take(chat, is_proven, limits, 0).is_ok();
        (0..1_000).take_while(passes).count()
    }

    #[test]
    fn connections_share_a_multiple_of_what_one_may_send() {
        let mut config = Config::default();
        config.rates.identity_multiple = 3;
        let limits = config.identity_rate_limits();
        let burst = config.rates.chat.burst as usize;
        let rates = IdentityRates::default();
        rates.set_connections(1);
        assert_eq!(chats(&rates, false, &limits), 1_000, "it has its own rates");
        rates.set_connections(2);
        assert_eq!(chats(&rates, false, &limits), 3 * burst);
        assert_eq!(chats(&rates, false, &limits), 0);
        assert_eq!(chats(&rates, true, &limits), 3 * burst, "proven ones");
        let typing = Charge::Message(RateClass::Typing);
        assert_eq!(rates.take(typing, false, &limits, 0), Ok(()));
    }
}
