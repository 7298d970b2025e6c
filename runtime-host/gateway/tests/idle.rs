//! A gateway whose connections are silent uses no processor time.
//!
//! A test binary of its own: the shards are found by the names of this process's threads.

#[path = "live/client.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod client;
#[path = "live/fixture.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod fixture;

use fixture::Fixture;
use std::{fs, thread, time::Duration};

/// How often the shards' threads have gone to sleep.
fn sleeps() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("this process's threads");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok())
        .filter(|status| status.starts_with("Name:\tshard-"))
        .map(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.and_then(|count| count.trim().parse::<u64>().ok())
                .expect("a count")
        })
        .sum()
}

#[test]
fn a_shard_with_idle_connections_sleeps() {
    let fixture = Fixture::start(2, None);
    let _clients: Vec<_> = (0..8)
        .map(|at| fixture.join(&format!("user-{at}")))
        .collect();
    // The deadlines of the request heads come up once more after the upgrade.
    let settled_ms = limits::socket::HEAD_TIMEOUT_MS / 5 + 4 * limits::socket::TIMER_TICK_MS;
    thread::sleep(Duration::from_millis(settled_ms));
    let before = sleeps();
    assert!(before > 0, "the shards are found");
    thread::sleep(Duration::from_secs(3));
    assert_eq!(sleeps(), before, "pings are far apart");
}
