//! Metrics of components: those of the validator chain by their name in the configuration, plugins by their id.

use plugin_host::{PluginStats, Plugins};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};
use validator_chain::{ChainFactory, ComponentStats};

/// Reads the counters of the validator chain when metrics are rendered.
pub(crate) struct ChainMetrics(pub ChainFactory);

impl fmt::Debug for ChainMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainMetrics")
    }
}

type Read<T> = fn(&T) -> u64;

const COUNTERS: [(&str, &str, Read<ComponentStats>); 6] = [
    (
        "component_calls",
        "Calls into a component of the validator chain",
        |stats| stats.calls,
    ),
    ("component_traps", "Calls that trapped", |stats| stats.traps),
    (
        "component_deadlines",
        "Calls that ran out of time",
        |stats| stats.deadlines,
    ),
    (
        "component_contract_breaches",
        "Answers that break the component's contract",
        |stats| stats.contract_breaches,
    ),
    (
        "component_recycled",
        "Instances replaced because their memory had grown",
        |stats| stats.recycled,
    ),
    (
        "component_busy_nanoseconds",
        "Time spent inside a component",
        |stats| stats.busy_ns,
    ),
];

impl Collector for ChainMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        counters(encoder, "component", &COUNTERS, &self.0.stats(), |stats| {
            &stats.name
        })
    }
}

/// Reads the counters of plugins when metrics are rendered; empty until the plugin host exists.
#[derive(Debug)]
pub(crate) struct PluginMetrics(pub Arc<OnceLock<Plugins>>);

const PLUGIN_COUNTERS: [(&str, &str, Read<PluginStats>); 6] = [
    (
        "plugin_calls",
        "Jobs that instances of a plugin have started",
        |stats| stats.calls,
    ),
    (
        "plugin_busy_nanoseconds",
        "Time that instances of a plugin spent on jobs, including waiting",
        |stats| stats.busy_ns,
    ),
    (
        "plugin_turned_away",
        "Jobs refused because too many were waiting",
        |stats| stats.turned_away,
    ),
    ("plugin_crashes", "Crashes of a plugin", |stats| {
        stats.crashes
    }),
    (
        "plugin_requests",
        "Requests to other machines that a plugin has asked for",
        |stats| stats.requests,
    ),
    (
        "plugin_log_lines_dropped",
        "Lines of a plugin's log that were dropped because they came too fast",
        |stats| stats.log_lines_dropped,
    ),
];

/// Counters with a second label: their name, help and label, and the counts by its values.
type Labelled = (
    &'static str,
    &'static str,
    &'static str,
    fn(&PluginStats) -> &[(&'static str, u64)],
);

const LABELLED: [Labelled; 2] = [
    (
        "plugin_refusals",
        "Calls of the host by a plugin that failed, by the code that it got",
        "code",
        |stats| &stats.refusals,
    ),
    (
        "plugin_network_refusals",
        "Requests of a plugin to other machines that a network rule refused",
        "rule",
        |stats| &stats.network_refusals,
    ),
];

impl Collector for PluginMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let plugins = self.0.get().map(Plugins::stats).unwrap_or_default();
        let mut family = encoder.encode_descriptor(
            "plugin_instances",
            "Instances of a plugin that are alive",
            None,
            MetricType::Gauge,
        )?;
        for plugin in &plugins {
            let labels = [("plugin", plugin.id.as_str())];
            ConstGauge::new(plugin.instances).encode(family.encode_family(&labels)?)?;
        }
        for (metric, help, label, read) in LABELLED {
            let mut family = encoder.encode_descriptor(metric, help, None, MetricType::Counter)?;
            for plugin in &plugins {
                for (name, count) in read(plugin) {
                    let labels = [("plugin", plugin.id.as_str()), (label, *name)];
                    ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        counters(encoder, "plugin", &PLUGIN_COUNTERS, &plugins, |stats| {
            &stats.id
        })
    }
}

fn counters<T>(
    mut encoder: DescriptorEncoder<'_>,
    label: &str,
    counters: &[(&str, &str, Read<T>)],
    all: &[T],
    name: fn(&T) -> &str,
) -> Result<(), fmt::Error> {
    for (metric, help, read) in counters {
        let mut family = encoder.encode_descriptor(metric, help, None, MetricType::Counter)?;
        for one in all {
            let labels = [(label, name(one))];
            ConstCounter::new(read(one)).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}
