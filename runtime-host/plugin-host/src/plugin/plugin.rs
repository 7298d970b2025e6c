//! One plugin: its package, its state, and whatever of it runs.
//!
//! Invariant: transitions of one plugin never overlap, and each is one step of [`plugin_lifecycle`]; what others see is a snapshot.

use super::{
    Host,
    allowance::Allowance,
    authority::Authority,
    bus::Bus,
    catalog::{Package, component_bytes},
    fetch::Fetcher,
    guest::{Crash, Guest, meta},
    live::Mail,
    load::{Loaded, load},
    now_ms, rules,
    shared::Shared,
    tally::{PluginStats, Tally},
};
use anyhow::{Context, Result, bail, ensure};
use arc_swap::{ArcSwap, ArcSwapOption};
use capability::{CapabilityId, CapabilityUse, Outcome};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use plugin_lifecycle::{Effect, Event, Machine, State, Status, Step};
use plugin_store::{LifecycleEvent, PluginRecord};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, MutexGuard};

/// Capabilities of hearing rather than doing.
const HEARING: [CapabilityId; 5] = [
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
    /// What runs; none while nothing does.
    pub(crate) mail: ArcSwapOption<Mail>,
    tally: Arc<Tally>,
    /// Taken for the time of a transition.
    life: Mutex<Life>,
}

/// What a transition works on.
pub(crate) struct Life {
    machine: Machine,
    /// The compiled component, kept for restarts.
    loaded: Option<Arc<Loaded>>,
    /// Instantiated and waiting for its turn.
    waiting: Option<(Arc<Mail>, Guest)>,
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
            mail: ArcSwapOption::empty(),
            tally: Arc::default(),
            life: Mutex::new(Life {
                machine,
                loaded: None,
                waiting: None,
            }),
        })
    }

    /// The state now.
    pub(crate) fn state(&self) -> State {
        self.status.load().state
    }

    /// What it has done since the host started.
    pub(crate) fn stats(&self) -> PluginStats {
        self.tally.read(
            &self.id,
            self.mail.load().as_ref().map_or(0, |mail| mail.instances()),
        )
    }

    pub(crate) async fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().await
    }

    /// Takes a step, writes down what follows, and shows it.
    async fn step(
        self: &Arc<Self>,
        host: &Arc<Host>,
        life: &mut Life,
        event: Event,
        reason: Option<&str>,
    ) -> Result<Step> {
        let mut writes = Writes::new();
        let step = self.begin_step(host, life, event, reason, &mut writes)?;
        writes.collect::<()>().await;
        Ok(step)
    }

    /// As [`Plugin::step`]; what is being written down is added to `writes`.
    fn begin_step(
        self: &Arc<Self>,
        host: &Arc<Host>,
        life: &mut Life,
        event: Event,
        reason: Option<&str>,
        writes: &mut Writes,
    ) -> Result<Step> {
        let at_ms = now_ms();
        if event == Event::Crash {
            self.tally.crash();
        }
        let step = match reason {
            Some(reason) => life.machine.step_because(event, at_ms, reason),
            None => life.machine.step(event, at_ms),
        }?;
        self.status.store(Arc::new(life.machine.status(at_ms)));
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

    /// Says that something stands against it.
    pub(crate) async fn block(self: &Arc<Self>, host: &Arc<Host>, reason: &str) -> Result<()> {
        let life = &mut *self.life().await;
        tracing::warn!(plugin = &*self.id, reason, "plugin is blocked");
        self.step(host, life, Event::Block, Some(reason))
            .await
            .map(drop)
    }

    /// Compiles and instantiates it: from discovered or unloaded to ready, or to blocked or failed. A plugin without a component stays validated.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        host: &Arc<Host>,
        record: &PluginRecord,
    ) -> Result<()> {
        let life = &mut *self.life().await;
        if life.machine.state() == State::Discovered {
            self.step(host, life, Event::Accept, None).await?;
        }
        let package = self.package.load_full();
        if package.component.is_none() {
            return Ok(());
        }
        self.step(host, life, Event::Load, None).await?;
        let loaded = match self.compile(host, &package).await {
            Ok(loaded) => loaded,
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::warn!(plugin = &*self.id, reason, "plugin is blocked");
                return self
                    .step(host, life, Event::Block, Some(&reason))
                    .await
                    .map(drop);
            }
        };
        life.loaded = Some(loaded);
        self.instantiate(host, life, record).await
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
        life: &mut Life,
        record: &PluginRecord,
    ) -> Result<()> {
        let loaded = life.loaded.clone().context("nothing is loaded")?;
        let mail = self.mail(host, loaded.clone(), record).await?;
        match self.checked(&loaded, &mail).await {
            Ok(guest) => {
                life.waiting = Some((mail, guest));
                self.step(host, life, Event::Prepare, None).await.map(drop)
            }
            Err(Refused::Blocked(reason)) => self
                .step(host, life, Event::Block, Some(&reason))
                .await
                .map(drop),
            Err(Refused::Crashed(crash)) => self
                .step(host, life, Event::Crash, Some(&crash.to_string()))
                .await
                .map(drop),
        }
    }

    /// Asks the component who it is, then makes the instance for requests.
    async fn checked(&self, loaded: &Arc<Loaded>, mail: &Arc<Mail>) -> Result<Guest, Refused> {
        let info = meta(loaded, &mail.shared).await.map_err(Refused::Crashed)?;
        let manifest = &mail.shared.manifest;
        if (info.id.as_str(), info.version.as_str())
            != (manifest.id.as_str(), &*manifest.version.to_string())
        {
            let said = format!(
                "the component says it is {} {}, its manifest says {} {}",
                info.id, info.version, manifest.id, manifest.version
            );
            return Err(Refused::Blocked(said));
        }
        mail.prepare().await.map_err(Refused::Crashed)
    }

    async fn mail(
        &self,
        host: &Arc<Host>,
        loaded: Arc<Loaded>,
        record: &PluginRecord,
    ) -> Result<Arc<Mail>> {
        let manifest = self.package.load().manifest.clone();
        let rules = rules::of(
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
        Ok(Mail::new(loaded, host.runtime.clone(), |mail| Shared {
            id: self.id.clone(),
            manifest_text: manifest.text().into(),
            plugin_user_id: manifest.plugin_user_id().into(),
            display_name,
            instance_id: record.instance_id.clone(),
            allowance: Allowance::new(&manifest.limits, &host.ceilings),
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
            bus: Bus::new(mail.clone()),
            tally: self.tally.clone(),
            mail,
            manifest,
        }))
    }

    /// From ready to loaded, or to failed. When this returns the plugin serves; that this is written down is left to `writes`.
    pub(crate) async fn activate(
        self: &Arc<Self>,
        host: &Arc<Host>,
        writes: &mut Writes,
    ) -> Result<()> {
        let life = &mut *self.life().await;
        let Some((mail, guest)) = life.waiting.take() else {
            return Ok(());
        };
        match mail.activate(guest).await {
            Ok(()) => {
                // It serves before it is said to.
                self.install(host, mail);
                self.begin_step(host, life, Event::Activate, None, writes)
                    .map(drop)
            }
            Err(crash) => self
                .begin_step(host, life, Event::Crash, Some(&crash.to_string()), writes)
                .map(drop),
        }
    }

    /// Puts running instances in place and watches them.
    fn install(self: &Arc<Self>, host: &Arc<Host>, mail: Arc<Mail>) {
        self.mail.store(Some(mail.clone()));
        host.commit();
        Self::ask_for_hearing(host, &mail);
        let (plugin, host) = (self.clone(), host.clone());
        let mut crashed = mail.crashed();
        host.runtime.clone().spawn(async move {
            let crash = match crashed.wait_for(Option::is_some).await {
                Ok(crash) => crash.clone(),
                Err(_) => return,
            };
            if let Some(crash) = crash
                && let Err(error) = plugin.crashed(&host, &mail, &crash).await
            {
                tracing::error!(plugin = &*plugin.id, "after a crash: {error:#}");
            }
        });
    }

    /// What the plugin will be told of needs a grant that nobody has to call for: a person is asked when it starts.
    fn ask_for_hearing(host: &Arc<Host>, mail: &Arc<Mail>) {
        let mail = mail.clone();
        host.runtime.spawn(async move {
            for id in HEARING {
                let asked = CapabilityUse::any(id);
                let decision = mail.shared.authority.decide(&asked);
                if mail.shared.manifest.declares(id) && decision.outcome == Outcome::Ask {
                    mail.shared.authority.ask(&asked, decision).await;
                }
            }
        });
    }

    /// What runs has crashed. A crash of what is gone already is no news.
    async fn crashed(
        self: &Arc<Self>,
        host: &Arc<Host>,
        mail: &Arc<Mail>,
        crash: &Crash,
    ) -> Result<()> {
        let life = &mut *self.life().await;
        let current = self.mail.load_full();
        if !current.is_some_and(|current| Arc::ptr_eq(&current, mail)) {
            return Ok(());
        }
        let mut writes = Writes::new();
        // It is seen as failed before its route is gone: whoever asks in between is told to come back.
        let step = self.begin_step(
            host,
            life,
            Event::Crash,
            Some(&crash.to_string()),
            &mut writes,
        )?;
        self.mail.store(None);
        host.commit();
        mail.diary().line(
            plugin_store::Level::Error,
            &format!("crashed: {crash}"),
            Some(serde_json::json!({"crash": crash.code()}).to_string()),
        );
        tracing::warn!(plugin = &*self.id, %crash, "plugin crashed");
        writes.collect::<()>().await;
        self.keep_disabled(host, &step).await
    }

    /// A plugin that was given up stays disabled after a restart of the host, too.
    async fn keep_disabled(&self, host: &Host, step: &Step) -> Result<()> {
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

    /// Starts it again, unless something else happened to it meanwhile.
    async fn retry(self: &Arc<Self>, host: &Arc<Host>, at_ms: u64) -> Result<()> {
        {
            let life = &mut *self.life().await;
            if life.machine.retry_at() != Some(at_ms) {
                return Ok(());
            }
            self.step(host, life, Event::Retry, None).await?;
            let record = host.record(&self.id).await?;
            self.instantiate(host, life, &record).await?;
            if life.machine.state() != State::Ready {
                let disabled = Step {
                    from: State::Loading,
                    via: None,
                    to: life.machine.state(),
                    effects: Vec::new(),
                };
                return self.keep_disabled(host, &disabled).await;
            }
        }
        let mut writes = Writes::new();
        self.activate(host, &mut writes).await?;
        writes.collect::<()>().await;
        self.tell_ready();
        let now = Step {
            from: State::Ready,
            via: None,
            to: self.state(),
            effects: Vec::new(),
        };
        self.keep_disabled(host, &now).await
    }

    /// Tells its instances that all plugins are active.
    pub(crate) fn tell_ready(&self) {
        if let Some(mail) = self.mail.load_full() {
            mail.ready();
        }
    }

    /// Stops what runs of it; afterwards it is unloaded, or as it was where nothing ran.
    pub(crate) async fn unload(self: &Arc<Self>, host: &Arc<Host>) -> Result<()> {
        let life = &mut *self.life().await;
        let stopping = matches!(
            life.machine.state(),
            State::Loading | State::Ready | State::Loaded | State::Failed
        );
        if !stopping {
            return Ok(());
        }
        let step = self.step(host, life, Event::Unload, None).await?;
        life.waiting = None;
        let mail = self.mail.swap(None);
        host.commit();
        if let Some(mail) = mail {
            mail.stop().await;
        }
        if step.to == State::Unloading {
            self.step(host, life, Event::Gone, None).await?;
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
        let life = &mut *self.life().await;
        if life.machine.state() != State::Disabled {
            self.step(host, life, Event::Disable, reason).await?;
        }
        Ok(())
    }

    /// From disabled to discovered.
    pub(crate) async fn enable(self: &Arc<Self>, host: &Arc<Host>) -> Result<()> {
        let life = &mut *self.life().await;
        self.step(host, life, Event::Enable, None).await.map(drop)
    }

    /// Another package, or another look at the same: to discovered. Nothing may run.
    pub(crate) async fn change(self: &Arc<Self>, host: &Arc<Host>, package: Package) -> Result<()> {
        let life = &mut *self.life().await;
        self.package.store(Arc::new(package));
        match life.machine.state() {
            State::Discovered | State::Disabled => Ok(()),
            _ => self.step(host, life, Event::Change, None).await.map(drop),
        }
    }

    /// Replaces what runs by `package` without a pause: the old instances serve until the new one is ready (T38). When the new one does not get
    /// ready, the old ones stay.
    pub(crate) async fn reload(self: &Arc<Self>, host: &Arc<Host>, package: Package) -> Result<()> {
        let life = &mut *self.life().await;
        ensure!(
            life.machine.state() == State::Loaded,
            "a plugin that is {} cannot be reloaded",
            life.machine.state()
        );
        let before = self.package.swap(Arc::new(package));
        let started = async {
            let loaded = self.compile(host, &self.package.load_full()).await?;
            let record = host.record(&self.id).await?;
            let mail = self.mail(host, loaded.clone(), &record).await?;
            let guest = match self.checked(&loaded, &mail).await {
                Ok(guest) => guest,
                Err(Refused::Blocked(reason)) => bail!("{reason}"),
                Err(Refused::Crashed(crash)) => return Err(crash.into()),
            };
            mail.activate(guest).await?;
            mail.ready();
            anyhow::Ok((loaded, mail))
        };
        let (loaded, mail) = match started.await {
            Ok(started) => started,
            Err(error) => {
                self.package.store(before);
                return Err(error.context("the new version does not start; the old one goes on"));
            }
        };
        life.loaded = Some(loaded);
        let old = self.mail.load_full();
        self.install(host, mail);
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
            self.step(host, life, event, None).await?;
        }
        Ok(())
    }
}

/// A plugin goes on without the record of what happened to it, and the operator is told.
async fn write_down(host: Arc<Host>, row: LifecycleEvent) {
    let plugin = row.plugin.clone();
    if let Err(error) = host.store.event(row).await {
        tracing::error!(plugin, %error, "a lifecycle event was not written");
    }
}

/// Why there is no instance.
enum Refused {
    Blocked(String),
    Crashed(Crash),
}
