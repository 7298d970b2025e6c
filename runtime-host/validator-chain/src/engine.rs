//! The wasmtime engine of the validator chain: synchronous calls without concurrency support, pooled instances, a
//! deadline by epochs.

use anyhow::{Context, Result};
use limits::validator as bounds;
use sandbox::{Activity, Clock, CodeCache, PoolSize, pooled_engine};
use std::{sync::Arc, time::Duration};
use wasmtime::{Config, Engine, component::Component};

/// Compiles and runs components of the chain. Clones share one engine; its clock ends with the last of them.
#[derive(Clone)]
pub struct ChainEngine {
    engine: Engine,
    cache: CodeCache,
    clock: Arc<Clock>,
}

impl std::fmt::Debug for ChainEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainEngine").finish_non_exhaustive()
    }
}

impl ChainEngine {
    /// Builds the engine and starts its clock. Compiled code is kept in `cache`.
    ///
    /// # Errors
    /// The machine lacks what the engine needs.
    pub fn new(cache: CodeCache) -> Result<Self> {
        let engine = engine()?;
        let clock = Clock::start(
            &engine,
            "validator-epoch",
            Duration::from_millis(bounds::EPOCH_TICK_MS),
        )
        .context("cannot start the clock of the validators' deadlines")?;
        Ok(Self {
            engine,
            cache,
            clock: Arc::new(clock),
        })
    }

    /// A way to announce calls to the clock.
    pub(crate) fn activity(&self) -> Activity {
        self.clock.activity()
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
    config.concurrency_support(false).epoch_interruption(true);
    pooled_engine(config, &POOL, "validator")
}

/// A component from one Rust crate has a few core instances, one memory and one table; composed ones have more.
const POOL: PoolSize = PoolSize {
    instances: bounds::INSTANCES_MAX,
    core_instances_average: 8,
    stacks_average: 0,
    core_instances_max: 64,
    memories_max: 8,
    tables_max: 16,
    memory_bytes_max: bounds::MEMORY_BYTES_MAX,
    table_elements_max: bounds::TABLE_ELEMENTS_MAX,
    instance_bytes_max: bounds::INSTANCE_BYTES_MAX,
    memory_kept_bytes: 0,
    table_kept_bytes: 0,
};
