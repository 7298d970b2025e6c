//! From the bytes of a component to one that can be instantiated, with a distinct error for each way in which it can be
//! unsuitable.

use crate::{
    bindings::exports::jackfield::plugin::{
        chat_handler, event_handler, hook_handler, http_handler, lifecycle, meta, tools,
    },
    instances::{engine::PluginEngine, store_data::StoreData},
    lifecycle::{compile::Compiler, preflight, tools::ToolSchemas},
};
use anyhow::{Context, Result, anyhow};
use plugin_manifest::Manifest;
use wasmtime::component::{InstancePre, Linker};

/// The package whose interfaces plugins import and export.
pub(crate) const PACKAGE: &str = "jackfield:plugin/";
/// Its version.
pub(crate) const VERSION: &str = "0.1.0";

/// A component that is ready to be instantiated.
pub(crate) struct Loaded {
    pub(crate) engine: PluginEngine,
    pub(crate) instance: InstancePre<StoreData>,
    pub(crate) exports: Exports,
    pub(crate) tools: ToolSchemas,
}

/// Where its exports are.
pub(crate) struct Exports {
    pub(crate) meta: meta::GuestIndices,
    pub(crate) lifecycle: lifecycle::GuestIndices,
    pub(crate) http: Option<http_handler::GuestIndices>,
    pub(crate) events: Option<event_handler::GuestIndices>,
    pub(crate) chat: Option<chat_handler::GuestIndices>,
    pub(crate) hooks: Option<hook_handler::GuestIndices>,
    pub(crate) tools: Option<tools::GuestIndices>,
}

/// Compiles a component and checks it against its manifest. Takes seconds when the component is new.
///
/// # Errors
/// A text that names the interface, the version, what the manifest has to declare, or the schema that is refused.
pub(crate) fn load(
    engine: &PluginEngine,
    linker: &Linker<StoreData>,
    compiler: &Compiler,
    bytes: &[u8],
    manifest: &Manifest,
) -> Result<Loaded> {
    let tools = ToolSchemas::compile(manifest)
        .map_err(|(pointer, error)| anyhow!("{pointer} of its manifest: {error}"))?;
    let component = compiler.component(engine, manifest.id.as_str(), bytes)?;
    preflight::check(engine, &component, manifest)?;
    let incompatible =
        |error: wasmtime::Error| anyhow!("an import does not fit this host: {error:#}");
    let instance = linker.instantiate_pre(&component).map_err(incompatible)?;
    let has = |name: &str| {
        component
            .get_export_index(None, format!("{PACKAGE}{name}@{VERSION}"))
            .is_some()
    };
    let fits = |name: &'static str| {
        move || {
            format!(
                "exports {PACKAGE}{name}@{VERSION} with other functions or types than this host knows"
            )
        }
    };
    macro_rules! optional {
        ($name:literal, $module:ident) => {
            match has($name) {
                true => Some(
                    $module::GuestIndices::new(&instance)
                        .map_err(anyhow::Error::from)
                        .with_context(fits($name))?,
                ),
                false => None,
            }
        };
    }
    let exports = Exports {
        meta: optional!("meta", meta).with_context(|| preflight::missing("meta"))?,
        lifecycle: optional!("lifecycle", lifecycle)
            .with_context(|| preflight::missing("lifecycle"))?,
        http: optional!("http-handler", http_handler),
        events: optional!("event-handler", event_handler),
        chat: optional!("chat-handler", chat_handler),
        hooks: optional!("hook-handler", hook_handler),
        tools: optional!("tools", tools),
    };
    Ok(Loaded {
        engine: engine.clone(),
        instance,
        exports,
        tools,
    })
}
