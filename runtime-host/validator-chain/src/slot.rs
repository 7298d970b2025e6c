//! One instance of one component: its store, limits and deadline.
//!
//! After a trap the instance is dropped and replaced at the next call, which costs microseconds; its definitions are
//! requested again.

use crate::{
    bindings::exports::jackfield::envelopes::{definitions, judge, types as wit},
    load::Loaded,
    stats::Counters,
};
use envelope::verdict::ValidatorError;
use limits::validator::{
    CALL_WALL_MAX_MS, DIAGNOSTIC_BYTES_MAX, EPOCH_TICK_MS, MEMORY_BYTES_MAX, MEMORY_RECYCLE_BYTES,
    TABLE_ELEMENTS_MAX, UPDATE_DEADLINE_MS,
};
use sandbox::{Activity, Limiter};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{Store, StoreContextMut, Trap, UpdateDeadline, component::ResourceTable};
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView, p2::pipe::MemoryOutputPipe,
};

/// What a store holds besides its instance.
pub(crate) struct StoreData {
    wasi: WasiCtx,
    table: ResourceTable,
    errors: MemoryOutputPipe,
    limiter: Limiter,
    deadline: Deadline,
}

/// The deadline of the running call.
struct Deadline {
    started: Instant,
    cpu_max: Duration,
    wall_max: Duration,
    /// Processor time of this thread when the first ticks had passed.
    cpu_at_first_check: Option<Duration>,
}

impl WasiView for StoreData {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Stopped clocks: a validator knows the time only from its context.
struct StoppedClock;

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }
    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1
    }
    fn now(&self) -> u64 {
        0
    }
}

/// One component of a chain, with at most one instance.
pub(crate) struct Slot {
    loaded: Arc<Loaded>,
    instance: Option<Instance>,
    call_deadline: Duration,
    /// Keeps the clock of the deadlines ticking while a call runs.
    activity: Activity,
}

struct Instance {
    store: Store<StoreData>,
    judge: judge::Guest,
    definitions: Option<definitions::Guest>,
}

impl Slot {
    pub(crate) fn new(loaded: Arc<Loaded>, call_deadline: Duration) -> Self {
        let activity = loaded.engine().activity();
        Self {
            loaded,
            instance: None,
            call_deadline,
            activity,
        }
    }

    /// Creates the instance now, so that the first call is not slower and a component that cannot start is reported.
    pub(crate) fn start(&mut self) -> Result<(), ValidatorError> {
        let _running = self.activity.enter_owned();
        self.instance().map(drop)
    }

    /// Asks the component about an envelope.
    pub(crate) fn validate(
        &mut self,
        context: wit::Context<'_>,
        envelope: &[u8],
    ) -> Result<wit::Verdict, ValidatorError> {
        self.call(self.call_deadline, |instance| {
            instance
                .judge
                .call_judge(&mut instance.store, context, envelope)
        })
    }

    /// Whether the component is given the definitions of servers.
    pub(crate) fn takes_definitions(&self) -> bool {
        self.loaded.takes_definitions()
    }

    pub(crate) fn counters(&self) -> &Counters {
        self.loaded.counters()
    }

    /// Gives the component what a server has registered.
    pub(crate) fn update_definitions(
        &mut self,
        snapshot: wit::Snapshot<'_>,
    ) -> Result<(), ValidatorError> {
        let deadline = Duration::from_millis(UPDATE_DEADLINE_MS);
        self.call(deadline, |instance| match &instance.definitions {
            Some(definitions) => definitions.call_learn(&mut instance.store, snapshot),
            None => Ok(()),
        })
    }

    fn call<T>(
        &mut self,
        deadline: Duration,
        call: impl FnOnce(&mut Instance) -> wasmtime::Result<T>,
    ) -> Result<T, ValidatorError> {
        let started = Instant::now();
        let _running = self.activity.enter_owned();
        let instance = self.instance()?;
        instance.arm(started, deadline);
        let result = call(instance);
        let memory_bytes = instance.store.data().limiter.memory_bytes();
        self.loaded
            .counters()
            .call(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        match result {
            Ok(answer) => {
                if memory_bytes > MEMORY_RECYCLE_BYTES {
                    self.instance = None;
                    self.counters().recycle();
                }
                Ok(answer)
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Drops the instance and returns the error.
    fn failed(&mut self, error: &wasmtime::Error) -> ValidatorError {
        let component = self.counters().name().to_owned();
        let said = self
            .instance
            .take()
            .map(|instance| instance.store.data().errors.contents())
            .unwrap_or_default();
        if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
            self.counters().deadline();
            tracing::warn!(
                component,
                "component exceeded its deadline; its instance is replaced"
            );
            return ValidatorError::Deadline { component };
        }
        self.counters().trap();
        let said = String::from_utf8_lossy(&said);
        let reason = match (error.downcast_ref::<Trap>(), said.trim()) {
            (Some(trap), "") => trap.to_string(),
            (None, "") => error.root_cause().to_string(),
            (_, said) => said.escape_debug().to_string(),
        };
        tracing::warn!(
            component,
            reason,
            "component trapped; its instance is replaced"
        );
        ValidatorError::Trap { component, reason }
    }

    fn instance(&mut self) -> Result<&mut Instance, ValidatorError> {
        if self.instance.is_none() {
            match Instance::start(&self.loaded, self.call_deadline) {
                Ok(instance) => self.instance = Some(instance),
                Err(error) => return Err(self.failed(&error)),
            }
        }
        self.instance.as_mut().ok_or_else(|| ValidatorError::Trap {
            component: self.loaded.counters().name().to_owned(),
            reason: "it has no instance".to_owned(),
        })
    }
}

impl Deadline {
    fn new(started: Instant, cpu_max: Duration) -> Self {
        Self {
            started,
            cpu_max,
            wall_max: cpu_max.max(Duration::from_millis(CALL_WALL_MAX_MS)),
            cpu_at_first_check: None,
        }
    }
}

impl Instance {
    fn start(loaded: &Loaded, deadline: Duration) -> wasmtime::Result<Self> {
        let errors = MemoryOutputPipe::new(DIAGNOSTIC_BYTES_MAX);
        let wasi = WasiCtx::builder()
            .stderr(errors.clone())
            .wall_clock(StoppedClock)
            .monotonic_clock(StoppedClock)
            .build();
        let started = Instant::now();
        let state = StoreData {
            wasi,
            table: ResourceTable::new(),
            errors,
            limiter: Limiter::new(MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX),
            deadline: Deadline::new(started, deadline),
        };
        let mut store = Store::new(loaded.engine().wasmtime(), state);
        store.limiter(|state| &mut state.limiter);
        store.epoch_deadline_callback(check_deadline);
        arm(&mut store, started, deadline);
        let (judge, definitions) = loaded.instantiate(&mut store)?;
        Ok(Self {
            store,
            judge,
            definitions,
        })
    }

    fn arm(&mut self, started: Instant, deadline: Duration) {
        arm(&mut self.store, started, deadline);
    }
}

fn arm(store: &mut Store<StoreData>, started: Instant, deadline: Duration) {
    store.data_mut().deadline = Deadline::new(started, deadline);
    // The first tick may come at once, so one more is needed to reach the deadline.
    store.set_epoch_deadline(
        u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX) / EPOCH_TICK_MS + 1,
    );
}

/// Runs when the ticks of the deadline have passed. Processor time of this thread is what counts: on a busy machine a
/// call may take long without computing long. Reading it costs a system call, so it is read here and not in every call.
fn check_deadline(mut context: StoreContextMut<'_, StoreData>) -> wasmtime::Result<UpdateDeadline> {
    let deadline = &mut context.data_mut().deadline;
    let now = thread_cpu_time();
    let Some(first) = deadline.cpu_at_first_check else {
        deadline.cpu_at_first_check = Some(now);
        return Ok(UpdateDeadline::Continue(1));
    };
    if now.saturating_sub(first) >= deadline.cpu_max
        || deadline.started.elapsed() >= deadline.wall_max
    {
        return Ok(UpdateDeadline::Interrupt);
    }
    Ok(UpdateDeadline::Continue(1))
}

fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
