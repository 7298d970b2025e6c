//! What the kernel says about a process: processor time, memory, and where it may run.

use anyhow::{Context as _, Result, bail};
use rustix::{
    process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use std::{fs, path::Path};

/// The processors for the server and for the load: one each, the same one when there is only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cores {
    /// Where servers run, all of their threads.
    pub server: usize,
    /// Where the load runs.
    pub load: usize,
}

impl Cores {
    /// The first two processors that this process may use.
    pub(crate) fn find() -> Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let server = usable.next().context("this process may run nowhere")?;
        Ok(Self {
            server,
            load: usable.next().unwrap_or(server),
        })
    }
}

/// Binds this thread, and with it what it starts from now on, to one processor.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot stay on processor {core}"))
}

/// Raises the soft limit of open files to the hard one and returns it.
pub(crate) fn raise_descriptors() -> Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit of open files")?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// A process and those that it has started, and they, and so on.
pub(crate) fn family(process: u32) -> Vec<u32> {
    let mut found = vec![process];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        for entry in fs::read_dir(format!("/proc/{parent}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let children = fs::read_to_string(entry.path().join("children")).unwrap_or_default();
            found.extend(
                children
                    .split_ascii_whitespace()
                    .filter_map(|child| child.parse::<u32>().ok()),
            );
        }
        at += 1;
    }
    found
}

/// Ends a process that a server of this run has started.
pub(crate) fn kill(process: u32) {
    if let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        // One that has ended by itself is fine too.
        let _ = kill_process(process, Signal::KILL);
    }
}

/// Asks a server of this run to end.
pub(crate) fn end(process: u32) {
    if let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        // One that has ended by itself is fine too.
        let _ = kill_process(process, Signal::TERM);
    }
}

/// Nanoseconds of processor time that all living threads of a process and of its children have used.
pub(crate) fn cpu_ns(process: u32) -> Result<u64> {
    family(process).into_iter().map(own_cpu_ns).sum()
}

fn own_cpu_ns(process: u32) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(format!("/proc/{process}/task")).context("the process is gone")? {
        // A thread that ends while we look takes its time with it; the servers keep theirs.
        if let Ok(text) = fs::read_to_string(entry?.path().join("schedstat")) {
            sum += run_ns(&text).context("schedstat has another form than expected")?;
        }
    }
    if sum == 0 {
        bail!("the kernel keeps no schedstat; CONFIG_SCHED_INFO is needed");
    }
    Ok(sum)
}

/// The first of the three numbers of `schedstat`: nanoseconds spent running.
fn run_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

/// Bytes of a process's own memory that are resident: heap and stacks, without files.
pub(crate) fn own_memory_bytes(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(Path::new(&path)).context(path)?;
    anonymous(&text).context("smaps_rollup names no Anonymous")
}

fn anonymous(smaps_rollup: &str) -> Option<u64> {
    let line = smaps_rollup
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"))?;
    line.split_ascii_whitespace()
        .next()?
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

/// What kind of machine this is, in one line.
pub(crate) fn machine() -> String {
    let field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
            .unwrap_or_else(|| "unknown".into())
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory_kib: u64 = field("/proc/meminfo", "MemTotal")
        .split(' ')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: String = kernel
        .trim()
        .split('.')
        .take(2)
        .collect::<Vec<_>>()
        .join(".");
    format!(
        "{}, {cores} processors, {} GiB, Linux {kernel}",
        field("/proc/cpuinfo", "model name"),
        memory_kib.div_ceil(1 << 20)
    )
}

#[cfg(test)]
mod tests {
    use super::{anonymous, cpu_ns, own_memory_bytes, run_ns};

    #[test]
    fn the_kernels_texts_are_read() {
        assert_eq!(run_ns("123456789 42 7\n"), Some(123_456_789));
        assert_eq!(run_ns(""), None);
        assert_eq!(
            anonymous(
                "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nAnonymous:   12 kB\nAnonHugePages: 0 kB\n"
            ),
            Some(12_288)
        );
        assert_eq!(anonymous("Rss: 1 kB\n"), None);
    }

    #[test]
    fn work_costs_time_and_memory_is_counted() {
        let me = std::process::id();
        let (time, memory) = (
            cpu_ns(me).expect("Linux"),
            own_memory_bytes(me).expect("Linux"),
        );
        let block: Vec<u8> = (0..64 << 20).map(|at| at as u8).collect();
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(sum, (64 << 20) / 256 * (255 * 256 / 2));
        assert!(cpu_ns(me).expect("Linux") > time);
        assert!(own_memory_bytes(me).expect("Linux") >= memory + (60 << 20));
    }
}
