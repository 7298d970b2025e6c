//! Third-party plugins: found, checked, run in sandboxes, supervised and called.
//!
//! [`Plugins`] is the entry point. `capability` decides what a plugin may do, `plugin_lifecycle` which states it can
//! take, and `plugin-store` keeps what is durable; this crate connects them to the engine. A plugin can end its own
//! instances, never the host or another plugin; every call into one has a deadline and a memory limit.

mod admin;
mod authority;
mod bindings;
mod dispatch;
mod imports;
mod instances;
mod lifecycle;

pub use admin::kill_switch::KillSwitchError;
pub use authority::{
    options::{OperatorOptions, PluginOptions},
    quota::HostLimits,
};
pub use bindings::exports::jackfield::plugin::{
    chat_handler::ChatMessage, event_handler::PluginEvent,
};
pub use dispatch::{
    body::Body,
    envelopes::Dispatch,
    hooks::{HookAnswer, HookOutcome, Verdict},
    route::Caller,
    tools::{Tool, ToolError},
};
pub use instances::{
    engine::PluginEngine, instance::Crash, metrics::PluginStats, store_data::Scope,
};
pub use lifecycle::{
    catalog::{Catalog, Package, discover},
    compile::{Compiler, compile_standard_input},
    files::Place,
    integrity::check_integrity,
    tools::bad_tool_schemas,
};
pub use plugin_bus::Reach;
pub use plugin_lifecycle::{Health, State, Status};

use admin::enabled_file::EnabledFile;
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use capability::{CapabilityId, KillSwitches, Policy};
use dispatch::table::{Listener, MissedModerator, Table};
use instances::store_data::StoreData;
use lifecycle::{catalog::Owners, files, plugin::Plugin, registry::Registry};
use plugin_bus::ChatHost;
use plugin_manifest::{Manifest, OnFailure};
use plugin_store::{PluginRecord, PluginStore, StoreError, now_ms};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OnceCell, Semaphore},
};
use wasmtime::component::Linker;

/// What the plugin host is built from.
pub struct Setup {
    /// The plugins directory; made when it is missing.
    pub directory: PathBuf,
    /// Compiles components.
    pub compiler: Compiler,
    /// The operator's policy.
    pub policy: Policy,
    /// Durable state.
    pub store: PluginStore,
    /// The gateway.
    pub chat_host: Arc<dyn ChatHost>,
    /// Sends plugins' requests.
    pub client: outbound::Client,
    /// What one plugin may use at most.
    pub limits: HostLimits,
    /// Milliseconds before the first restart of a crashed plugin, at most
    /// [`BACKOFF_FIRST_MS`](limits::lifecycle::BACKOFF_FIRST_MS).
    pub restart_ms: u64,
    /// What the operator says about all plugins and about single ones.
    pub options: OperatorOptions,
}

/// What all plugins share.
pub(crate) struct Host {
    engine: PluginEngine,
    /// Everything that a plugin may import.
    linker: Linker<StoreData>,
    compiler: Compiler,
    directory: PathBuf,
    policy: Arc<ArcSwap<Policy>>,
    /// Kill switches that the environment sets; they cannot be released while the host runs.
    environment_switches: KillSwitches,
    store: PluginStore,
    chat_host: Arc<dyn ChatHost>,
    client: outbound::Client,
    dispatch: Arc<Dispatch>,
    runtime: Handle,
    compilations: Arc<Semaphore>,
    /// Bytes of plugins' answers that may wait for their clients.
    unread: Arc<Semaphore>,
    plugins: Registry,
    limits: HostLimits,
    restart_ms: u64,
    options: OperatorOptions,
    /// Held from reading which plugins run to publishing it, so that the table published last is the newest.
    committing: parking_lot::Mutex<()>,
}

impl Host {
    /// Publishes a new table of running plugins, without those that a kill switch has ended.
    fn commit(&self) {
        let _one = self.committing.lock();
        let running = self.plugins.in_order().into_iter().filter_map(|plugin| {
            let pool = plugin.pool.load_full()?;
            (!pool.shared.is_ended()).then(|| Listener::new(plugin.id.clone(), pool))
        });
        let running = running.collect();
        let missed = self.plugins.in_order().into_iter();
        let missed: Vec<_> = missed.filter(|plugin| plugin.is_missed()).collect();
        let moderators = missed
            .iter()
            .filter_map(|plugin| self.missed_moderator(plugin.clone()));
        let table = Table::new(running, moderators.collect(), missed);
        self.dispatch.commit(table);
    }

    /// A plugin that does not run as one without which no message passes where it acts, if it declares to moderate and
    /// its policy says so. Whether it may is asked for each message: it may be granted meanwhile.
    fn missed_moderator(&self, plugin: Arc<Plugin>) -> Option<MissedModerator> {
        let manifest = plugin.package.load().manifest.clone();
        let is_needed = manifest.declares(CapabilityId::MessagesModerate)
            && self.options.on_failure(&manifest) == OnFailure::Refuse
            && self.policy.load().kill.skip_hooks.is_none();
        is_needed.then(|| MissedModerator {
            plugin,
            reach: self.options.reach(&manifest.id),
        })
    }

    fn summary(&self, plugin: &Plugin) -> Summary {
        let package = plugin.package.load();
        Summary {
            manifest: package.manifest.clone(),
            status: plugin.shown_status(),
            not_here: package.not_here(),
            reach: self.options.reach(&package.manifest.id),
            on_failure: self.options.on_failure(&package.manifest),
            manifest_path: package.manifest_path.clone(),
        }
    }

    /// A plugin's stored record. A new plugin is enabled and approved as it is, because only an operator can write to
    /// the plugins directory; it has no grants.
    async fn record(&self, id: &str) -> Result<PluginRecord> {
        if let Some(record) = self.store.record(id).await? {
            return Ok(record);
        }
        let mut record = PluginRecord::new(id, true)?;
        if let Some(plugin) = self.plugins.get(id) {
            let package = plugin.package.load();
            record.approved = Some(authority::rules::approval(&package.manifest));
            record.folder = Some(package.name.clone());
        }
        self.store.save(record.clone()).await?;
        Ok(record)
    }
}

/// Why an administrative request was refused.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such plugin.
    #[error("Plugin not found")]
    NotFound,
    /// Its state forbids it.
    #[error("{0}")]
    Conflict(String),
    /// Something failed.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// A plugin as the API shows it.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// Its state.
    pub status: Status,
    /// Why nothing of it runs on this host, if nothing does.
    pub not_here: Option<&'static str>,
    /// Where it acts, besides the servers whose requirements name it.
    pub reach: Reach,
    /// What becomes of what it decides about if it fails.
    pub on_failure: OnFailure,
    /// Path of its manifest.
    pub manifest_path: PathBuf,
}

impl Summary {
    /// Why the plugin is in its state or does not run on this host, if there is a reason.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.status.reason.as_deref().or(self.not_here)
    }
}

/// All plugins of this host. Clones share them.
#[derive(Clone)]
pub struct Plugins {
    host: Arc<Host>,
    /// Errors of the last scan, by name of the folder or file.
    errors: Arc<ArcSwap<BTreeMap<String, String>>>,
    /// Held during a scan, so that scans do not overlap.
    scanning: Arc<Mutex<()>>,
    /// Whether the last reconciliation failed for a plugin; it is then repeated.
    unsettled: Arc<AtomicBool>,
    /// Held during a change of a kill switch.
    switching: Arc<Mutex<()>>,
    enabled_file: Arc<EnabledFile>,
    /// The folders that ids belong to.
    owners: Arc<OnceCell<parking_lot::Mutex<Owners>>>,
}

impl std::fmt::Debug for Plugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugins")
            .field("count", &self.host.plugins.len())
            .finish_non_exhaustive()
    }
}

impl Plugins {
    /// Builds the engine; no plugin runs before the first [`Plugins::scan`].
    ///
    /// # Errors
    /// The engine cannot be made.
    pub fn new(setup: Setup) -> Result<Self> {
        let Setup {
            directory,
            compiler,
            policy,
            store,
            chat_host,
            client,
            limits,
            restart_ms,
            options,
        } = setup;
        let runtime = Handle::try_current().context("plugins need an async runtime")?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let engine = PluginEngine::new()?;
        let host = Host {
            linker: imports::linker(engine.wasmtime())?,
            engine,
            compiler,
            directory,
            environment_switches: policy.kill.clone(),
            policy: Arc::new(ArcSwap::from_pointee(policy)),
            store,
            chat_host,
            client,
            dispatch: Arc::new(Dispatch::new(runtime.clone())),
            runtime,
            compilations: Arc::new(Semaphore::new(processors)),
            unread: Arc::new(Semaphore::new(limits::plugin::UNREAD_BYTES_MAX)),
            plugins: Registry::default(),
            limits,
            restart_ms,
            options,
            committing: parking_lot::Mutex::default(),
        };
        let enabled_file = Arc::new(EnabledFile::new(&host.directory));
        Ok(Self {
            host: Arc::new(host),
            errors: Arc::default(),
            scanning: Arc::default(),
            unsettled: Arc::default(),
            switching: Arc::default(),
            enabled_file,
            owners: Arc::default(),
        })
    }

    /// Dispatches envelopes to plugins.
    #[must_use]
    pub fn dispatch(&self) -> Arc<Dispatch> {
        self.host.dispatch.clone()
    }

    /// What is durable.
    #[must_use]
    pub fn store(&self) -> &PluginStore {
        &self.host.store
    }

    /// The plugins directory.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        &self.host.directory
    }

    /// At most `most` bytes of the file `name` in the folder of the plugin with this manifest; nothing when there is no
    /// such regular file, it is larger, or it leads out of the folder. Blocks; not for async threads.
    #[must_use]
    pub fn script_of(
        &self,
        manifest: &std::path::Path,
        name: &str,
        most: usize,
    ) -> Option<Vec<u8>> {
        files::file_of(&self.host.directory, manifest.parent()?, name, most)
    }

    /// Errors of entries of the plugins directory, by name of the folder or file.
    #[must_use]
    pub fn errors(&self) -> Arc<BTreeMap<String, String>> {
        self.errors.load_full()
    }

    /// All plugins, by id.
    #[must_use]
    pub fn list(&self) -> Vec<Summary> {
        self.host
            .plugins
            .all()
            .values()
            .map(|plugin| self.host.summary(plugin))
            .collect()
    }

    /// What each plugin has done, by id.
    #[must_use]
    pub fn stats(&self) -> Vec<PluginStats> {
        self.host
            .plugins
            .all()
            .values()
            .map(|plugin| plugin.stats())
            .collect()
    }

    /// One plugin.
    ///
    /// # Errors
    /// [`AdminError::NotFound`].
    pub fn get(&self, id: &str) -> Result<Summary, AdminError> {
        self.plugin(id).map(|plugin| self.host.summary(&plugin))
    }

    fn plugin(&self, id: &str) -> Result<Arc<Plugin>, AdminError> {
        self.host.plugins.get(id).ok_or(AdminError::NotFound)
    }
}
