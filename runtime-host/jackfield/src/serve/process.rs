//! The process: the signals that end it, and its limits.

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, Signal as UnixSignal, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code of a process that a second signal ended.
const INTERRUPTED: i32 = 130;

/// SIGTERM and SIGINT. The first one starts a clean shutdown, a second one ends the process at once.
pub(super) struct ShutdownSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl ShutdownSignal {
    /// Installs the handlers; from here on a signal no longer ends the process by itself. Needs a runtime.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub(super) fn install() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("no handler for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("no handler for SIGINT")?,
        })
    }

    /// Waits for the first signal.
    pub(super) async fn received(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(INTERRUPTED);
        });
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Makes a write beyond RLIMIT_FSIZE (`LimitFSIZE` of systemd) fail like one on a full disk instead of ending the process. The handler stays
/// installed after its receiver is dropped. Needs a runtime.
///
/// # Errors
/// The system refuses the handler.
pub(super) fn survive_file_size_limit() -> Result<()> {
    signal(SignalKind::from_raw(UnixSignal::XFSZ.as_raw()))
        .context("no handler for SIGXFSZ")
        .map(drop)
}

/// Raises the limit of open files as far as the system allows and returns it.
pub(super) fn raise_open_files_limit() -> usize {
    /// Assumed where the system sets no limit.
    const UNLIMITED: usize = 1 << 20;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    limit.current.map_or(UNLIMITED, |limit| limit as usize)
}
