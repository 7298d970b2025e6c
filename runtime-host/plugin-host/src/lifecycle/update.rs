//! Replacing the running version of a plugin: the old one serves until the new one is ready, and goes on if it does not
//! become ready. Such an update is tried again like a plugin that crashes.

use crate::{
    Host,
    instances::pool::InstancePool,
    lifecycle::{
        catalog::Package,
        load::Loaded,
        plugin::{Lifecycle, Plugin, Writes},
        start::StartError,
        supervision::until,
    },
    now_ms,
};
use anyhow::{Result, bail, ensure};
use futures::StreamExt;
use limits::lifecycle::BACKOFF_FIRST_MS;
use plugin_lifecycle::{Event, State};
use std::{sync::Arc, time::Duration};

impl Plugin {
    /// Replaces the running version with `package`, which has not been tried before or is asked for by an operator.
    ///
    /// # Errors
    /// The new version does not start; the old one goes on.
    pub(crate) async fn reload(self: &Arc<Self>, host: &Arc<Host>, package: Package) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        ensure!(
            lifecycle.machine.state() == State::Loaded,
            "a plugin that is {} cannot be reloaded",
            lifecycle.machine.state()
        );
        lifecycle.machine.forget_update();
        self.update(host, lifecycle, Arc::new(package)).await
    }

    async fn update(
        self: &Arc<Self>,
        host: &Arc<Host>,
        lifecycle: &mut Lifecycle,
        package: Arc<Package>,
    ) -> Result<()> {
        let (loaded, pool) = match self.start_update(host, &package).await {
            Ok(started) => started,
            Err(failed) => return self.update_failed(host, lifecycle, package, failed).await,
        };
        self.pending.store(None);
        self.package.store(package);
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

    /// Starts the new version beside the old one.
    async fn start_update(
        self: &Arc<Self>,
        host: &Arc<Host>,
        package: &Arc<Package>,
    ) -> Result<(Arc<Loaded>, Arc<InstancePool>), StartError> {
        let blocked = |error: anyhow::Error| StartError::Blocked(format!("{error:#}"));
        let failed = |error: anyhow::Error| StartError::Failed(format!("{error:#}"));
        let loaded = self.compile(host, package).await.map_err(blocked)?;
        let pool = self.new_pool(host, package, loaded.clone()).await;
        let pool = pool.map_err(failed)?;
        let instance = self.checked(&loaded, &pool).await?;
        pool.activate(instance).await?;
        pool.ready();
        Ok((loaded, pool))
    }

    async fn update_failed(
        self: &Arc<Self>,
        host: &Arc<Host>,
        lifecycle: &mut Lifecycle,
        package: Arc<Package>,
        failed: StartError,
    ) -> Result<()> {
        let (cause, is_final) = match failed {
            StartError::Blocked(cause) => (cause, true),
            StartError::Failed(cause) => (cause, false),
        };
        let (at_ms, version) = (now_ms(), package.manifest.version.to_string());
        let machine = &mut lifecycle.machine;
        let effects = machine.update_failed(at_ms, &version, &cause, is_final);
        self.pending.store(Some(package));
        self.metrics.crash();
        let mut writes = Writes::new();
        self.perform(host, lifecycle, &effects, at_ms, &mut writes);
        writes.collect::<()>().await;
        bail!("the update to {version} does not start, the old version goes on: {cause}")
    }

    pub(super) fn retry_update_at(self: Arc<Self>, host: Arc<Host>, at_ms: u64) {
        host.runtime.clone().spawn(async move {
            until(at_ms).await;
            // The version before may be on its way back after a crash.
            while self.state() != State::Loaded && self.state().awaits_update() {
                tokio::time::sleep(Duration::from_millis(BACKOFF_FIRST_MS)).await;
            }
            if let Err(error) = self.retry_update(&host, at_ms).await {
                tracing::warn!(plugin = &*self.id, "{error:#}");
            }
        });
    }

    /// Tries the update again, unless it has been tried or forgotten since this was scheduled.
    async fn retry_update(self: &Arc<Self>, host: &Arc<Host>, at_ms: u64) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        let machine = &lifecycle.machine;
        let is_due = machine.update_retry_at() == Some(at_ms) && machine.is_running();
        match self.pending.load_full() {
            Some(package) if is_due => self.update(host, lifecycle, package).await,
            _ => Ok(()),
        }
    }
}
