//! Processor time of this thread, which other work on the machine does not count towards.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Far above what any accepted input takes, also unoptimised and instrumented: what is looked for is growth without a bound, which passes
/// any figure.
const CPU_MAX: Duration = Duration::from_secs(3);

/// Does `work`, and fails when it took more processor time than anything accepted may.
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
