//! The wasmtime engine of HTTP components: its configuration, its clock, and the imports it offers. Compiled code comes from the cache
//! ([`CodeCache`]) or from this process.

use crate::{compose::Assembly, spin, state::State};
use anyhow::{Context, Result, bail};
use limits::edge_host as bounds;
use sandbox::{Clock, CodeCache};
use std::time::Duration;
use wasmtime::{
    Config, Enabled, Engine, PoolingAllocationConfig,
    component::{InstancePre, Linker},
};

/// What components may import, by prefix; for the message when one imports something else.
const OFFERED: &[&str] = &[
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/client@0.3",
    "wasi:http/types@0.3",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
    "spin:key-value/key-value@3.0",
    "spin:postgres/postgres@4.2",
    "spin:sqlite/sqlite@3.1",
    "spin:variables/variables@3.0",
];

/// The export that makes a component an HTTP component.
const HANDLER: &str = "wasi:http/handler@0.3";

/// Engine and linker.
pub(crate) struct Runtime {
    engine: Engine,
    cache: CodeCache,
    linker: Linker<State>,
}

impl Runtime {
    /// Builds the engine and starts its clock, which has to run as long as instances do.
    ///
    /// # Errors
    /// The engine cannot be made.
    pub(crate) fn new(cache: CodeCache) -> Result<(Self, Clock)> {
        let engine = engine()?;
        let clock = Clock::start(
            &engine,
            "edge-epoch",
            Duration::from_millis(bounds::EPOCH_TICK_MS),
        )
        .context("cannot start the clock thread")?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        spin::add_to_linker(&mut linker)?;
        let runtime = Self {
            engine,
            cache,
            linker,
        };
        Ok((runtime, clock))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Compiles a component (or takes it from the cache) and resolves its imports. Blocks for seconds when it is new.
    ///
    /// # Errors
    /// When it is no component, is no HTTP component, or imports what this host does not offer; the text names it.
    pub(crate) fn prepare(&self, assembly: &Assembly) -> Result<InstancePre<State>> {
        let id = &assembly.id;
        let component = self
            .cache
            .load_made(&self.engine, id, &assembly.digest(), || assembly.compose())?;
        let ty = component.component_type();
        for (name, _) in ty.imports(&self.engine) {
            if !OFFERED.iter().any(|offered| name.starts_with(offered)) {
                bail!(
                    "component `{id}` imports `{name}`, which this host does not offer; it offers {}",
                    OFFERED.join(", ")
                );
            }
        }
        if !ty
            .exports(&self.engine)
            .any(|(name, _)| name.starts_with(HANDLER))
        {
            bail!(
                "component `{id}` does not export `{HANDLER}.0`: a component with a route is built with spin-sdk 7 (WASI 0.3.0)"
            );
        }
        let ready = self
            .linker
            .instantiate_pre(&component)
            .map_err(anyhow::Error::from);
        ready.with_context(|| format!("component `{id}`: an import does not fit this host"))
    }
}

fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .allocation_strategy(pool());
    match Engine::new(&config) {
        Ok(engine) => Ok(engine),
        // Some containers limit virtual memory; slower instances are better than none.
        Err(error) => {
            tracing::warn!("no pool of instances ({error:#}); instances are allocated one by one");
            config.allocation_strategy(wasmtime::InstanceAllocationStrategy::OnDemand);
            Ok(Engine::new(&config)?)
        }
    }
}

/// Totals follow from [`bounds::INSTANCES_MAX`]; a composed component has several core instances and memories.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(bounds::INSTANCES_MAX)
        .total_core_instances(bounds::INSTANCES_MAX * 16)
        .total_memories(bounds::INSTANCES_MAX * 2)
        .total_tables(bounds::INSTANCES_MAX * 4)
        .total_stacks(bounds::INSTANCES_MAX * 4)
        .table_elements(bounds::TABLE_ELEMENTS_MAX)
        .max_component_instance_size(bounds::INSTANCE_BYTES_MAX)
        .max_core_instance_size(bounds::INSTANCE_BYTES_MAX)
        .max_core_instances_per_component(200)
        .max_memories_per_component(32)
        .max_tables_per_component(64)
        .max_memory_size(bounds::MEMORY_BYTES_MAX)
        .linear_memory_keep_resident(bounds::MEMORY_KEPT_BYTES)
        .table_keep_resident(bounds::TABLE_KEPT_BYTES)
        // The kernel tells which pages were written (Linux 6.7 and later), and only those are reset: a fifth of a fresh request's cost.
        .pagemap_scan(Enabled::Auto);
    pool
}
