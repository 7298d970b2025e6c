//! `kill -9` of a host among writes.

use crate::{PATIENCE, host::Host, rng::Rng};
use std::{
    sync::mpsc::{Sender, channel},
    time::Duration,
};

/// Lets each writer write on a thread of its own, and kills the host at random, up to `most_ms` after the first answer. `write` is given the
/// writer and its number, the host's address, and whom to tell of each answer; it returns when the host is gone.
///
/// Returns how many answers there were.
///
/// # Panics
/// When nothing is answered.
pub fn kill_among<W: Send>(
    host: Host,
    writers: &mut [W],
    rng: &mut Rng,
    most_ms: usize,
    write: impl Fn(&mut W, usize, &str, Rng, &Sender<()>) + Sync,
) -> usize {
    let (sender, answers) = channel();
    let (address, write) = (&host.address(), &write);
    std::thread::scope(|scope| {
        for (at, writer) in writers.iter_mut().enumerate() {
            let (sender, rng) = (sender.clone(), Rng::new(rng.next()));
            scope.spawn(move || write(writer, at, address, rng, &sender));
        }
        answers.recv_timeout(PATIENCE).expect("an answer");
        std::thread::sleep(Duration::from_millis(rng.below(most_ms) as u64));
        host.kill();
    });
    1 + answers.try_iter().count()
}
