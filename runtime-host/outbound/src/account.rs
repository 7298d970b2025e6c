//! The rate and the concurrency of one plugin's requests. A request counts until its answer is read, however it ends.

use crate::Failed;
use limits::egress::{IN_FLIGHT_PER_PLUGIN_MAX, REQUESTS_PER_MINUTE, REQUESTS_PER_MINUTE_MAX};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Parts of a token; each millisecond brings back as many of them as there are requests a minute.
const PARTS_PER_TOKEN: u64 = 60_000;

/// A plugin's account. Everything that sends in the plugin's name shares one.
#[derive(Debug)]
pub struct Account {
    plugin: Box<str>,
    per_minute: u32,
    bucket: Mutex<Bucket>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Bucket {
    parts: u64,
    at: Instant,
}

impl Account {
    /// An account for `plugin`. `per_minute` is what manifest and operator allow, at most [`REQUESTS_PER_MINUTE_MAX`];
    /// none is [`REQUESTS_PER_MINUTE`].
    #[must_use]
    pub fn new(plugin: &str, per_minute: Option<u32>) -> Self {
        let per_minute = per_minute
            .unwrap_or(REQUESTS_PER_MINUTE)
            .min(REQUESTS_PER_MINUTE_MAX);
        let bucket = Bucket {
            parts: u64::from(per_minute) * PARTS_PER_TOKEN,
            at: Instant::now(),
        };
        let places = Arc::new(Semaphore::new(IN_FLIGHT_PER_PLUGIN_MAX));
        Self {
            plugin: plugin.into(),
            per_minute,
            bucket: Mutex::new(bucket),
            places,
        }
    }

    /// The plugin, for the log.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Takes a place and a token.
    ///
    /// # Errors
    /// [`Failed::TooManyInFlight`], [`Failed::RateLimited`].
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, Failed> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Failed::TooManyInFlight)?;
        self.take_token(Instant::now())?;
        Ok(place)
    }

    fn take_token(&self, now: Instant) -> Result<(), Failed> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let passed_ms =
            u64::try_from(now.saturating_duration_since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        let per_minute = u64::from(self.per_minute);
        let parts = bucket
            .parts
            .saturating_add(passed_ms.saturating_mul(per_minute))
            .min(per_minute * PARTS_PER_TOKEN);
        // The rest of a millisecond counts next time. Otherwise a plugin that asks all the time would never get a
        // token.
        bucket.at += Duration::from_millis(passed_ms);
        bucket.parts = parts;
        match parts.checked_sub(PARTS_PER_TOKEN) {
            Some(left) => {
                bucket.parts = left;
                Ok(())
            }
            None => {
                let wait_ms = (PARTS_PER_TOKEN - parts)
                    .checked_div(per_minute)
                    .map_or(PARTS_PER_TOKEN, |wait| wait + 1);
                Err(Failed::RateLimited {
                    per_minute: self.per_minute,
                    wait_ms,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Account;
    use crate::Failed;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn sixty_at_once_then_one_each_second() {
        let account = Account::new("acme.hook", None);
        let start = Instant::now() + Duration::from_secs(3_600);
        for _ in 0..60 {
            account.take_token(start).unwrap();
        }
        let Err(Failed::RateLimited {
            per_minute: 60,
            wait_ms,
        }) = account.take_token(start)
        else {
            panic!("the 61st passed")
        };
        assert!((1_000..=1_001).contains(&wait_ms), "{wait_ms}");
        assert!(
            account
                .take_token(start + Duration::from_millis(999))
                .is_err()
        );
        account
            .take_token(start + Duration::from_millis(1_000))
            .unwrap();
        assert!(
            account
                .take_token(start + Duration::from_millis(1_000))
                .is_err()
        );
        for _ in 0..60 {
            account
                .take_token(start + Duration::from_secs(600))
                .unwrap();
        }
        assert!(
            account
                .take_token(start + Duration::from_secs(600))
                .is_err(),
            "what is not used does not add up"
        );
        let passed = (1..=2_001).filter(|half| {
            account
                .take_token(start + Duration::from_secs(600) + Duration::from_micros(half * 500))
                .is_ok()
        });
        assert_eq!(
            passed.count(),
            1,
            "who asks twice a millisecond gets its token after a second"
        );
    }

    #[test]
    fn less_may_be_allowed_and_nothing() {
        let few = Account::new("acme.hook", Some(2));
        let now = Instant::now() + Duration::from_secs(60);
        assert!(
            few.take_token(now).is_ok()
                && few.take_token(now).is_ok()
                && few.take_token(now).is_err()
        );
        assert!(matches!(
            Account::new("acme.hook", Some(0)).take_token(now),
            Err(Failed::RateLimited { per_minute: 0, .. })
        ));
    }
}
