//! How much a connection may send: token buckets, and strikes for what is over them.

use crate::{
    frame::close,
    metrics::Metrics,
    rate::Bucket,
    session::{Sessions, refusals::Reason},
};
use envelope::{Scan, catalogue::RateClass, reply::code};
use limits::rate::{
    NEW_TARGET_PRICE, Rate, STRIKE_INTERVAL_MS, STRIKE_WINDOW_MS, UNKNOWN_TYPE_ANSWER_INTERVAL_MS,
};

/// The rates of one connection, as configured, or those of all connections of an identity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateLimits {
    /// Messages, by class.
    pub classes: [Rate; RateClass::COUNT],
    /// KiB that may be sent on.
    pub volume: Rate,
    /// Users that may be addressed for the first time.
    pub new_targets: Rate,
    /// Least milliseconds between two answers to `keepalive`.
    pub keepalive_ms: u32,
}

impl RateLimits {
    /// So many times these rates; once at least.
    pub(crate) fn times(self, multiple: u32) -> Self {
        let times = |rate: Rate| Rate {
            per_second: rate.per_second.saturating_mul(multiple.max(1)),
            burst: rate.burst.saturating_mul(multiple.max(1)),
        };
        Self {
            classes: self.classes.map(times),
            volume: times(self.volume),
            new_targets: times(self.new_targets),
            ..self
        }
    }
}

/// What is taken from buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// A message of a class; each message is of [`RateClass::Other`] as well.
    Message(RateClass),
    /// KiB that are sent on.
    Volume(u32),
    /// A user that is addressed for the first time.
    NewTarget,
}

impl Charge {
    fn name(self) -> &'static str {
        match self {
            Self::Message(class) => class.name(),
            Self::Volume(_) => "bytes",
            Self::NewTarget => "new targets",
        }
    }
}

/// A rate that is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub charge: Charge,
    /// Milliseconds until the same can succeed.
    pub wait_ms: u32,
    /// The rate is that of all connections of the identity.
    pub of_identity: bool,
}

/// A bucket for each kind of charge.
#[derive(Debug)]
pub(crate) struct Buckets {
    classes: [Bucket; RateClass::COUNT],
    volume: Bucket,
    new_targets: Bucket,
}

impl Buckets {
    /// Full ones.
    pub(crate) fn full(limits: &RateLimits, now_ms: u32) -> Self {
        Self {
            classes: limits.classes.map(|rate| Bucket::full(rate, now_ms)),
            volume: Bucket::full(limits.volume, now_ms),
            new_targets: Bucket::full(limits.new_targets, now_ms),
        }
    }

    /// Takes a charge.
    ///
    /// # Errors
    /// Milliseconds until there is enough.
    pub(crate) fn take(
        &mut self,
        charge: Charge,
        limits: &RateLimits,
        now_ms: u32,
    ) -> Result<(), u32> {
        match charge {
            Charge::Message(class) => {
                let rate = limits.classes[class as usize];
                self.classes[class as usize].take(rate, now_ms)
            }
            Charge::Volume(kib) => self.volume.take_many(limits.volume, now_ms, kib),
            Charge::NewTarget => {
                let price = NEW_TARGET_PRICE;
                self.new_targets
                    .take_many(limits.new_targets, now_ms, price)
            }
        }
    }

    /// Whether they are as new ones would be.
    pub(crate) fn are_full(&mut self, limits: &RateLimits, now_ms: u32) -> bool {
        let mut classes = self.classes.iter_mut().zip(limits.classes);
        classes.all(|(bucket, rate)| bucket.is_full(rate, now_ms))
            && self.volume.is_full(limits.volume, now_ms)
            && self.new_targets.is_full(limits.new_targets, now_ms)
    }
}

/// The buckets of one connection. Those that a silent connection does not need exist only while one of them is not
/// full.
#[derive(Debug)]
pub(crate) struct SessionRates {
    /// The bucket of all messages, which pongs take from as well.
    all: Bucket,
    used: Option<Box<Used>>,
}

#[derive(Debug)]
struct Used {
    /// The first one is not used.
    buckets: Buckets,
    strikes: u32,
    /// The last strike.
    strike_ms: u32,
    /// The last answer to an envelope of an unknown type.
    unknown_type_ms: Option<u32>,
    /// The last answer to `keepalive`.
    keepalive_ms: Option<u32>,
}

/// What follows from a message over a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strike {
    /// It belongs to the burst of the last strike: no answer.
    Same,
    /// The sender gets an answer.
    Answered,
    /// One too many: the connection is closed.
    Close,
}

impl SessionRates {
    pub(super) fn new(limits: &RateLimits, now_ms: u32) -> Self {
        Self {
            all: Bucket::full(limits.classes[RateClass::Other as usize], now_ms),
            used: None,
        }
    }

    fn used(&mut self, limits: &RateLimits, now_ms: u32) -> &mut Used {
        self.used.get_or_insert_with(|| {
            Box::new(Used {
                buckets: Buckets::full(limits, now_ms),
                strikes: 0,
                strike_ms: now_ms,
                unknown_type_ms: None,
                keepalive_ms: None,
            })
        })
    }

    /// Takes a charge.
    ///
    /// # Errors
    /// Milliseconds until there is enough.
    pub(super) fn take(
        &mut self,
        charge: Charge,
        limits: &RateLimits,
        now_ms: u32,
    ) -> Result<(), u32> {
        if let Charge::Message(RateClass::Other) = charge {
            let rate = limits.classes[RateClass::Other as usize];
            return self.all.take(rate, now_ms);
        }
        let used = self.used(limits, now_ms);
        used.buckets.take(charge, limits, now_ms)
    }

    fn strike(&mut self, strikes_max: u32, limits: &RateLimits, now_ms: u32) -> Strike {
        let used = self.used(limits, now_ms);
        let since_ms = now_ms.wrapping_sub(used.strike_ms);
        if since_ms >= STRIKE_WINDOW_MS as u32 {
            used.strikes = 0;
        }
        if used.strikes > 0 && since_ms < STRIKE_INTERVAL_MS as u32 {
            return Strike::Same;
        }
        used.strikes += 1;
        used.strike_ms = now_ms;
        if used.strikes > strikes_max {
            Strike::Close
        } else {
            Strike::Answered
        }
    }

    /// Whether an envelope of an unknown type is answered now: at most once per interval.
    pub(super) fn answers_unknown_type(&mut self, limits: &RateLimits, now_ms: u32) -> bool {
        let last_ms = &mut self.used(limits, now_ms).unknown_type_ms;
        passed(last_ms, UNKNOWN_TYPE_ANSWER_INTERVAL_MS as u32, now_ms)
    }

    /// Whether `keepalive` is answered now: at most once per ping interval.
    pub(super) fn answers_keepalive(&mut self, limits: &RateLimits, now_ms: u32) -> bool {
        let last_ms = &mut self.used(limits, now_ms).keepalive_ms;
        passed(last_ms, limits.keepalive_ms, now_ms)
    }

    /// Drops the buckets if they are as new ones would be.
    pub(super) fn release_idle(&mut self, limits: &RateLimits, now_ms: u32) {
        let since = |last_ms: u32| now_ms.wrapping_sub(last_ms);
        let is_idle = |used: &mut Box<Used>| {
            used.buckets.are_full(limits, now_ms)
                && since(used.strike_ms) >= STRIKE_WINDOW_MS as u32
                && used
                    .unknown_type_ms
                    .is_none_or(|last_ms| since(last_ms) >= UNKNOWN_TYPE_ANSWER_INTERVAL_MS as u32)
                && used
                    .keepalive_ms
                    .is_none_or(|last_ms| since(last_ms) >= limits.keepalive_ms)
        };
        self.used.take_if(is_idle);
    }
}

/// Whether `interval_ms` has passed since the last time, which is now then.
fn passed(last_ms: &mut Option<u32>, interval_ms: u32, now_ms: u32) -> bool {
    if last_ms.is_some_and(|last_ms| now_ms.wrapping_sub(last_ms) < interval_ms) {
        return false;
    }
    *last_ms = Some(now_ms);
    true
}

impl Sessions {
    /// Takes a token for a frame of a class; false if there was none. `about` is the envelope that the refusal names.
    pub(super) fn charge(&mut self, slot: u32, class: RateClass, about: &Scan<'_>) -> bool {
        self.take(slot, Charge::Message(class), about)
    }

    /// Takes the bytes of an envelope that is sent on; false if they are too many.
    pub(super) fn charge_volume(&mut self, slot: u32, bytes: usize, about: &Scan<'_>) -> bool {
        let kib = bytes.div_ceil(limits::KIB) as u32;
        self.take(slot, Charge::Volume(kib), about)
    }

    fn take(&mut self, slot: u32, charge: Charge, about: &Scan<'_>) -> bool {
        let now_ms = self.sockets.now_ms();
        let Some(session) = self.sockets.session_mut(slot) else {
            return false;
        };
        let taken = session.charge(charge, &self.hub, now_ms);
        self.check_charge(slot, taken, about)
    }

    /// Whether a charge was taken; the envelope is refused if not.
    pub(super) fn check_charge(
        &mut self,
        slot: u32,
        taken: Result<(), Exceeded>,
        about: &Scan<'_>,
    ) -> bool {
        let Err(exceeded) = taken else { return true };
        let (kind, request_id) = (about.type_name(), about.request_id());
        self.refuse_charge(slot, exceeded, kind.as_deref(), request_id.as_deref());
        false
    }

    /// Takes the bytes of what an envelope of the type `kind` has its sender sent again; false if they are too many.
    pub(super) fn charge_answer(
        &mut self,
        slot: u32,
        bytes: usize,
        kind: &str,
        request_id: Option<&str>,
    ) -> bool {
        let now_ms = self.sockets.now_ms();
        let Some(session) = self.sockets.session_mut(slot) else {
            return false;
        };
        let charge = Charge::Volume(bytes.div_ceil(limits::KIB) as u32);
        let taken = session.charge(charge, &self.hub, now_ms);
        if let Err(exceeded) = taken {
            self.refuse_charge(slot, exceeded, Some(kind), request_id);
        }
        taken.is_ok()
    }

    /// Refuses an envelope of the type `kind` over a rate. Too many strikes close the connection.
    fn refuse_charge(
        &mut self,
        slot: u32,
        exceeded: Exceeded,
        kind: Option<&str>,
        request_id: Option<&str>,
    ) {
        let (metrics, now_ms) = (&self.hub.metrics, self.sockets.now_ms());
        let what = exceeded.charge.name();
        let (label, whose, member) = match exceeded.of_identity {
            true => (
                "identity",
                " of all connections of this identity",
                "ratesIdentityMultiple",
            ),
            false => (what, "", "rates"),
        };
        Metrics::count(&metrics.rate_limited, label);
        let strikes_max = self.hub.config.rates.strikes_max;
        let Some(session) = self.sockets.session_mut(slot) else {
            return;
        };
        match session.rates().strike(strikes_max, &self.hub.rates, now_ms) {
            Strike::Same => Metrics::count(&metrics.refused, code::RATE_LIMITED),
            Strike::Close => {
                let reason = format!("over the rate of '{what}'{whose} again and again");
                self.sockets.close(slot, close::RATE, &reason);
            }
            Strike::Answered => {
                let message = format!(
                    "over the rate of '{what}'{whose}; see connected.protocol.limits.{member}"
                );
                let wait_ms = u64::from(exceeded.wait_ms.max(1));
                let reason = Reason::retry(code::RATE_LIMITED, message, wait_ms);
                self.refuse(slot, &reason.error(kind, request_id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Charge, RateLimits, SessionRates, Strike};
    use envelope::catalogue::RateClass;
    use limits::rate::{Rate, STRIKE_WINDOW_MS};

    const RATE: Rate = Rate {
        per_second: 1,
        burst: 2,
    };
    const CHAT: Charge = Charge::Message(RateClass::Chat);
    const LIMITS: RateLimits = RateLimits {
        classes: [RATE; RateClass::COUNT],
        volume: RATE,
        new_targets: RATE,
        keepalive_ms: 1_000,
    };

    #[test]
    fn full_buckets_are_dropped_and_nothing_else() {
        let mut rates = SessionRates::new(&LIMITS, 0);
        assert_eq!(
            rates.take(Charge::Message(RateClass::Other), &LIMITS, 0),
            Ok(())
        );
        assert!(rates.used.is_none(), "pongs need no further bucket");
        for _ in 0..2 {
            assert_eq!(rates.take(CHAT, &LIMITS, 0), Ok(()));
        }
        rates.release_idle(&LIMITS, 1_000);
        assert_eq!(rates.take(CHAT, &LIMITS, 1_000), Ok(()));
        assert_eq!(rates.take(CHAT, &LIMITS, 1_000), Err(1_000));
        rates.release_idle(&LIMITS, STRIKE_WINDOW_MS as u32);
        assert!(rates.used.is_none(), "all buckets are full again");
    }

    #[test]
    fn a_rate_below_one_a_second_holds() {
        let rates = crate::config::Rates {
            new_targets_per_minute: 2,
            ..crate::config::Rates::default()
        };
        let limits = crate::config::Config {
            rates,
            ..crate::config::Config::default()
        }
        .rate_limits();
        let mut session = SessionRates::new(&limits, 0);
        let mut take = |now_ms| session.take(Charge::NewTarget, &limits, now_ms);
        assert_eq!([take(0), take(0)], [Ok(()), Ok(())]);
        assert_eq!(take(0), Err(30_000));
        assert_eq!([take(29_999), take(30_000)], [Err(1), Ok(())]);
    }

    #[test]
    fn one_burst_is_one_strike() {
        let mut rates = SessionRates::new(&LIMITS, 0);
        let mut strike = |now_ms| rates.strike(1, &LIMITS, now_ms);
        assert_eq!((strike(0), strike(999)), (Strike::Answered, Strike::Same));
        assert_eq!(strike(1_000), Strike::Close, "the second burst");
        let later_ms = 1_000 + STRIKE_WINDOW_MS as u32;
        assert_eq!(strike(later_ms), Strike::Answered, "strikes are forgotten");
    }
}
