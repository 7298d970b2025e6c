//! One plugin: its package, its state, and its running instances.
//!
//! Transitions of one plugin never overlap, and each is one step of [`plugin_lifecycle`]; readers see a snapshot.

use crate::plugin::{
    Host,
    authority::{Authority, quota::Quota, rules},
    imports::fetch::Fetcher,
    instances::{
        bus::Bus,
        guest::{Crash, Guest, meta},
        metrics::{Metrics, PluginStats},
        pool::InstancePool,
        shared::Shared,
    },
    lifecycle::{
        catalog::{Package, component_bytes},
        load::{Loaded, load},
    },
    now_ms,
};
use anyhow::{Context, Result, bail, ensure};
use arc_swap::{ArcSwap, ArcSwapOption};
use capability::{CapabilityId, CapabilityUse, Outcome};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use plugin_lifecycle::{Effect, Event, Machine, State, Status, Step};
use plugin_store::{LifecycleEvent, PluginRecord};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, MutexGuard};

/// Subscription capabilities: the plugin never calls them, so consent is requested when it starts.
const SUBSCRIPTIONS: [CapabilityId; 5] = [
    CapabilityId::EventsServerSubscribe,
    CapabilityId::HttpServe,
    CapabilityId::MessagesModerate,
    CapabilityId::HooksSubscribe,
    CapabilityId::ToolsRegister,
];

/// What is on its way into the database.
pub(crate) type Writes = FuturesUnordered<BoxFuture<'static, ()>>;

/// One plugin.
pub(crate) struct Plugin {
    pub(crate) id: Arc<str>,
    pub(crate) package: ArcSwap<Package>,
    pub(crate) status: ArcSwap<Status>,
    /// The running instances; none while the plugin does not run.
    pub(crate) pool: ArcSwapOption<InstancePool>,
    metrics: Arc<Metrics>,
    /// Taken for the time of a transition.
    lifecycle: Mutex<Lifecycle>,
}

/// What a transition works on.
pub(crate) struct Lifecycle {
    machine: Machine,
    /// The compiled component, kept for restarts.
    loaded: Option<Arc<Loaded>>,
    /// Instantiated and prepared for its turn.
    prepared: Option<(Arc<InstancePool>, Guest)>,
}

impl Plugin {
    /// A plugin that was seen; one that is disabled stays so.
    pub(crate) fn new(
        package: Package,
        disabled: Option<Option<&str>>,
        restart_ms: u64,
    ) -> Arc<Self> {
        let machine = disabled
            .map_or_else(Machine::new, Machine::disabled)
            .restarting_after(restart_ms);
        Arc::new(Self {
            id: package.manifest.id.as_str().into(),
            package: ArcSwap::from_pointee(package),
            status: ArcSwap::from_pointee(machine.status(now_ms())),
            pool: ArcSwapOption::empty(),
            metrics: Arc::default(),
            lifecycle: Mutex::new(Lifecycle {
                machine,
                loaded: None,
                prepared: None,
            }),
        })
    }

    /// The state now.
    pub(crate) fn state(&self) -> State {
        self.status.load().state
    }

    /// What it has done since the host started.
    pub(crate) fn stats(&self) -> PluginStats {
        self.metrics.read(
            &self.id,
            self.pool.load().as_ref().map_or(0, |pool| pool.instances()),
        )
    }

    pub(crate) async fn lifecycle(&self) -> MutexGuard<'_, Lifecycle> {
        self.lifecycle.lock().await
    }

    /// Takes a step, records it, and publishes the new status.
    async fn step(
        self: &Arc<Self>,
        host: &Arc<Host>,
        lifecycle: &mut Lifecycle,
        event: Event,
        reason: Option<&str>,
    ) -> Result<Step> {
        let mut writes = Writes::new();
        let step = self.begin_step(host, lifecycle, event, reason, &mut writes)?;
        writes.collect::<()>().await;
        Ok(step)
    }

    /// As [`Plugin::step`]; what is being written down is added to `writes`.
    fn begin_step(
        self: &Arc<Self>,
        host: &Arc<Host>,
        lifecycle: &mut Lifecycle,
        event: Event,
        reason: Option<&str>,
        writes: &mut Writes,
    ) -> Result<Step> {
        let at_ms = now_ms();
        if event == Event::Crash {
            self.metrics.crash();
        }
        let step = match reason {
            Some(reason) => lifecycle.machine.step_because(event, at_ms, reason),
            None => lifecycle.machine.step(event, at_ms),
        }?;
        self.status.store(Arc::new(lifecycle.machine.status(at_ms)));
        tracing::debug!(
            plugin = &*self.id,
            from = step.from.as_str(),
            to = step.to.as_str(),
            reason,
            "plugin"
        );
        for effect in &step.effects {
            match effect {
                Effect::Record(record) => {
                    let row = LifecycleEvent {
                        plugin: self.id.to_string(),
                        at_ms,
                        kind: record.name().to_owned(),
                        details: record.details(),
                    };
                    let mut writing = write_down(host.clone(), row).boxed();
                    // Once asked for, it keeps its place among the writes; whether it is waited for here is the caller's business.
                    if (&mut writing).now_or_never().is_none() {
                        writes.push(writing);
                    }
                }
                Effect::RetryAt(at) => self.clone().retry_at(host.clone(), *at),
            }
        }
        Ok(step)
    }

    /// Blocks the plugin with a reason.
    pub(crate) async fn block(self: &Arc<Self>, host: &Arc<Host>, reason: &str) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        tracing::warn!(plugin = &*self.id, reason, "plugin is blocked");
        self.step(host, lifecycle, Event::Block, Some(reason))
            .await
            .map(drop)
    }

    /// Compiles and instantiates it: from discovered or unloaded to ready, or to blocked or failed. A plugin without a component stays validated.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        host: &Arc<Host>,
        record: &PluginRecord,
    ) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        if lifecycle.machine.state() == State::Discovered {
            self.step(host, lifecycle, Event::Accept, None).await?;
        }
        let package = self.package.load_full();
        if package.component.is_none() {
            return Ok(());
        }
        self.step(host, lifecycle, Event::Load, None).await?;
        let loaded = match self.compile(host, &package).await {
            Ok(loaded) => loaded,
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::warn!(plugin = &*self.id, reason, "plugin is blocked");
                return self
                    .step(host, lifecycle, Event::Block, Some(&reason))
                    .await
                    .map(drop);
            }
        };
        lifecycle.loaded = Some(loaded);
        self.instantiate(host, lifecycle, record).await
    }

    async fn compile(&self, host: &Arc<Host>, package: &Arc<Package>) -> Result<Arc<Loaded>> {
        let (host, package) = (host.clone(), package.clone());
        // Compilations of a large plugin take seconds and a processor each.
        let _turn = host.compilations.clone().acquire_owned().await?;
        let loaded = tokio::task::spawn_blocking(move || {
            let component = package
                .component
                .as_deref()
                .context("the plugin has no component")?;
            let bytes = component_bytes(&host.directory, component)?;
            load(
                &host.engine,
                &host.linker,
                &host.compiler,
                &bytes,
                &package.manifest,
            )
            .map(Arc::new)
        });
        loaded.await.context("loading was cancelled")?
    }

    /// From loading to ready.
    async fn instantiate(
        self: &Arc<Self>,
        host: &Arc<Host>,
        lifecycle: &mut Lifecycle,
        record: &PluginRecord,
    ) -> Result<()> {
        let loaded = lifecycle.loaded.clone().context("nothing is loaded")?;
        let pool = self.new_pool(host, loaded.clone(), record).await?;
        match self.checked(&loaded, &pool).await {
            Ok(guest) => {
                lifecycle.prepared = Some((pool, guest));
                self.step(host, lifecycle, Event::Prepare, None)
                    .await
                    .map(drop)
            }
            Err(StartError::Blocked(reason)) => self
                .step(host, lifecycle, Event::Block, Some(&reason))
                .await
                .map(drop),
            Err(StartError::Crashed(crash)) => self
                .step(host, lifecycle, Event::Crash, Some(&crash.to_string()))
                .await
                .map(drop),
        }
    }

    /// Compares the component's id and version with the manifest, then creates the instance for requests.
    async fn checked(
        &self,
        loaded: &Arc<Loaded>,
        pool: &Arc<InstancePool>,
    ) -> Result<Guest, StartError> {
        let info = meta(loaded, &pool.shared)
            .await
            .map_err(StartError::Crashed)?;
        let manifest = &pool.shared.manifest;
        if (info.id.as_str(), info.version.as_str())
            != (manifest.id.as_str(), &*manifest.version.to_string())
        {
            let said = format!(
                "the component says it is {} {}, its manifest says {} {}",
                info.id, info.version, manifest.id, manifest.version
            );
            return Err(StartError::Blocked(said));
        }
        pool.prepare().await.map_err(StartError::Crashed)
    }

    async fn new_pool(
        &self,
        host: &Arc<Host>,
        loaded: Arc<Loaded>,
        record: &PluginRecord,
    ) -> Result<Arc<InstancePool>> {
        let manifest = self.package.load().manifest.clone();
        let rules = rules::plugin_rules(
            &manifest,
            &host.store.grants(&self.id).await?,
            &host.policy.load(),
        )?;
        let settings = rules::settings(&manifest, &record.settings);
        let display_name = manifest
            .plugin_user
            .as_ref()
            .map(|user| user.display_name())
            .filter(|name| !name.is_empty());
        let display_name = display_name.unwrap_or(&manifest.title).into();
        Ok(InstancePool::new(loaded, host.runtime.clone(), |pool| {
            Shared {
                id: self.id.clone(),
                manifest_text: manifest.text().into(),
                plugin_user_id: manifest.plugin_user_id().into(),
                display_name,
                instance_id: record.instance_id.clone(),
                quota: Quota::new(&manifest.limits, &host.limits),
                authority: Authority::new(
                    self.id.clone(),
                    rules,
                    host.policy.clone(),
                    host.store.clone(),
                ),
                settings: ArcSwap::from_pointee(settings),
                store: host.store.clone(),
                chat_host: host.chat_host.clone(),
                fetcher: Fetcher::new(host.client.clone(), &manifest),
                bus: Bus::new(pool.clone()),
                metrics: self.metrics.clone(),
                pool,
                manifest,
            }
        }))
    }

    /// From ready to loaded, or to failed. When this returns the plugin serves; that this is written down is left to `writes`.
    pub(crate) async fn activate(
        self: &Arc<Self>,
        host: &Arc<Host>,
        writes: &mut Writes,
    ) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        let Some((pool, guest)) = lifecycle.prepared.take() else {
            return Ok(());
        };
        match pool.activate(guest).await {
            Ok(()) => {
                // The plugin serves before its status says so.
                self.install(host, pool);
                self.begin_step(host, lifecycle, Event::Activate, None, writes)
                    .map(drop)
            }
            Err(crash) => self
                .begin_step(
                    host,
                    lifecycle,
                    Event::Crash,
                    Some(&crash.to_string()),
                    writes,
                )
                .map(drop),
        }
    }

    /// Puts running instances in place and watches them.
    fn install(self: &Arc<Self>, host: &Arc<Host>, pool: Arc<InstancePool>) {
        self.pool.store(Some(pool.clone()));
        host.commit();
        Self::request_subscription_consents(host, &pool);
        let (plugin, host) = (self.clone(), host.clone());
        let mut crashed = pool.crashed();
        host.runtime.clone().spawn(async move {
            let crash = match crashed.wait_for(Option::is_some).await {
                Ok(crash) => crash.clone(),
                Err(_) => return,
            };
            if let Some(crash) = crash
                && let Err(error) = plugin.crashed(&host, &pool, &crash).await
            {
                tracing::error!(plugin = &*plugin.id, "after a crash: {error:#}");
            }
        });
    }

    /// Requests consent for the subscriptions that the manifest declares and that are not decided yet.
    fn request_subscription_consents(host: &Arc<Host>, pool: &Arc<InstancePool>) {
        let pool = pool.clone();
        host.runtime.spawn(async move {
            for id in SUBSCRIPTIONS {
                let asked = CapabilityUse::any(id);
                let decision = pool.shared.authority.decide(&asked);
                if pool.shared.manifest.declares(id) && decision.outcome == Outcome::Ask {
                    pool.shared.authority.ask(&asked, decision).await;
                }
            }
        });
    }

    /// Handles the crash of the running version; a crash of an older version is ignored.
    async fn crashed(
        self: &Arc<Self>,
        host: &Arc<Host>,
        pool: &Arc<InstancePool>,
        crash: &Crash,
    ) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        let current = self.pool.load_full();
        if !current.is_some_and(|current| Arc::ptr_eq(&current, pool)) {
            return Ok(());
        }
        let mut writes = Writes::new();
        // The status changes before the route disappears, so that a request in between is answered with "restarting".
        let step = self.begin_step(
            host,
            lifecycle,
            Event::Crash,
            Some(&crash.to_string()),
            &mut writes,
        )?;
        self.pool.store(None);
        host.commit();
        pool.log().line(
            plugin_store::Level::Error,
            &format!("crashed: {crash}"),
            Some(serde_json::json!({"crash": crash.code()}).to_string()),
        );
        tracing::warn!(plugin = &*self.id, %crash, "plugin crashed");
        writes.collect::<()>().await;
        self.persist_disabled(host, &step).await
    }

    /// Stores that the plugin is disabled, so that it stays so after a restart of the host.
    async fn persist_disabled(&self, host: &Host, step: &Step) -> Result<()> {
        if step.to != State::Disabled {
            return Ok(());
        }
        host.record(&self.id).await?;
        let reason = self.status.load().reason.as_deref().map(str::to_owned);
        let change = move |record: &mut PluginRecord| {
            record.enabled = false;
            record.reason.clone_from(&reason);
        };
        host.store.change_record(&self.id, change).await?;
        Ok(())
    }

    fn retry_at(self: Arc<Self>, host: Arc<Host>, at_ms: u64) {
        host.runtime.clone().spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(now_ms()).max(1)))
                    .await;
                if now_ms() >= at_ms {
                    break;
                }
            }
            if let Err(error) = self.retry(&host, at_ms).await {
                tracing::error!(plugin = &*self.id, "a restart failed: {error:#}");
            }
        });
    }

    /// Restarts the plugin, unless its state has changed since the restart was scheduled.
    async fn retry(self: &Arc<Self>, host: &Arc<Host>, at_ms: u64) -> Result<()> {
        {
            let lifecycle = &mut *self.lifecycle().await;
            if lifecycle.machine.retry_at() != Some(at_ms) {
                return Ok(());
            }
            self.step(host, lifecycle, Event::Retry, None).await?;
            let record = host.record(&self.id).await?;
            self.instantiate(host, lifecycle, &record).await?;
            if lifecycle.machine.state() != State::Ready {
                let disabled = Step {
                    from: State::Loading,
                    via: None,
                    to: lifecycle.machine.state(),
                    effects: Vec::new(),
                };
                return self.persist_disabled(host, &disabled).await;
            }
        }
        let mut writes = Writes::new();
        self.activate(host, &mut writes).await?;
        writes.collect::<()>().await;
        self.notify_ready();
        let now = Step {
            from: State::Ready,
            via: None,
            to: self.state(),
            effects: Vec::new(),
        };
        self.persist_disabled(host, &now).await
    }

    /// Notifies its instances that all plugins are active.
    pub(crate) fn notify_ready(&self) {
        if let Some(pool) = self.pool.load_full() {
            pool.ready();
        }
    }

    /// Stops the running instances; the state is then unloaded, or unchanged if none ran.
    pub(crate) async fn unload(self: &Arc<Self>, host: &Arc<Host>) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        let stopping = matches!(
            lifecycle.machine.state(),
            State::Loading | State::Ready | State::Loaded | State::Failed
        );
        if !stopping {
            return Ok(());
        }
        let step = self.step(host, lifecycle, Event::Unload, None).await?;
        lifecycle.prepared = None;
        let pool = self.pool.swap(None);
        host.commit();
        if let Some(pool) = pool {
            pool.stop().await;
        }
        if step.to == State::Unloading {
            self.step(host, lifecycle, Event::Gone, None).await?;
        }
        Ok(())
    }

    /// Disables it.
    pub(crate) async fn disable(
        self: &Arc<Self>,
        host: &Arc<Host>,
        reason: Option<&str>,
    ) -> Result<()> {
        self.unload(host).await?;
        let lifecycle = &mut *self.lifecycle().await;
        if lifecycle.machine.state() != State::Disabled {
            self.step(host, lifecycle, Event::Disable, reason).await?;
        }
        Ok(())
    }

    /// From disabled to discovered.
    pub(crate) async fn enable(self: &Arc<Self>, host: &Arc<Host>) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        self.step(host, lifecycle, Event::Enable, None)
            .await
            .map(drop)
    }

    /// Another package, or another look at the same: to discovered. Nothing may run.
    pub(crate) async fn change(self: &Arc<Self>, host: &Arc<Host>, package: Package) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        self.package.store(Arc::new(package));
        match lifecycle.machine.state() {
            State::Discovered | State::Disabled => Ok(()),
            _ => self
                .step(host, lifecycle, Event::Change, None)
                .await
                .map(drop),
        }
    }

    /// Replaces the running version with `package` without a gap: the old instances serve until the new one is ready. If it does not become ready,
    /// the old ones stay.
    pub(crate) async fn reload(self: &Arc<Self>, host: &Arc<Host>, package: Package) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        ensure!(
            lifecycle.machine.state() == State::Loaded,
            "a plugin that is {} cannot be reloaded",
            lifecycle.machine.state()
        );
        let before = self.package.swap(Arc::new(package));
        let started = async {
            let loaded = self.compile(host, &self.package.load_full()).await?;
            let record = host.record(&self.id).await?;
            let pool = self.new_pool(host, loaded.clone(), &record).await?;
            let guest = match self.checked(&loaded, &pool).await {
                Ok(guest) => guest,
                Err(StartError::Blocked(reason)) => bail!("{reason}"),
                Err(StartError::Crashed(crash)) => return Err(crash.into()),
            };
            pool.activate(guest).await?;
            pool.ready();
            anyhow::Ok((loaded, pool))
        };
        let (loaded, pool) = match started.await {
            Ok(started) => started,
            Err(error) => {
                self.package.store(before);
                return Err(error.context("the new version does not start; the old one goes on"));
            }
        };
        lifecycle.loaded = Some(loaded);
        let old = self.pool.load_full();
        self.install(host, pool);
        if let Some(old) = old {
            old.stop().await;
        }
        for event in [
            Event::Unload,
            Event::Gone,
            Event::Change,
            Event::Accept,
            Event::Load,
            Event::Prepare,
            Event::Activate,
        ] {
            self.step(host, lifecycle, event, None).await?;
        }
        Ok(())
    }
}

/// A failed write is logged; the plugin continues without that record.
async fn write_down(host: Arc<Host>, row: LifecycleEvent) {
    let plugin = row.plugin.clone();
    if let Err(error) = host.store.event(row).await {
        tracing::error!(plugin, %error, "a lifecycle event was not written");
    }
}

/// Why there is no instance.
enum StartError {
    Blocked(String),
    Crashed(Crash),
}
