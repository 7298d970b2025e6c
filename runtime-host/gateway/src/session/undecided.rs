//! Envelopes whose validator answered `later`: the connection pauses, and the validator is asked again at the next tick.
//!
//! At most one such envelope for a connection. Until its decision, its deadline or the end of the connection, nothing further is read from
//! that connection and from that one alone. The envelope is charged once.

use crate::{
    metrics::Metrics,
    shard::{Shard, connection::Pending},
};
use envelope::{
    Scan,
    reply::{self, code},
    verdict::Verdict,
};

/// An envelope that waits for a validator.
#[derive(Debug)]
pub(crate) struct Undecided {
    envelope: Box<[u8]>,
    since_ms: u32,
}

impl Shard {
    /// Pauses the connection until the validator has decided.
    pub(crate) fn wait_for_judges(&mut self, slot: u32, envelope: &[u8], ticket: u64) {
        tracing::debug!(ticket, "a judge decides later");
        let undecided = Undecided {
            envelope: envelope.into(),
            since_ms: self.now_ms,
        };
        self.put_off(slot, undecided);
    }

    fn put_off(&mut self, slot: u32, undecided: Undecided) {
        let reference = self.reference(slot);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        session.pending = Some(Box::new(Pending::Judges(undecided)));
        self.undecided.push(reference);
    }

    /// Asks again about what waits; called with the clock.
    pub(crate) fn ask_judges_again(&mut self) {
        for to in std::mem::take(&mut self.undecided) {
            let Some(slot) = self.resolve(to) else {
                continue;
            };
            let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
                continue;
            };
            let Some(pending) = session
                .pending
                .take_if(|pending| matches!(&**pending, Pending::Judges(_)))
            else {
                continue;
            };
            let Pending::Judges(undecided) = *pending else {
                continue;
            };
            self.ask_again(slot, undecided);
        }
    }

    fn ask_again(&mut self, slot: u32, undecided: Undecided) {
        let scan = Scan::new(&undecided.envelope);
        let verdict = self.verdict(slot, &undecided.envelope, &scan);
        let most_ms = self.hub.config.decision_max_ms();
        match verdict {
            Ok(Verdict::Later(_)) if self.now_ms.wrapping_sub(undecided.since_ms) < most_ms => {
                self.put_off(slot, undecided)
            }
            Ok(Verdict::Later(ticket)) => {
                self.make_ready(slot);
                Metrics::count(&self.hub.metrics.judge_failures, "undecided");
                self.hub.alarm(|| {
                    tracing::warn!(
                        ticket,
                        "a judge did not decide in time; the envelope was refused"
                    )
                });
                let message = format!(
                    "a component did not decide within {most_ms} ms; nothing was sent, try again"
                );
                let refusal = reply::refuse(
                    code::INTERNAL,
                    &message,
                    scan.type_name().as_deref(),
                    scan.request_id().as_deref(),
                );
                self.refuse(slot, &refusal);
            }
            verdict => {
                self.make_ready(slot);
                self.judged(
                    slot,
                    &undecided.envelope,
                    &scan,
                    scan.envelope_type(),
                    verdict,
                );
            }
        }
    }
}
