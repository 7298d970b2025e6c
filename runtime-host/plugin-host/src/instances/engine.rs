//! The wasmtime engine of third-party plugins: fuel and epochs, pooled instances, and calls on fibers, so that a call
//! that computes can yield.

use anyhow::{Context, Result};
use limits::plugin as bounds;
use sandbox::{BlockingThreads, Clock, PoolSize, Scheduler, pooled_engine};
use std::{sync::Arc, time::Duration};
use wasmtime::{Config, Engine};

/// Compiles and runs plugins. Clones share one engine; its clock ends with the last of them.
#[derive(Clone)]
pub struct PluginEngine {
    engine: Engine,
    threads: BlockingThreads,
    /// Keeps the clock running.
    _clock: Arc<Clock>,
}

impl std::fmt::Debug for PluginEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginEngine").finish_non_exhaustive()
    }
}

impl PluginEngine {
    /// Builds the engine with its pool of instances and starts its clock.
    ///
    /// # Errors
    /// The machine lacks what the engine needs.
    pub fn new() -> Result<Self> {
        let engine = pooled_engine(config(), &POOL, "plugin")?;
        let clock = Clock::start(
            &engine,
            "plugin-epoch",
            Duration::from_millis(bounds::EPOCH_TICK_MS),
        )
        .context("cannot start the clock of the plugins' deadlines")?;
        Ok(Self {
            engine,
            threads: BlockingThreads::ticked_by(&clock),
            _clock: Arc::new(clock),
        })
    }

    pub(crate) fn wasmtime(&self) -> &Engine {
        &self.engine
    }

    /// The scheduler of a new instance.
    pub(crate) fn scheduler(&self) -> Arc<Scheduler> {
        Scheduler::new(self.threads.clone())
    }
}

/// What compiled code depends on: the same for the host and for the process that compiles.
fn config() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(bounds::STACK_BYTES_MAX)
        .async_stack_size(bounds::FIBER_BYTES);
    config
}

/// An engine that only compiles; its code fits every [`PluginEngine`] of this build on this machine.
///
/// # Errors
/// The machine lacks what the engine needs.
pub(crate) fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

/// A component from one crate has a few core instances, one memory and one table; those of other languages have more.
const POOL: PoolSize = PoolSize {
    instances: bounds::INSTANCES_MAX,
    core_instances_average: 8,
    stacks_average: 1,
    core_instances_max: 64,
    memories_max: 8,
    tables_max: 32,
    memory_bytes_max: bounds::MEMORY_BYTES_MAX,
    table_elements_max: bounds::TABLE_ELEMENTS_MAX,
    instance_bytes_max: bounds::INSTANCE_BYTES_MAX,
    memory_kept_bytes: bounds::MEMORY_KEPT_BYTES,
    table_kept_bytes: 0,
};
