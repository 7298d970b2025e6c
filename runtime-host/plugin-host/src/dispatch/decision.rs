//! A decision that the gateway waits for, and the wait for a plugin's part of it.

use crate::{dispatch::table::Listener, instances::call::Answer};
use plugin_bus::DecisionRequest;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// What plugins decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It goes on as it is.
    Relay,
    /// It goes on with this text.
    Rewrite(String),
    /// It ends here.
    Consume,
    /// It ends here, and the sender is told.
    Refuse {
        /// The plugin that refuses.
        plugin_id: Arc<str>,
        /// Why.
        reason: String,
    },
    /// A plugin that decides failed; the envelope ends here, and the sender may try again.
    Unavailable,
}

/// Where a decision goes, and the time for it.
pub(crate) struct AwaitedDecision {
    limit: Duration,
    ends: Instant,
    send: Box<dyn FnOnce(Decision) + Send + Sync>,
}

impl AwaitedDecision {
    /// The time of the decision begins now.
    pub(crate) fn new(
        request: &DecisionRequest,
        send: impl FnOnce(Decision) + Send + Sync + 'static,
    ) -> Self {
        let limit = Duration::from_millis(request.plugins_ms());
        Self {
            limit,
            ends: Instant::now() + limit,
            send: Box::new(send),
        }
    }

    /// Milliseconds that one call of the plugin may take. It does not shrink while a job waits in a mailbox: a call that
    /// is started late is not the plugin's fault.
    pub(super) fn call_ms(&self, listener: &Listener) -> u64 {
        let action_ms = listener.pool.shared.quota.action_ms;
        action_ms.min(self.limit.as_millis() as u64)
    }

    /// Time until the decision has to be sent.
    pub(crate) fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// Answers the gateway.
    pub(crate) fn send(self, decision: Decision) {
        (self.send)(decision);
    }
}

/// A plugin's answer to a question, which may wait in its mailbox first. The error says what failed.
pub(super) async fn await_answer<T>(answer: Answer<T>, within: Duration) -> Result<T, String> {
    // The sender of the envelope waits no longer than this, whether the call has begun or not.
    match timeout(within, answer.within(within.as_millis() as u64)).await {
        Ok(outcome) => outcome.map_err(|failed| failed.to_string()),
        Err(_) => Err("it did not answer in time".to_owned()),
    }
}
