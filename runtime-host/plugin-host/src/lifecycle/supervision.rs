//! Supervision of a running plugin: its crashes, restarts after a delay, and the consents that its subscriptions need.

use crate::{
    Host,
    instances::{instance::Crash, pool::InstancePool},
    lifecycle::plugin::{Plugin, Writes},
    now_ms,
};
use anyhow::Result;
use capability::{CapabilityId, CapabilityUse, Outcome};
use futures::StreamExt;
use plugin_lifecycle::{Event, State};
use plugin_store::PluginRecord;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Subscription capabilities: the plugin never calls them, so consent is requested when it starts.
const SUBSCRIPTIONS: [CapabilityId; 5] = [
    CapabilityId::EventsServerSubscribe,
    CapabilityId::HttpServe,
    CapabilityId::MessagesModerate,
    CapabilityId::HooksSubscribe,
    CapabilityId::ToolsRegister,
];

impl Plugin {
    /// Puts running instances in place and watches them.
    pub(super) fn install(self: &Arc<Self>, host: &Arc<Host>, pool: Arc<InstancePool>) {
        pool.shared.note_moderation();
        self.pool.store(Some(pool.clone()));
        host.commit();
        Self::request_subscription_consents(host, &pool);
        let (plugin, host) = (self.clone(), host.clone());
        let mut crashed = pool.crashed();
        // The watch ends with the pool, and must not keep it.
        let pool = Arc::downgrade(&pool);
        host.runtime.clone().spawn(async move {
            let crash = match crashed.wait_for(Option::is_some).await {
                Ok(crash) => crash.clone(),
                Err(_) => return,
            };
            if let Some(crash) = crash
                && let Some(pool) = pool.upgrade()
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
                    pool.shared.authority.ask(&asked).await;
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
        let moderated = pool.shared.moderates.load(Ordering::Relaxed);
        self.moderates.store(moderated, Ordering::Relaxed);
        let mut writes = Writes::new();
        // The status changes before the route disappears, so that a request in between is answered with "restarting".
        self.begin_step(
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
        self.persist_if_disabled(host, lifecycle.machine.state())
            .await
    }

    /// Stores that the plugin is disabled, if it is, so that it stays so after a restart of the host.
    async fn persist_if_disabled(&self, host: &Host, state: State) -> Result<()> {
        if state != State::Disabled {
            return Ok(());
        }
        // It is not waited for any more.
        host.commit();
        host.record(&self.id).await?;
        let reason = self.status.load().reason.as_deref().map(str::to_owned);
        let change = move |record: &mut PluginRecord| {
            record.enabled = false;
            record.reason.clone_from(&reason);
        };
        host.store.change_record(&self.id, change).await?;
        Ok(())
    }

    pub(super) fn retry_at(self: Arc<Self>, host: Arc<Host>, at_ms: u64) {
        host.runtime.clone().spawn(async move {
            until(at_ms).await;
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
            self.instantiate(host, lifecycle).await?;
            let state = lifecycle.machine.state();
            if state != State::Ready {
                return self.persist_if_disabled(host, state).await;
            }
        }
        let mut writes = Writes::new();
        self.activate(host, &mut writes).await?;
        writes.collect::<()>().await;
        self.notify_ready();
        self.persist_if_disabled(host, self.state()).await
    }
}

/// Waits until the wall clock shows `at_ms`, milliseconds since 1970.
pub(super) async fn until(at_ms: u64) {
    loop {
        let left_ms = at_ms.saturating_sub(now_ms()).max(1);
        tokio::time::sleep(Duration::from_millis(left_ms)).await;
        if now_ms() >= at_ms {
            return;
        }
    }
}
