//! The cache of compiled code of this host: where it is, and its metrics.

use crate::config::Config;
use anyhow::Result;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};
use sandbox::{CodeCache, CodeCacheStats};
use std::{fmt, path::Path};

/// Opens the folder that the configuration names, else the user's cache, else `cache` in the data folder. Code that this binary carries is
/// used as well.
///
/// # Errors
/// The folder cannot be used.
pub(crate) fn open(config: &Config, data: &Path) -> Result<CodeCache> {
    let folder = &config.cache.directory;
    let cache = match folder.as_os_str().is_empty() {
        true => CodeCache::open_for_user(&data.join("cache"))?,
        false => CodeCache::open(folder)?,
    };
    Ok(cache.with_embedded_code())
}

/// Reads the counters of the cache when metrics are rendered.
#[derive(Debug)]
pub(crate) struct CacheMetrics(pub CodeCache);

type Read = fn(&CodeCacheStats) -> u64;

const COUNTERS: [(&str, &str, Read); 3] = [
    (
        "code_cache_hits",
        "Components whose compiled code was in the cache or in the binary",
        |stats| stats.hits,
    ),
    ("code_cache_compiled", "Components compiled", |stats| {
        stats.compiled
    }),
    (
        "code_cache_refused",
        "Cache entries not loaded: damaged, or written with another key",
        |stats| stats.refused,
    ),
];

impl Collector for CacheMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.0.stats();
        for (name, help, read) in COUNTERS {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(read(&stats)).encode(metric)?;
        }
        Ok(())
    }
}
