//! The data of one store: a WASI context without files and sockets, the limiter, the deadline of the call, and the
//! plugin that it belongs to.
//!
//! Instances share only [`PluginContext`], which is one plugin's.

use crate::{
    authority::AuditAggregator,
    instances::{call::CallClock, context::PluginContext, log::PluginLog},
};
use limits::plugin as bounds;
use plugin_store::Level;
use sandbox::{Limiter, Scheduler};
use std::{sync::Arc, time::Duration};
use wasmtime::{StoreContextMut, UpdateDeadline, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// What an instance is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Requests, tools and hooks; acts for no chat server in particular.
    Host,
    /// One chat server.
    Server(Arc<str>),
}

impl Scope {
    /// The chat server.
    #[must_use]
    pub fn server_id(&self) -> Option<&str> {
        match self {
            Self::Host => None,
            Self::Server(id) => Some(id),
        }
    }
}

/// What a store holds besides its instance.
pub(crate) struct StoreData {
    pub(crate) shared: Arc<PluginContext>,
    pub(crate) scope: Scope,
    /// Names the instance on the bus.
    pub(crate) number: u64,
    pub(crate) table: ResourceTable,
    pub(crate) log: PluginLog,
    pub(crate) audit: AuditAggregator,
    /// How many events led to the running call.
    pub(crate) hops: u8,
    pub(crate) scheduler: Arc<Scheduler>,
    /// The time of the running call.
    pub(crate) clock: CallClock,
    wasi: WasiCtx,
    limiter: Limiter,
}

impl StoreData {
    pub(crate) fn new(
        shared: Arc<PluginContext>,
        scope: Scope,
        number: u64,
        scheduler: Arc<Scheduler>,
    ) -> Self {
        let log = shared.new_log();
        let wasi = WasiCtx::builder()
            .stdout(log.stream(Level::Info))
            .stderr(log.stream(Level::Error))
            .max_random_size(bounds::RANDOM_BYTES_MAX)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(bounds::RESOURCES_MAX);
        let limiter = Limiter::new(shared.quota.memory_bytes, bounds::TABLE_ELEMENTS_MAX);
        Self {
            shared,
            scope,
            number,
            table,
            log,
            audit: AuditAggregator::default(),
            hops: 0,
            scheduler,
            clock: CallClock::new(),
            wasi,
            limiter,
        }
    }

    /// Limits the store that this state is in.
    pub(crate) fn limiter(&mut self) -> &mut Limiter {
        &mut self.limiter
    }

    /// Starts the clock of a call.
    pub(crate) fn arm(&mut self, deadline: Duration, hops: u8) {
        self.clock.start(deadline);
        self.hops = hops;
        self.scheduler.begin();
    }
}

impl Drop for StoreData {
    fn drop(&mut self) {
        self.shared.authority.flush(&mut self.audit);
    }
}

impl WasiView for StoreData {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Runs at ticks while a plugin computes: others get their turn, and a call whose time is over or whose generation was
/// ended is interrupted.
pub(crate) fn tick(context: StoreContextMut<'_, StoreData>) -> wasmtime::Result<UpdateDeadline> {
    let data = context.data();
    match data.clock.is_over() || data.shared.is_ended() {
        true => Ok(UpdateDeadline::Interrupt),
        false => Ok(data.scheduler.tick()),
    }
}
