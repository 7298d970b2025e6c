//! The table of running plugins by what they subscribe to.

use crate::{instances::pool::InstancePool, lifecycle::plugin::Plugin};
use capability::{CapabilityId, CapabilityUse, Target};
use plugin_bus::{Actor, Reach, ServerPlugins, Topic};
use plugin_manifest::HookSet;
use plugin_store::Level;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// A running plugin.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) id: Arc<str>,
    pub(crate) pool: Arc<InstancePool>,
    /// The hooks that its manifest names.
    pub(super) hooks: HookSet,
}

impl Listener {
    /// A plugin with its running instances.
    pub(crate) fn new(id: Arc<str>, pool: Arc<InstancePool>) -> Self {
        let hooks = pool.shared.manifest.hook_set();
        Self { id, pool, hooks }
    }

    /// Whether the plugin may use a capability now: declared in its manifest and granted. A refusal is in the audit.
    pub(crate) fn may(&self, id: CapabilityId, target: Target<'_>) -> bool {
        let authority = &self.pool.shared.authority;
        authority.delivers(&CapabilityUse::new(id, target))
    }

    /// Whether the plugin acts on a server that says this about plugins.
    pub(crate) fn acts_on(&self, server: &ServerPlugins) -> bool {
        server.admit(self.pool.shared.actor()).is_ok()
    }

    pub(super) fn may_receive(&self, event_name: &str) -> bool {
        self.may(
            CapabilityId::EventsServerSubscribe,
            Target::name(event_name),
        )
    }

    /// Whether the plugin acts on the server and may moderate; of a generation that has ended, whether it could at last.
    pub(super) fn may_moderate(&self, server: &ServerPlugins) -> bool {
        let shared = &self.pool.shared;
        if !self.acts_on(server) || shared.authority.skips_hooks() {
            return false;
        }
        let may = self.may(CapabilityId::MessagesModerate, Target::ANY);
        if shared.is_ended() {
            return shared.moderates.load(Relaxed);
        }
        shared.moderates.store(may, Relaxed);
        may
    }

    /// Writes into the plugin's log that its part of a decision is missing.
    pub(super) fn log_failure(&self, text: &str) {
        self.pool.log().line(Level::Error, text, None);
    }
}

/// A plugin that should moderate and does not run: no message passes without it where it acts.
pub(crate) struct MissedModerator {
    pub(crate) plugin: Arc<Plugin>,
    /// Where it acts, besides the servers whose requirements name it.
    pub(crate) reach: Reach,
}

/// The running plugins by what they listen to.
#[derive(Default)]
pub(crate) struct Table {
    all: Vec<Listener>,
    chat: Vec<Listener>,
    events: HashMap<Arc<str>, Listener>,
    routes: HashMap<String, Listener>,
    topics: u8,
    /// Plugins that may be missed where they moderate.
    missed_moderators: Vec<MissedModerator>,
    /// Plugins that should run, do not, and take part in hooks.
    missed: Vec<Arc<Plugin>>,
}

impl Table {
    /// A table of plugins in load order, and of those that should run and do not: those that may moderate, and those
    /// among the `missed` that take part in hooks.
    pub(crate) fn new(
        all: Vec<Listener>,
        missed_moderators: Vec<MissedModerator>,
        mut missed: Vec<Arc<Plugin>>,
    ) -> Self {
        use CapabilityId::{ChannelsRead, EventsServerSubscribe, MessagesModerate};
        let declares = |listener: &&Listener, id| listener.pool.shared.manifest.declares(id);
        let chat: Vec<Listener> = all
            .iter()
            .filter(|listener| declares(listener, MessagesModerate))
            .filter(|listener| listener.pool.handles_chat())
            .cloned()
            .collect();
        let events: HashMap<_, _> = all
            .iter()
            .filter(|listener| declares(listener, EventsServerSubscribe))
            .filter(|listener| listener.pool.handles_events())
            .map(|listener| (listener.id.clone(), listener.clone()))
            .collect();
        let routes = all.iter().filter_map(|listener| {
            let route = listener.pool.shared.manifest.route.as_deref()?;
            Some((route.trim_matches('/').to_owned(), listener.clone()))
        });
        let routes = routes.collect();
        let bit = |wanted: bool, topic: Topic| if wanted { topic.bit() } else { 0 };
        let topics = bit(
            !missed_moderators.is_empty() || !chat.is_empty(),
            Topic::Chat,
        ) | bit(!events.is_empty(), Topic::PluginEvent)
            | bit(
                all.iter().any(|listener| declares(&listener, ChannelsRead)),
                Topic::Channels,
            );
        missed.retain(|plugin| !plugin.package.load().manifest.hooks.is_empty());
        Self {
            all,
            chat,
            events,
            routes,
            topics,
            missed_moderators,
            missed,
        }
    }

    /// All plugins, in load order.
    pub(crate) fn all(&self) -> &[Listener] {
        &self.all
    }

    /// Plugins that declare to moderate chat and have a handler for it, in load order.
    pub(super) fn moderators(&self) -> &[Listener] {
        &self.chat
    }

    /// Whether messages on a server have to wait for a plugin that moderates there.
    pub(super) fn misses_moderator_on(&self, server: &ServerPlugins) -> bool {
        self.missed_moderators.iter().any(|missed| {
            let actor = Actor {
                plugin_id: &missed.plugin.id,
                reach: missed.reach,
            };
            missed.plugin.is_wanted_moderator() && server.admit(actor).is_ok()
        })
    }

    /// Plugins that take part in hooks and did not run when the table was made, though they should.
    pub(super) fn missed(&self) -> &[Arc<Plugin>] {
        &self.missed
    }

    /// The hooks that a plugin takes part in.
    pub(super) fn hooks(&self) -> HookSet {
        let running = self.all.iter().map(|listener| listener.hooks);
        let missed = self.missed.iter();
        let missed = missed.map(|plugin| plugin.package.load().manifest.hook_set());
        running
            .chain(missed)
            .fold(HookSet::default(), HookSet::union)
    }

    /// The plugin, if it declares to receive its events and has a handler for them.
    pub(super) fn subscriber(&self, plugin_id: &str) -> Option<&Listener> {
        self.events.get(plugin_id)
    }

    /// The plugin that answers requests on a route.
    pub(crate) fn on_route(&self, route: &str) -> Option<&Listener> {
        self.routes.get(route)
    }

    /// The topics with a listener, as bits.
    pub(super) fn topics(&self) -> u8 {
        self.topics
    }
}
