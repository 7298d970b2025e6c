//! Starting a plugin: compiling, creating its first instance, activating it, and replacing a running version.

use crate::{
    Host,
    authority::{
        Authority,
        quota::Quota,
        rules::{self, CurrentRules},
    },
    dispatch::body::UnreadBytes,
    imports::fetch::Fetcher,
    instances::{
        bus::Bus,
        context::PluginContext,
        instance::{Crash, Instance, meta},
        pool::InstancePool,
    },
    lifecycle::{
        catalog::Package,
        files::component_bytes,
        load::{Loaded, load},
        plugin::{Lifecycle, Plugin, Writes},
    },
    now_ms,
};
use anyhow::{Context, Result, bail, ensure};
use arc_swap::ArcSwap;
use plugin_lifecycle::{Event, State};
use std::sync::Arc;
use tokio::sync::watch;

impl Plugin {
    /// Compiles and instantiates it: from discovered or unloaded to ready, or to blocked or failed. A plugin without a
    /// component stays validated.
    pub(crate) async fn prepare(self: &Arc<Self>, host: &Arc<Host>) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        if !matches!(
            lifecycle.machine.state(),
            State::Discovered | State::Unloaded
        ) {
            // It was disabled or stopped since its turn was noted.
            return Ok(());
        }
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
        self.instantiate(host, lifecycle).await
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

    /// From loading to ready, or to failed or blocked: no failure leaves it in loading.
    pub(super) async fn instantiate(
        self: &Arc<Self>,
        host: &Arc<Host>,
        lifecycle: &mut Lifecycle,
    ) -> Result<()> {
        let prepared = async {
            let loaded = lifecycle.loaded.clone().context("nothing is loaded")?;
            let pool = self.new_pool(host, loaded.clone()).await?;
            anyhow::Ok((self.checked(&loaded, &pool).await, pool))
        };
        let (checked, pool) = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => {
                // The supervision tries it again.
                let reason = format!("it cannot be started: {error:#}");
                self.step(host, lifecycle, Event::Crash, Some(&reason))
                    .await?;
                return Ok(());
            }
        };
        match checked {
            Ok(instance) => {
                lifecycle.prepared = Some((pool, instance));
                self.step(host, lifecycle, Event::Prepare, None)
                    .await
                    .map(drop)
            }
            Err(StartError::Blocked(reason)) => self
                .step(host, lifecycle, Event::Block, Some(&reason))
                .await
                .map(drop),
            Err(StartError::Crashed(crash @ Crash::Ended { .. })) => self
                .step(host, lifecycle, Event::Block, Some(&crash.to_string()))
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
    ) -> Result<Instance, StartError> {
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

    async fn new_pool(&self, host: &Arc<Host>, loaded: Arc<Loaded>) -> Result<Arc<InstancePool>> {
        let manifest = self.package.load().manifest.clone();
        // What is granted, revoked or set from here on reaches the new generation.
        let _applying = self.applying().await;
        let record = host.record(&self.id).await?;
        let grants = host.store.grants(&self.id).await?;
        let rules = CurrentRules::compile(&manifest, grants.into(), now_ms())?;
        let settings = rules::settings(&manifest, &record.settings);
        let display_name = manifest
            .plugin_user
            .as_ref()
            .map(|user| user.display_name())
            .filter(|name| !name.is_empty());
        let display_name = display_name.unwrap_or(&manifest.title).into();
        let pool = InstancePool::new(loaded, host.runtime.clone(), |pool| PluginContext {
            id: self.id.clone(),
            manifest_text: manifest.text().into(),
            plugin_user_id: manifest.plugin_user_id().into(),
            display_name,
            instance_id: record.instance_id.clone(),
            quota: Quota::new(&manifest.limits, &host.limits),
            unread: UnreadBytes::of_plugin(host.unread.clone()),
            authority: Authority::new(
                manifest.clone(),
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
            ended: watch::Sender::new(false),
            manifest,
        });
        self.add_generation(&pool);
        Ok(pool)
    }

    /// From ready to loaded, or to failed. When this returns the plugin serves; that this is written down is left to
    /// `writes`.
    pub(crate) async fn activate(
        self: &Arc<Self>,
        host: &Arc<Host>,
        writes: &mut Writes,
    ) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        let Some((pool, instance)) = lifecycle.prepared.take() else {
            return Ok(());
        };
        match pool.activate(instance).await {
            Ok(()) => {
                // The plugin serves before its status says so.
                self.install(host, pool);
                self.begin_step(host, lifecycle, Event::Activate, None, writes)
                    .map(drop)
            }
            Err(Crash::Ended { .. }) => {
                self.begin_step(host, lifecycle, Event::Unload, None, writes)?;
                self.begin_step(host, lifecycle, Event::Gone, None, writes)
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

    /// Replaces the running version with `package` without a gap: the old instances serve until the new one is ready.
    /// If it does not become ready, the old ones stay.
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
            let pool = self.new_pool(host, loaded.clone()).await?;
            let instance = match self.checked(&loaded, &pool).await {
                Ok(instance) => instance,
                Err(StartError::Blocked(reason)) => bail!("{reason}"),
                Err(StartError::Crashed(crash)) => return Err(crash.into()),
            };
            pool.activate(instance).await?;
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

/// Why there is no instance.
enum StartError {
    Blocked(String),
    Crashed(Crash),
}
