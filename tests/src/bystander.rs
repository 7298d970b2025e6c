//! A pair of clients that an attack must not disturb: two members of a separate server that answer
//! each other's chat messages.
//!
//! No message may be lost, doubled or reordered, and the median time of a round may grow only by a
//! generous factor, since the attackers themselves keep the machine busy.

use crate::{client::Client, host::Host};
use serde_json::json;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Factor by which the median round may grow under attack.
const RATIO_MAX: u32 = 20;
/// A median below this is never a failure: it measures only the scheduler of a busy machine.
const FLOOR: Duration = Duration::from_millis(250);
/// Number of rounds measured before the attack.
const IDLE_ROUNDS: usize = 40;
/// Least number of rounds measured during the attack.
const WATCHED_ROUNDS_MIN: usize = 20;
/// Pause between rounds, so that the pair is no load itself.
const PAUSE: Duration = Duration::from_millis(10);

/// Settings with which the pair can talk steadily, also beside a plugin that moderates and ends; everything else is the
/// default.
pub const STEADY: &str = "[rates]\nchat = { per_second = 120, burst = 600 }\nall = { per_second = 120, burst = 600 }\n\
    [plugins]\non_failure = \"pass\"\n";

/// A pair that talks until [`Bystander::undisturbed`] is called.
pub struct Bystander {
    end: Arc<AtomicBool>,
    rounds: Arc<Mutex<Vec<Duration>>>,
    idle: Duration,
    talking: JoinHandle<()>,
}

impl Bystander {
    /// Connects a pair to a new server named `server`, and measures its rounds without an attack.
    #[must_use]
    pub fn start(host: &Host, server: &str) -> Self {
        host.create_server("olga", server);
        let mut pair = [0, 1].map(|at| Client::joined(host, &format!("{server}-{at}"), server));
        let mut sequence = 0;
        let mut idle: Vec<Duration> = (0..IDLE_ROUNDS)
            .map(|_| round(&mut pair, server, &mut sequence))
            .collect();
        let (end, rounds) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let (ending, measured, server) = (end.clone(), rounds.clone(), server.to_owned());
        let talking = std::thread::spawn(move || {
            while !ending.load(Ordering::Relaxed)
                || measured.lock().expect("a list").len() < WATCHED_ROUNDS_MIN
            {
                let took = round(&mut pair, &server, &mut sequence);
                measured.lock().expect("a list").push(took);
            }
            for client in &mut pair {
                let left = client.settled();
                assert!(
                    !left.iter().any(|frame| frame["type"] == "chat_message"),
                    "a message that nobody sent: {left:?}"
                );
            }
        });
        Self {
            end,
            rounds,
            idle: median(&mut idle),
            talking,
        }
    }

    /// Ends the pair. The attack may be over or continue.
    ///
    /// # Panics
    /// When a message was lost, doubled or out of order, or rounds took far longer than before.
    pub fn undisturbed(self) {
        self.end.store(true, Ordering::Relaxed);
        self.talking
            .join()
            .expect("nothing lost, nothing twice, everything in order");
        let mut rounds = self.rounds.lock().expect("a list").clone();
        let during = median(&mut rounds);
        let worst = rounds[rounds.len() - 1 - rounds.len() / 100];
        println!(
            "bystander: {} rounds, median {during:?} and p99 {worst:?} under attack, median {:?} before",
            rounds.len(),
            self.idle
        );
        let most = (self.idle * RATIO_MAX).max(FLOOR);
        assert!(
            during <= most,
            "the bystanders' median round took {during:?}, at most {most:?} is right"
        );
    }
}

/// One sends a message and the other answers.
fn round(pair: &mut [Client; 2], server: &str, sequence: &mut u64) -> Duration {
    std::thread::sleep(PAUSE);
    let begin = Instant::now();
    for speaker in 0..2 {
        *sequence += 1;
        pair[speaker].send(
            json!({"type": "chat_message", "serverId": server, "message": *sequence.to_string()}),
        );
        let heard = pair[1 - speaker].expect("chat_message");
        assert_eq!(
            heard["message"],
            *sequence.to_string(),
            "lost, doubled or out of order"
        );
    }
    begin.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
