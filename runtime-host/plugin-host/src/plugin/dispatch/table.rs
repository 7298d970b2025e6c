//! The table of running plugins by what they subscribe to, and the dispatch of envelopes to them.
//!
//! Readers take a snapshot without locking, and one bit for each topic makes an envelope without subscribers free. The table is replaced as a
//! whole; a dispatch that began with the old one ends with it.

use crate::plugin::{
    bindings::{
        exports::jackfield::plugin::{
            chat_handler::{ChatMessage, Judgement},
            event_handler::{Disposition, PluginEvent},
        },
        jackfield::plugin::types::PluginError,
    },
    instances::{jobs::Job, pool::InstancePool, state::Scope},
};
use arc_swap::ArcSwap;
use capability::{CapabilityId, CapabilityUse, Target};
use limits::plugin as bounds;
use plugin_bus::Topic;
use plugin_store::Level;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
    time::timeout,
};

/// What plugins decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It goes on as it is.
    Relay,
    /// It goes on with this text.
    Rewrite(String),
    /// It ends here.
    Consume,
    /// It ends here, and the sender is told.
    Refuse {
        /// The plugin that refuses.
        plugin_id: Arc<str>,
        /// Why.
        reason: String,
    },
}

/// Where a decision goes.
pub(crate) type Decided = Box<dyn FnOnce(Decision) + Send>;

/// A running plugin.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) id: Arc<str>,
    pub(crate) pool: Arc<InstancePool>,
}

impl Listener {
    /// Whether the plugin may use a capability now: declared in its manifest and granted.
    pub(crate) fn may(&self, id: CapabilityId, target: Target<'_>) -> bool {
        self.pool
            .shared
            .authority
            .decide(&CapabilityUse::new(id, target))
            .is_allowed()
    }

    fn may_receive(&self, event_name: &str) -> bool {
        self.may(
            CapabilityId::EventsServerSubscribe,
            Target::name(event_name),
        )
    }

    fn may_moderate(&self) -> bool {
        self.may(CapabilityId::MessagesModerate, Target::ANY)
    }
}

/// The running plugins by what they listen to.
#[derive(Default)]
pub(crate) struct Table {
    /// In load order.
    pub(crate) all: Vec<Listener>,
    chat: Vec<Listener>,
    events: HashMap<Arc<str>, Listener>,
    pub(crate) routes: HashMap<String, Listener>,
    topics: u8,
}

impl Table {
    /// A table of plugins in load order.
    pub(crate) fn new(all: Vec<Listener>) -> Self {
        use CapabilityId::{ChannelsRead, EventsServerSubscribe, MessagesModerate};
        let declares = |listener: &&Listener, id| listener.pool.shared.manifest.declares(id);
        let chat: Vec<Listener> = all
            .iter()
            .filter(|listener| declares(listener, MessagesModerate))
            .cloned()
            .collect();
        let events: HashMap<_, _> = all
            .iter()
            .filter(|listener| declares(listener, EventsServerSubscribe))
            .map(|listener| (listener.id.clone(), listener.clone()))
            .collect();
        let routes = all.iter().filter_map(|listener| {
            let route = listener.pool.shared.manifest.route.as_deref()?;
            Some((route.trim_matches('/').to_owned(), listener.clone()))
        });
        let routes = routes.collect();
        let bit = |wanted: bool, topic: Topic| if wanted { topic.bit() } else { 0 };
        let topics = bit(!chat.is_empty(), Topic::Chat)
            | bit(!events.is_empty(), Topic::PluginEvent)
            | bit(
                all.iter().any(|listener| declares(&listener, ChannelsRead)),
                Topic::Channels,
            );
        Self {
            all,
            chat,
            events,
            routes,
            topics,
        }
    }
}

/// Hands envelopes to plugins.
pub struct Dispatch {
    topics: AtomicU8,
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
            table: ArcSwap::default(),
            runtime,
            in_flight,
        }
    }

    /// Puts another table in place.
    pub(crate) fn commit(&self, table: Table) {
        let topics = table.topics;
        self.table.store(Arc::new(table));
        self.topics.store(topics, Ordering::Release);
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Whether any plugin listens to a topic: one atomic load and one bit test.
    #[must_use]
    pub fn listens(&self, topic: Topic) -> bool {
        self.topics.load(Ordering::Acquire) & topic.bit() != 0
    }

    /// Whether a plugin subscribes to an event of its own and is granted to.
    #[must_use]
    pub fn subscribes(&self, plugin_id: &str, event_name: &str) -> bool {
        self.listens(Topic::PluginEvent)
            && self
                .table
                .load()
                .events
                .get(plugin_id)
                .is_some_and(|listener| listener.may_receive(event_name))
    }

    /// Whether any plugin moderates chat and is granted to.
    #[must_use]
    pub fn moderates(&self) -> bool {
        self.listens(Topic::Chat) && self.table.load().chat.iter().any(Listener::may_moderate)
    }

    /// Delivers an event that was already sent. False: the plugin's mailbox is full.
    #[must_use]
    pub(crate) fn inform(&self, event: PluginEvent, hops: u8) -> bool {
        let table = self.table.load();
        let Some(listener) = table.events.get(event.plugin_id.as_str()) else {
            return true;
        };
        let scope = Scope::Server(event.server_id.as_str().into());
        listener
            .pool
            .enqueue(
                &scope,
                Job::Event {
                    event,
                    hops,
                    reply: None,
                },
            )
            .is_ok()
    }

    /// Asks a plugin to decide about an event. False: its mailbox is full or too many decisions are pending, and `decided` is not called.
    #[must_use]
    pub(crate) fn ask(&self, event: PluginEvent, hops: u8, decided: Decided) -> bool {
        let table = self.table.load();
        let Some(listener) = table.events.get(event.plugin_id.as_str()).cloned() else {
            decided(Decision::Relay);
            return true;
        };
        let Ok(place) = self.in_flight.clone().try_acquire_owned() else {
            return false;
        };
        let scope = Scope::Server(event.server_id.as_str().into());
        let (reply, answer) = oneshot::channel();
        if listener
            .pool
            .enqueue(
                &scope,
                Job::Event {
                    event,
                    hops,
                    reply: Some(reply),
                },
            )
            .is_err()
        {
            return false;
        }
        self.runtime.spawn(async move {
            let decision = match await_answer(&listener, "on-event", answer).await {
                Some(Disposition::Consume) => Decision::Consume,
                Some(Disposition::Reject(reason)) => Decision::Refuse {
                    plugin_id: listener.id,
                    reason,
                },
                Some(Disposition::Relay) | None => Decision::Relay,
            };
            drop(place);
            decided(decision);
        });
        true
    }

    /// Asks the plugins that moderate chat, in load order; each sees the message as the plugins before it left it. False: too many decisions
    /// are pending, and `decided` is not called.
    #[must_use]
    pub(crate) fn ask_chat(&self, message: ChatMessage, hops: u8, decided: Decided) -> bool {
        let Ok(place) = self.in_flight.clone().try_acquire_owned() else {
            return false;
        };
        let table = self.table.load_full();
        self.runtime.spawn(async move {
            let decision = moderate_chat(&table, message, hops).await;
            drop(place);
            decided(decision);
        });
        true
    }
}

async fn moderate_chat(table: &Table, mut message: ChatMessage, hops: u8) -> Decision {
    let scope = Scope::Server(message.server_id.as_str().into());
    let mut rewritten = false;
    for listener in table.chat.iter().filter(|listener| listener.may_moderate()) {
        let (reply, answer) = oneshot::channel();
        if let Err(busy) = listener.pool.enqueue(
            &scope,
            Job::Chat {
                message: message.clone(),
                hops,
                reply,
            },
        ) {
            log_failure(listener, "on-chat", &format!("was not asked: {busy}"));
            continue;
        }
        match await_answer(listener, "on-chat", answer).await {
            Some(Judgement::Pass) | None => {}
            Some(Judgement::Rewrite(text)) => {
                message.text = text;
                rewritten = true;
            }
            Some(Judgement::Flag(reason)) => {
                let fields = serde_json::json!({"flag": reason, "sender": message.sender_id, "server": message.server_id}).to_string();
                listener
                    .pool
                    .log()
                    .line(Level::Warn, "flagged a message", Some(fields));
            }
            Some(Judgement::Refuse(reason)) => {
                return Decision::Refuse {
                    plugin_id: listener.id.clone(),
                    reason,
                };
            }
        }
    }
    if rewritten {
        Decision::Rewrite(message.text)
    } else {
        Decision::Relay
    }
}

/// A plugin's answer. None when the call failed; the failure is in the plugin's log, and the envelope is relayed.
async fn await_answer<T>(
    listener: &Listener,
    call: &'static str,
    answer: oneshot::Receiver<Result<T, PluginError>>,
) -> Option<T> {
    // The call itself has a deadline; this one also counts the time in the mailbox.
    match timeout(Duration::from_millis(bounds::ACTION_DEADLINE_MS), answer).await {
        Ok(Ok(Ok(answer))) => return Some(answer),
        Ok(Ok(Err(error))) => log_failure(listener, call, &error.message),
        Ok(Err(_)) => log_failure(listener, call, "it ended in the middle"),
        Err(_) => log_failure(listener, call, "it did not answer in time"),
    }
    None
}

fn log_failure(listener: &Listener, call: &'static str, why: &str) {
    listener.pool.log().line(
        Level::Error,
        &format!("{call}: {why}; the envelope goes on"),
        None,
    );
}
