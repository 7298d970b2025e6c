//! The supervision of an update that does not start while the version before it serves: the same back-off and the same
//! limit as for a plugin that crashes.

use crate::{
    Effect, Machine, Record, State, backoff_ms,
    machine::{bounded, wait_ms},
};
use limits::lifecycle::CRASHES_IN_A_ROW_MAX;

/// An update that has not started yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Update {
    failures: u32,
    /// None when it is not tried again.
    retry_at: Option<u64>,
    reason: Box<str>,
}

impl Update {
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) const fn retry_at(&self) -> Option<u64> {
        self.retry_at
    }
}

impl State {
    /// Whether an update is still to be tried in this state: the version before it serves, or is started again. In the
    /// others the new files are the plugin's files.
    #[must_use]
    pub const fn awaits_update(self) -> bool {
        matches!(
            self,
            Self::Loaded | Self::Failed | Self::Loading | Self::Ready
        )
    }
}

impl Machine {
    /// An update to `version` did not start because of `cause`; `is_final` if it would fail again in the same way. The
    /// state stays as it is. Returns what the host does now: it tries again at [`Effect::RetryUpdateAt`], or not at all.
    pub fn update_failed(
        &mut self,
        now_ms: u64,
        version: &str,
        cause: &str,
        is_final: bool,
    ) -> Vec<Effect> {
        let attempt = 1 + self.update.as_ref().map_or(0, |update| update.failures);
        let is_final = is_final || attempt >= CRASHES_IN_A_ROW_MAX;
        let delay_ms = (!is_final).then(|| wait_ms(backoff_ms(attempt), self.first_ms));
        let retry_at = delay_ms.map(|delay| now_ms.saturating_add(delay));
        self.update = Some(Update {
            failures: attempt,
            retry_at,
            reason: bounded(&format!("the update to {version} does not start: {cause}")),
        });
        let failed = Effect::Record(Record::UpdateFailed {
            version: version.into(),
            attempt,
            cause: bounded(cause),
            delay_ms,
        });
        let then = retry_at.map_or_else(
            || {
                Effect::Record(Record::UpdateAbandoned {
                    version: version.into(),
                    attempts: attempt,
                })
            },
            Effect::RetryUpdateAt,
        );
        vec![failed, then]
    }

    /// Other files have come, or an operator asks for the update: earlier failures do not count.
    pub fn forget_update(&mut self) {
        self.update = None;
    }

    /// When the update is to be tried again, if it is.
    #[must_use]
    pub fn update_retry_at(&self) -> Option<u64> {
        self.update.as_ref().and_then(Update::retry_at)
    }
}
