//! Starting a plugin: compiling, creating its first instance, activating it.

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
        catalog::{Package, entry},
        integrity::check_integrity,
        load::{Loaded, load},
        plugin::{Lifecycle, Plugin, Writes},
    },
    now_ms,
};
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use plugin_lifecycle::{Event, State};
use std::sync::{Arc, atomic::AtomicBool};
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
                self.set_refusal(Some(&reason));
                tracing::warn!(plugin = &*self.id, reason, "plugin is blocked");
                return self
                    .step(host, lifecycle, Event::Block, Some(&reason))
                    .await
                    .map(drop);
            }
        };
        self.set_refusal(None);
        lifecycle.loaded = Some(loaded);
        self.instantiate(host, lifecycle).await
    }

    pub(super) async fn compile(
        &self,
        host: &Arc<Host>,
        package: &Arc<Package>,
    ) -> Result<Arc<Loaded>> {
        let (host, package) = (host.clone(), package.clone());
        // Compilations of a large plugin take seconds and a processor each.
        let _turn = host.compilations.clone().acquire_owned().await?;
        let loaded = tokio::task::spawn_blocking(move || {
            let component = package
                .component
                .as_deref()
                .context("the plugin has no component")?;
            let bytes = package.place.component_bytes(component)?;
            if let Some(entry) = entry(&package.manifest) {
                check_integrity(&package.manifest, entry.as_str(), &bytes)?;
            }
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
            let package = self.package.load_full();
            let pool = self.new_pool(host, &package, loaded.clone()).await?;
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
            Err(StartError::Blocked(reason)) => {
                self.set_refusal(Some(&reason));
                self.step(host, lifecycle, Event::Block, Some(&reason))
                    .await
                    .map(drop)
            }
            Err(StartError::Failed(reason)) => self
                .step(host, lifecycle, Event::Crash, Some(&reason))
                .await
                .map(drop),
        }
    }

    /// Compares the component's id and version with the manifest, then creates the instance for requests.
    pub(super) async fn checked(
        &self,
        loaded: &Arc<Loaded>,
        pool: &Arc<InstancePool>,
    ) -> Result<Instance, StartError> {
        let info = meta(loaded, &pool.shared).await?;
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
        Ok(pool.prepare().await?)
    }

    pub(super) async fn new_pool(
        &self,
        host: &Arc<Host>,
        package: &Package,
        loaded: Arc<Loaded>,
    ) -> Result<Arc<InstancePool>> {
        let manifest = package.manifest.clone();
        // What is granted, revoked or set from here on reaches the new generation.
        let _applying = self.applying().await;
        let record = host.record(&self.id).await?;
        let grants = host.store.grants(&self.id).await?;
        let options = host.options.of(&manifest.id);
        let mode = options.mode.unwrap_or(host.policy.load().mode);
        let rules = CurrentRules::compile(&manifest, grants.into(), options.mode, now_ms())?;
        let settings = rules::settings(&manifest, &record.settings);
        let display_name = manifest
            .plugin_user
            .as_ref()
            .map(|user| user.display_name())
            .filter(|name| !name.is_empty());
        let display_name = display_name.unwrap_or(&manifest.title).into();
        let network = manifest.network.as_ref();
        let asked_rate = network.and_then(|network| network.rate_limit_rpm);
        let pool = InstancePool::new(loaded, host.runtime.clone(), |pool| PluginContext {
            id: self.id.clone(),
            manifest_text: manifest.text().into(),
            plugin_user_id: manifest.plugin_user_id().into(),
            display_name,
            instance_id: record.instance_id.clone(),
            reach: host.options.reach(&manifest.id),
            quota: Quota::new(&manifest.limits, &host.limits, mode, options.timeout_ms),
            on_failure: host.options.on_failure(&manifest),
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
            fetcher: Fetcher::new(
                host.client.clone(),
                &manifest,
                host.limits.requests_per_minute(asked_rate),
            ),
            bus: Bus::new(pool.clone()),
            metrics: self.metrics.clone(),
            pool,
            moderates: AtomicBool::new(false),
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
}

/// Why there is no instance.
pub(super) enum StartError {
    /// It would fail again in the same way.
    Blocked(String),
    /// It may start another time.
    Failed(String),
}

impl From<Crash> for StartError {
    fn from(crash: Crash) -> Self {
        match crash {
            // It was stopped, by a kill switch for example.
            Crash::Ended { .. } => Self::Blocked(crash.to_string()),
            crash => Self::Failed(crash.to_string()),
        }
    }
}
