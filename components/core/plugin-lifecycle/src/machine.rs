//! The state machine of one plugin, with the supervision of its crashes.
//!
//! It has no timer: it returns the time of the next retry, and the host sends [`Event::Retry`] then. All times come
//! from the caller.

use crate::{Event, Record, State, next, update::Update};
use limits::lifecycle::{
    BACKOFF_FIRST_MS, BACKOFF_MAX_MS, CRASHES_IN_A_ROW_MAX, HEALTHY_AFTER_MS, REASON_CHARS_MAX,
};
use serde::Serialize;

/// The reason of a plugin that was disabled after too many crashes in a row.
pub const MAX_RESTARTS_EXCEEDED: &str = "max_restarts_exceeded";

/// An event that is illegal in the current state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// [`TRANSITIONS`] has no such row.
    #[error("event {event} is not allowed in state {state}")]
    Transition {
        /// The current state.
        state: State,
        /// The event.
        event: Event,
    },
    /// The wait after a crash is not over.
    #[error("a retry is due in {wait_ms} ms")]
    TooEarly {
        /// Rest of the wait, milliseconds.
        wait_ms: u64,
    },
}

impl Illegal {
    /// A stable name of the fault, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Transition { .. } => "illegal-transition",
            Self::TooEarly { .. } => "retry-too-early",
        }
    }
}

/// What the host does after a step, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Store this row.
    Record(Record),
    /// Send [`Event::Retry`] at this time (milliseconds of the caller's clock), unless the plugin has left `failed` by
    /// then.
    RetryAt(u64),
    /// Try the update again at this time, unless it has been forgotten by then.
    RetryUpdateAt(u64),
}

/// The result of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The state before.
    pub from: State,
    /// A state passed in between: the last crash passes `failed` before `disabled`.
    pub via: Option<State>,
    /// The state now.
    pub to: State,
    /// What the host does now.
    pub effects: Vec<Effect>,
}

impl Step {
    /// The states entered, in order.
    pub fn entered(&self) -> impl Iterator<Item = State> {
        self.via.into_iter().chain([self.to])
    }
}

/// Health of a plugin, as shown over REST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It runs.
    Healthy,
    /// It is enabled, but does not run.
    Unhealthy,
    /// It is disabled.
    Disabled,
}

impl Health {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Disabled => "disabled",
        }
    }
}

/// The status of a plugin, as shown over REST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The state.
    pub state: State,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether it runs.
    pub running: bool,
    /// Its health.
    pub health: Health,
    /// Why it is blocked, has failed or is disabled; while it runs, why an update of it does not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// Time of the next restart, or of the next try of an update, milliseconds of the caller's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<u64>,
    /// Crashes in a row.
    pub crashes: u32,
    /// Why it crashed last, since its files changed or it was enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_crash: Option<Box<str>>,
}

/// The state machine of one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    state: State,
    reason: Option<Box<str>>,
    /// Crashes in a row; the reset after a minute without a crash is applied at the next step.
    crashes: u32,
    /// Set only in `failed`.
    retry_at: Option<u64>,
    /// Set only in `loaded`.
    loaded_at: Option<u64>,
    /// Whether the next start is a restart after a crash.
    restarting: bool,
    /// Wait before the first restart.
    pub(crate) first_ms: u64,
    last_crash: Option<Box<str>>,
    /// An update that has not started yet.
    pub(crate) update: Option<Update>,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

/// The wait before restart number `attempt`, from 1: 1, 2, 4, 8, 16, 16 ... seconds.
#[must_use]
pub const fn backoff_ms(attempt: u32) -> u64 {
    let doublings = if attempt == 0 { 0 } else { attempt - 1 };
    match BACKOFF_FIRST_MS.checked_shl(doublings) {
        Some(wait) if wait < BACKOFF_MAX_MS && doublings < 32 => wait,
        _ => BACKOFF_MAX_MS,
    }
}

impl Machine {
    /// A plugin in `discovered`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Discovered,
            reason: None,
            crashes: 0,
            retry_at: None,
            loaded_at: None,
            restarting: false,
            first_ms: BACKOFF_FIRST_MS,
            last_crash: None,
            update: None,
        }
    }

    /// Sets the wait before the first restart, at most [`BACKOFF_FIRST_MS`]; the later waits shrink in proportion.
    #[must_use]
    pub const fn restarting_after(mut self, first_ms: u64) -> Self {
        self.first_ms = if first_ms < BACKOFF_FIRST_MS {
            first_ms
        } else {
            BACKOFF_FIRST_MS
        };
        self
    }

    /// A plugin in `disabled`, as stored before the host started.
    #[must_use]
    pub fn disabled(reason: Option<&str>) -> Self {
        Self {
            state: State::Disabled,
            reason: reason.map(bounded),
            ..Self::new()
        }
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether it is enabled.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        !matches!(self.state, State::Disabled)
    }

    /// Whether it runs.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        matches!(self.state, State::Loaded)
    }

    /// Its health.
    #[must_use]
    pub const fn health(&self) -> Health {
        match self.state {
            State::Loaded => Health::Healthy,
            State::Disabled => Health::Disabled,
            _ => Health::Unhealthy,
        }
    }

    /// Why it is blocked, has failed or is disabled.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Time of the next restart; only in `failed`.
    #[must_use]
    pub const fn retry_at(&self) -> Option<u64> {
        self.retry_at
    }

    /// Crashes in a row at `now_ms`; 0 after [`HEALTHY_AFTER_MS`] without a crash.
    #[must_use]
    pub fn crashes(&self, now_ms: u64) -> u32 {
        let healthy = self
            .loaded_at
            .is_some_and(|since| now_ms.saturating_sub(since) >= HEALTHY_AFTER_MS);
        if healthy { 0 } else { self.crashes }
    }

    /// The status at `now_ms`.
    #[must_use]
    pub fn status(&self, now_ms: u64) -> Status {
        let update = self.update.as_ref().filter(|_| self.is_running());
        let reason = update.map_or(self.reason(), |update| Some(update.reason()));
        Status {
            state: self.state,
            enabled: self.is_enabled(),
            running: self.is_running(),
            health: self.health(),
            reason: reason.map(Into::into),
            retry_at: self.retry_at.or(update.and_then(Update::retry_at)),
            crashes: self.crashes(now_ms),
            last_crash: self.last_crash.clone(),
        }
    }

    /// Applies an event. `now_ms` is any monotonic clock; if it runs backwards, waits only get longer.
    ///
    /// # Errors
    /// When the event is illegal now; nothing has changed then.
    pub fn step(&mut self, event: Event, now_ms: u64) -> Result<Step, Illegal> {
        self.apply(event, now_ms, None)
    }

    /// Applies an event with its reason: why the plugin is blocked, crashed or disabled. Cut at [`REASON_CHARS_MAX`]
    /// characters.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_because(
        &mut self,
        event: Event,
        now_ms: u64,
        reason: &str,
    ) -> Result<Step, Illegal> {
        self.apply(event, now_ms, Some(bounded(reason)))
    }

    fn apply(
        &mut self,
        event: Event,
        now_ms: u64,
        reason: Option<Box<str>>,
    ) -> Result<Step, Illegal> {
        let from = self.state;
        let to = next(from, event).ok_or(Illegal::Transition { state: from, event })?;
        if let (Event::Retry, Some(at)) = (event, self.retry_at)
            && now_ms < at
        {
            return Err(Illegal::TooEarly {
                wait_ms: at - now_ms,
            });
        }
        self.crashes = self.crashes(now_ms);
        self.state = to;
        self.reason =
            reason.filter(|_| matches!(to, State::Blocked | State::Failed | State::Disabled));
        self.retry_at = None;
        self.update = self.update.take().filter(|_| to.awaits_update());
        self.loaded_at = (to == State::Loaded).then_some(now_ms);
        let (via, effects) = match (event, to) {
            (Event::Crash, State::Failed) => self.after_crash(now_ms),
            _ => (
                None,
                self.record_of(event)
                    .into_iter()
                    .map(Effect::Record)
                    .collect(),
            ),
        };
        Ok(Step {
            from,
            via,
            to: self.state,
            effects,
        })
    }

    /// Schedules a restart, or disables the plugin after too many crashes.
    fn after_crash(&mut self, now_ms: u64) -> (Option<State>, Vec<Effect>) {
        self.crashes += 1;
        self.last_crash.clone_from(&self.reason);
        let crashes = self.crashes;
        let record = Effect::Record(Record::Crashed {
            crashes,
            cause: self.reason.clone(),
        });
        if crashes >= CRASHES_IN_A_ROW_MAX
            && let Some(disabled) = next(State::Failed, Event::GiveUp)
        {
            self.state = disabled;
            self.reason = Some(MAX_RESTARTS_EXCEEDED.into());
            self.restarting = false;
            return (
                Some(State::Failed),
                vec![
                    record,
                    Effect::Record(Record::DisabledAfterMaxRestarts {
                        restart_count: crashes,
                    }),
                ],
            );
        }
        let delay_ms = wait_ms(backoff_ms(crashes), self.first_ms);
        let at = now_ms.saturating_add(delay_ms);
        self.retry_at = Some(at);
        self.restarting = true;
        (
            None,
            vec![
                record,
                Effect::Record(Record::Restarting {
                    attempt: crashes,
                    delay_ms,
                }),
                Effect::RetryAt(at),
            ],
        )
    }

    /// The row stored about every other step.
    fn record_of(&mut self, event: Event) -> Option<Record> {
        match event {
            Event::Activate if std::mem::take(&mut self.restarting) => Some(Record::Restarted {
                attempt: self.crashes,
            }),
            Event::Activate => Some(Record::Started),
            // A crash while it is unloading stops it as well.
            Event::Gone | Event::Crash => Some(Record::Stopped),
            Event::Disable => Some(Record::Disabled {
                reason: self.reason.clone(),
            }),
            Event::GiveUp => Some(Record::DisabledAfterMaxRestarts {
                restart_count: self.crashes,
            }),
            Event::Enable | Event::Change => {
                // New code or a decision of the operator resets the crash counter.
                self.crashes = 0;
                self.last_crash = None;
                self.restarting = false;
                (event == Event::Enable).then_some(Record::Enabled)
            }
            Event::Unload => {
                self.restarting = false;
                None
            }
            Event::Accept | Event::Block | Event::Load | Event::Prepare | Event::Retry => None,
        }
    }
}

/// A wait that shrinks in proportion to the wait before the first restart.
pub(crate) const fn wait_ms(backoff_ms: u64, first_ms: u64) -> u64 {
    backoff_ms * first_ms / BACKOFF_FIRST_MS
}

pub(crate) fn bounded(reason: &str) -> Box<str> {
    match reason.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => reason[..end].into(),
        None => reason.into(),
    }
}
