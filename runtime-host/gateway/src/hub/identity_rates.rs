//! The rates that the connections of one identity share. They outlive the last connection until they are full again:
//! who connects anew gets nothing back.

use crate::session::rates::{Buckets, Charge, RateLimits};
use limits::rate::FORMER_IDENTITIES_MAX;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// What the connections of an identity may send together.
#[derive(Debug, Default)]
pub(crate) struct IdentityRates {
    /// Those of connections that have not proven the identity, and of those that have: under a name that needs no proof
    /// a stranger uses up nothing of what its owner may send. None where they would be full.
    buckets: Mutex<[Option<Box<Buckets>>; 2]>,
}

impl IdentityRates {
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
        let mut buckets = self.buckets.lock();
        let buckets = buckets[usize::from(is_proven)]
            .get_or_insert_with(|| Box::new(Buckets::full(limits, now_ms)));
        buckets.take(charge, limits, now_ms)
    }

    /// Drops the buckets that are as new ones would be; whether none is left.
    pub(crate) fn release_full(&self, limits: &RateLimits, now_ms: u32) -> bool {
        let mut buckets = self.buckets.lock();
        for kind in &mut *buckets {
            kind.take_if(|kind| kind.are_full(limits, now_ms));
        }
        buckets.iter().all(Option::is_none)
    }
}

/// The rates of identities whose last connection has ended, [`FORMER_IDENTITIES_MAX`] of them at most. In two
/// generations: where the recent one is full, it becomes the older one, and the older one is forgotten.
#[derive(Debug, Default)]
pub(super) struct FormerRates {
    recent: HashMap<Arc<str>, Arc<IdentityRates>>,
    older: HashMap<Arc<str>, Arc<IdentityRates>>,
}

impl FormerRates {
    /// Keeps the rates of an identity.
    pub(super) fn keep(&mut self, user_id: Arc<str>, rates: Arc<IdentityRates>) {
        if self.recent.len() >= FORMER_IDENTITIES_MAX / 2 {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(user_id, rates);
    }

    /// Takes those of an identity that connects again.
    pub(super) fn take(&mut self, user_id: &str) -> Option<Arc<IdentityRates>> {
        let older = self.older.remove(user_id);
        self.recent.remove(user_id).or(older)
    }
}

#[cfg(test)]
mod tests {
    use super::{FormerRates, IdentityRates};
    use crate::{
        config::Config,
        session::rates::{Charge, RateLimits},
    };
    use envelope::catalogue::RateClass;
    use limits::rate::FORMER_IDENTITIES_MAX;
    use std::sync::Arc;

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
        assert_eq!(chats(&rates, false, &limits), 3 * burst);
        assert_eq!(chats(&rates, false, &limits), 0);
        assert_eq!(chats(&rates, true, &limits), 3 * burst, "proven ones");
        let typing = Charge::Message(RateClass::Typing);
        assert_eq!(rates.take(typing, false, &limits, 0), Ok(()));
    }

    #[test]
    fn full_buckets_are_dropped() {
        let limits = Config::default().identity_rate_limits();
        let rates = IdentityRates::default();
        assert!(rates.release_full(&limits, 0));
        chats(&rates, true, &limits);
        assert!(!rates.release_full(&limits, 0));
        let full_ms = 1_000 * limits.classes[RateClass::Chat as usize].burst;
        assert!(rates.release_full(&limits, full_ms));
    }

    #[test]
    fn former_identities_are_bounded_and_the_oldest_are_forgotten() {
        let mut former = FormerRates::default();
        for at in 0..2 * FORMER_IDENTITIES_MAX {
            former.keep(format!("user-{at}").into(), Arc::default());
        }
        let kept = former.recent.len() + former.older.len();
        assert!(kept <= FORMER_IDENTITIES_MAX, "{kept}");
        let last = format!("user-{}", 2 * FORMER_IDENTITIES_MAX - 1);
        assert!(former.take(&last).is_some() && former.take(&last).is_none());
        assert!(former.take("user-0").is_none());
    }
}
