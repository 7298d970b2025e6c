//! The wasmtime engine of HTTP components: its configuration, its clock, and the imports it offers. Compiled code comes
//! from the cache ([`CodeCache`]) or from this process.

use crate::{compose::Assembly, spin, store_data::StoreData};
use anyhow::{Context, Result, bail};
use limits::edge_host as bounds;
use sandbox::{Clock, CodeCache, PoolSize, pooled_engine};
use std::time::Duration;
use wasmtime::{
    Config, Engine,
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
    linker: Linker<StoreData>,
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
    pub(crate) fn prepare(&self, assembly: &Assembly) -> Result<InstancePre<StoreData>> {
        let id = &assembly.id;
        let component = if assembly.parts.is_empty() {
            self.cache.load(&self.engine, id, &assembly.bytes)
        } else {
            self.cache
                .load_made(&self.engine, id, &assembly.digest(), || assembly.compose())
        }?;
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
        .epoch_interruption(true);
    pooled_engine(config, &POOL, "edge")
}

/// A composed component has several core instances and memories.
const POOL: PoolSize = PoolSize {
    instances: bounds::INSTANCES_MAX,
    core_instances_average: 16,
    stacks_average: 4,
    core_instances_max: 200,
    memories_max: 32,
    tables_max: 64,
    memory_bytes_max: bounds::MEMORY_BYTES_MAX,
    table_elements_max: bounds::TABLE_ELEMENTS_MAX,
    instance_bytes_max: bounds::INSTANCE_BYTES_MAX,
    memory_kept_bytes: bounds::MEMORY_KEPT_BYTES,
    table_kept_bytes: bounds::TABLE_KEPT_BYTES,
};
