//! The dispatch of envelopes to plugins.
//!
//! Readers take a snapshot of the table without locking, and one bit for each topic makes an envelope without
//! subscribers free. The table is replaced as a whole; a dispatch that began with the old one ends with it.

use crate::{
    bindings::exports::jackfield::plugin::{
        chat_handler::ChatMessage,
        event_handler::{Disposition, PluginEvent},
    },
    dispatch::{
        decision::{AwaitedDecision, Decision, await_answer},
        moderation,
        table::{Listener, Table},
    },
    instances::{call::Question, group::Work, jobs::Job},
};
use arc_swap::ArcSwap;
use limits::plugin as bounds;
use plugin_bus::{ServerPlugins, Topic};
use plugin_manifest::HookSet;
use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU32, Ordering},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// Hands envelopes to plugins.
pub struct Dispatch {
    topics: AtomicU8,
    /// The bits of a [`HookSet`].
    hooks: AtomicU32,
    table: ArcSwap<Table>,
    runtime: Handle,
    in_flight: Arc<Semaphore>,
}

impl std::fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatch").finish_non_exhaustive()
    }
}

impl Dispatch {
    pub(crate) fn new(runtime: Handle) -> Self {
        let in_flight = Arc::new(Semaphore::new(bounds::DECISIONS_MAX));
        Self {
            topics: AtomicU8::new(0),
            hooks: AtomicU32::new(0),
            table: ArcSwap::default(),
            runtime,
            in_flight,
        }
    }

    /// Puts another table in place.
    pub(crate) fn commit(&self, table: Table) {
        let (topics, hooks) = (table.topics(), table.hooks());
        self.table.store(Arc::new(table));
        self.topics.store(topics, Ordering::Release);
        self.hooks.store(hooks.bits(), Ordering::Release);
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Whether any plugin listens to a topic: one atomic load and one bit test.
    #[must_use]
    pub fn listens(&self, topic: Topic) -> bool {
        self.topics.load(Ordering::Acquire) & topic.bit() != 0
    }

    /// Whether any plugin takes part in a hook: one atomic load and one bit test.
    pub(super) fn has_hook(&self, hook: &str) -> bool {
        HookSet::from_bits(self.hooks.load(Ordering::Acquire)).contains(hook)
    }

    /// Whether a plugin acts on a server, subscribes to an event of its own and is granted to.
    #[must_use]
    pub fn subscribes(&self, server: &ServerPlugins, plugin_id: &str, event_name: &str) -> bool {
        if !self.listens(Topic::PluginEvent) {
            return false;
        }
        let table = self.table.load();
        table
            .subscriber(plugin_id)
            .is_some_and(|listener| listener.acts_on(server) && listener.may_receive(event_name))
    }

    /// Whether any plugin acts on a server, moderates chat and is granted to.
    #[must_use]
    pub fn moderates(&self, server: &ServerPlugins) -> bool {
        if !self.listens(Topic::Chat) {
            return false;
        }
        let table = self.table.load();
        let may_moderate = |listener: &Listener| listener.may_moderate(server);
        table.misses_moderator_on(server) || table.moderators().iter().any(may_moderate)
    }

    /// Delivers an event to the plugin that it belongs to, which decides about it if a decision is awaited. False: the
    /// plugin's mailbox is full or too many decisions are pending; then no decision is sent.
    #[must_use]
    pub(crate) fn event(
        &self,
        event: PluginEvent,
        hops: u8,
        decision: Option<AwaitedDecision>,
    ) -> bool {
        let Some(owner) = self.table.load().subscriber(&event.plugin_id).cloned() else {
            if let Some(decision) = decision {
                decision.send(Decision::Relay);
            }
            return true;
        };
        let work = Work::Server(event.server_id.as_str().into());
        let enqueue = |question| {
            let job = Job::Event {
                event,
                hops,
                question,
            };
            owner.pool.enqueue(&work, job).is_ok()
        };
        let Some(decision) = decision else {
            return enqueue(None);
        };
        let Some(permit) = self.permit() else {
            return false;
        };
        let (question, answer) = Question::new(decision.call_ms(&owner));
        if !enqueue(Some(question)) {
            return false;
        }
        self.runtime.spawn(async move {
            let answer = await_answer(answer, decision.left()).await;
            drop(permit);
            decision.send(match answer {
                Ok(Disposition::Relay) => Decision::Relay,
                Ok(Disposition::Consume) => Decision::Consume,
                Ok(Disposition::Reject(reason)) => Decision::Refuse {
                    plugin_id: owner.id.clone(),
                    reason,
                },
                Err(why) => {
                    owner.log_failure(&format!("on-event: {why}; the event is refused"));
                    Decision::Unavailable
                }
            });
        });
        true
    }

    /// Asks the plugins that moderate chat on a server. False: too many decisions are pending; then no decision is sent.
    #[must_use]
    pub(crate) fn chat(
        &self,
        server: Arc<ServerPlugins>,
        message: ChatMessage,
        hops: u8,
        decision: AwaitedDecision,
    ) -> bool {
        let Some(permit) = self.permit() else {
            return false;
        };
        let table = self.table();
        if table.misses_moderator_on(&server) {
            decision.send(Decision::Unavailable);
            return true;
        }
        self.runtime.spawn(async move {
            let moderators = table.moderators();
            let outcome = moderation::moderate(moderators, &server, message, hops, &decision).await;
            drop(permit);
            decision.send(outcome);
        });
        true
    }

    /// Counts one decision that is pending.
    fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.in_flight.clone().try_acquire_owned().ok()
    }
}
