//! Counters of the judges' components for `/metrics`. The label is the name in the operator's configuration.

use plugin_host::judge::{ChainFactory, ComponentStats};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};
use std::fmt;

/// Reads the counters whenever metrics are asked for.
pub(crate) struct JudgeComponents(pub ChainFactory);

impl fmt::Debug for JudgeComponents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JudgeComponents")
    }
}

type Read = fn(&ComponentStats) -> u64;

const COUNTERS: [(&str, &str, Read); 6] = [
    ("component_calls", "Calls into a judge component", |stats| stats.calls),
    ("component_traps", "Calls that trapped", |stats| stats.traps),
    ("component_deadlines", "Calls that ran out of time", |stats| stats.deadlines),
    ("component_contract_breaches", "Answers that a component's place does not allow", |stats| stats.contract_breaches),
    ("component_recycled", "Instances replaced because their memory had grown", |stats| stats.recycled),
    ("component_busy_nanoseconds", "Time spent inside a component", |stats| stats.busy_ns),
];

impl Collector for JudgeComponents {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let components = self.0.stats();
        for (name, help, read) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for component in &components {
                let labels = [("component", component.name.as_str())];
                ConstCounter::new(read(component)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
