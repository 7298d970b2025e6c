//! Measurements of a host: counters by label, memory, processor time.

use crate::host::Host;
use std::{collections::BTreeMap, fs};

/// The values of `/metrics` at one moment, to be compared with a later one.
#[derive(Debug, Clone)]
pub struct Counters(BTreeMap<String, f64>);

impl Counters {
    /// Reads them.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        let text = host.get("/metrics").expect(200).text();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(
            lines
                .filter_map(|line| line.rsplit_once(' '))
                .filter_map(|(name, value)| Some((name.into(), value.parse().ok()?)))
                .collect(),
        )
    }

    /// The value of `jackfield_<name>`, with the label `kind` if it is not empty; 0 if it was never
    /// counted.
    #[must_use]
    pub fn get(&self, name: &str, kind: &str) -> f64 {
        let key = if kind.is_empty() {
            format!("jackfield_{name}")
        } else {
            format!("jackfield_{name}{{kind=\"{kind}\"}}")
        };
        self.0.get(&key).copied().unwrap_or_default()
    }

    /// How much it has grown since then.
    #[must_use]
    pub fn growth(&self, host: &Host, name: &str, kind: &str) -> f64 {
        Self::of(host).get(name, kind) - self.get(name, kind)
    }

    /// Waits until it has grown by at least `by`; counters may be written by other threads.
    ///
    /// # Panics
    /// When it never does.
    pub fn until_grown(&self, host: &Host, name: &str, kind: &str, by: f64) {
        crate::until(&format!("{name} {kind} to grow by {by}"), || {
            (self.growth(host, name, kind) >= by).then_some(())
        });
    }
}

/// Resident memory of the host's process, in bytes.
///
/// # Panics
/// When the system does not report it.
#[must_use]
pub fn resident_bytes(host: &Host) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", host.process_id()))
        .expect("the status of a running process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("a resident size");
    let kib: usize = line
        .trim()
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .expect("a number");
    kib * limits::KIB
}

/// Processor time that the host has used, in hundredths of a second.
///
/// # Panics
/// When the system does not report it.
#[must_use]
pub fn processor_ticks(host: &Host) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", host.process_id()))
        .expect("the state of a running process");
    // The process name in parentheses may contain spaces; fields are counted after it, from the
    // third.
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("a number"))
        .sum()
}
