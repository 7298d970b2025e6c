//! The wasmtime engine of third-party plugins: fuel and epochs, pooled instances, calls on fibers so that a plugin that computes gives way.
//!
//! Invariant: an instance can use up its own time, memory and stack, never those of another one.

use super::pace::Lanes;
use anyhow::{Context, Result};
use limits::plugin as bounds;
use sandbox::Clock;
use std::{sync::Arc, time::Duration};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Compiles and runs plugins. Clones share one engine; its clock ends with the last of them.
#[derive(Clone)]
pub struct PluginEngine {
    engine: Engine,
    /// Where calls go on that compute for long.
    pub(crate) lanes: Lanes,
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
        let mut config = config();
        config.allocation_strategy(pool());
        let engine = match Engine::new(&config) {
            Ok(engine) => engine,
            // Some containers limit virtual memory; slower instances are better than none.
            Err(error) => {
                tracing::warn!(
                    "no pool of plugin instances ({error:#}); instances are allocated one by one"
                );
                config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
                Engine::new(&config)?
            }
        };
        let clock = Clock::start(
            &engine,
            "plugin-epoch",
            Duration::from_millis(bounds::EPOCH_TICK_MS),
        )
        .context("cannot start the clock of the plugins' deadlines")?;
        Ok(Self {
            engine,
            lanes: Lanes::default(),
            _clock: Arc::new(clock),
        })
    }

    pub(crate) fn wasmtime(&self) -> &Engine {
        &self.engine
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
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(bounds::INSTANCES_MAX)
        .total_core_instances(bounds::INSTANCES_MAX * 8)
        .total_memories(bounds::INSTANCES_MAX * 2)
        .total_tables(bounds::INSTANCES_MAX * 4)
        .total_stacks(bounds::INSTANCES_MAX)
        .table_elements(bounds::TABLE_ELEMENTS_MAX)
        .max_component_instance_size(bounds::INSTANCE_BYTES_MAX)
        .max_core_instance_size(bounds::INSTANCE_BYTES_MAX)
        .max_core_instances_per_component(64)
        .max_memories_per_component(8)
        .max_tables_per_component(32)
        // What a module defines counts together with the rest of its component, against the same limits.
        .max_memories_per_module(8)
        .max_tables_per_module(32)
        .max_memory_size(bounds::MEMORY_BYTES_MAX)
        .linear_memory_keep_resident(bounds::MEMORY_KEPT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}
