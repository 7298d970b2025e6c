//! Component instances: how many requests one takes, when it is idle, late or too busy, and what happens when it ends.
//!
//! A trap ends the instance with all requests in it (at most [`bounds::CONCURRENT_PER_INSTANCE_MAX`]); requests in
//! other instances go on, and the next request gets a new instance. A component that computes without yielding is
//! stopped after [`bounds::BUSY_TIMEOUT_MS`]; until then it yields the thread at each tick of the clock.

use crate::store_data::{AppContext, Grants, StoreData};
use limits::edge_host as bounds;
use parking_lot::Mutex;
use sandbox::{Activity, OwnedRunning};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::time::Sleep;
use wasmtime::{Engine, Store, StoreContextMut, UpdateDeadline, component::GuestTaskId};
use wasmtime_wasi_http::{
    WasiHttpView,
    handler::{
        HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration,
        WorkerState, WorkerStatus,
    },
    p3,
};

/// Serves one component.
pub(crate) type Handler = ProxyHandler<Component>;

/// A component that is ready to be instantiated.
pub(crate) struct Component {
    pub(crate) engine: Engine,
    pub(crate) pre: ProxyPre<StoreData>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) shared: Arc<AppContext>,
}

/// How long an instance has been computing without a pause, shared by its epoch callback and its supervisor.
#[derive(Default)]
struct BusyMeter {
    ticks: AtomicU64,
    /// The last yield was forced by the clock.
    yielded: AtomicBool,
    /// Set while the instance has work; the clock ticks as long.
    running: Mutex<Option<OwnedRunning>>,
}

impl BusyMeter {
    /// The instance gets work.
    fn start(&self, activity: &Activity) {
        self.running
            .lock()
            .get_or_insert_with(|| activity.enter_owned());
    }
}

impl HandlerState for Component {
    type StoreData = StoreData;
    type WorkerExpiration = Supervisor;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<StoreData, Supervisor, Worker>> {
        let mut store = Store::new(
            &self.engine,
            StoreData::new(self.grants.clone(), self.shared.clone()),
        );
        store.limiter(|state| &mut state.limits);
        let busy = Arc::new(BusyMeter::default());
        busy.start(&self.shared.activity);
        let meter = busy.clone();
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            let ticks = meter.ticks.fetch_add(1, Ordering::Relaxed) + 1;
            if ticks * bounds::EPOCH_TICK_MS > bounds::BUSY_TIMEOUT_MS {
                return Err(wasmtime::format_err!(
                    "interrupted after {} ms without a pause",
                    bounds::BUSY_TIMEOUT_MS
                ));
            }
            meter.yielded.store(true, Ordering::Relaxed);
            Ok(UpdateDeadline::Yield(1))
        });
        let proxy = self.pre.instantiate_async(&mut store).await?;
        let sleep = Box::pin(tokio::time::sleep(Duration::from_millis(
            bounds::INSTANCE_IDLE_MS,
        )));
        let expiration = Supervisor {
            busy: busy.clone(),
            sleep,
        };
        Ok(Instance {
            store,
            proxy,
            view: StoreData::http,
            expiration,
            state: Worker {
                component: self.grants.id.clone(),
                shared: self.shared.clone(),
                busy,
            },
        })
    }
}

impl Component {
    pub(crate) fn new(
        engine: Engine,
        pre: wasmtime::component::InstancePre<StoreData>,
        grants: Arc<Grants>,
        shared: Arc<AppContext>,
    ) -> wasmtime::Result<Self> {
        let pre = ProxyPre::P3(p3::bindings::ServicePre::new(pre)?);
        Ok(Self {
            engine,
            pre,
            grants,
            shared,
        })
    }
}

/// Watches an instance from outside.
pub(crate) struct Supervisor {
    busy: Arc<BusyMeter>,
    sleep: Pin<Box<Sleep>>,
}

impl WorkerExpiration for Supervisor {
    /// Called each time the instance pauses.
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        status: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        if !self.busy.yielded.swap(false, Ordering::Relaxed) {
            self.busy.ticks.store(0, Ordering::Relaxed);
        }
        if status == WorkerStatus::Idle {
            *self.busy.running.lock() = None;
        }
        let allowed = match status {
            WorkerStatus::Idle => bounds::INSTANCE_IDLE_MS,
            WorkerStatus::Requests | WorkerStatus::PostReturn => bounds::REQUEST_TIMEOUT_MS,
        };
        let end = (start + Duration::from_millis(allowed)).into();
        if self.sleep.deadline() != end {
            self.sleep.as_mut().reset(end);
        }
        self.sleep.as_mut().poll(context)
    }
}

/// Decides what an instance takes on.
pub(crate) struct Worker {
    component: Arc<str>,
    shared: Arc<AppContext>,
    busy: Arc<BusyMeter>,
}

impl WorkerState for Worker {
    type StoreData = StoreData;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= self.shared.requests_per_instance_max {
            ShouldAccept::Never
        } else if concurrent >= bounds::CONCURRENT_PER_INSTANCE_MAX {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, StoreData>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        self.busy.start(&self.shared.activity);
        Box::pin(tokio::time::sleep(Duration::from_millis(
            bounds::REQUEST_TIMEOUT_MS,
        )))
    }

    fn drop(&self, store: Store<StoreData>, result: Result<(), wasmtime::Error>) {
        if let Err(error) = result
            && !self.shared.ending.load(Ordering::Relaxed)
        {
            let at_most = bounds::CONCURRENT_PER_INSTANCE_MAX;
            tracing::error!(
                component = &*self.component,
                "instance ended, and with it the requests in it (at most {at_most}): {error:#}"
            );
        }
        drop(store);
    }
}
