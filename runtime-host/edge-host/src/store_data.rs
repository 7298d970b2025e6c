//! The store data of one component instance: its WASI context, its resources and its grants. Instances share only what
//! is behind an `Arc` here: grants and pools, never data of requests.

use crate::{
    log::Stream,
    network::{
        allowed::AllowedHosts,
        outbound::{HttpClient, Outbound},
    },
    spin::{KeyValueStore, PostgresPools},
    sqlite::{Database, Watch},
};
use limits::edge_host as bounds;
use std::{collections::HashMap, sync::Arc};
use wasmtime::{StoreLimits, StoreLimitsBuilder, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// What a component may use, as the manifest says; made once at load.
pub(crate) struct Grants {
    pub(crate) id: Arc<str>,
    /// Names to filled-in values.
    pub(crate) variables: HashMap<String, String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) allowed_hosts: Arc<AllowedHosts>,
    /// Labels to databases.
    pub(crate) databases: HashMap<String, Arc<Database>>,
    /// Labels to key-value stores.
    pub(crate) stores: HashMap<String, Arc<KeyValueStore>>,
}

/// What all instances of all components share.
pub(crate) struct AppContext {
    pub(crate) http: HttpClient,
    pub(crate) postgres: Arc<PostgresPools>,
    /// The host is going down: instances that end now end because of that.
    pub(crate) ending: std::sync::atomic::AtomicBool,
    /// Requests one instance serves before it is replaced.
    pub(crate) requests_per_instance_max: usize,
    /// The table whose changes are announced.
    pub(crate) watch: Arc<Watch>,
    /// Keeps the clock of the deadlines ticking while instances work.
    pub(crate) activity: sandbox::Activity,
    /// The clock itself, which ends with this.
    pub(crate) _clock: sandbox::Clock,
}

/// The data of one store.
pub(crate) struct StoreData {
    pub(crate) component: Arc<Grants>,
    pub(crate) shared: Arc<AppContext>,
    pub(crate) table: ResourceTable,
    pub(crate) limits: StoreLimits,
    /// Open SQLite connections.
    pub(crate) open_databases: usize,
    /// Open key-value stores.
    pub(crate) open_stores: usize,
    /// Open PostgreSQL connections.
    pub(crate) open_postgres: usize,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
}

impl StoreData {
    pub(crate) fn new(component: Arc<Grants>, shared: Arc<AppContext>) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.stdout(Stream::Out(component.id.clone()).lines())
            .stderr(Stream::Error(component.id.clone()).lines());
        wasi.envs(&component.environment);
        let limits = StoreLimitsBuilder::new()
            .memory_size(bounds::MEMORY_BYTES_MAX)
            .table_elements(bounds::TABLE_ELEMENTS_MAX)
            .build();
        let outbound = Outbound::new(
            shared.http.clone(),
            component.allowed_hosts.clone(),
            component.id.clone(),
        );
        Self {
            component,
            shared,
            table: ResourceTable::new(),
            limits,
            open_databases: 0,
            open_stores: 0,
            open_postgres: 0,
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound,
        }
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

impl WasiHttpView for StoreData {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
