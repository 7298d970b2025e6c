//! Rooms full of clients, and chat between them: as much as fits, or so much a second.

use crate::{
    frame::{self, TEXT},
    server::{Kind, Place, Server},
    swarm::{Client, ENTERING_MAX, PATIENCE, Swarm},
};
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Bytes of an ordinary chat envelope.
pub(crate) const CHAT_BYTES: usize = 200;
/// Silence after which everything about arrivals has been told.
pub(crate) const QUIET: Duration = Duration::from_millis(150);

/// What one measurement saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// Envelopes that arrived.
    pub deliveries: u64,
    /// Processor time of the server, nanoseconds.
    pub cpu_ns: u64,
    /// Time from publishing to arrival, nanoseconds: of the median member, or of every delivery, as the load says.
    pub latencies_ns: Vec<u64>,
}

impl Sample {
    /// Processor time for one delivery, nanoseconds.
    pub(crate) fn cpu_per_delivery_ns(&self) -> f64 {
        self.cpu_ns as f64 / self.deliveries.max(1) as f64
    }

    /// The latency that `share` of the deliveries did not exceed, nanoseconds.
    pub(crate) fn latency_ns(&self, share: f64) -> f64 {
        share_of(&self.latencies_ns, share)
    }
}

/// The value that `share` of `values` do not exceed.
pub(crate) fn share_of(values: &[u64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).map_or(f64::NAN, |value| *value as f64)
}

struct Room {
    name: String,
    members: Vec<usize>,
    published: u64,
    arrived: u64,
    published_at: Instant,
}

impl Room {
    /// How many hear of one message.
    fn others(&self) -> u64 {
        self.members.len() as u64 - 1
    }
}

/// A server and the clients in its rooms.
pub(crate) struct Crowd {
    /// The server.
    pub server: Server,
    /// Its clients.
    pub swarm: Swarm,
    rooms: Vec<Room>,
    room_of: Vec<usize>,
}

impl Crowd {
    /// Starts a server and fills `rooms` rooms with `members` clients each.
    pub(crate) fn gather(
        kind: Kind,
        place: &Place,
        environment: &[(&str, &str)],
        rooms: usize,
        members: usize,
    ) -> Result<Self> {
        Self::gather_as(kind, place, environment, rooms, members, |client| client)
    }

    /// The same, with a last look at each client before it comes in.
    pub(crate) fn gather_as(
        kind: Kind,
        place: &Place,
        environment: &[(&str, &str)],
        rooms: usize,
        members: usize,
        dress: impl Fn(Client) -> Client,
    ) -> Result<Self> {
        let server = Server::start(kind, place, environment)?;
        let names = room_names(rooms);
        server.make_rooms(&names)?;
        let mut swarm = Swarm::new(server.address())?;
        swarm.enter(clients(&names, members).map(dress), ENTERING_MAX)?;
        swarm.settle(QUIET)?;
        let room = |(at, name): (usize, &String)| Room {
            name: name.clone(),
            members: (at * members..(at + 1) * members).collect(),
            published: 0,
            arrived: 0,
            published_at: Instant::now(),
        };
        let room_of = (0..rooms * members).map(|at| at / members).collect();
        Ok(Self {
            server,
            swarm,
            rooms: names.iter().enumerate().map(room).collect(),
            room_of,
        })
    }

    /// Keeps `window` messages on their way in each room for `time`, from the room's first `window` members in turn. With a window of one the
    /// latencies are those of each message's median member.
    pub(crate) fn saturate(&mut self, window: u64, time: Duration) -> Result<Sample> {
        let cpu_before = self.server.cpu_ns()?;
        let mut sample = Sample::default();
        let (begin, mut progress) = (Instant::now(), (Instant::now(), 0));
        for room in &mut self.rooms {
            (room.published, room.arrived) = (0, 0);
        }
        loop {
            let open = begin.elapsed() < time;
            let mut waiting = false;
            for at in 0..self.rooms.len() {
                while open
                    && self.rooms[at].published - self.rooms[at].arrived / self.rooms[at].others()
                        < window
                {
                    self.publish(at, window);
                }
                waiting |=
                    self.rooms[at].arrived < self.rooms[at].published * self.rooms[at].others();
            }
            if !open && !waiting {
                break;
            }
            let (rooms, room_of) = (&mut self.rooms, &self.room_of);
            let mut refused = None;
            self.swarm.turn(|conn, text| {
                if is_chat(text) {
                    let room = &mut rooms[room_of[conn]];
                    room.arrived += 1;
                    sample.deliveries += 1;
                    if window == 1 && room.arrived % room.others() == room.others() / 2 {
                        sample
                            .latencies_ns
                            .push(room.published_at.elapsed().as_nanos() as u64);
                    }
                } else {
                    refused = refusal(text).or(refused.take());
                }
            })?;
            give_up(refused)?;
            if sample.deliveries != progress.1 {
                progress = (Instant::now(), sample.deliveries);
            } else if progress.0.elapsed() > PATIENCE {
                bail!(
                    "deliveries were lost: {} arrived, and no more come",
                    sample.deliveries
                );
            }
        }
        sample.cpu_ns = self.server_cpu_ns()? - cpu_before;
        Ok(sample)
    }

    /// Processor time when the server has come to rest: what it did last is counted when it goes to sleep.
    fn server_cpu_ns(&self) -> Result<u64> {
        std::thread::sleep(Duration::from_millis(5));
        self.server.cpu_ns()
    }

    fn publish(&mut self, room: usize, publishers: u64) {
        let room = &mut self.rooms[room];
        let from = room.members[(room.published % publishers) as usize];
        let bytes = chat(&room.name, room.published, CHAT_BYTES);
        room.published += 1;
        room.published_at = Instant::now();
        self.swarm.send(from, &bytes);
    }

    /// Publishes `per_second` messages for `time`, by the clock, in all rooms in turn, there from `publishers` members in turn. Latencies are
    /// those of every delivery to a member that `counts`; what does not arrive within a second after the end is not waited for.
    pub(crate) fn pace(&mut self, pace: &Pace<'_>) -> Result<Sample> {
        let cpu_before = self.server.cpu_ns()?;
        let interval = Duration::from_secs(1) / pace.per_second;
        let messages = (pace.time.as_nanos() / interval.as_nanos()) as usize;
        let mut sample = Sample::default();
        let wanted: u64 = (0..messages)
            .map(|at| pace.hearers_of(self.publisher(at, pace.publishers).1))
            .sum();
        let begin = Instant::now();
        let mut published_at: Vec<Instant> = Vec::with_capacity(messages);
        let mut arrived = 0;
        while arrived < wanted && begin.elapsed() < pace.time + Duration::from_secs(1) {
            while published_at.len() < messages
                && begin.elapsed() >= interval * published_at.len() as u32
            {
                let (room, from) = self.publisher(published_at.len(), pace.publishers);
                let bytes = chat(&room.name, published_at.len() as u64, pace.bytes);
                published_at.push(Instant::now());
                self.swarm.send(from, &bytes);
            }
            let mut refused = None;
            self.swarm.turn(|conn, text| {
                if !is_chat(text) {
                    refused = refusal(text).or(refused.take());
                    return;
                }
                sample.deliveries += 1;
                let published = number(text).and_then(|number| published_at.get(number));
                if let Some(published) = published.filter(|_| (pace.counts)(conn)) {
                    arrived += 1;
                    sample
                        .latencies_ns
                        .push(published.elapsed().as_nanos() as u64);
                }
            })?;
            give_up(refused)?;
        }
        sample.cpu_ns = self.server_cpu_ns()? - cpu_before;
        Ok(sample)
    }

    /// The room and the publisher of a message of [`Crowd::pace`].
    fn publisher(&self, message: usize, publishers: usize) -> (&Room, usize) {
        let (round, room) = (message / self.rooms.len(), message % self.rooms.len());
        let room = &self.rooms[room];
        (room, room.members[round % publishers])
    }
}

/// A load by the clock.
pub(crate) struct Pace<'a> {
    /// Messages a second.
    pub per_second: u32,
    /// For how long.
    pub time: Duration,
    /// Bytes of one envelope.
    pub bytes: usize,
    /// The first members of a room, which publish in turn.
    pub publishers: usize,
    /// Members whose latencies count; the publishers are among them.
    pub counts: &'a dyn Fn(usize) -> bool,
    /// Members of a room that count.
    pub counted: u64,
}

impl Pace<'_> {
    fn hearers_of(&self, publisher: usize) -> u64 {
        self.counted - u64::from((self.counts)(publisher))
    }
}

/// Names of chat servers.
pub(crate) fn room_names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("room-{at:04}")).collect()
}

/// `members` clients for each room, room by room.
pub(crate) fn clients(rooms: &[String], members: usize) -> impl Iterator<Item = Client> {
    (0..rooms.len() * members).map(move |at| client(at, Some(rooms[at / members].clone())))
}

/// An ordinary client.
pub(crate) fn client(at: usize, room: Option<String>) -> Client {
    Client {
        user: format!("user-{at:05}"),
        room,
        features: "[]",
        receive_bytes: None,
    }
}

/// A chat envelope of `bytes` bytes with a number in it, as a frame.
fn chat(room: &str, number: u64, bytes: usize) -> Vec<u8> {
    let mut text =
        format!(r##"{{"type":"chat_message","serverId":"{room}","message":"#{number:08} "##);
    let end = r#"","timestamp":1777470000000}"#;
    while text.len() + end.len() < bytes {
        text.push('x');
    }
    text.push_str(end);
    let mut frame = Vec::with_capacity(text.len() + 14);
    frame::put_masked(&mut frame, TEXT, text.as_bytes());
    frame
}

fn is_chat(text: &[u8]) -> bool {
    text.starts_with(br#"{"type":"chat_message""#)
}

/// The number of a chat envelope.
fn number(text: &[u8]) -> Option<usize> {
    let at = text.iter().position(|byte| *byte == b'#')?;
    let digits = text.get(at + 1..at + 9)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What a server says when it does not do what it was asked.
fn refusal(text: &[u8]) -> Option<String> {
    text.starts_with(br#"{"type":"error""#)
        .then(|| String::from_utf8_lossy(text).into_owned())
}

fn give_up(refused: Option<String>) -> Result<()> {
    match refused {
        Some(text) => bail!("the server refused a message: {text}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{CHAT_BYTES, Sample, chat, is_chat, number};
    use crate::frame::{Head, unmask};

    #[test]
    fn an_envelope_has_its_size_and_its_number() {
        for bytes in [CHAT_BYTES, 16_384] {
            let mut frame = chat("room-0001", 1_234, bytes);
            let head = Head::read(&frame).expect("a head");
            assert_eq!(head.payload, bytes);
            unmask(&mut frame[head.bytes..], head.mask.expect("clients mask"));
            let text = &frame[head.bytes..];
            assert!(is_chat(text));
            assert_eq!(number(text), Some(1_234));
            let value: serde_json::Value = serde_json::from_slice(text).expect("JSON");
            assert_eq!(value["serverId"], "room-0001");
        }
    }

    #[test]
    fn a_share_of_latencies() {
        let sample = Sample {
            latencies_ns: (1..=100).rev().collect(),
            ..Sample::default()
        };
        assert_eq!(
            [0.5, 0.99, 1.0].map(|share| sample.latency_ns(share) as u64),
            [50, 99, 100]
        );
        assert!(Sample::default().latency_ns(0.5).is_nan());
    }
}
