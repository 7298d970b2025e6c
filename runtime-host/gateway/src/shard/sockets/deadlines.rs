//! Deadlines of connections: the request head, `identify`, pings, silence, a stalled writer, the close handshake.
//!
//! Each connection is entered in a wheel at its next deadline. A deadline that moves away costs nothing until the old
//! one comes up; one that moves closer is entered by [`Sockets::schedule`].

use crate::{
    config::Config,
    frame::close,
    metrics::Metrics,
    shard::sockets::{
        Sockets,
        connection::{Conn, Phase},
        wheel::Wheel,
    },
};
use limits::socket::{CLOSE_TIMEOUT_MAX_MS, CLOSE_TIMEOUT_MS, PING_INTERVAL_IDLE_PERCENT};

/// The time limits, and the connections at their next deadline.
#[derive(Debug)]
pub(super) struct Deadlines {
    timeouts: Timeouts,
    wheel: Wheel,
}

impl Deadlines {
    pub(super) fn new(config: &Config, now_ms: u32) -> Self {
        Self {
            timeouts: Timeouts::new(config),
            wheel: Wheel::new(now_ms),
        }
    }
}

/// Time limits of a connection, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Timeouts {
    head_ms: u32,
    /// Set where identity is required.
    identify_ms: Option<u32>,
    ping_ms: u32,
    /// Interval of pings of a connection that does nothing but answer them.
    idle_ping_ms: u32,
    silence_ms: u32,
    /// Time to answer a ping.
    answer_ms: u32,
    stall_ms: u32,
    message_ms: u32,
}

/// What a connection's deadlines call for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Nothing for so many milliseconds.
    Wait(u32),
    HeadTimeout,
    CloseTimeout,
    Silent,
    Stalled,
    MessageTimeout,
    IdentifyTimeout,
    Ping,
}

impl Timeouts {
    fn new(config: &Config) -> Self {
        let socket = &config.socket;
        let (ping_ms, silence_ms) = (socket.ping_interval_ms, socket.silence_max_ms);
        let required = config.identity.mode == identity::Mode::Required;
        Self {
            head_ms: socket.head_timeout_ms as u32,
            identify_ms: required.then_some(socket.identify_timeout_ms as u32),
            ping_ms: ping_ms as u32,
            idle_ping_ms: (ping_ms * PING_INTERVAL_IDLE_PERCENT / 100) as u32,
            silence_ms: silence_ms as u32,
            answer_ms: silence_ms.saturating_sub(ping_ms) as u32,
            stall_ms: socket.write_stall_max_ms as u32,
            message_ms: socket.message_timeout_ms as u32,
        }
    }

    /// Where too many request heads are incomplete, a head gets a fifth of its time.
    fn due(&self, conn: &Conn, now_ms: u32, crowded: bool) -> Due {
        let since = |then_ms: u32| now_ms.wrapping_sub(then_ms);
        let age = since(conn.since_ms);
        let blocked = conn.queue.as_ref().and_then(|queue| queue.blocked_ms);
        match conn.phase {
            Phase::Head => {
                let crowded_ms = self.head_ms / 5;
                let limit_ms = if crowded { crowded_ms } else { self.head_ms };
                match limit_ms.checked_sub(age) {
                    None | Some(0) => Due::HeadTimeout,
                    // The heads may be crowded by then.
                    Some(left_ms) => Due::Wait(left_ms.min(crowded_ms)),
                }
            }
            Phase::Closing { .. } => {
                let waiting = blocked.map_or(age, |then_ms| since(then_ms).min(age));
                let left_ms = (CLOSE_TIMEOUT_MS as u32)
                    .saturating_sub(waiting)
                    .min((CLOSE_TIMEOUT_MAX_MS as u32).saturating_sub(age));
                match left_ms {
                    0 => Due::CloseTimeout,
                    left_ms => Due::Wait(left_ms),
                }
            }
            Phase::Open => {
                // An idle connection gets as long for its answer as another one.
                let (ping_ms, silence_ms) = match conn.idle {
                    true => (self.idle_ping_ms, self.idle_ping_ms + self.answer_ms),
                    false => (self.ping_ms, self.silence_ms),
                };
                let deadlines = [
                    Some((silence_ms, since(conn.seen_ms), Due::Silent)),
                    blocked.map(|then_ms| (self.stall_ms, since(then_ms), Due::Stalled)),
                    conn.assembly.as_ref().map(|assembly| {
                        (
                            self.message_ms,
                            since(assembly.since_ms),
                            Due::MessageTimeout,
                        )
                    }),
                    self.identify_ms
                        .filter(|_| conn.is_anonymous())
                        .map(|limit_ms| (limit_ms, age, Due::IdentifyTimeout)),
                    Some((ping_ms, since(conn.pinged_ms), Due::Ping)),
                ];
                let mut wait_ms = u32::MAX;
                for (limit_ms, passed_ms, due) in deadlines.into_iter().flatten() {
                    match limit_ms.checked_sub(passed_ms) {
                        None | Some(0) => return due,
                        Some(left_ms) => wait_ms = wait_ms.min(left_ms),
                    }
                }
                Due::Wait(wait_ms)
            }
        }
    }
}

impl Sockets {
    /// Enters a connection at its next deadline, unless it is entered earlier already. To be called where a deadline
    /// may have moved closer.
    pub(in crate::shard) fn schedule(&mut self, slot: u32) {
        let crowded = self.hub.admission.placeless_are_crowded();
        let Some(conn) = self.connections.get_mut(slot).filter(|conn| !conn.lost) else {
            return;
        };
        let Deadlines { timeouts, wheel } = &mut self.deadlines;
        let wait_ms = match timeouts.due(conn, self.now_ms, crowded) {
            Due::Wait(wait_ms) => wait_ms,
            _ => 0,
        };
        let tick = wheel.tick_at(self.now_ms, wait_ms);
        if conn
            .due_tick
            .is_none_or(|entered| wheel.is_before(tick, entered))
        {
            conn.due_tick = Some(tick);
            wheel.enter(tick, slot);
        }
    }

    /// Records a part of a message. After it an idle connection is pinged as often as others.
    pub(in crate::shard) fn note_message(&mut self, slot: u32) {
        let now_ms = self.now_ms;
        if let Some(conn) = self.connections.get_mut(slot)
            && conn.take_message(now_ms)
        {
            self.schedule(slot);
        }
    }

    /// Milliseconds until the next deadline of a connection, if there is one.
    pub(in crate::shard) fn next_deadline_ms(&self) -> Option<u32> {
        self.deadlines.wheel.next_ms(self.now_ms)
    }

    /// Acts on the deadlines that have passed.
    pub(in crate::shard) fn check_deadlines(&mut self) {
        while let Some((tick, slots)) = self.deadlines.wheel.expired(self.now_ms) {
            for slot in slots {
                if let Some(conn) = self.conn(slot)
                    && conn.due_tick == Some(tick)
                {
                    conn.due_tick = None;
                    self.check_deadline(slot);
                    self.schedule(slot);
                }
            }
        }
    }

    fn check_deadline(&mut self, slot: u32) {
        let crowded = self.hub.admission.placeless_are_crowded();
        let Some(conn) = self.connections.get_mut(slot).filter(|conn| !conn.lost) else {
            return;
        };
        match self.deadlines.timeouts.due(conn, self.now_ms, crowded) {
            Due::Wait(_) => {}
            Due::HeadTimeout => {
                Metrics::count(&self.hub.metrics.handshakes_refused, "timeout");
                self.lose(slot);
            }
            Due::CloseTimeout => self.lose(slot),
            Due::Silent => {
                // A silent peer would not read a close frame.
                conn.phase = Phase::Closing { answered: true };
                Metrics::count(&self.hub.metrics.closed, "silent");
                self.lose(slot);
            }
            Due::Stalled => self.close(slot, close::SLOW, "slow: nothing was read for too long"),
            Due::MessageTimeout => {
                self.close(slot, close::TOO_BIG, "a message took too long to arrive");
            }
            Due::IdentifyTimeout => {
                self.close(slot, close::POLICY, "identify did not come in time");
            }
            Due::Ping => {
                if let Some(session) = &mut conn.session {
                    session.release_idle(&self.hub, self.now_ms);
                }
                self.ping(slot);
            }
        }
    }
}
