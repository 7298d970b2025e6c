//! `kill -9` of a host during writes.

use crate::{PATIENCE, host::Host, rng::Rng};
use std::{
    sync::mpsc::{Sender, channel},
    time::Duration,
};

/// Runs each writer on its own thread and kills the host at a random moment, up to `most_ms` after
/// the first answer. `write` gets the writer, its number, the address of the host, and a callback
/// for each answer; it returns when the host is gone.
///
/// Returns the number of answers.
///
/// # Panics
/// When there is no answer at all.
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
