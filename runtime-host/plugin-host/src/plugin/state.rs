//! What one instance of a plugin carries: its WASI context without anything behind it, its limits, its deadline, its share of the host.
//!
//! Invariant: two instances share nothing but what is behind [`Shared`], which is one plugin's; instances of different chat servers share only
//! the plugin's stored values.

use super::{authority::Folds, diary::Diary, pace::Pace, shared::Shared};
use limits::plugin as bounds;
use plugin_store::Level;
use sandbox::Account;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{ResourceLimiter, StoreContextMut, UpdateDeadline, component::ResourceTable};
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
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    pub(crate) scope: Scope,
    /// Names the instance on the bus.
    pub(crate) number: u64,
    pub(crate) table: ResourceTable,
    pub(crate) diary: Diary,
    pub(crate) folds: Folds,
    /// How many events led to the running call.
    pub(crate) hops: u8,
    pub(crate) pace: Arc<Pace>,
    wasi: WasiCtx,
    memory_bytes: Account,
    table_elements: Account,
    ends: Instant,
}

impl State {
    pub(crate) fn new(shared: Arc<Shared>, scope: Scope, number: u64, pace: Arc<Pace>) -> Self {
        let diary = Diary::new(shared.id.clone(), shared.store.clone());
        let wasi = WasiCtx::builder()
            .stdout(diary.stream(Level::Info))
            .stderr(diary.stream(Level::Error))
            .max_random_size(bounds::RANDOM_BYTES_MAX)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(bounds::RESOURCES_MAX);
        let memory_bytes = Account::new(shared.allowance.memory_bytes);
        let table_elements = Account::new(bounds::TABLE_ELEMENTS_MAX);
        let (folds, ends) = (Folds::default(), Instant::now());
        Self {
            shared,
            scope,
            number,
            table,
            diary,
            folds,
            hops: 0,
            pace,
            wasi,
            memory_bytes,
            table_elements,
            ends,
        }
    }

    /// Starts the clock of a call.
    pub(crate) fn arm(&mut self, deadline: Duration, hops: u8) {
        self.ends = Instant::now() + deadline;
        self.hops = hops;
        self.pace.begin();
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.memory_bytes.grow(current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.table_elements.grow(current, desired))
    }
}

/// Runs at ticks while a plugin computes: others get their turn, and a call whose time is over ends.
pub(crate) fn tick(context: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    match Instant::now() >= context.data().ends {
        true => Ok(UpdateDeadline::Interrupt),
        false => Ok(context.data().pace.tick()),
    }
}
