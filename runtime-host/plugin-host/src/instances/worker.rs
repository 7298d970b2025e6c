//! The task of one instance: it creates the instance, gives it one job after the other, and ends it.

use crate::instances::{
    group::{Next, Source, Work},
    instance::{Crash, Instance},
    jobs::Job,
    pool::InstancePool,
};
use limits::plugin as bounds;
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tokio::time::timeout;

impl InstancePool {
    /// Runs an instance to its end; `instance` is one that is active already. A crash ends all instances.
    pub(super) async fn run_instance(
        &self,
        work: Work,
        number: u64,
        instance: Option<Instance>,
        source: Source,
    ) {
        let outcome = self.serve(&work, number, instance, &source).await;
        self.shared.bus.forget(number);
        let crash = match outcome {
            Ok(()) | Err(Crash::Ended { .. }) => return,
            Err(crash) => crash,
        };
        self.end();
        self.crashed.send_if_modified(|first| match first {
            Some(_) => false,
            None => {
                *first = Some(crash);
                true
            }
        });
    }

    async fn serve(
        &self,
        work: &Work,
        number: u64,
        instance: Option<Instance>,
        source: &Source,
    ) -> Result<(), Crash> {
        let mut instance = match instance {
            Some(instance) => instance,
            None => {
                let mut instance =
                    Instance::instantiate(&self.loaded, &self.shared, &work.scope(), number)
                        .await?;
                instance.activate().await?;
                if self.ready.load(Ordering::Acquire) {
                    instance.ready().await?;
                }
                instance
            }
        };
        let idle = Duration::from_millis(bounds::INSTANCE_IDLE_MS);
        loop {
            match timeout(idle, source.next()).await {
                Ok(Next::Job(job)) => {
                    self.perform(job, &mut instance).await?;
                    source.jobs.enter();
                }
                // A notice is short: a job waits for it rather than for another instance.
                Ok(Next::Notice(notice)) => self.perform(notice, &mut instance).await?,
                Ok(Next::End) => break,
                Err(_) if self.evict(work, number, source) => break,
                Err(_) => {}
            }
        }
        instance.deactivate().await
    }

    async fn perform(&self, job: Job, instance: &mut Instance) -> Result<(), Crash> {
        self.shared.metrics.begin();
        let started = Instant::now();
        let outcome = job.run(instance).await;
        self.shared.metrics.end(started.elapsed());
        outcome
    }

    /// Removes an idle instance from the pool, unless work has just arrived. One for requests stays: it is the one that
    /// shows that the plugin runs.
    fn evict(&self, work: &Work, number: u64, source: &Source) -> bool {
        let mut groups = self.groups.lock();
        let Some(groups) = groups.as_mut() else {
            return false;
        };
        let Some(group) = groups.get_mut(work) else {
            return false;
        };
        let is_last = group.members.len() == 1;
        if !source.is_empty() || is_last && *work == Work::Requests {
            return false;
        }
        source.jobs.leave();
        if is_last {
            groups.remove(work);
        } else {
            group.members.retain(|member| member.number != number);
        }
        true
    }
}
