//! What one plugin may use: the smallest of what its manifest requests, what the operator allows, and the host's own
//! limits.

use crate::{
    bindings::jackfield::plugin::types::{ErrorCode, PluginError},
    imports::error,
};
use anyhow::{Result, ensure};
use capability::Mode;
use limits::{
    MIB,
    egress::{REQUESTS_PER_MINUTE, REQUESTS_PER_MINUTE_MAX},
    plugin as bounds,
};
use parking_lot::Mutex;
use plugin_manifest::ResourceLimits;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the operator allows to any one plugin at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostLimits {
    /// Linear memory of one instance, in mebibytes.
    pub memory_mib: u32,
    /// Instructions of one call.
    pub fuel_per_call: u64,
    /// Milliseconds for an answer on its route.
    pub response_timeout_ms: u64,
    /// Instances at once: those for requests, tools and hooks, and one for each chat server it works for.
    pub instances: usize,
    /// Instances at once for requests; as many each for tools and for hooks.
    pub request_instances: usize,
    /// Requests to other machines each minute; those beyond it are refused as `rate-limited`. A manifest may ask for less,
    /// and for more than the usual 60 only if this allows it.
    pub requests_per_minute: u32,
    /// Calls into the host each second that need a capability; those beyond it are refused as `rate-limited`. 0 = by the
    /// plugin's mode: 50 in `strict`, 100 in `prompt`, 500 in `permissive`.
    pub host_calls_per_second: u32,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            memory_mib: MEMORY_MIB_MAX,
            fuel_per_call: bounds::FUEL_PER_CALL,
            response_timeout_ms: bounds::HTTP_DEADLINE_MS,
            instances: bounds::INSTANCES_PER_PLUGIN_MAX,
            request_instances: bounds::REQUEST_INSTANCES_MAX,
            requests_per_minute: REQUESTS_PER_MINUTE,
            host_calls_per_second: 0,
        }
    }
}

const MEMORY_MIB_MAX: u32 = (bounds::MEMORY_BYTES_MAX / MIB) as u32;

impl HostLimits {
    /// Checks that each limit is at least 1 and within the host's own limits.
    ///
    /// # Errors
    /// The text names the limit that is out of range, and the range.
    pub fn check(&self) -> Result<()> {
        let within = |name: &str, value: u64, most: u64| {
            ensure!(
                (1..=most).contains(&value),
                "{name} ({value}) must be from 1 to {most}"
            );
            Ok(())
        };
        within("memory_mib", self.memory_mib.into(), MEMORY_MIB_MAX.into())?;
        within("fuel_per_call", self.fuel_per_call, bounds::FUEL_PER_CALL)?;
        within(
            "response_timeout_ms",
            self.response_timeout_ms,
            bounds::HTTP_DEADLINE_MS,
        )?;
        within(
            "instances",
            self.instances as u64,
            bounds::INSTANCES_PER_PLUGIN_MAX as u64,
        )?;
        within(
            "requests_per_minute",
            self.requests_per_minute.into(),
            REQUESTS_PER_MINUTE_MAX.into(),
        )?;
        within(
            "request_instances",
            self.request_instances as u64,
            bounds::REQUEST_INSTANCES_MAX as u64,
        )
    }

    /// Requests to other machines each minute of a plugin whose manifest asks for `asked`.
    pub(crate) fn requests_per_minute(&self, asked: Option<u32>) -> u32 {
        asked
            .unwrap_or(REQUESTS_PER_MINUTE)
            .min(self.requests_per_minute)
    }
}

/// The quota of one plugin, shared by all its instances.
pub(crate) struct Quota {
    /// Linear memory of one instance, in bytes.
    pub(crate) memory_bytes: usize,
    /// Instructions of one call.
    pub(crate) fuel: u64,
    /// Milliseconds for a response on the route.
    pub(crate) response_ms: u64,
    /// Milliseconds for a tool; never more than an answer on the route may take.
    pub(crate) tool_ms: u64,
    /// Milliseconds for a handler that decides.
    pub(crate) action_ms: u64,
    /// Instances at once.
    pub(crate) instances: usize,
    /// Instances at once for requests; as many each for tools and for hooks.
    pub(crate) request_instances: usize,
    calls_per_second: u32,
    /// The second that is counted, and its calls.
    calls: Mutex<(u64, u32)>,
    bytes_written_max: u64,
    bytes_written: AtomicU64,
}

impl Quota {
    /// The quota of a plugin with this mode; `timeout_ms` is what the operator says about it.
    pub(crate) fn new(
        asked: &ResourceLimits,
        given: &HostLimits,
        mode: Mode,
        timeout_ms: Option<u64>,
    ) -> Self {
        let response_ms = asked
            .response_timeout_ms
            .unwrap_or(u64::MAX)
            .min(given.response_timeout_ms);
        let tool_ms = asked
            .max_tool_duration_secs
            .map_or(bounds::ACTION_DEADLINE_MS, |seconds| {
                u64::from(seconds) * 1_000
            });
        let given_calls = match (given.host_calls_per_second, mode) {
            (0, Mode::Permissive) => bounds::HOST_CALLS_PERMISSIVE_PER_SECOND,
            (0, Mode::Prompt) => bounds::HOST_CALLS_PROMPT_PER_SECOND,
            (0, Mode::Strict | Mode::Disabled) => bounds::HOST_CALLS_STRICT_PER_SECOND,
            (given, _) => given,
        };
        Self {
            memory_bytes: asked.memory_mib.unwrap_or(u32::MAX).min(given.memory_mib) as usize * MIB,
            fuel: asked
                .fuel_per_call
                .unwrap_or(u64::MAX)
                .min(given.fuel_per_call),
            response_ms,
            tool_ms: timeout_ms.unwrap_or(tool_ms.min(given.response_timeout_ms)),
            action_ms: timeout_ms.unwrap_or(bounds::ACTION_DEADLINE_MS),
            instances: given.instances,
            request_instances: asked
                .request_instances
                .map_or(bounds::REQUEST_INSTANCES_DEFAULT, usize::from)
                .min(given.request_instances),
            calls_per_second: asked
                .max_hostcalls_per_sec
                .unwrap_or(u32::MAX)
                .min(given_calls),
            calls: Mutex::default(),
            bytes_written_max: asked.max_bytes_written.unwrap_or(u64::MAX),
            bytes_written: AtomicU64::new(0),
        }
    }

    /// Counts a call of a host function.
    ///
    /// # Errors
    /// `rate-limited`.
    pub(crate) fn call(&self, now_ms: u64) -> Result<(), PluginError> {
        let most = self.calls_per_second;
        let (second, count) = &mut *self.calls.lock();
        let now = now_ms / 1_000;
        if *second != now {
            (*second, *count) = (now, 0);
        }
        if *count >= most {
            return Err(error(
                ErrorCode::RateLimited,
                format!("more than {most} calls of the host in a second"),
            ));
        }
        *count += 1;
        Ok(())
    }

    /// Counts bytes that are about to be stored.
    ///
    /// # Errors
    /// `quota-exceeded`; nothing is counted then.
    pub(crate) fn write(&self, bytes: usize) -> Result<(), PluginError> {
        let most = self.bytes_written_max;
        let fits = |written: u64| written.checked_add(bytes as u64).filter(|sum| *sum <= most);
        match self
            .bytes_written
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
        {
            Ok(_) => Ok(()),
            Err(written) => {
                let message = format!(
                    "{bytes} bytes more than the {written} written since the plugin was started exceed its limit of {most}"
                );
                Err(error(ErrorCode::QuotaExceeded, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HostLimits, Quota, bounds};
    use crate::bindings::jackfield::plugin::types::ErrorCode;
    use capability::Mode;
    use limits::MIB;
    use plugin_manifest::ResourceLimits;

    #[test]
    fn the_least_of_all_counts() {
        let silent = Quota::new(
            &ResourceLimits::default(),
            &HostLimits::default(),
            Mode::Prompt,
            None,
        );
        assert_eq!(
            (silent.memory_bytes, silent.fuel),
            (bounds::MEMORY_BYTES_MAX, bounds::FUEL_PER_CALL)
        );
        assert_eq!(
            (silent.response_ms, silent.tool_ms),
            (bounds::HTTP_DEADLINE_MS, bounds::ACTION_DEADLINE_MS)
        );
        let asked = ResourceLimits {
            memory_mib: Some(4_096),
            fuel_per_call: Some(7),
            response_timeout_ms: Some(u64::MAX),
            max_tool_duration_secs: Some(86_400),
            request_instances: Some(3),
            ..ResourceLimits::default()
        };
        let given = HostLimits {
            memory_mib: 8,
            response_timeout_ms: 1_500,
            instances: 2,
            ..HostLimits::default()
        };
        let both = Quota::new(&asked, &given, Mode::Prompt, None);
        assert_eq!((both.memory_bytes, both.fuel), (8 * MIB, 7));
        assert_eq!(
            (both.response_ms, both.tool_ms, both.instances),
            (1_500, 1_500, 2)
        );
        let timed = Quota::new(&asked, &given, Mode::Prompt, Some(20));
        assert_eq!((timed.tool_ms, timed.action_ms), (20, 20));
        assert_eq!(both.action_ms, bounds::ACTION_DEADLINE_MS);
        assert_eq!(silent.request_instances, bounds::REQUEST_INSTANCES_DEFAULT);
        assert_eq!(both.request_instances, 3);
    }

    #[test]
    fn calls_are_counted_by_the_second() {
        let asked = ResourceLimits {
            max_hostcalls_per_sec: Some(3),
            ..ResourceLimits::default()
        };
        for given in [0, 5] {
            let quota = Quota::new(
                &asked,
                &HostLimits {
                    host_calls_per_second: given,
                    ..HostLimits::default()
                },
                Mode::Prompt,
                None,
            );
            let passed = |now_ms| (0..10).filter(|_| quota.call(now_ms).is_ok()).count();
            assert_eq!((passed(1_000), passed(1_999), passed(2_000)), (3, 0, 3));
            assert_eq!(quota.call(2_001).unwrap_err().code, ErrorCode::RateLimited);
        }
    }

    #[test]
    fn calls_without_a_limit_are_limited_by_the_mode() {
        let passed = |given, mode| {
            let given = HostLimits {
                host_calls_per_second: given,
                ..HostLimits::default()
            };
            let quota = Quota::new(&ResourceLimits::default(), &given, mode, None);
            (0..10_000).filter(|_| quota.call(0).is_ok()).count()
        };
        for (mode, expected) in [
            (Mode::Strict, 50),
            (Mode::Prompt, 100),
            (Mode::Permissive, 500),
        ] {
            assert_eq!(passed(0, mode), expected, "{mode}");
            assert_eq!(
                passed(700, mode),
                700,
                "the operator's limit is not the mode's"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_not_counted() {
        let asked = ResourceLimits {
            max_bytes_written: Some(10),
            ..ResourceLimits::default()
        };
        let quota = Quota::new(&asked, &HostLimits::default(), Mode::Prompt, None);
        assert!(quota.write(6).is_ok());
        assert_eq!(quota.write(5).unwrap_err().code, ErrorCode::QuotaExceeded);
        assert!(quota.write(4).is_ok());
        assert!(quota.write(0).is_ok() && quota.write(usize::MAX).is_err());
    }

    #[test]
    fn ceilings_have_a_ceiling() {
        assert!(HostLimits::default().check().is_ok());
        let said = |limits: HostLimits| limits.check().unwrap_err().to_string();
        assert_eq!(
            said(HostLimits {
                memory_mib: 65,
                ..HostLimits::default()
            }),
            "memory_mib (65) must be from 1 to 64"
        );
        assert!(
            said(HostLimits {
                instances: 0,
                ..HostLimits::default()
            })
            .starts_with("instances (0)")
        );
        assert!(
            said(HostLimits {
                response_timeout_ms: u64::MAX,
                ..HostLimits::default()
            })
            .contains("to 30000")
        );
    }
}
