//! How old the key set of another issuer is. A token may name a key that is newer than the set: then the set is fetched
//! anew, and until that has succeeded the token is not refused for good.

use identity::TokenError;
use limits::identity::KEY_SET_RETRY_SECONDS;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The key set that a host follows.
#[derive(Debug, Default)]
pub struct FollowedKeySet {
    state: Mutex<State>,
    wanted: Notify,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// The last success, milliseconds since 1970.
    fetched_ms: Option<u64>,
    /// The last attempt has failed.
    is_failing: bool,
}

impl FollowedKeySet {
    /// An attempt to fetch the set has ended at `now_ms`, milliseconds since 1970.
    pub fn tried(&self, succeeded: bool, now_ms: u64) {
        let mut state = self.state.lock();
        state.is_failing = !succeeded;
        if succeeded {
            state.fetched_ms = Some(now_ms);
        }
    }

    /// Waits until a token has named a key that the set may have by now.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Whether the last attempt has succeeded.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let state = *self.state.lock();
        state.fetched_ms.is_some() && !state.is_failing
    }

    /// The error of a token at `now_ms`: one that the set may know by now is not final, and the set is wanted.
    pub(super) fn judge(&self, error: TokenError, now_ms: u64) -> TokenError {
        let state = *self.state.lock();
        let may_pass = match (&error, state.fetched_ms) {
            (TokenError::UnknownKey | TokenError::Algorithm | TokenError::NoKeys, None) => true,
            (TokenError::UnknownKey, Some(fetched_ms)) => {
                let age_ms = now_ms.saturating_sub(fetched_ms);
                state.is_failing || age_ms >= KEY_SET_RETRY_SECONDS * 1_000
            }
            _ => false,
        };
        if !may_pass {
            return error;
        }
        self.wanted.notify_one();
        TokenError::KeySetUnavailable
    }
}

#[cfg(test)]
mod tests {
    use super::FollowedKeySet;
    use identity::TokenError::{Algorithm, KeySetUnavailable, Signature, UnknownKey};
    use limits::identity::KEY_SET_RETRY_SECONDS;

    #[test]
    fn an_unknown_key_is_final_only_where_the_set_is_new() {
        let set = FollowedKeySet::default();
        assert!(!set.is_current());
        assert_eq!(set.judge(Algorithm, 0), KeySetUnavailable);
        set.tried(true, 1_000);
        assert!(set.is_current());
        assert_eq!(set.judge(UnknownKey, 1_000), UnknownKey);
        assert_eq!(set.judge(Algorithm, 1_000), Algorithm);
        let later_ms = 1_000 + KEY_SET_RETRY_SECONDS * 1_000;
        assert_eq!(set.judge(UnknownKey, later_ms), KeySetUnavailable);
        assert_eq!(set.judge(Signature, later_ms), Signature);
        set.tried(false, later_ms);
        assert_eq!(set.judge(UnknownKey, 1_001), KeySetUnavailable);
        assert!(!set.is_current());
    }
}
