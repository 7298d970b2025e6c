//! Random actions of the connections, checked by the model.

use super::{
    Plan, Report,
    model::{Model, Room, Serial, User},
    wire::{Heard, Wire},
};
use crate::{PATIENCE, host::Host, http::Request, measures::resident_bytes, rng::Rng};
use serde::Deserialize;
use serde_json::json;
use std::{
    borrow::Cow,
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

/// Members of a server's envelope that the model needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    server_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    oder_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow, default)]
    users: Option<Vec<Entry<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    oder_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
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

fn number<T: std::str::FromStr>(text: Option<&str>, prefix: &str) -> Outcome<T> {
    let number = text.and_then(|text| text.strip_prefix(prefix)?.parse().ok());
    number.ok_or_else(|| format!("{text:?} is not {prefix} and a number"))
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

    /// Sends an envelope that is always answered; returns its number.
    fn barrier(&mut self, at: usize) -> u64 {
        let Some(online) = &mut self.places[at] else {
            return 0;
        };
        self.barriers += 1;
        let id = self.barriers;
        online.barriers.push_back(Barrier {
            id,
            certain: self.model.so_far(online.serial),
        });
        self.wire.send(
            at,
            &format!(r#"{{"type":"ice_candidate","requestId":"b{id}"}}"#),
        );
        id
    }

    fn enter(&mut self, at: usize, room: Room) {
        let Some(online) = &mut self.places[at] else {
            return;
        };
        online.entering = Some(room);
        self.wire.send(
            at,
            &format!(
                r#"{{"type":"join_server","serverId":"{}"}}"#,
                room_name(room)
            ),
        );
    }

    fn leave(&mut self, at: usize, room: Room) {
        let Some(serial) = self.places[at].as_ref().map(|online| online.serial) else {
            return;
        };
        self.model.left(serial, room);
        self.wire.send(
            at,
            &format!(
                r#"{{"type":"leave_server","serverId":"{}"}}"#,
                room_name(room)
            ),
        );
        let id = self.barrier(at);
        if let Some(online) = &mut self.places[at] {
            online.leaving = Some((room, id));
        }
    }

    fn talk(&mut self, at: usize, room: Room, bytes: usize) {
        let Some(serial) = self.places[at].as_ref().map(|online| online.serial) else {
            return;
        };
        let number = self.model.sent(serial, room);
        let content = "x".repeat(bytes);
        self.report.sent += 1;
        self.wire.send(
            at,
            &format!(
                r#"{{"type":"chat_message","serverId":"{}","message":{{"id":"m{serial}.{number}","content":"{content}"}}}}"#,
                room_name(room)
            ),
        );
    }

    /// One random action.
    fn act(&mut self) -> Outcome {
        let at = self.rng.below(self.plan.connections);
        let Some(online) = &self.places[at] else {
            return self.open(at);
        };
        if online
            .stalled_until
            .is_some_and(|until| until <= Instant::now())
        {
            self.resume(at);
            return Ok(());
        }
        if !online.is_idle() || self.burst.is_some_and(|(sender, _)| sender == at) {
            return Ok(());
        }
        let serial = online.serial;
        let rooms = self.model.rooms(serial);
        let some_room = |rng: &mut Rng| rooms.get(rng.below(rooms.len())).copied();
        match self.rng.below(100) {
            0..8 if rooms.len() < ROOMS_MAX => {
                let room = 1 + self.rng.below(self.plan.rooms() - 1) as Room;
                if !rooms.contains(&room) {
                    self.enter(at, room);
                }
            }
            8..15 if rooms.len() > 1 => {
                if let Some(room) = some_room(&mut self.rng) {
                    self.leave(at, room);
                }
            }
            15..21 => {
                let id = self.barrier(at);
                let certain = self.model.so_far(serial);
                self.model.gone(serial, &certain);
                if let Some(online) = &mut self.places[at] {
                    online.departing = Some(id);
                }
            }
            21..24 => {
                let certain = online.certain.clone();
                self.model.gone(serial, &certain);
                self.wire.cut(at);
                self.places[at] = None;
                self.report.cut += 1;
            }
            24..28 => {
                let millis = 200 + self.rng.below(2_800) as u64;
                self.stall(at, Duration::from_millis(millis));
            }
            28..36 => {
                self.barrier(at);
            }
            // One member of the loud room stalls, and another one sends a burst.
            36..40 if at < DEAF && self.burst.is_none() && rooms.contains(&0) => {
                let speaker = (DEAF..LOUD).find(|other| {
                    self.places[*other].as_ref().is_some_and(|online| {
                        online.is_idle() && self.model.rooms(online.serial).contains(&0)
                    })
                });
                if let Some(speaker) = speaker {
                    self.stall(at, Duration::from_secs(8));
                    self.burst = Some((speaker, BURST_MESSAGES));
                }
            }
            _ => {
                if let Some(room) = some_room(&mut self.rng) {
                    let bytes = if self.rng.chance(5) {
                        4 * limits::KIB
                    } else {
                        60
                    };
                    self.talk(at, room, bytes);
                }
            }
        }
        Ok(())
    }

    fn stall(&mut self, at: usize, pause: Duration) {
        let Some(online) = &mut self.places[at] else {
            return;
        };
        (online.stalled_until, online.has_stalled) = (Some(Instant::now() + pause), true);
        self.wire.stall(at, true);
    }

    fn resume(&mut self, at: usize) {
        if let Some(online) = &mut self.places[at]
            && online.stalled_until.take().is_some()
        {
            self.wire.stall(at, false);
            self.report.resumed += 1;
        }
    }

    fn burst_on(&mut self) {
        let Some((speaker, left)) = self.burst else {
            return;
        };
        let there = self.places[speaker]
            .as_ref()
            .is_some_and(|online| online.is_idle() && self.model.rooms(online.serial).contains(&0));
        if !there || left == 0 {
            self.burst = None;
            return;
        }
        // Not faster than reading members can follow, so that only stalled ones are slow.
        let serial = self.places[speaker]
            .as_ref()
            .map_or(0, |online| online.serial);
        let listening = self.places[DEAF..LOUD]
            .iter()
            .flatten()
            .filter(|online| online.stalled_until.is_none())
            .map(|online| online.serial);
        if !self.model.have_heard(listening, 0, serial) {
            return;
        }
        for _ in 0..BURST_STEP.min(left) {
            self.talk(speaker, 0, BURST_BYTES);
        }
        self.burst = Some((speaker, left - BURST_STEP.min(left)));
    }

    /// Receives once.
    fn turn(&mut self, patience: Duration) -> Outcome {
        let mut heard = std::mem::take(&mut self.heard);
        self.wire
            .turn(patience, &mut heard)
            .map_err(|error| error.to_string())?;
        for (at, what) in heard.drain(..) {
            match what {
                Heard::Open => self.opened(at),
                Heard::Text(text) => self.text(at, &text).map_err(|why| {
                    format!(
                        "{why}\nthe envelope: {}",
                        text.chars().take(300).collect::<String>()
                    )
                })?,
                Heard::Closed(code) => self.closed(at, code)?,
            }
        }
        self.heard = heard;
        self.sample();
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

    fn opened(&mut self, at: usize) {
        let user = self.user(at);
        self.wire.send(at, &format!(r#"{{"type":"identify","oderId":"u{user}","displayName":"User {user}","features":["errors"]}}"#));
        self.barrier(at);
    }

    fn closed(&mut self, at: usize, code: u16) -> Outcome {
        let Some(online) = self.places[at].take() else {
            return Ok(());
        };
        if online.departing.is_some() {
            return Ok(());
        }
        self.model.gone(online.serial, &online.certain);
        // 4013, or nothing if even the close frame did not fit.
        if online.has_stalled && [4013, 1006].contains(&code) {
            self.report.slow += 1;
            return Ok(());
        }
        Err(format!(
            "connection {} was closed with {code}, and had never stalled",
            online.serial
        ))
    }

    fn text(&mut self, at: usize, text: &str) -> Outcome {
        let envelope: Envelope<'_> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Some(online) = &self.places[at] else {
            return Ok(());
        };
        let serial = online.serial;
        if let Some(id) = envelope.request_id.as_deref() {
            return self.answered(at, number(Some(id), "b")?);
        }
        if online.departing.is_some() {
            return Ok(());
        }
        let room = || number::<Room>(envelope.server_id.as_deref(), "room-");
        let parting = || {
            Ok::<_, String>(
                online
                    .leaving
                    .is_some_and(|(leaving, _)| room() == Ok(leaving)),
            )
        };
        match &*envelope.r#type {
            "connected" | "plugin_requirements" | "status_update" => Ok(()),
            "chat_message" => {
                let message: Message<'_> =
                    serde_json::from_str(envelope.message.map_or("", |raw| raw.get()))
                        .map_err(|error| error.to_string())?;
                let (sender, count) = message.id.split_once('.').ok_or("an id")?;
                let (sender, count) = (number(Some(sender), "m")?, number(Some(count), "")?);
                self.report.received += 1;
                self.model.heard(serial, room()?, sender, count, parting()?)
            }
            kind @ ("user_joined" | "user_left") => {
                let user = number(envelope.oder_id.as_deref(), "u")?;
                self.report.presence += 1;
                self.model
                    .presence(serial, room()?, user, kind == "user_joined", parting()?)
            }
            "server_users" => {
                let users = envelope.users.as_deref().unwrap_or_default();
                let users: Vec<User> = users
                    .iter()
                    .map(|entry| number(Some(&*entry.oder_id), "u"))
                    .collect::<Outcome<_>>()?;
                self.entered(at, room()?, &users)
            }
            other => Err(format!("connection {serial} did not ask for {other}")),
        }
    }

    fn entered(&mut self, at: usize, room: Room, users: &[User]) -> Outcome {
        let user = self.user(at);
        let Some(online) = &mut self.places[at] else {
            return Ok(());
        };
        if online.entering.take() != Some(room) {
            return Err(format!(
                "connection {} did not ask for room {room}",
                online.serial
            ));
        }
        let serial = online.serial;
        if self.at_rest {
            let wanted = self.model.roster(room, user);
            if wanted != users.iter().copied().collect() {
                return Err(format!(
                    "a fresh joiner of room {room} sees {users:?}, and {wanted:?} are there"
                ));
            }
            self.report.rosters += 1;
        }
        self.model.joined(serial, room, users)?;
        if at < LOUD && room != 0 && self.model.rooms(serial).len() == 1 {
            self.enter(at, 0);
        }
        Ok(())
    }

    /// The answer to a barrier.
    fn answered(&mut self, at: usize, id: u64) -> Outcome {
        let user = self.user(at);
        let Some(online) = &mut self.places[at] else {
            return Ok(());
        };
        let barrier = online
            .barriers
            .pop_front()
            .filter(|barrier| barrier.id == id);
        let Some(barrier) = barrier else {
            return Err(format!(
                "connection {} got the answer {id} out of order",
                online.serial
            ));
        };
        online.certain = barrier.certain;
        if online.leaving.is_some_and(|(_, leaving)| leaving == id) {
            online.leaving = None;
        }
        if online.departing == Some(id) {
            // Both ways to end: with a close frame and by a reset.
            if id.is_multiple_of(2) {
                self.wire.close(at);
            } else {
                self.wire.cut(at);
                self.places[at] = None;
            }
            return Ok(());
        }
        if !online.identified {
            online.identified = true;
            let serial = online.serial;
            self.model.enter(serial, user);
            if at < self.plan.connections {
                let room = 1 + self.rng.below(self.plan.rooms() - 1) as Room;
                self.enter(at, room);
            }
        }
        Ok(())
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
            self.until("a fresh joiner", |play| match &play.places[fresh] {
                Some(online) if online.entering.is_none() => Ok(()),
                Some(_) => Err(format!("no roster of room {room}")),
                None => Err("it is gone".into()),
            })?;
            self.leave(fresh, room);
            self.until("a fresh joiner", |play| match &play.places[fresh] {
                Some(online) if online.leaving.is_none() => Ok(()),
                _ => Err(format!("no end of room {room}")),
            })?;
            self.until("after a fresh joiner", nothing_missing)?;
        }
        self.at_rest = false;
        self.model.rest();
        self.report.settled += 1;
        Ok(())
    }
}
