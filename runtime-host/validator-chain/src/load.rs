//! From a file to a component that can be instantiated, with a distinct error for each way in which the file can be
//! unsuitable.

use crate::{
    bindings::{
        DEFINITIONS, JUDGE,
        exports::jackfield::envelopes::{definitions, judge},
    },
    engine::ChainEngine,
    slot::StoreData,
    stats::Counters,
};
use anyhow::{Context, Result, bail};
use sandbox::ComponentSource;
use std::sync::Arc;
use wasmtime::{
    Store,
    component::{Component, InstancePre, Linker},
};

/// A compiled component, shared by all its instances.
pub(crate) struct Loaded {
    engine: ChainEngine,
    instance: InstancePre<StoreData>,
    judge: judge::GuestIndices,
    /// Exported by the validator, and by filters that need definitions.
    definitions: Option<definitions::GuestIndices>,
    counters: Counters,
}

impl Loaded {
    pub(crate) fn engine(&self) -> &ChainEngine {
        &self.engine
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the component is given the definitions of servers.
    pub(crate) fn takes_definitions(&self) -> bool {
        self.definitions.is_some()
    }

    /// Creates an instance and finds its exports.
    pub(crate) fn instantiate(
        &self,
        store: &mut Store<StoreData>,
    ) -> wasmtime::Result<(judge::Guest, Option<definitions::Guest>)> {
        let instance = self.instance.instantiate(&mut *store)?;
        let judge = self.judge.load(&mut *store, &instance)?;
        let definitions = self.definitions.as_ref();
        let definitions = definitions.map(|indices| indices.load(store, &instance));
        Ok((judge, definitions.transpose()?))
    }
}

/// Loads a component of the chain. Compiling one that is not in the cache takes seconds.
///
/// # Errors
/// The text names the file, and the interface and version where the component does not fit.
pub(crate) fn load(
    engine: &ChainEngine,
    name: &str,
    source: &ComponentSource,
    is_validator: bool,
) -> Result<Arc<Loaded>> {
    let context = || format!("component '{name}' of the validator chain, from {source}");
    prepare(engine, name, source, is_validator)
        .map(Arc::new)
        .with_context(context)
}

fn prepare(
    engine: &ChainEngine,
    name: &str,
    source: &ComponentSource,
    is_validator: bool,
) -> Result<Loaded> {
    let component = engine.component(name, &source.read()?)?;
    check_world(engine, &component, is_validator)?;
    let linker = linker(engine)?;
    let instance = linker
        .instantiate_pre(&component)
        .map_err(anyhow::Error::from)
        .context("an import does not fit this host")?;
    let judge = judge::GuestIndices::new(&instance)
        .map_err(anyhow::Error::from)
        .with_context(|| {
            format!("exports {JUDGE} with other functions or types than this host knows")
        })?;
    let exports_definitions = component.get_export_index(None, DEFINITIONS).is_some();
    let definitions = exports_definitions
        .then(|| definitions::GuestIndices::new(&instance))
        .transpose()
        .map_err(anyhow::Error::from)
        .with_context(|| {
            format!("exports {DEFINITIONS} with other functions or types than this host knows")
        })?;
    Ok(Loaded {
        engine: engine.clone(),
        instance,
        judge,
        definitions,
        counters: Counters::new(name),
    })
}

/// Checks imports and exports, with clearer errors than wasmtime's.
fn check_world(engine: &ChainEngine, component: &Component, is_validator: bool) -> Result<()> {
    let wasmtime = engine.wasmtime();
    let shape = component.component_type();
    let foreign: Vec<&str> = shape
        .imports(wasmtime)
        .map(|(name, _)| name)
        .filter(|name| !may_import(name))
        .collect();
    if !foreign.is_empty() {
        bail!(
            "imports {}; a component of the validator chain may import nothing but WASI 0.2, which is empty for it",
            foreign.join(", ")
        );
    }
    let wanted: &[&str] = if is_validator {
        &[JUDGE, DEFINITIONS]
    } else {
        &[JUDGE]
    };
    for interface in wanted {
        if component.get_export_index(None, interface).is_none() {
            let exports: Vec<String> = shape
                .exports(wasmtime)
                .map(|(name, _)| name.to_owned())
                .collect();
            let exports = if exports.is_empty() {
                "nothing".to_owned()
            } else {
                exports.join(", ")
            };
            let world = if is_validator { "validator" } else { "filter" };
            bail!(
                "does not export {interface} (world {world} of jackfield:envelopes@0.1.0); it exports {exports}"
            );
        }
    }
    Ok(())
}

fn may_import(name: &str) -> bool {
    const WASI: &[&str] = &["cli", "clocks", "filesystem", "io", "random", "sockets"];
    let wasi = |rest: &str| {
        rest.split_once('/').is_some_and(|(package, interface)| {
            WASI.contains(&package) && interface.contains("@0.2.")
        })
    };
    name == "jackfield:envelopes/types@0.1.0" || name.strip_prefix("wasi:").is_some_and(wasi)
}

/// WASI as the Rust standard library imports it, without files and sockets. Waiting is refused, because no deadline
/// could end a call that waits in the host.
fn linker(engine: &ChainEngine) -> Result<Linker<StoreData>> {
    const POLL: &str = "wasi:io/poll@0.2.12";
    let mut linker = Linker::new(engine.wasmtime());
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    linker.allow_shadowing(true);
    let mut poll = linker.instance(POLL)?;
    for function in ["poll", "[method]pollable.block"] {
        poll.func_new(function, |_, _, _, _| {
            Err(wasmtime::Error::msg(
                "a component of the validator chain may not wait",
            ))
        })?;
    }
    Ok(linker)
}
