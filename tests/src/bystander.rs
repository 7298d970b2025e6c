//! Somebody whom an attack on others must not trouble: two members of a server of their own, who answer each other's chat messages.
//!
//! Nothing may be lost, come twice or come in another order, and the median time of a round may grow only by a generous factor: a machine
//! that is busy with the attackers themselves must not fail a test.

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

/// By how much the median round may grow under attack.
const RATIO_MAX: u32 = 20;
/// Rounds that count as undisturbed in any case: below this, a busy machine's scheduler is all that is measured.
const FLOOR: Duration = Duration::from_millis(250);
/// Rounds that are measured before the attack.
const IDLE_ROUNDS: usize = 40;
/// Rounds that an attack has to be watched for.
const WATCHED_ROUNDS_MIN: usize = 20;
/// Pause between rounds: steady company, and no load of its own.
const PAUSE: Duration = Duration::from_millis(10);

/// Rates that let the pair talk steadily; everything else is the product's default.
pub const RATES: &str =
    "[rates]\nchat = { per_second = 120, burst = 600 }\nall = { per_second = 120, burst = 600 }\n";

/// A pair that talks until it is asked how it was.
pub struct Bystander {
    end: Arc<AtomicBool>,
    rounds: Arc<Mutex<Vec<Duration>>>,
    idle: Duration,
    talking: JoinHandle<()>,
}

impl Bystander {
    /// Brings a pair together in a server named `server`, and measures what it is used to.
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

    /// Ends the pair; the attack is over or still goes on.
    ///
    /// # Panics
    /// When something was lost, doubled or out of order, or rounds took far longer than before.
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

/// One says something and the other answers.
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
