//! Random actions of the connections, checked by the model.

mod actions;
mod receive;

use super::{
    Plan, Report,
    model::{Model, Room, Serial, User},
    wire::{Heard, Wire},
};
use crate::{PATIENCE, host::Host, http::Request, measures::resident_bytes, rng::Rng};
use serde_json::json;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Rooms of one connection.
const ROOMS_MAX: usize = 3;
/// Slots whose connections are also in the loud room, and those of them that stall at times.
const LOUD: usize = 12;
const DEAF: usize = 4;
/// Messages of a burst in the loud room: more than the queue of a connection and the system's
/// buffers hold.
const BURST_MESSAGES: usize = 256;
const BURST_BYTES: usize = 32 * limits::KIB;
/// Messages of a burst sent at once; more follow when the reading members have received them.
const BURST_STEP: usize = 8;
/// Rooms whose rosters a new member compares after settling.
const ROSTERS: usize = 5;

/// A failed expectation; the text names it and the seed.
type Outcome<T = ()> = Result<T, String>;

/// Plays a plan against a running host.
///
/// # Errors
/// The first failed expectation.
pub fn run(host: &Host, plan: Plan) -> Result<Report, String> {
    let named = |why: String| format!("seed {}: {why}", plan.seed);
    let mut play = Play::new(host, plan).map_err(named)?;
    play.all()
        .map_err(|why| format!("{} ({:?} into it)", named(why), play.began.elapsed()))?;
    Ok(play.report)
}

/// A sent envelope whose answer makes all earlier messages certain.
struct Barrier {
    id: u64,
    certain: Vec<(Room, u32)>,
}

/// A connection that is open, or opening.
#[derive(Default)]
struct Online {
    serial: Serial,
    identified: bool,
    entering: Option<Room>,
    leaving: Option<(Room, u64)>,
    barriers: VecDeque<Barrier>,
    certain: Vec<(Room, u32)>,
    stalled_until: Option<Instant>,
    /// It has stalled, so the host may close it as slow.
    has_stalled: bool,
    /// It is ending, after this answer or with the close that follows.
    departing: Option<u64>,
}

impl Online {
    /// Whether it waits for nothing.
    fn is_idle(&self) -> bool {
        self.identified
            && self.entering.is_none()
            && self.leaving.is_none()
            && self.departing.is_none()
            && self.stalled_until.is_none()
    }
}

struct Play<'a> {
    host: &'a Host,
    plan: Plan,
    rng: Rng,
    wire: Wire,
    model: Model,
    places: Vec<Option<Online>>,
    serials: Serial,
    barriers: u64,
    burst: Option<(usize, usize)>,
    /// All traffic is settled: a roster must equal the model.
    at_rest: bool,
    heard: Vec<(usize, Heard)>,
    report: Report,
    began: Instant,
    sampled: Option<Instant>,
}

fn room_name(room: Room) -> String {
    format!("room-{room}")
}

impl<'a> Play<'a> {
    fn new(host: &'a Host, plan: Plan) -> Outcome<Self> {
        let token = host.token("olga", "admin");
        for room in 0..plan.rooms() as Room {
            let request = Request::new("POST", "/api/servers").bearer(&token);
            let _ = host
                .send(&request.json(&json!({"id": room_name(room), "name": "Room"})))
                .expect(201);
        }
        let address = host
            .address()
            .parse()
            .map_err(|_| "an address".to_owned())?;
        // One more for the new member.
        let wire = Wire::new(address, plan.connections + 1).map_err(|error| error.to_string())?;
        Ok(Self {
            host,
            rng: Rng::new(plan.seed),
            wire,
            model: Model::default(),
            places: (0..=plan.connections).map(|_| None).collect(),
            plan,
            serials: 0,
            barriers: 0,
            burst: None,
            at_rest: false,
            heard: Vec::new(),
            report: Report::default(),
            began: Instant::now(),
            sampled: None,
        })
    }

    fn all(&mut self) -> Outcome {
        self.open(self.plan.connections)?;
        self.began = Instant::now();
        let rate = (self.plan.connections / 6).max(300) as f64;
        let (mut done, mut busy, mut round) = (0.0, Duration::ZERO, Instant::now());
        while busy < self.plan.duration {
            self.turn(Duration::from_millis(5))?;
            // After a pause of the machine the missed actions are not made up at once.
            let passed = round.elapsed().min(Duration::from_millis(50));
            round = Instant::now();
            let due = passed.as_secs_f64().mul_add(rate, done);
            done = due.fract();
            for _ in 0..due as usize {
                self.act()?;
            }
            self.burst_on();
            busy += passed;
            if busy.as_secs_f64()
                >= self.plan.settle_every.as_secs_f64() * (self.report.settled + 1) as f64
            {
                self.settle()?;
                round = Instant::now();
            }
        }
        self.settle()
    }

    fn user(&self, at: usize) -> User {
        // The new member has another identity.
        if at == self.plan.connections {
            self.plan.users() as User
        } else {
            (at % self.plan.users()) as User
        }
    }

    fn open(&mut self, at: usize) -> Outcome {
        self.wire
            .open(at, at < DEAF)
            .map_err(|error| format!("a connection cannot be opened: {error}"))?;
        self.serials += 1;
        // A small buffer falls behind immediately during a burst.
        self.places[at] = Some(Online {
            serial: self.serials,
            has_stalled: at < DEAF,
            ..Online::default()
        });
        self.report.opened += 1;
        Ok(())
    }

    fn sample(&mut self) {
        let every = Duration::from_secs(if self.plan.duration > Duration::from_secs(60) {
            5
        } else {
            1
        });
        if self.sampled.is_none_or(|last| last.elapsed() >= every) {
            self.sampled = Some(Instant::now());
            self.report.memory.push((
                self.began.elapsed().as_secs_f64(),
                resident_bytes(self.host) as f64,
            ));
        }
    }

    /// Receives until `done` returns true.
    fn until(
        &mut self,
        what: &str,
        mut done: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Outcome {
        let (mut begin, mut look, mut last) = (Instant::now(), Instant::now(), (0, 0));
        loop {
            self.turn(Duration::from_millis(5))?;
            let progress = (self.report.received, self.report.presence);
            if progress != last {
                // The time limit counts silence, so a slow machine does not fail.
                (last, begin) = (progress, Instant::now());
            }
            if look.elapsed() < Duration::from_millis(50) {
                continue;
            }
            match done(self) {
                Ok(()) => return Ok(()),
                Err(missing) if begin.elapsed() > PATIENCE => {
                    return Err(format!("{what}: {missing}"));
                }
                Err(_) => look = Instant::now(),
            }
        }
    }

    /// Settles all traffic and compares it with the model.
    fn settle(&mut self) -> Outcome {
        self.burst = None;
        for at in 0..self.places.len() {
            self.resume(at);
            if self.places[at]
                .as_ref()
                .is_some_and(|online| online.identified && online.departing.is_none())
            {
                self.barrier(at);
            }
        }
        self.until("an answer that never comes", |play| {
            let waiting = |online: &&Online| !online.identified || !online.barriers.is_empty() || !online.is_idle();
            match play.places.iter().flatten().find(waiting) {
                None => Ok(()),
                Some(online) => Err(format!(
                    "connection {}: identified {}, entering {:?}, leaving {:?}, departing {:?}, {} answers",
                    online.serial,
                    online.identified,
                    online.entering,
                    online.leaving,
                    online.departing,
                    online.barriers.len()
                )),
            }
        })?;
        let nothing_missing = |play: &mut Self| play.model.missing().map_or(Ok(()), Err);
        self.until("at rest", nothing_missing)?;
        self.at_rest = true;
        let fresh = self.plan.connections;
        for _ in 0..ROSTERS {
            let room = self.rng.below(self.plan.rooms()) as Room;
            self.enter(fresh, room);
            self.until("a new member", |play| match &play.places[fresh] {
                Some(online) if online.entering.is_none() => Ok(()),
                Some(_) => Err(format!("no roster of room {room}")),
                None => Err("it is gone".into()),
            })?;
            self.leave(fresh, room);
            self.until("a new member", |play| match &play.places[fresh] {
                Some(online) if online.leaving.is_none() => Ok(()),
                _ => Err(format!("no end of room {room}")),
            })?;
            self.until("after a new member", nothing_missing)?;
        }
        self.at_rest = false;
        self.model.rest();
        self.report.settled += 1;
        Ok(())
    }
}
