//! The test harness: starts the real host, talks to it like clients do, and checks the form of
//! every answer.
//!
//! It links nothing of the host. No wait has an upper bound that a busy machine could break;
//! [`PATIENCE`] only turns a hang into a failure.

pub mod bystander;
pub mod cache;
pub mod case;
pub mod client;
pub mod conformance;
pub mod dry_run;
pub mod foreign;
pub mod frames;
pub mod guests;
pub mod host;
pub mod http;
pub mod killing;
pub mod matcher;
pub mod measures;
pub mod plugins;
pub mod raw;
pub mod rng;
pub mod soak;
pub mod spin;

use std::time::Duration;
pub use test_support::{component, guest, output_folder, root, skip, target_folder};

/// Time after which a wait counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Configuration with rates that no test reaches, for tests of other things.
#[must_use]
pub fn limits_raised() -> &'static str {
    "[rates]\nbytes_per_second = 1000000000\nnew_targets_per_minute = 1000000\n\
     all = { per_second = 100000, burst = 100000 }\ntyping = { per_second = 100000, burst = 100000 }\n\
     chat = { per_second = 100000, burst = 100000 }\nmembership = { per_second = 100000, burst = 100000 }\n\
     signalling = { per_second = 100000, burst = 100000 }\ndirect = { per_second = 100000, burst = 100000 }\n\
     plugin_event = { per_second = 100000, burst = 100000 }\n"
}

/// Calls `ready` until it returns a value, and returns it.
///
/// # Panics
/// When [`PATIENCE`] ends first; the message names `what`.
pub fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begin = std::time::Instant::now();
    loop {
        if let Some(answer) = ready() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
