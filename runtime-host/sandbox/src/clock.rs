//! The clock behind the deadlines of an engine's instances.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};
use wasmtime::Engine;

/// Advances an engine's epoch from a thread of its own; the thread ends when this is dropped.
#[derive(Debug)]
pub struct Clock(Option<mpsc::Sender<()>>);

impl Clock {
    /// Starts the thread `name` that ticks `engine` every `tick`. It does not keep the engine alive.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(engine: &Engine, name: &str, tick: Duration) -> io::Result<Self> {
        let engine = engine.weak();
        let (sender, receiver) = mpsc::channel::<()>();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while receiver.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                    let Some(engine) = engine.upgrade() else {
                        return;
                    };
                    engine.increment_epoch();
                }
            })?;
        Ok(Self(Some(sender)))
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.take();
    }
}
