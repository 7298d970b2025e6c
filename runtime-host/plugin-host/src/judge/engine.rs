//! The wasmtime engine of the validator chain: synchronous calls without concurrency support, pooled instances, a deadline by epochs.

use anyhow::{Context, Result};
use limits::validator as bounds;
use sandbox::{Clock, CodeCache};
use std::{sync::Arc, time::Duration};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, component::Component,
};

/// Compiles and runs judges. Clones share one engine; the clock of the deadlines ends with the last of them.
#[derive(Clone)]
pub struct JudgeEngine {
    engine: Engine,
    cache: CodeCache,
    /// Keeps the clock running.
    _clock: Arc<Clock>,
}

impl std::fmt::Debug for JudgeEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JudgeEngine").finish_non_exhaustive()
    }
}

impl JudgeEngine {
    /// Builds the engine and starts its clock. Compiled code is kept in `cache`.
    ///
    /// # Errors
    /// The machine lacks what the engine needs.
    pub fn new(cache: CodeCache) -> Result<Self> {
        let engine = engine()?;
        let clock = Clock::start(
            &engine,
            "judge-epoch",
            Duration::from_millis(bounds::EPOCH_TICK_MS),
        )
        .context("cannot start the clock of the judges' deadlines")?;
        Ok(Self {
            engine,
            cache,
            _clock: Arc::new(clock),
        })
    }

    pub(crate) fn wasmtime(&self) -> &Engine {
        &self.engine
    }

    /// The component `bytes`, from the cache or compiled now.
    pub(crate) fn component(&self, name: &str, bytes: &[u8]) -> Result<Component> {
        self.cache.load(&self.engine, name, bytes)
    }
}

fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
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
