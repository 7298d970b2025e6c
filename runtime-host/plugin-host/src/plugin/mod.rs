//! Third-party plugins: found, checked, run in sandboxes, supervised, and asked.
//!
//! What it is not: sockets, REST, or policy. What a plugin may do is decided by `capability`, what its life looks like by `plugin_lifecycle`, what
//! is durable lies in `storage`; here these meet the engine. Invariant: a plugin can end itself, never the host or another plugin, and nothing
//! that it does keeps a thread longer than one tick.

mod authority;
mod bindings;
mod body;
mod bus;
mod catalog;
mod community;
mod compile;
mod diary;
mod engine;
mod fetch;
mod guest;
mod imports;
mod jobs;
mod live;
mod load;
#[allow(clippy::module_inception, reason = "the module is about one plugin")]
mod plugin;
mod preflight;
mod route;
mod rules;
mod shared;
mod state;
mod table;

pub use bindings::exports::jackfield::plugin::{chat_handler::ChatMessage, event_handler::PluginEvent};
pub use body::Body;
pub use catalog::{Catalog, Package, discover};
pub use community::{Community, NotDone, OpenServer, Person, Publication, Saying};
pub use compile::{Compiler, compile_standard_input};
pub use engine::PluginEngine;
pub use guest::Crash;
pub use plugin_lifecycle::{Health, State, Status};
pub use route::Caller;
pub use state::Scope;
pub use table::{Decided, Decision, Dispatch, Topic};

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use capability::{Asked, Policy};
use http::{Request, Response, StatusCode};
use limits::plugin as bounds;
use parking_lot::RwLock;
use plugin::Plugin;
use plugin_manifest::{
    Manifest,
    order::{Candidate, resolve},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use storage::{PluginRecord, PluginStore};
use table::{Listener, Table};
use tokio::{
    runtime::Handle,
    sync::{Mutex, Semaphore},
    time::timeout,
};

/// Wall clock, milliseconds since 1970.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}

/// What plugins are run with.
pub struct Setup {
    /// The plugins directory; made when it is missing.
    pub directory: PathBuf,
    /// Where components become code.
    pub compiler: Compiler,
    /// What the operator allows.
    pub policy: Policy,
    /// What is durable.
    pub store: PluginStore,
    /// Who owns the connections.
    pub community: Arc<dyn Community>,
    /// Sends plugins' requests.
    pub client: outbound::Client,
}

/// What all plugins share.
pub(crate) struct Host {
    engine: PluginEngine,
    compiler: Compiler,
    directory: PathBuf,
    policy: Arc<ArcSwap<Policy>>,
    store: PluginStore,
    community: Arc<dyn Community>,

    client: outbound::Client,
    dispatch: Arc<Dispatch>,
    runtime: Handle,
    compilations: Arc<Semaphore>,
    plugins: RwLock<BTreeMap<Arc<str>, Arc<Plugin>>>,
    /// Load order of the last resolution.
    order: RwLock<Vec<Arc<str>>>,
}

impl Host {
    /// Puts a new table of what runs in place.
    fn commit(&self) {
        let plugins = self.plugins.read();
        let order = self.order.read();
        let running = order.iter().filter_map(|id| plugins.get(id)).filter_map(|plugin| {
            let mail = plugin.mail.load_full()?;
            Some(Listener { id: plugin.id.clone(), mail })
        });
        self.dispatch.commit(Table::new(running.collect()));
    }

    /// What is known about a plugin; a new one is enabled, and approved as it lies there: who can write to the plugins directory is an operator
    /// (requirements 7.7, number 5). It is granted nothing.
    async fn record(&self, id: &str) -> Result<PluginRecord> {
        if let Some(record) = self.store.record(id).await? {
            return Ok(record);
        }
        let mut record = PluginRecord::new(id, true)?;
        let manifest = self.plugins.read().get(id).map(|plugin| plugin.package.load().manifest.clone());
        record.approved = manifest.map(|manifest| rules::approval(&manifest));
        self.store.save(record.clone()).await?;
        Ok(record)
    }
}

/// Why a request about a plugin was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
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

/// A plugin with everything that is shown of it.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// Its place in its life.
    pub status: Status,
    /// Whether it has a component that runs here.
    pub runs_here: bool,
    /// Where its manifest lies.
    pub manifest_path: PathBuf,
}

/// All plugins of this host. Clones share them.
#[derive(Clone)]
pub struct Plugins {
    host: Arc<Host>,
    /// Errors of the last look at the directory, by name.
    errors: Arc<ArcSwap<BTreeMap<String, String>>>,
    /// One look at a time.
    looking: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Plugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugins").field("count", &self.host.plugins.read().len()).finish_non_exhaustive()
    }
}

impl Plugins {
    /// Makes the engine; nothing runs before [`Plugins::start`].
    ///
    /// # Errors
    /// The engine cannot be made.
    pub fn new(setup: Setup) -> Result<Self> {
        let Setup { directory, compiler, policy, store, community, client } = setup;
        let runtime = Handle::try_current().context("plugins need an async runtime")?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let host = Host {
            engine: PluginEngine::new()?,
            compiler,
            directory,
            policy: Arc::new(ArcSwap::from_pointee(policy)),
            store,
            community,
            client,
            dispatch: Arc::new(Dispatch::new(runtime.clone())),
            runtime,
            compilations: Arc::new(Semaphore::new(processors)),
            plugins: RwLock::default(),
            order: RwLock::default(),
        };
        Ok(Self { host: Arc::new(host), errors: Arc::default(), looking: Arc::default() })
    }

    /// Hands envelopes to plugins.
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

    /// What is wrong with entries of the plugins directory, by name.
    #[must_use]
    pub fn errors(&self) -> Arc<BTreeMap<String, String>> {
        self.errors.load_full()
    }

    /// Looks at the directory, starts what is new, reloads what has changed, and stops what is gone.
    ///
    /// # Errors
    /// The directory or the store cannot be used.
    pub async fn look(&self) -> Result<()> {
        let _one = self.looking.lock().await;
        let directory = self.host.directory.clone();
        let catalog = tokio::task::spawn_blocking(move || discover(&directory)).await??;
        let mut errors = catalog.errors;
        let mut found: BTreeMap<Arc<str>, Package> = BTreeMap::new();
        for (name, package) in catalog.packages {
            if found.len() >= bounds::PLUGINS_MAX {
                errors.insert(name, format!("more than {} plugins", bounds::PLUGINS_MAX));
                continue;
            }
            let id: Arc<str> = package.manifest.id.as_str().into();
            match found.get(&id) {
                Some(other) if other.manifest.version >= package.manifest.version => {
                    errors.insert(name, format!("{id} is there twice; {} counts", other.manifest_path.display()));
                }
                _ => drop(found.insert(id, package)),
            }
        }
        self.errors.store(Arc::new(errors));
        self.settle(found).await
    }

    /// Brings what runs in line with what was found.
    async fn settle(&self, found: BTreeMap<Arc<str>, Package>) -> Result<()> {
        let host = &self.host;
        let known = host.plugins.read().clone();
        for (id, plugin) in &known {
            if !found.contains_key(id) {
                plugin.unload(host).await?;
                host.plugins.write().remove(id);
                tracing::info!(plugin = &**id, "plugin is gone");
            }
        }
        for (id, package) in found {
            match known.get(&id) {
                None => self.discovered(id, package).await?,
                Some(plugin) if plugin.package.load().fingerprint != package.fingerprint => self.changed(plugin, package).await?,
                Some(_) => {}
            }
        }
        self.start_all().await
    }

    async fn discovered(&self, id: Arc<str>, package: Package) -> Result<()> {
        let record = self.host.store.record(&id).await?;
        let disabled = record.as_ref().filter(|record| !record.enabled).map(|record| record.reason.as_deref());
        tracing::info!(plugin = &*id, version = %package.manifest.version, enabled = disabled.is_none(), "plugin found");
        let plugin = Plugin::new(package, disabled);
        self.host.plugins.write().insert(id, plugin);
        Ok(())
    }

    async fn changed(&self, plugin: &Arc<Plugin>, package: Package) -> Result<()> {
        tracing::info!(plugin = &*plugin.id, version = %package.manifest.version, "plugin has changed");
        if plugin.state() == State::Loaded && self.is_approved(&package.manifest).await? {
            if let Err(error) = plugin.reload(&self.host, package).await {
                tracing::warn!(plugin = &*plugin.id, "{error:#}");
            }
            return Ok(());
        }
        plugin.unload(&self.host).await?;
        plugin.change(&self.host, package).await
    }

    async fn is_approved(&self, manifest: &Manifest) -> Result<bool> {
        let record = self.host.record(manifest.id.as_str()).await?;
        Ok(record.approved.as_deref().is_none_or(|approved| rules::is_approved(manifest, approved)))
    }

    /// Resolves the set of plugins and starts those whose turn it is: all are prepared side by side, activated in load order, and told `ready` at
    /// the end (T36).
    async fn start_all(&self) -> Result<()> {
        let host = &self.host;
        let plugins = host.plugins.read().clone();
        let enabled: BTreeMap<_, _> = plugins.iter().filter(|(_, plugin)| plugin.state() != State::Disabled).collect();
        let manifests: Vec<Arc<Manifest>> = enabled.values().map(|plugin| plugin.package.load().manifest.clone()).collect();
        let resolution = resolve(manifests.iter().map(|manifest| Candidate::from(&**manifest)));
        *host.order.write() = resolution.order.iter().map(|id| id.as_str().into()).collect();
        for (id, blocks) in &resolution.blocked {
            let reasons: Vec<String> = blocks.iter().map(|block| format!("{}: {block}", block.code())).collect();
            if let Some(plugin) = plugins.get(id.as_str()) {
                self.stand_against(plugin, &reasons.join("; ")).await?;
            }
        }
        let mut preparing = Vec::new();
        let mut routes = BTreeMap::new();
        for id in &resolution.order {
            let Some(plugin) = plugins.get(id.as_str()) else { continue };
            if let Some(reason) = self.objection(plugin, &mut routes).await? {
                self.stand_against(plugin, &reason).await?;
                continue;
            }
            if plugin.state() == State::Blocked {
                // What stood against it may be gone.
                plugin.change(host, Package::clone(&plugin.package.load())).await?;
            }
            if matches!(plugin.state(), State::Discovered | State::Unloaded) {
                let (plugin, host) = (plugin.clone(), host.clone());
                preparing.push(tokio::spawn(async move {
                    let record = host.record(&plugin.id).await?;
                    plugin.prepare(&host, &record).await?;
                    anyhow::Ok(plugin)
                }));
            }
        }
        let mut prepared = Vec::new();
        for preparing in preparing {
            prepared.push(preparing.await??);
        }
        for plugin in &prepared {
            plugin.activate(host).await?;
        }
        prepared.iter().for_each(|plugin| plugin.tell_ready());
        host.commit();
        Ok(())
    }

    /// What stands against a plugin besides its dependencies.
    async fn objection(&self, plugin: &Arc<Plugin>, routes: &mut BTreeMap<String, Arc<str>>) -> Result<Option<String>> {
        let manifest = plugin.package.load().manifest.clone();
        if self.host.policy.load().kill.kills(manifest.id.as_str()) {
            return Ok(Some("kill_switch: the operator has switched it off".to_owned()));
        }
        if !self.is_approved(&manifest).await? {
            return Ok(Some("approval_needed: it asks for more than was approved; enable it to approve".to_owned()));
        }
        if let Some(route) = manifest.route.as_deref() {
            let segment = route.trim_matches('/').to_owned();
            if let Some(other) = routes.insert(segment, plugin.id.clone()) {
                return Ok(Some(format!("route_conflict: {other} has the route {route}")));
            }
        }
        Ok(None)
    }

    /// Blocks a plugin, stopping it first where it runs.
    async fn stand_against(&self, plugin: &Arc<Plugin>, reason: &str) -> Result<()> {
        plugin.unload(&self.host).await?;
        match plugin.state() {
            State::Disabled => Ok(()),
            State::Blocked if plugin.status.load().reason.as_deref() == Some(reason) => Ok(()),
            State::Blocked | State::Failed => {
                plugin.change(&self.host, Package::clone(&plugin.package.load())).await?;
                plugin.block(&self.host, reason).await
            }
            _ => plugin.block(&self.host, reason).await,
        }
    }

    /// Looks at the directory for ever (T20): a file that is dropped in is noticed.
    pub async fn watch(self) {
        loop {
            tokio::time::sleep(Duration::from_millis(bounds::DISCOVERY_INTERVAL_MS)).await;
            if let Err(error) = self.look_if_changed().await {
                tracing::warn!("the plugins directory cannot be looked at: {error:#}");
            }
        }
    }

    /// Looks, and settles only when something differs.
    async fn look_if_changed(&self) -> Result<()> {
        let directory = self.host.directory.clone();
        let catalog = tokio::task::spawn_blocking(move || discover(&directory)).await??;
        let known: BTreeMap<_, _> =
            self.host.plugins.read().iter().map(|(id, plugin)| (id.clone(), plugin.package.load().fingerprint)).collect();
        let seen: BTreeMap<Arc<str>, [u8; 32]> =
            catalog.packages.values().map(|package| (package.manifest.id.as_str().into(), package.fingerprint)).collect();
        if known == seen && **self.errors.load() == catalog.errors { Ok(()) } else { self.look().await }
    }

    /// All plugins, by id.
    #[must_use]
    pub fn list(&self) -> Vec<Summary> {
        self.host.plugins.read().values().map(|plugin| summary(plugin)).collect()
    }

    /// One plugin.
    ///
    /// # Errors
    /// [`Refused::NotFound`].
    pub fn get(&self, id: &str) -> Result<Summary, Refused> {
        self.plugin(id).map(|plugin| summary(&plugin))
    }

    fn plugin(&self, id: &str) -> Result<Arc<Plugin>, Refused> {
        self.host.plugins.read().get(id).cloned().ok_or(Refused::NotFound)
    }

    /// Enables a plugin and approves what it asks for now; waits at most [`bounds::ENABLE_WAIT_MS`] until it works (R21).
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn enable(&self, id: &str) -> Result<Summary, Refused> {
        let plugin = self.plugin(id)?;
        let mut record = self.host.record(id).await?;
        record.enabled = true;
        record.reason = None;
        record.approved = Some(rules::approval(&plugin.package.load().manifest));
        self.host.store.save(record).await.map_err(anyhow::Error::from)?;
        if plugin.state() == State::Disabled {
            plugin.enable(&self.host).await?;
        }
        let this = self.clone();
        let starting = tokio::spawn(async move {
            let _one = this.looking.lock().await;
            this.start_all().await
        });
        match timeout(Duration::from_millis(bounds::ENABLE_WAIT_MS), starting).await {
            Ok(started) => started.context("starting was cancelled")??,
            Err(_) => tracing::info!(plugin = id, "plugin takes longer to start; it goes on in the background"),
        }
        Ok(summary(&plugin))
    }

    /// Disables a plugin; its routes and handlers are gone when this returns (R22).
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn disable(&self, id: &str) -> Result<Summary, Refused> {
        let plugin = self.plugin(id)?;
        let mut record = self.host.record(id).await?;
        record.enabled = false;
        record.reason = None;
        self.host.store.save(record).await.map_err(anyhow::Error::from)?;
        plugin.disable(&self.host, None).await?;
        let _one = self.looking.lock().await;
        self.start_all().await?;
        Ok(summary(&plugin))
    }

    /// Loads a plugin anew from its files; the old instances serve until the new one is ready (T38).
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn reload(&self, id: &str) -> Result<Summary, Refused> {
        let plugin = self.plugin(id)?;
        let _one = self.looking.lock().await;
        let directory = self.host.directory.clone();
        let catalog = tokio::task::spawn_blocking(move || discover(&directory)).await.context("looking was cancelled")??;
        let package = catalog.packages.into_values().find(|package| package.manifest.id.as_str() == id).ok_or(Refused::NotFound)?;
        match plugin.state() {
            State::Loaded => plugin.reload(&self.host, package).await.map_err(|error| Refused::Conflict(format!("{error:#}")))?,
            State::Disabled => return Err(Refused::Conflict("the plugin is disabled; enable it first".to_owned())),
            _ => {
                plugin.unload(&self.host).await?;
                plugin.change(&self.host, package).await?;
                self.start_all().await?;
            }
        }
        Ok(summary(&plugin))
    }

    /// What is known about a plugin besides its files; made on first sight.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn record(&self, id: &str) -> Result<PluginRecord, Refused> {
        self.plugin(id)?;
        Ok(self.host.record(id).await?)
    }

    /// Takes over what the store says about a plugin's grants; acts at its next call (T27).
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn refresh_grants(&self, id: &str) -> Result<(), Refused> {
        let plugin = self.plugin(id)?;
        let grants = self.host.store.grants(id).await.map_err(anyhow::Error::from)?;
        if let Some(mail) = plugin.mail.load_full() {
            let rules = rules::of(&mail.shared.manifest, &grants, &self.host.policy.load())?;
            mail.shared.authority.replace(rules);
        }
        Ok(())
    }

    /// Takes over what the store says about a plugin's settings, and tells its instances (H7).
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn refresh_settings(&self, id: &str) -> Result<(), Refused> {
        let plugin = self.plugin(id)?;
        let record = self.host.record(id).await?;
        if let Some(mail) = plugin.mail.load_full() {
            mail.shared.settings.store(Arc::new(rules::settings(&mail.shared.manifest, &record.settings)));
            let text = mail.shared.settings_text();
            mail.tell_all(None, || jobs::Job::Settings(text.clone()));
        }
        Ok(())
    }

    /// A value of a plugin was changed from outside (T35).
    pub fn data_changed(&self, id: &str, key: &str, by: &str, removed: bool) {
        if let Ok(plugin) = self.plugin(id)
            && let Some(mail) = plugin.mail.load_full()
        {
            mail.data_changed(None, key, by, removed);
        }
    }

    /// A server's requirements have changed (T35); `snapshot` is the envelope. Told to the instances that work for that server.
    pub fn requirements_changed(&self, server_id: &str, snapshot: &str) {
        for listener in &self.host.dispatch.table().all {
            listener.mail.requirements_changed(server_id, snapshot);
        }
    }

    /// Nobody is on a server any more: the instances that worked for it are let go.
    pub fn server_closed(&self, server_id: &str) {
        for listener in &self.host.dispatch.table().all {
            listener.mail.server_closed(server_id);
        }
    }

    /// What would be decided about a plugin's use of a capability now.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn would(&self, id: &str, asked: &Asked<'_>) -> Result<capability::Decision, Refused> {
        let plugin = self.plugin(id)?;
        let grants = self.host.store.grants(id).await.map_err(anyhow::Error::from)?;
        let policy = self.host.policy.load();
        let rules = rules::of(&plugin.package.load().manifest, &grants, &policy)?;
        Ok(capability::decide(asked, &rules, &policy))
    }

    /// Replaces the operator's policy, such as after a kill switch was thrown (J28 to J31); acts at the next call.
    ///
    /// # Errors
    /// The store cannot be used.
    pub async fn set_policy(&self, policy: Policy) -> Result<()> {
        self.host.policy.store(Arc::new(policy));
        let ids: Vec<Arc<str>> = self.host.plugins.read().keys().cloned().collect();
        for id in ids {
            match self.refresh_grants(&id).await {
                Ok(()) | Err(Refused::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let _one = self.looking.lock().await;
        self.start_all().await
    }

    /// The operator's policy.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.host.policy.load_full()
    }

    /// Answers a request on a plugin's route: `segment` names the route, `path` is what follows it (R25 to R28). Never fails: what goes wrong is
    /// an answer.
    pub async fn route(&self, segment: &str, path: &str, request: Request<Body>, caller: Caller) -> Response<Body> {
        let table = self.host.dispatch.table();
        if let Some(listener) = table.routes.get(segment) {
            return route::forward(listener, path, request, caller).await;
        }
        let has_route = |plugin: &&Arc<Plugin>| {
            let manifest = plugin.package.load().manifest.clone();
            manifest.route.as_deref().is_some_and(|route| route.trim_matches('/') == segment)
        };
        let plugins = self.host.plugins.read();
        let owner = plugins.values().find(has_route).cloned();
        drop(plugins);
        match owner.as_ref().map(|plugin| (plugin, plugin.state())) {
            Some((plugin, State::Failed | State::Loading | State::Ready)) => {
                route::refused(StatusCode::SERVICE_UNAVAILABLE, "PLUGIN_RESTARTING", "the plugin is being started again", Some(&plugin.id))
            }
            _ => route::refused(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND", &format!("no running plugin has the route /{segment}"), None),
        }
    }

    /// Stops all plugins.
    pub async fn stop(&self) {
        let plugins: Vec<_> = self.host.plugins.read().values().cloned().collect();
        let stopping = plugins.into_iter().map(|plugin| {
            let host = self.host.clone();
            tokio::spawn(async move { plugin.unload(&host).await })
        });
        for stopped in stopping.collect::<Vec<_>>() {
            if let Ok(Err(error)) = stopped.await {
                tracing::warn!("a plugin was not stopped well: {error:#}");
            }
        }
    }
}

fn summary(plugin: &Plugin) -> Summary {
    let package = plugin.package.load();
    Summary {
        manifest: package.manifest.clone(),
        status: Status::clone(&plugin.status.load()),
        runs_here: package.component.is_some(),
        manifest_path: package.manifest_path.clone(),
    }
}
