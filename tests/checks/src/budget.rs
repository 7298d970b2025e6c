//! A limit on the processor time of this thread, independent of other work on the machine.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Far above the cost of any accepted input, also unoptimised and instrumented, because unbounded
/// growth exceeds any limit.
const CPU_MAX: Duration = Duration::from_secs(3);

/// Runs `work` and fails if it took more processor time than the limit.
pub(crate) fn within<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let before = spent();
    let result = work();
    let took = spent().saturating_sub(before);
    assert!(took <= CPU_MAX, "{what} took {took:?} of processor time");
    result
}

fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
