//! The running instances of one plugin: one for requests and one for each chat server, created when there is work for
//! them.
//!
//! Instances, mailboxes and idle time are bounded. When one instance crashes, all of the plugin end, so that none meets
//! state that another left half written; jobs in their mailboxes are answered by their dropped reply channels.

use crate::{
    bindings::exports::jackfield::plugin::{event_handler::BusMessage, lifecycle::DataChange},
    instances::{
        bus,
        context::PluginContext,
        instance::{Crash, Instance},
        jobs::Job,
        log::PluginLog,
        store_data::Scope,
    },
    lifecycle::load::Loaded,
};
use limits::plugin as bounds;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnqueueError {
    /// Too many jobs wait for that instance.
    #[error("{} jobs wait for it already", bounds::MAILBOX_JOBS_MAX)]
    Mailbox,
    /// Too many instances.
    #[error("it has as many instances as it may have")]
    Instances,
    /// The plugin is not running.
    #[error("it is not running")]
    Gone,
}

/// The instances of one loaded version of a plugin.
pub(crate) struct InstancePool {
    loaded: Arc<Loaded>,
    pub(crate) shared: Arc<PluginContext>,
    /// The host's own lines in the plugin's log.
    log: PluginLog,
    /// Instances are also created for calls from threads without a runtime.
    runtime: Handle,
    instances: Mutex<Option<HashMap<Scope, InstanceHandle>>>,
    numbers: AtomicU64,
    /// The first crash, watched by the plugin's supervision.
    crashed: watch::Sender<Option<Crash>>,
    /// Whether `ready` was called; instances created later get it at once.
    ready: AtomicBool,
    /// One permit for each instance that the quota allows.
    alive: Arc<Semaphore>,
}

struct InstanceHandle {
    number: u64,
    jobs: mpsc::Sender<Job>,
}

impl InstancePool {
    /// A generation without instances.
    pub(crate) fn new(
        loaded: Arc<Loaded>,
        runtime: Handle,
        shared: impl FnOnce(Weak<Self>) -> PluginContext,
    ) -> Arc<Self> {
        Arc::new_cyclic(|pool| {
            let shared = Arc::new(shared(pool.clone()));
            Self {
                loaded,
                log: PluginLog::new(shared.id.clone(), shared.store.clone()),
                runtime,
                instances: Mutex::new(Some(HashMap::new())),
                numbers: AtomicU64::new(1),
                crashed: watch::Sender::new(None),
                ready: AtomicBool::new(false),
                alive: Arc::new(Semaphore::new(shared.quota.instances)),
                shared,
            }
        })
    }

    /// Creates the instance for requests, without activating it.
    pub(crate) async fn prepare(&self) -> Result<Instance, Crash> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        Instance::instantiate(&self.loaded, &self.shared, &Scope::Host, number).await
    }

    /// Activates what [`InstancePool::prepare`] made, and adds it to the pool.
    pub(crate) async fn activate(self: &Arc<Self>, mut instance: Instance) -> Result<(), Crash> {
        instance.activate().await?;
        let number = instance.number();
        let mut instances = self.instances.lock();
        if let Some(instances) = instances.as_mut()
            && let Ok(handle) = self.spawn(Scope::Host, number, Some(instance))
        {
            instances.insert(Scope::Host, handle);
        }
        Ok(())
    }

    /// How many instances are alive.
    pub(crate) fn alive(&self) -> usize {
        self.shared.quota.instances - self.alive.available_permits()
    }

    /// Whether the component exports a handler of events.
    pub(crate) fn handles_events(&self) -> bool {
        self.loaded.exports.events.is_some()
    }

    /// Whether the component exports a handler of chat messages.
    pub(crate) fn handles_chat(&self) -> bool {
        self.loaded.exports.chat.is_some()
    }

    /// The plugin's log.
    pub(crate) fn log(&self) -> &PluginLog {
        &self.log
    }

    /// Tells the instances that all plugins are active.
    pub(crate) fn ready(self: &Arc<Self>) {
        self.ready.store(true, Ordering::Release);
        self.notify_all(None, || Job::Ready);
    }

    /// Receives the first crash.
    pub(crate) fn crashed(&self) -> watch::Receiver<Option<Crash>> {
        self.crashed.subscribe()
    }

    /// Enqueues a job for the instance of a scope, which is created if there is none.
    ///
    /// # Errors
    /// [`EnqueueError`]; the job is dropped, and with it its reply.
    pub(crate) fn enqueue(self: &Arc<Self>, scope: &Scope, job: Job) -> Result<(), EnqueueError> {
        self.try_enqueue(scope, job)
            .inspect_err(|_| self.shared.metrics.turn_away())
    }

    fn try_enqueue(self: &Arc<Self>, scope: &Scope, job: Job) -> Result<(), EnqueueError> {
        let mut instances = self.instances.lock();
        let instances = instances.as_mut().ok_or(EnqueueError::Gone)?;
        if !instances.contains_key(scope) {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            instances.insert(scope.clone(), self.spawn(scope.clone(), number, None)?);
        }
        let handle = instances.get(scope).ok_or(EnqueueError::Gone)?;
        handle.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => EnqueueError::Mailbox,
            mpsc::error::TrySendError::Closed(_) => EnqueueError::Gone,
        })
    }

    /// Enqueues a job for every running instance except `but`.
    pub(crate) fn notify_all(&self, but: Option<u64>, job: impl Fn() -> Job) {
        for handle in self.instances.lock().iter().flat_map(HashMap::values) {
            if but != Some(handle.number) && handle.jobs.try_send(job()).is_err() {
                tracing::warn!(
                    plugin = &*self.shared.id,
                    "an instance has a full mailbox and misses a change"
                );
            }
        }
    }

    /// Notifies the instances, except the one that did it, that a value has changed; `hops` are those of the call that
    /// changed it.
    pub(crate) fn data_changed(
        &self,
        by_instance: Option<u64>,
        key: &str,
        by: &str,
        removed: bool,
        hops: u8,
    ) {
        self.notify_all(by_instance, || Job::Data {
            change: DataChange {
                key: key.to_owned(),
                by: by.to_owned(),
                removed,
            },
            hops,
        });
    }

    /// Notifies the instance of a server, if there is one, that the server's requirements have changed.
    pub(crate) fn requirements_changed(&self, server_id: &str, snapshot: &str) {
        let scope = Scope::Server(server_id.into());
        let instances = self.instances.lock();
        let Some(handle) = instances
            .as_ref()
            .and_then(|instances| instances.get(&scope))
        else {
            return;
        };
        let job = Job::Requirements {
            server_id: server_id.to_owned(),
            snapshot: snapshot.to_owned(),
        };
        if handle.jobs.try_send(job).is_err() {
            tracing::warn!(
                plugin = &*self.shared.id,
                server_id,
                "an instance has a full mailbox and misses changed requirements"
            );
        }
    }

    /// Ends the instance of a server without connections, after the jobs in its mailbox.
    pub(crate) fn server_closed(&self, server_id: &str) {
        if let Some(instances) = self.instances.lock().as_mut() {
            instances.remove(&Scope::Server(server_id.into()));
        }
    }

    /// Delivers a bus message to one instance; with a full mailbox it is dropped and logged.
    pub(crate) fn message(&self, scope: &Scope, number: u64, message: bus::Message) {
        let instances = self.instances.lock();
        let Some(handle) = instances
            .as_ref()
            .and_then(|instances| instances.get(scope))
            .filter(|handle| handle.number == number)
        else {
            return;
        };
        let bus::Message {
            topic,
            payload,
            published_ms,
            replayed,
            hops,
        } = message;
        let message = BusMessage {
            topic: topic.to_string(),
            payload: payload.to_string(),
            published_at: published_ms,
            replayed,
        };
        if handle
            .jobs
            .try_send(Job::Message { message, hops })
            .is_err()
        {
            tracing::warn!(
                plugin = &*self.shared.id,
                topic = &*topic,
                "an instance has a full mailbox; a bus message is dropped"
            );
        }
    }

    /// Stops all instances: no new jobs, those that wait are done, then `deactivate`. Calls that are not finished after
    /// [`bounds::STOP_GRACE_MS`] are ended with their stores. Nothing of this generation runs when this returns.
    pub(crate) async fn stop(&self) {
        // A mailbox whose sender is gone is read to its end, then its instance is deactivated.
        self.instances.lock().take();
        let all = self.shared.quota.instances as u32;
        let grace = Duration::from_millis(bounds::STOP_GRACE_MS);
        let in_time = timeout(grace, self.alive.acquire_many(all)).await.is_ok();
        self.shared.end();
        if !in_time {
            tracing::warn!(
                plugin = &*self.shared.id,
                "instances are still at work after {} ms and are ended",
                bounds::STOP_GRACE_MS
            );
            // The semaphore is never closed.
            drop(self.alive.acquire_many(all).await);
        }
    }

    /// Ends all instances at once, without grace: no call of them has an effect from now on.
    pub(crate) fn end(&self) {
        self.shared.end();
        self.instances.lock().take();
    }

    fn spawn(
        self: &Arc<Self>,
        scope: Scope,
        number: u64,
        instance: Option<Instance>,
    ) -> Result<InstanceHandle, EnqueueError> {
        let alive = self
            .alive
            .clone()
            .try_acquire_owned()
            .map_err(|_| EnqueueError::Instances)?;
        let (jobs, mailbox) = mpsc::channel(bounds::MAILBOX_JOBS_MAX);
        let pool = self.clone();
        self.runtime.spawn(async move {
            pool.work(scope, number, instance, mailbox).await;
            drop(alive);
        });
        Ok(InstanceHandle { number, jobs })
    }

    async fn work(
        &self,
        scope: Scope,
        number: u64,
        instance: Option<Instance>,
        mut mailbox: mpsc::Receiver<Job>,
    ) {
        let outcome = self.serve(&scope, number, instance, &mut mailbox).await;
        self.shared.bus.forget(number);
        if let Err(crash) = outcome {
            // The reply channels of waiting jobs are dropped, which answers them.
            drop(mailbox);
            if let Crash::Ended { .. } = crash {
                return;
            }
            self.end();
            self.crashed.send_if_modified(|first| match first {
                Some(_) => false,
                None => {
                    *first = Some(crash);
                    true
                }
            });
        }
    }

    async fn serve(
        &self,
        scope: &Scope,
        number: u64,
        instance: Option<Instance>,
        mailbox: &mut mpsc::Receiver<Job>,
    ) -> Result<(), Crash> {
        let mut instance = match instance {
            Some(instance) => instance,
            None => {
                let mut instance =
                    Instance::instantiate(&self.loaded, &self.shared, scope, number).await?;
                instance.activate().await?;
                if self.ready.load(Ordering::Acquire) {
                    instance.ready().await?;
                }
                instance
            }
        };
        let idle = Duration::from_millis(bounds::INSTANCE_IDLE_MS);
        loop {
            match timeout(idle, mailbox.recv()).await {
                Ok(Some(job)) => {
                    self.shared.metrics.begin();
                    let started = Instant::now();
                    let outcome = job.run(&mut instance).await;
                    self.shared.metrics.end(started.elapsed());
                    outcome?;
                }
                Ok(None) => break,
                Err(_) if *scope != Scope::Host && self.evict(scope, mailbox) => break,
                Err(_) => {}
            }
        }
        instance.deactivate().await
    }

    /// Removes an idle instance from the pool, unless a job has just arrived.
    fn evict(&self, scope: &Scope, mailbox: &mpsc::Receiver<Job>) -> bool {
        let mut instances = self.instances.lock();
        let idle = mailbox.is_empty();
        if idle && let Some(instances) = instances.as_mut() {
            instances.remove(scope);
        }
        idle
    }
}
