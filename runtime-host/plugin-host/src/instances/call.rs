//! One call whose answer is awaited, from the side that asks and the side of the instance, and the time of a running
//! call.
//!
//! A call waits until an instance takes it up; then its own clock runs, which stands still while the call waits for a
//! client. The clock alone decides when a running call is late, so a late call always fails with the same error.

use crate::{
    bindings::jackfield::plugin::types::{ErrorCode, PluginError},
    imports::error,
    instances::{instance::Crash, mailbox::EnqueueError},
};
use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, time::timeout};

/// Why a call has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CallError {
    /// The job was not taken.
    #[error("the plugin cannot be called: {0}")]
    NotTaken(#[from] EnqueueError),
    /// No instance took it up in time; it will not run.
    #[error("the plugin did not answer within {0} ms: its instances are at work")]
    NotBegun(u64),
    /// The plugin was stopped before the call began.
    #[error("the plugin was stopped before the call began")]
    Stopped,
    /// The handler's own error.
    #[error("{}", .0.message)]
    Failed(PluginError),
    /// The call ended its instance.
    #[error("{0}")]
    Crashed(Crash),
}

impl CallError {
    /// As an error with a code.
    pub(crate) fn into_plugin_error(self) -> PluginError {
        let code = match &self {
            Self::Failed(failed) => return failed.clone(),
            Self::NotBegun(_) | Self::Crashed(Crash::Deadline { .. }) => ErrorCode::Timeout,
            Self::NotTaken(_) | Self::Stopped | Self::Crashed(Crash::Ended { .. }) => {
                ErrorCode::Unavailable
            }
            Self::Crashed(_) => ErrorCode::Internal,
        };
        error(code, self.to_string())
    }
}

/// A call whose answer is awaited; dropped unanswered if its plugin is stopped before it begins.
pub(crate) struct Question<T> {
    deadline_ms: u64,
    begun: oneshot::Sender<()>,
    reply: Reply<T>,
}

/// Takes the outcome of a call that has begun.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, CallError>>;

/// The asking end of a [`Question`].
#[derive(Debug)]
pub(crate) struct Answer<T> {
    begun: oneshot::Receiver<()>,
    reply: oneshot::Receiver<Result<T, CallError>>,
}

impl<T> Question<T> {
    /// A question whose call may take `deadline_ms` once it has begun, and the end where its answer arrives.
    pub(crate) fn new(deadline_ms: u64) -> (Self, Answer<T>) {
        let (begun, has_begun) = oneshot::channel();
        let (reply, answer) = oneshot::channel();
        let question = Self {
            deadline_ms,
            begun,
            reply,
        };
        let answer = Answer {
            begun: has_begun,
            reply: answer,
        };
        (question, answer)
    }

    /// Begins the call: its deadline in milliseconds and where its outcome goes. None if the answer is not awaited any
    /// more; then the call would do what its caller was told did not happen.
    pub(super) fn begin(self) -> Option<(u64, Reply<T>)> {
        let is_awaited = self.begun.send(()).is_ok();
        is_awaited.then_some((self.deadline_ms, self.reply))
    }
}

impl<T> Answer<T> {
    /// Waits at most `limit_ms` until an instance takes the call up.
    ///
    /// # Errors
    /// [`CallError::NotBegun`], [`CallError::Stopped`].
    pub(crate) async fn begun(&mut self, limit_ms: u64) -> Result<(), CallError> {
        match timeout(Duration::from_millis(limit_ms), &mut self.begun).await {
            Ok(begun) => begun.map_err(|_| CallError::Stopped),
            Err(_) => Err(CallError::NotBegun(limit_ms)),
        }
    }

    /// The outcome of a call that has begun; its clock bounds the wait.
    ///
    /// # Errors
    /// [`CallError`].
    pub(crate) async fn outcome(&mut self) -> Result<T, CallError> {
        let outcome = (&mut self.reply).await;
        outcome.unwrap_or(Err(CallError::Stopped))
    }

    /// The answer of a call that is taken up within `limit_ms`.
    ///
    /// # Errors
    /// [`CallError`].
    pub(crate) async fn within(mut self, limit_ms: u64) -> Result<T, CallError> {
        self.begun(limit_ms).await?;
        self.outcome().await
    }
}

/// How long the running call of an instance may still take. Clones share one clock.
#[derive(Debug, Clone)]
pub(crate) struct CallClock(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    ends: Instant,
    /// Since when the clock stands still, if it does.
    paused: Option<Instant>,
}

/// How often a clock that stands still is looked at.
const PAUSED_LOOK: Duration = Duration::from_millis(50);

impl CallClock {
    /// A clock without time left.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Times {
            ends: Instant::now(),
            paused: None,
        })))
    }

    /// Starts the time of a call.
    pub(super) fn start(&self, time: Duration) {
        *self.0.lock() = Times {
            ends: Instant::now() + time,
            paused: None,
        };
    }

    /// Time left; none when the call is late.
    fn left(&self) -> Option<Duration> {
        let times = self.0.lock();
        let now = times.paused.unwrap_or_else(Instant::now);
        let left = times.ends.saturating_duration_since(now);
        match times.paused {
            Some(_) => Some(left.max(PAUSED_LOOK)),
            None => (!left.is_zero()).then_some(left),
        }
    }

    /// Whether the call is late.
    pub(super) fn is_over(&self) -> bool {
        self.left().is_none()
    }

    /// Returns when the call is late.
    pub(super) async fn over(&self) {
        while let Some(left) = self.left() {
            tokio::time::sleep(left).await;
        }
    }

    /// Stops the clock until the pause is dropped: what follows is a client's time.
    pub(crate) fn pause(&self) -> Pause {
        self.0.lock().paused = Some(Instant::now());
        Pause(self.clone())
    }
}

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Pause(CallClock);

impl Drop for Pause {
    fn drop(&mut self) {
        let mut times = self.0.0.lock();
        if let Some(since) = times.paused.take() {
            times.ends += since.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CallClock, CallError, Question};
    use std::time::Duration;

    #[tokio::test]
    async fn a_paused_clock_stands_still() {
        let clock = CallClock::new();
        assert!(clock.is_over());
        clock.start(Duration::from_millis(1));
        let pause = clock.pause();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!clock.is_over(), "the wait is not the call's");
        drop(pause);
        clock.over().await;
        assert!(clock.is_over());
    }

    #[tokio::test]
    async fn a_call_ends_once_and_says_how() {
        let (question, answer) = Question::<u8>::new(7);
        let asking = tokio::spawn(answer.within(60_000));
        let (deadline_ms, reply) = question.begin().expect("it is awaited");
        assert_eq!(deadline_ms, 7);
        reply.send(Ok(1)).expect("it is awaited");
        assert_eq!(asking.await.expect("no panic").expect("an answer"), 1);

        let (question, answer) = Question::<u8>::new(7);
        drop(question);
        assert!(matches!(
            answer.within(60_000).await,
            Err(CallError::Stopped)
        ));

        let (question, answer) = Question::<u8>::new(7);
        assert!(matches!(
            answer.within(1).await,
            Err(CallError::NotBegun(1))
        ));
        assert!(question.begin().is_none(), "it is not awaited any more");
    }
}
