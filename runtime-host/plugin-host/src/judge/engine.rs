//! The wasmtime engine of judges: synchronous calls without concurrency support, pooled instances, a deadline by epochs (decision: engines).
//!
//! Invariant: compiled code comes from this process or from the cache directory given to it, which only wasmtime writes.

use anyhow::{Context, Result};
use limits::validator as bounds;
use sandbox::Clock;
use std::{path::Path, sync::Arc, time::Duration};
use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};

/// Compiles and runs judges. Clones share one engine; the clock of the deadlines ends with the last of them.
#[derive(Clone)]
pub struct JudgeEngine {
    engine: Engine,
    /// Keeps the clock running.
    _clock: Arc<Clock>,
}

impl std::fmt::Debug for JudgeEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JudgeEngine").finish_non_exhaustive()
    }
}

impl JudgeEngine {
    /// Builds the engine and starts its clock. Compiled code is kept in `cache_dir`, which is made when it is missing.
    ///
    /// # Errors
    /// The directory cannot be used, or the machine lacks what the engine needs.
    pub fn new(cache_dir: impl AsRef<Path>) -> Result<Self> {
        let engine = engine(cache_dir.as_ref())?;
        let clock = Clock::start(
            &engine,
            "judge-epoch",
            Duration::from_millis(bounds::EPOCH_TICK_MS),
        )
        .context("cannot start the clock of the judges' deadlines")?;
        Ok(Self {
            engine,
            _clock: Arc::new(clock),
        })
    }

    pub(crate) fn wasmtime(&self) -> &Engine {
        &self.engine
    }
}

fn engine(cache_dir: &Path) -> Result<Engine> {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .cache(Some(cache(cache_dir)?))
        .allocation_strategy(pool());
    match Engine::new(&config) {
        Ok(engine) => Ok(engine),
        // Some containers limit virtual memory; slower instances are better than none.
        Err(error) => {
            tracing::warn!(
                "no pool of judge instances ({error:#}); instances are allocated one by one"
            );
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Ok(Engine::new(&config)?)
        }
    }
}

fn cache(directory: &Path) -> Result<Cache> {
    let unusable = || format!("cannot use the cache directory {}", directory.display());
    std::fs::create_dir_all(directory).with_context(unusable)?;
    let mut config = CacheConfig::new();
    config
        .with_directory(directory.canonicalize().with_context(unusable)?)
        .with_files_total_size_soft_limit(bounds::CODE_CACHE_BYTES_MAX);
    Ok(Cache::new(config)?)
}

/// A component from one Rust crate has a few core instances, one memory and one table; composed ones have more.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(bounds::INSTANCES_MAX)
        .total_core_instances(bounds::INSTANCES_MAX * 8)
        .total_memories(bounds::INSTANCES_MAX * 2)
        .total_tables(bounds::INSTANCES_MAX * 4)
        .table_elements(bounds::TABLE_ELEMENTS_MAX)
        .max_component_instance_size(bounds::INSTANCE_BYTES_MAX)
        .max_core_instance_size(bounds::INSTANCE_BYTES_MAX)
        .max_core_instances_per_component(64)
        .max_memories_per_component(8)
        .max_tables_per_component(16)
        .max_memory_size(bounds::MEMORY_BYTES_MAX);
    pool
}
