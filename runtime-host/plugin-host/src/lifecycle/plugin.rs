//! One plugin: its package, its state, and its running instances.
//!
//! Transitions of one plugin never overlap, and each is one step of [`plugin_lifecycle`]; readers see a snapshot.

use crate::{
    Host,
    instances::{
        instance::Instance,
        metrics::{Metrics, PluginStats},
        pool::InstancePool,
    },
    lifecycle::{catalog::Package, load::Loaded},
    now_ms,
};
use anyhow::Result;
use arc_swap::{ArcSwap, ArcSwapOption};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use plugin_lifecycle::{Effect, Event, Machine, State, Status, Step};
use plugin_store::LifecycleEvent;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::{Mutex, MutexGuard};

/// What is on its way into the database.
pub(crate) type Writes = FuturesUnordered<BoxFuture<'static, ()>>;

/// One plugin.
pub(crate) struct Plugin {
    pub(crate) id: Arc<str>,
    pub(crate) package: ArcSwap<Package>,
    /// An update that has not started yet, while the package before it serves.
    pub(super) pending: ArcSwapOption<Package>,
    pub(crate) status: ArcSwap<Status>,
    /// The running instances; none while the plugin does not run.
    pub(crate) pool: ArcSwapOption<InstancePool>,
    /// Plugins are numbered in the order in which they were first seen.
    pub(super) number: i64,
    /// The package whose component was refused last, and why.
    refused: parking_lot::Mutex<Option<([u8; 32], String)>>,
    /// Why its entry in the directory cannot be used now, if it cannot; the plugin goes on as it is.
    unusable: ArcSwapOption<String>,
    /// Whether it may moderate chat, as was found before it was started or when it crashed.
    pub(crate) moderates: AtomicBool,
    pub(super) metrics: Arc<Metrics>,
    /// Every generation that is alive: the running one, one that starts, and those that are stopping.
    generations: parking_lot::Mutex<Vec<Weak<InstancePool>>>,
    /// Held from reading grants and settings to applying them, so that those applied last are the newest.
    applying: Mutex<()>,
    /// Locked during a transition.
    lifecycle: Mutex<Lifecycle>,
}

/// What a transition works on.
pub(crate) struct Lifecycle {
    pub(super) machine: Machine,
    /// The compiled component, kept for restarts.
    pub(super) loaded: Option<Arc<Loaded>>,
    /// Instantiated and waiting for activation, in load order.
    pub(super) prepared: Option<(Arc<InstancePool>, Instance)>,
}

impl Plugin {
    /// A plugin that was seen; one that is disabled stays so.
    pub(crate) fn new(
        package: Package,
        disabled: Option<Option<&str>>,
        restart_ms: u64,
        number: i64,
    ) -> Arc<Self> {
        let machine = disabled
            .map_or_else(Machine::new, Machine::disabled)
            .restarting_after(restart_ms);
        Arc::new(Self {
            id: package.manifest.id.as_str().into(),
            package: ArcSwap::from_pointee(package),
            pending: ArcSwapOption::empty(),
            status: ArcSwap::from_pointee(machine.status(now_ms())),
            pool: ArcSwapOption::empty(),
            number,
            refused: parking_lot::Mutex::default(),
            unusable: ArcSwapOption::empty(),
            moderates: AtomicBool::new(false),
            metrics: Arc::default(),
            generations: parking_lot::Mutex::default(),
            applying: Mutex::default(),
            lifecycle: Mutex::new(Lifecycle {
                machine,
                loaded: None,
                prepared: None,
            }),
        })
    }

    /// Why the component was refused, if it was.
    pub(super) fn refusal(&self) -> Option<String> {
        let fingerprint = self.package.load().fingerprint;
        let refused = self.refused.lock();
        refused
            .as_ref()
            .filter(|(refused, _)| *refused == fingerprint)
            .map(|(_, reason)| reason.clone())
    }

    /// Notes that the component was refused, or, without a reason, that it was not.
    pub(super) fn set_refusal(&self, reason: Option<&str>) {
        let fingerprint = self.package.load().fingerprint;
        *self.refused.lock() = reason.map(|reason| (fingerprint, reason.to_owned()));
    }

    /// The error of the plugin's entry in the directory, if `errors` has one.
    pub(crate) fn error_of_entry<'a>(
        &self,
        errors: &'a BTreeMap<String, String>,
    ) -> Option<&'a String> {
        errors.get(&self.package.load().name)
    }

    /// Notes why its entry cannot be used now, or, without a reason, that it can.
    pub(super) fn set_unusable(&self, why: Option<&String>) {
        self.unusable.store(why.cloned().map(Arc::new));
    }

    /// The status as people see it: its reason may be that the files cannot be used now.
    pub(crate) fn shown_status(&self) -> Status {
        let mut status = Status::clone(&self.status.load());
        if let Some(why) = self.unusable.load_full() {
            let why = || format!("its files cannot be used now: {why}").into();
            status.reason.get_or_insert_with(why);
        }
        status
    }

    /// The state now.
    pub(crate) fn state(&self) -> State {
        self.status.load().state
    }

    /// The fingerprint of the newest package that was tried.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let pending = self.pending.load_full();
        pending
            .unwrap_or_else(|| self.package.load_full())
            .fingerprint
    }

    /// Whether it should run: it runs on this host, and is neither disabled nor blocked nor being stopped.
    pub(crate) fn is_wanted(&self) -> bool {
        let is_off = matches!(
            self.state(),
            State::Disabled | State::Blocked | State::Unloading
        );
        !is_off && self.package.load().component.is_some()
    }

    /// Whether it should run and does not: it has not started yet, does not start, or has crashed.
    pub(crate) fn is_missed(&self) -> bool {
        self.is_wanted() && self.pool.load().is_none()
    }

    /// Whether chat waits for it where it is missed: it should run, and may moderate.
    pub(crate) fn is_wanted_moderator(&self) -> bool {
        self.is_wanted() && self.moderates.load(Ordering::Relaxed)
    }

    /// What it has done since the host started.
    pub(crate) fn stats(&self) -> PluginStats {
        self.metrics.read(
            &self.id,
            self.pool.load().as_ref().map_or(0, |pool| pool.alive()),
        )
    }

    /// Held while stored grants or settings are read and applied.
    pub(crate) async fn applying(&self) -> MutexGuard<'_, ()> {
        self.applying.lock().await
    }

    /// Every generation that is alive, whether it serves or not.
    pub(crate) fn generations(&self) -> Vec<Arc<InstancePool>> {
        let generations = self.generations.lock();
        generations.iter().filter_map(Weak::upgrade).collect()
    }

    /// Adds a generation, which grants, settings and kill switches reach from now on.
    pub(super) fn add_generation(&self, pool: &Arc<InstancePool>) {
        let mut generations = self.generations.lock();
        generations.retain(|pool| pool.strong_count() > 0);
        generations.push(Arc::downgrade(pool));
    }

    pub(crate) async fn lifecycle(&self) -> MutexGuard<'_, Lifecycle> {
        self.lifecycle.lock().await
    }

    /// Takes a step, records it, and publishes the new status.
    pub(super) async fn step(
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
    pub(super) fn begin_step(
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
        if !step.to.awaits_update()
            && let Some(package) = self.pending.swap(None)
        {
            self.package.store(package);
        }
        tracing::debug!(
            plugin = &*self.id,
            from = step.from.as_str(),
            to = step.to.as_str(),
            reason,
            "plugin"
        );
        self.perform(host, lifecycle, &step.effects, at_ms, writes);
        Ok(step)
    }

    /// Publishes the status and does what a change of the machine asks for.
    pub(super) fn perform(
        self: &Arc<Self>,
        host: &Arc<Host>,
        lifecycle: &Lifecycle,
        effects: &[Effect],
        at_ms: u64,
        writes: &mut Writes,
    ) {
        self.status.store(Arc::new(lifecycle.machine.status(at_ms)));
        for effect in effects {
            match effect {
                Effect::Record(record) => {
                    let row = LifecycleEvent {
                        plugin: self.id.to_string(),
                        at_ms,
                        kind: record.name().to_owned(),
                        details: record.details(),
                    };
                    let mut writing = write_down(host.clone(), row).boxed();
                    // Once asked for, it keeps its place among the writes; whether it is waited for here is the
                    // caller's business.
                    if (&mut writing).now_or_never().is_none() {
                        writes.push(writing);
                    }
                }
                Effect::RetryAt(at) => self.clone().retry_at(host.clone(), *at),
                Effect::RetryUpdateAt(at) => self.clone().retry_update_at(host.clone(), *at),
            }
        }
    }

    /// Blocks the plugin with a reason.
    pub(crate) async fn block(self: &Arc<Self>, host: &Arc<Host>, reason: &str) -> Result<()> {
        let lifecycle = &mut *self.lifecycle().await;
        tracing::warn!(plugin = &*self.id, reason, "plugin is blocked");
        self.step(host, lifecycle, Event::Block, Some(reason))
            .await
            .map(drop)
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
        self.pending.store(None);
        self.package.store(Arc::new(package));
        match lifecycle.machine.state() {
            State::Discovered | State::Disabled => Ok(()),
            _ => self
                .step(host, lifecycle, Event::Change, None)
                .await
                .map(drop),
        }
    }
}

/// A failed write is logged; the plugin continues without that record.
async fn write_down(host: Arc<Host>, row: LifecycleEvent) {
    let plugin = row.plugin.clone();
    if let Err(error) = host.store.event(row).await {
        tracing::error!(plugin, %error, "a lifecycle event was not written");
    }
}
