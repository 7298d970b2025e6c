//! The running instances of one plugin: groups for requests, tools and hooks, and one instance for each chat server,
//! created when there is work for them.
//!
//! Instances, mailboxes and idle time are bounded. When one instance crashes, all of the plugin end, so that none meets
//! state that another left half written; the questions of jobs that wait are answered by being dropped.

use crate::{
    bindings::exports::jackfield::plugin::{event_handler::BusMessage, lifecycle::DataChange},
    instances::{
        bus,
        context::PluginContext,
        group::{Group, Member, Source, Work},
        instance::{Crash, Instance},
        jobs::Job,
        log::PluginLog,
        mailbox::{EnqueueError, Mailbox},
        store_data::Scope,
    },
    lifecycle::{load::Loaded, tools::ToolSchemas},
};
use limits::plugin as bounds;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    time::timeout,
};

/// The instances of one loaded version of a plugin.
pub(crate) struct InstancePool {
    pub(super) loaded: Arc<Loaded>,
    pub(crate) shared: Arc<PluginContext>,
    /// The host's own lines in the plugin's log.
    log: PluginLog,
    /// Instances are also created for calls from threads without a runtime.
    runtime: Handle,
    pub(super) groups: Mutex<Option<HashMap<Work, Group>>>,
    numbers: AtomicU64,
    /// The first crash, watched by the plugin's supervision.
    pub(super) crashed: watch::Sender<Option<Crash>>,
    /// Whether `ready` was called; instances created later get it at once.
    pub(super) ready: AtomicBool,
    /// One permit for each instance that the quota allows.
    alive: Arc<Semaphore>,
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
                log: shared.new_log(),
                runtime,
                groups: Mutex::new(Some(HashMap::new())),
                numbers: AtomicU64::new(1),
                crashed: watch::Sender::new(None),
                ready: AtomicBool::new(false),
                alive: Arc::new(Semaphore::new(shared.quota.instances)),
                shared,
            }
        })
    }

    /// Creates the first instance for requests, without activating it.
    pub(crate) async fn prepare(&self) -> Result<Instance, Crash> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        Instance::instantiate(&self.loaded, &self.shared, &Scope::Host, number).await
    }

    /// Activates what [`InstancePool::prepare`] made, and adds it to the pool.
    pub(crate) async fn activate(self: &Arc<Self>, mut instance: Instance) -> Result<(), Crash> {
        instance.activate().await?;
        let number = instance.number();
        let mut groups = self.groups.lock();
        if let Some(groups) = groups.as_mut() {
            let group = groups.entry(Work::Requests).or_default();
            if let Ok(member) = self.spawn(Work::Requests, &group.jobs, number, Some(instance)) {
                group.members.push(member);
            }
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

    /// The schemas of its tools.
    pub(crate) fn tool_schemas(&self) -> &ToolSchemas {
        &self.loaded.tools
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

    /// Enqueues a job for the instances that do some work. One more is created if all are at work and there may be more.
    ///
    /// # Errors
    /// [`EnqueueError`]; the job is dropped, and with it its question.
    pub(crate) fn enqueue(self: &Arc<Self>, work: &Work, job: Job) -> Result<(), EnqueueError> {
        self.try_enqueue(work, job)
            .inspect_err(|_| self.shared.metrics.turn_away())
    }

    fn try_enqueue(self: &Arc<Self>, work: &Work, job: Job) -> Result<(), EnqueueError> {
        let mut groups = self.groups.lock();
        let groups = groups.as_mut().ok_or(EnqueueError::Gone)?;
        let group = match groups.get_mut(work) {
            Some(group) => group,
            None => groups.entry(work.clone()).or_default(),
        };
        if group.members.len() < self.most(work) && group.jobs.is_short_of_instances() {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            match self.spawn(work.clone(), &group.jobs, number, None) {
                Ok(member) => group.members.push(member),
                // The job waits for one of those that there are.
                Err(_) if !group.members.is_empty() => {}
                Err(full) => {
                    groups.remove(work);
                    return Err(full);
                }
            }
        }
        group.jobs.push(job)
    }

    /// How many instances may do some work at once.
    fn most(&self, work: &Work) -> usize {
        match work {
            // Its envelopes keep their order.
            Work::Server(_) => 1,
            _ => self.shared.quota.request_instances,
        }
    }

    /// Enqueues a job for every running instance except `but`.
    pub(crate) fn notify_all(&self, but: Option<u64>, job: impl Fn() -> Job) {
        let groups = self.groups.lock();
        let groups = groups.iter().flat_map(HashMap::values);
        for member in groups.flat_map(|group| &group.members) {
            if but != Some(member.number) && member.notices.push(job()).is_err() {
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
        let work = Work::Server(server_id.into());
        let groups = self.groups.lock();
        let group = groups.as_ref().and_then(|groups| groups.get(&work));
        for member in group.into_iter().flat_map(|group| &group.members) {
            let job = Job::Requirements {
                server_id: server_id.to_owned(),
                snapshot: snapshot.to_owned(),
            };
            if member.notices.push(job).is_err() {
                tracing::warn!(
                    plugin = &*self.shared.id,
                    server_id,
                    "an instance has a full mailbox and misses changed requirements"
                );
            }
        }
    }

    /// Ends the instance of a server without connections, after the jobs in its mailbox.
    pub(crate) fn server_closed(&self, server_id: &str) {
        if let Some(groups) = self.groups.lock().as_mut() {
            groups.remove(&Work::Server(server_id.into()));
        }
    }

    /// Delivers a bus message to one instance; with a full mailbox it is dropped and logged.
    pub(crate) fn message(&self, scope: &Scope, number: u64, message: bus::Message) {
        let works = Work::of_scope(scope);
        let groups = self.groups.lock();
        let groups = groups
            .iter()
            .flat_map(|groups| works.iter().filter_map(|work| groups.get(work)));
        let mut members = groups.flat_map(|group| &group.members);
        let Some(member) = members.find(|member| member.number == number) else {
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
        if member.notices.push(Job::Message { message, hops }).is_err() {
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
        // A mailbox that is closed is read to its end, then its instances are deactivated.
        drop(self.groups.lock().take());
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
        let groups = self.groups.lock().take();
        groups
            .iter()
            .flatten()
            .for_each(|(_, group)| group.abandon());
    }

    /// Creates an instance that takes jobs from `jobs`.
    fn spawn(
        self: &Arc<Self>,
        work: Work,
        jobs: &Arc<Mailbox>,
        number: u64,
        instance: Option<Instance>,
    ) -> Result<Member, EnqueueError> {
        let alive = self
            .alive
            .clone()
            .try_acquire_owned()
            .map_err(|_| EnqueueError::Instances)?;
        let source = Source {
            jobs: jobs.clone(),
            notices: Arc::default(),
        };
        let member = Member {
            number,
            notices: source.notices.clone(),
        };
        source.jobs.enter();
        let pool = self.clone();
        self.runtime.spawn(async move {
            pool.run_instance(work, number, instance, source).await;
            drop(alive);
        });
        Ok(member)
    }
}
