//! One running instance: calls with a deadline and fuel.
//!
//! A trap, spent fuel or a missed deadline is a [`Crash`]: the store is dropped with everything in it.

use crate::{
    bindings::exports::jackfield::plugin::{
        chat_handler, event_handler, hook_handler, http_handler, lifecycle, meta::PluginInfo, tools,
    },
    instances::{
        call::CallClock,
        context::PluginContext,
        store_data::{Scope, StoreData, tick},
    },
    lifecycle::load::Loaded,
};
use limits::plugin as bounds;
use sandbox::Scheduler;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::watch;
use wasmtime::{Store, Trap};

/// Why an instance ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Crash {
    /// It trapped.
    #[error("trap in {during}: {reason}")]
    Trap {
        /// The call.
        during: &'static str,
        /// What wasmtime says.
        reason: String,
    },
    /// The call took too long.
    #[error("deadline of {limit_ms} ms exceeded in {during}")]
    Deadline {
        /// The call.
        during: &'static str,
        /// Its limit.
        limit_ms: u64,
    },
    /// The call computed too much.
    #[error("all fuel consumed in {during} ({fuel} instructions)")]
    Fuel {
        /// The call.
        during: &'static str,
        /// Its limit.
        fuel: u64,
    },
    /// `activate` or `ready` answered an error.
    #[error("{during} failed: {reason}")]
    Refused {
        /// The call.
        during: &'static str,
        /// What the plugin says.
        reason: String,
    },
    /// The plugin was stopped during the call: by a kill switch, at the end of the grace time, or because another of its
    /// instances crashed.
    #[error("stopped in {during}")]
    Ended {
        /// The call.
        during: &'static str,
    },
}

impl Crash {
    /// A stable word for metrics and the database.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "trap",
            Self::Deadline { .. } => "deadline",
            Self::Fuel { .. } => "fuel",
            Self::Refused { .. } => "refused",
            Self::Ended { .. } => "ended",
        }
    }
}

/// An instance and what it exports.
pub(crate) struct Instance {
    pub(super) store: Store<StoreData>,
    pub(super) lifecycle: lifecycle::Guest,
    pub(super) http: Option<http_handler::Guest>,
    pub(super) events: Option<event_handler::Guest>,
    pub(super) chat: Option<chat_handler::Guest>,
    pub(super) hooks: Option<hook_handler::Guest>,
    pub(super) tools: Option<tools::Guest>,
}

/// Deadline and fuel of a call; its time runs already.
pub(crate) struct CallBudget {
    deadline_ms: u64,
    fuel: u64,
    clock: CallClock,
    scheduler: Arc<Scheduler>,
    ended: watch::Receiver<bool>,
}

impl CallBudget {
    /// Runs the call. After an error the instance cannot be used again.
    pub(crate) async fn run<T>(
        self,
        during: &'static str,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T, Crash> {
        let mut ended = self.ended.clone();
        tokio::select! {
            biased;
            finished = self.scheduler.run(call) => finished.map_err(|error| self.crash(&error, during)),
            // The sender lives as long as the store, so that an error cannot come.
            _ = ended.wait_for(|ended| *ended) => Err(Crash::Ended { during }),
            () = self.clock.over() => Err(Crash::Deadline {
                during,
                limit_ms: self.deadline_ms,
            }),
        }
    }

    fn crash(&self, error: &wasmtime::Error, during: &'static str) -> Crash {
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) if *self.ended.borrow() => Crash::Ended { during },
            Some(Trap::Interrupt) => Crash::Deadline {
                during,
                limit_ms: self.deadline_ms,
            },
            Some(Trap::OutOfFuel) => Crash::Fuel {
                during,
                fuel: self.fuel,
            },
            Some(trap) => Crash::Trap {
                during,
                reason: trap.to_string(),
            },
            None => Crash::Trap {
                during,
                reason: error.root_cause().to_string(),
            },
        }
    }
}

impl Instance {
    /// Creates an instance, without activating it.
    pub(crate) async fn instantiate(
        loaded: &Loaded,
        shared: &Arc<PluginContext>,
        scope: &Scope,
        number: u64,
    ) -> Result<Self, Crash> {
        let mut store = store(loaded, shared, scope.clone(), number);
        let budget = arm(&mut store, bounds::START_DEADLINE_MS, 0);
        let starting = async {
            let instance = loaded.instance.instantiate_async(&mut store).await?;
            let exports = &loaded.exports;
            macro_rules! optional {
                ($indices:expr) => {
                    match &$indices {
                        Some(indices) => Some(indices.load(&mut store, &instance)?),
                        None => None,
                    }
                };
            }
            wasmtime::Result::Ok((
                exports.lifecycle.load(&mut store, &instance)?,
                optional!(exports.http),
                optional!(exports.events),
                optional!(exports.chat),
                optional!(exports.hooks),
                optional!(exports.tools),
            ))
        };
        let (lifecycle, http, events, chat, hooks, tools) = budget.run("start", starting).await?;
        Ok(Self {
            store,
            lifecycle,
            http,
            events,
            chat,
            hooks,
            tools,
        })
    }

    /// Names the instance within its plugin.
    pub(super) fn number(&self) -> u64 {
        self.store.data().number
    }

    /// The first call.
    pub(crate) async fn activate(&mut self) -> Result<(), Crash> {
        let StoreData { shared, scope, .. } = self.store.data();
        let context = lifecycle::Context {
            plugin_id: shared.id.to_string(),
            instance_id: shared.instance_id.clone(),
            host_version: env!("CARGO_PKG_VERSION").to_owned(),
            server_id: scope.server_id().map(str::to_owned),
            manifest: shared.manifest_text.to_string(),
            settings: shared.settings_text(),
        };
        let budget = self.arm(bounds::LIFECYCLE_DEADLINE_MS, 0);
        let answer = budget
            .run(
                "activate",
                self.lifecycle.call_activate(&mut self.store, &context),
            )
            .await?;
        answer.map_err(|error| Crash::Refused {
            during: "activate",
            reason: error.message,
        })
    }

    /// Tells the instance that all plugins of this start are active.
    pub(crate) async fn ready(&mut self) -> Result<(), Crash> {
        let budget = self.arm(bounds::LIFECYCLE_DEADLINE_MS, 0);
        let answer = budget
            .run("ready", self.lifecycle.call_ready(&mut self.store))
            .await?;
        answer.map_err(|error| Crash::Refused {
            during: "ready",
            reason: error.message,
        })
    }

    /// The last call.
    pub(crate) async fn deactivate(&mut self) -> Result<(), Crash> {
        let budget = self.arm(bounds::LIFECYCLE_DEADLINE_MS, 0);
        budget
            .run(
                "deactivate",
                self.lifecycle.call_deactivate(&mut self.store),
            )
            .await
    }

    /// Starts the clock of a call that `hops` events led to.
    pub(crate) fn arm(&mut self, deadline_ms: u64, hops: u8) -> CallBudget {
        arm(&mut self.store, deadline_ms, hops)
    }
}

fn arm(store: &mut Store<StoreData>, deadline_ms: u64, hops: u8) -> CallBudget {
    let fuel = store.data().shared.quota.fuel;
    store
        .data_mut()
        .arm(Duration::from_millis(deadline_ms), hops);
    // The first tick may come at once, so it is the second one that says that the call computes.
    store.set_epoch_deadline(2);
    // Fails only for an engine without fuel, and this one has it.
    if let Err(error) = store.set_fuel(fuel) {
        tracing::error!("fuel cannot be set: {error:#}");
    }
    CallBudget {
        deadline_ms,
        fuel,
        clock: store.data().clock.clone(),
        scheduler: store.data().scheduler.clone(),
        ended: store.data().shared.ended.subscribe(),
    }
}

/// Reads a component's id and version, with little fuel.
///
/// # Errors
/// It cannot be instantiated, or it crashes.
pub(crate) async fn meta(
    loaded: &Loaded,
    shared: &Arc<PluginContext>,
) -> Result<PluginInfo, Crash> {
    let mut store = store(loaded, shared, Scope::Host, 0);
    let budget = arm(&mut store, bounds::START_DEADLINE_MS, 0);
    let starting = async {
        let instance = loaded.instance.instantiate_async(&mut store).await?;
        loaded.exports.meta.load(&mut store, &instance)
    };
    let meta = budget.run("start", starting).await?;
    let budget = CallBudget {
        fuel: bounds::FUEL_META,
        ..arm(&mut store, bounds::START_DEADLINE_MS, 0)
    };
    let asking = async {
        store.set_fuel(bounds::FUEL_META)?;
        meta.call_get_info(&mut store).await
    };
    budget.run("get-info", asking).await
}

fn store(
    loaded: &Loaded,
    shared: &Arc<PluginContext>,
    scope: Scope,
    number: u64,
) -> Store<StoreData> {
    let state = StoreData::new(shared.clone(), scope, number, loaded.engine.scheduler());
    let mut store = Store::new(loaded.engine.wasmtime(), state);
    store.limiter(|state| state.limiter());
    store.epoch_deadline_callback(tick);
    store.set_hostcall_fuel(bounds::HOST_CALL_BYTES_MAX);
    store
}
