//! The validator chain of a shard, and what follows from its verdicts.

use crate::{
    directory::views::ServerView,
    metrics::Metrics,
    session::{Sessions, pending::Wait, refusals::Reason},
};
use bytes::Bytes;
use envelope::{
    Scan, Validator,
    reply::code,
    verdict::{Context, ValidatorError, Verdict},
};
use std::{sync::Arc, time::Instant};
use uuid::fmt::Hyphenated;

/// One of so many calls of the chain is timed for the histogram: reading a clock costs as much as the rest of the
/// accounting.
const CALLS_PER_SAMPLE: u32 = 16;

/// The instances of the chain that serve one shard.
pub(super) struct TimedChain {
    chain: Box<dyn Validator>,
    calls: u32,
}

impl TimedChain {
    pub(super) fn new(chain: Box<dyn Validator>) -> Self {
        Self { chain, calls: 0 }
    }

    /// The verdict about an envelope. The chain is sent the definitions of a server first if it asks for them;
    /// `view_of` finds them.
    ///
    /// # Errors
    /// A component failed, or asked for a server that it may not know.
    fn validate(
        &mut self,
        context: &Context<'_>,
        envelope: &[u8],
        view_of: impl FnOnce(&str) -> Option<Arc<ServerView>>,
        metrics: &Metrics,
    ) -> Result<Verdict, ValidatorError> {
        self.calls = self.calls.wrapping_add(1);
        let is_timed = self.calls.is_multiple_of(CALLS_PER_SAMPLE);
        let started = is_timed.then(Instant::now);
        let verdict = match self.chain.validate(context, envelope) {
            Ok(Verdict::NeedSnapshot(server_id)) => {
                let view = view_of(&server_id).ok_or_else(|| {
                    let server_id = envelope::decode::shorten(&server_id);
                    let reason =
                        format!("it asked for a server that the connection is not in: {server_id}");
                    broken_contract(reason)
                });
                view.and_then(|view| self.chain.update_definitions(view.rules.snapshot()))
                    .and_then(|()| self.chain.validate(context, envelope))
            }
            verdict => verdict,
        };
        if let Some(started) = started {
            let seconds = started.elapsed().as_secs_f64();
            metrics.validator_seconds.observe(seconds);
        }
        verdict
    }
}

impl Sessions {
    /// Sends the chain the definitions of a server, which may be older than those that it has.
    pub(super) fn restate_definitions(&mut self, view: &ServerView) {
        let snapshot = view.rules.snapshot();
        if let Err(error) = self.validator.chain.update_definitions(snapshot) {
            count_failure(&self.hub.metrics, &error);
            tracing::warn!(%error, "the validators could not take restored definitions");
        }
    }

    /// The verdict about an envelope of a connection.
    pub(crate) fn validate(
        &mut self,
        slot: u32,
        scan: &Scan<'_>,
    ) -> Result<Verdict, ValidatorError> {
        // The context borrows from the session, so that no text is copied.
        let Some(session) = self.sockets.session(slot) else {
            return Ok(Verdict::Pass);
        };
        let (server_id, mut connection_id) = (scan.server_id(), [0; Hyphenated::LENGTH]);
        let context = session.context(server_id.as_ref(), &mut connection_id);
        let view_of = |server_id: &str| Some(session.membership(server_id)?.room.view());
        self.validator
            .validate(&context, scan.bytes(), view_of, &self.hub.metrics)
    }

    /// The verdict about an envelope of a plugin for the server with this view.
    pub(crate) fn validate_for_plugin(
        &mut self,
        context: &Context<'_>,
        envelope: &[u8],
        view_of: impl FnOnce(&str) -> Option<Arc<ServerView>>,
    ) -> Result<Verdict, ValidatorError> {
        self.validator
            .validate(context, envelope, view_of, &self.hub.metrics)
    }

    /// Acts on a verdict about an envelope of a connection.
    pub(super) fn act_on(
        &mut self,
        slot: u32,
        scan: &Scan<'_>,
        verdict: Result<Verdict, ValidatorError>,
    ) {
        match verdict {
            Ok(Verdict::Route(decision)) => self.perform(slot, scan, &decision),
            Ok(Verdict::Refuse(refusal)) => self.refuse(slot, &refusal),
            Ok(Verdict::Later(number)) => {
                tracing::debug!(number, "a validator decides later");
                let envelope = Bytes::copy_from_slice(scan.bytes());
                let wait = Wait::Validator { envelope, number };
                self.pause(slot, scan.request_id().as_deref(), wait);
            }
            Ok(Verdict::Pass | Verdict::Rewrite(_) | Verdict::NeedSnapshot(_)) => {
                self.validation_failed(slot, scan, &no_decision());
            }
            Err(error) => self.validation_failed(slot, scan, &error),
        }
    }

    /// Refuses an envelope on which the chain failed.
    pub(super) fn validation_failed(&mut self, slot: u32, scan: &Scan<'_>, error: &ValidatorError) {
        count_failure(&self.hub.metrics, error);
        tracing::warn!(%error, "an envelope could not be validated");
        let message = "a component failed on this envelope; it was not sent";
        self.refuse_scanned(slot, scan, Reason::new(code::INTERNAL, message));
    }
}

/// Counts a failure of the chain by its kind.
pub(crate) fn count_failure(metrics: &Metrics, error: &ValidatorError) {
    let label = match error {
        ValidatorError::Deadline { .. } => "deadline",
        ValidatorError::Trap { .. } => "trap",
        ValidatorError::Contract { .. } => "contract",
    };
    Metrics::count(&metrics.validator_failures, label);
}

/// The chain ended without a verdict that ends it.
pub(crate) fn no_decision() -> ValidatorError {
    broken_contract("it ended without a decision".into())
}

/// The chain broke its contract.
pub(super) fn broken_contract(reason: String) -> ValidatorError {
    ValidatorError::Contract {
        component: "chain".into(),
        reason,
    }
}
