//! One plugin's place in the table, with its supervision.
//!
//! What it is not: a timer. It says when to try again, the host waits and says `retry`. Invariants: times only come from the caller, a retry
//! never comes before its time, and every text it keeps is bounded.

use crate::{Event, Record, State, next};
use limits::lifecycle::{
    BACKOFF_FIRST_MS, BACKOFF_MAX_MS, CRASHES_IN_A_ROW_MAX, HEALTHY_AFTER_MS, REASON_CHARS_MAX,
};
use serde::Serialize;

/// The reason of a plugin that is disabled because it crashed too often (R18).
pub const MAX_RESTARTS_EXCEEDED: &str = "max_restarts_exceeded";

/// An event that must not happen now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// The table has no such row.
    #[error("a plugin that is {state} cannot {event}")]
    Transition {
        /// Where the plugin is.
        state: State,
        /// What was to happen.
        event: Event,
    },
    /// The wait after a crash is not over.
    #[error("a retry is due in {wait_ms} ms")]
    TooEarly {
        /// What is left of the wait, milliseconds.
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

/// What the host has to do after a step, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write this down.
    Record(Record),
    /// Say `retry` at this time, milliseconds of the caller's clock, unless the plugin has left `failed` by then.
    RetryAt(u64),
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The state before.
    pub from: State,
    /// A state that was passed in between: the last crash passes `failed`.
    pub via: Option<State>,
    /// The state now.
    pub to: State,
    /// What follows.
    pub effects: Vec<Effect>,
}

impl Step {
    /// The states that were entered, in order; each is told to whoever watches.
    pub fn entered(&self) -> impl Iterator<Item = State> {
        self.via.into_iter().chain([self.to])
    }
}

/// How a plugin is (R15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It works.
    Healthy,
    /// It should work and does not.
    Unhealthy,
    /// It is not meant to work.
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

/// What is shown of a plugin's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The state.
    pub state: State,
    /// Whether it is meant to work.
    pub enabled: bool,
    /// Whether it works.
    pub running: bool,
    /// How it is.
    pub health: Health,
    /// Why it is blocked, has failed or is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// When it is started again, milliseconds of the caller's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<u64>,
    /// Crashes in a row.
    pub crashes: u32,
}

/// One plugin's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    state: State,
    reason: Option<Box<str>>,
    /// Crashes in a row; a healthy minute is taken into account at the next step.
    crashes: u32,
    /// Set in `failed` alone.
    retry_at: Option<u64>,
    /// Set in `loaded` alone.
    loaded_at: Option<u64>,
    /// Whether the next start is one after a crash.
    restarting: bool,
    /// Wait before the first restart.
    first_ms: u64,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

/// The wait before restart number `attempt`, from 1: 1, 2, 4, 8, 16, 16 ... seconds (R17).
#[must_use]
pub const fn backoff_ms(attempt: u32) -> u64 {
    let doublings = if attempt == 0 { 0 } else { attempt - 1 };
    match BACKOFF_FIRST_MS.checked_shl(doublings) {
        Some(wait) if wait < BACKOFF_MAX_MS && doublings < 32 => wait,
        _ => BACKOFF_MAX_MS,
    }
}

impl Machine {
    /// A plugin that was just seen.
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
        }
    }

    /// The same, with another wait before the first restart, at most [`BACKOFF_FIRST_MS`]: an operator may want plugins back sooner. The waits
    /// after it double as [`backoff_ms`] does.
    #[must_use]
    pub const fn restarting_after(mut self, first_ms: u64) -> Self {
        self.first_ms = if first_ms < BACKOFF_FIRST_MS {
            first_ms
        } else {
            BACKOFF_FIRST_MS
        };
        self
    }

    /// A plugin that was disabled before the host started. It is listed like any other and can be enabled.
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

    /// Whether it is meant to work.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        !matches!(self.state, State::Disabled)
    }

    /// Whether it works.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        matches!(self.state, State::Loaded)
    }

    /// How it is.
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

    /// When it is started again; only while it has failed.
    #[must_use]
    pub const fn retry_at(&self) -> Option<u64> {
        self.retry_at
    }

    /// Crashes in a row at `now_ms`: none after a healthy minute.
    #[must_use]
    pub fn crashes(&self, now_ms: u64) -> u32 {
        let healthy = self
            .loaded_at
            .is_some_and(|since| now_ms.saturating_sub(since) >= HEALTHY_AFTER_MS);
        if healthy { 0 } else { self.crashes }
    }

    /// All of it, as shown.
    #[must_use]
    pub fn status(&self, now_ms: u64) -> Status {
        Status {
            state: self.state,
            enabled: self.is_enabled(),
            running: self.is_running(),
            health: self.health(),
            reason: self.reason.clone(),
            retry_at: self.retry_at,
            crashes: self.crashes(now_ms),
        }
    }

    /// Takes a step. `now_ms` is any clock that does not run backwards; where it does, waits only get longer.
    ///
    /// # Errors
    /// When the event must not happen now; nothing has changed then.
    pub fn step(&mut self, event: Event, now_ms: u64) -> Result<Step, Illegal> {
        self.take(event, now_ms, None)
    }

    /// Takes a step for a reason: what blocks it, what it died of, why it is disabled. The reason is cut at [`REASON_CHARS_MAX`] characters.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_because(
        &mut self,
        event: Event,
        now_ms: u64,
        reason: &str,
    ) -> Result<Step, Illegal> {
        self.take(event, now_ms, Some(bounded(reason)))
    }

    fn take(
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
        self.loaded_at = (to == State::Loaded).then_some(now_ms);
        let (via, effects) = match (event, to) {
            (Event::Crash, State::Failed) => self.crashed(now_ms),
            _ => (
                None,
                self.moved(event).into_iter().map(Effect::Record).collect(),
            ),
        };
        Ok(Step {
            from,
            via,
            to: self.state,
            effects,
        })
    }

    /// What follows a crash: a restart later, or the end.
    fn crashed(&mut self, now_ms: u64) -> (Option<State>, Vec<Effect>) {
        self.crashes += 1;
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
        let delay_ms = backoff_ms(crashes) * self.first_ms / BACKOFF_FIRST_MS;
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

    /// What is written down about every other step.
    fn moved(&mut self, event: Event) -> Option<Record> {
        match event {
            Event::Activate if std::mem::take(&mut self.restarting) => Some(Record::Restarted {
                attempt: self.crashes,
            }),
            Event::Activate => Some(Record::Started),
            // A crash while it stops ends here too.
            Event::Gone | Event::Crash => Some(Record::Stopped),
            Event::Disable => Some(Record::Disabled {
                reason: self.reason.clone(),
            }),
            Event::GiveUp => Some(Record::DisabledAfterMaxRestarts {
                restart_count: self.crashes,
            }),
            Event::Enable | Event::Change => {
                // New code, or a person who believes in it: a new beginning.
                self.crashes = 0;
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

fn bounded(reason: &str) -> Box<str> {
    match reason.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => reason[..end].into(),
        None => reason.into(),
    }
}
