//! Runs the components of a `spin.toml` in this process, so that one binary serves what Spin serves on an edge
//! platform.
//!
//! It reads the manifest, composes and compiles the components, implements the Spin interfaces that they import
//! (SQLite, key-value, variables, PostgreSQL, outbound HTTP), and turns a request into an answer. Sockets belong to the
//! caller. A manifest key or an import that is not supported is refused by name at load. A component reaches only what
//! its manifest entry grants, and no failure of it ends the host or another component.
#![forbid(unsafe_code)]

mod application;
mod compose;
mod engine;
mod load;
mod lock;
mod log;
pub mod manifest;
pub mod network;
mod request;
mod response;
pub mod routes;
mod spin;
mod sqlite;
mod store_data;
pub mod variables;
mod worker;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use limits::edge_host as bounds;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{
    WasiBody,
    handler::{ExpirationError, InstantiationError},
};

pub use application::{Application, EmbeddedFile};
pub use load::{Options, precompile};
pub use lock::{DataLock, InUse, LOCK_FILE, lock};
pub use request::ClientAddress;
pub use response::HostAnswer;
pub use sqlite::{Unusable, backup, database_file, key_value_file};

use worker::Handler;

/// Bodies in and out.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, anyhow::Error>;

/// A loaded application; clones share it.
#[derive(Clone)]
pub struct EdgeHost(Arc<Inner>);

struct Inner {
    router: routes::Router,
    handlers: Vec<Handler>,
    databases: Vec<PathBuf>,
    shared: Arc<store_data::AppContext>,
    /// Places of clients' requests in components.
    clients: Semaphore,
    /// Places of the host's own requests.
    own: Semaphore,
}

/// Why a request has no answer from its component.
enum Failure {
    /// The component did not answer within its time.
    Timeout,
    /// The component trapped, broke off or could not be instantiated.
    Component(anyhow::Error),
    /// No instance was free for half of the request's time.
    Busy,
}

impl EdgeHost {
    /// Loads an application: composes and compiles its components (from the cache, when they are known), checks its
    /// databases. The caller holds [`lock`] on the data directory.
    ///
    /// # Errors
    /// With a text that names the file, key, component, interface, variable or database at fault, and what to do about
    /// it.
    pub async fn load(options: Options) -> Result<Self> {
        let loaded = tokio::task::spawn_blocking(move || load::load(&options))
            .await
            .context("loading was cancelled")??;
        let load::Loaded {
            router,
            handlers,
            databases,
            shared,
        } = loaded;
        Ok(Self(Arc::new(Inner {
            router,
            handlers,
            databases,
            shared,
            clients: Semaphore::new(bounds::IN_FLIGHT_MAX),
            own: Semaphore::new(bounds::OWN_IN_FLIGHT_MAX),
        })))
    }

    /// Announces the end of the process: from now on an instance that ends is not reported as a failure.
    pub fn end(&self) {
        self.0
            .shared
            .ending
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Calls `announce` after each commit of a component that changed rows of `table` in one of its SQLite databases.
    /// The call comes before the component learns of the commit, on the thread of the statement; it must not block. One
    /// watch per host: later calls of this function have no effect.
    pub fn watch(&self, table: &str, announce: impl Fn() + Send + Sync + 'static) {
        self.0.shared.watch.set(table, Box::new(announce));
    }

    /// Whether a path has a component.
    pub fn serves(&self, path: &str) -> bool {
        self.0.router.find(path).is_some()
    }

    /// Routes as in the manifest, most specific first.
    pub fn routes(&self) -> impl Iterator<Item = &str> {
        self.0.router.routes().map(|(route, _)| route)
    }

    /// The database files in use.
    pub fn databases(&self) -> &[PathBuf] {
        &self.0.databases
    }

    /// Answers a client's request. Its body is complete, so that no place in here waits for a client. Never fails: what
    /// goes wrong is an answer `{"error","code"}` with 400 (`BAD_REQUEST`), 404 (`NOT_FOUND`), 413
    /// (`PAYLOAD_TOO_LARGE`), 502 (`INTERNAL`: the component trapped or broke off), 503 (`BUSY`) or 504 (`TIMEOUT`).
    ///
    /// Put [`ClientAddress`] into the request's extensions so that components see the client's address.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        self.answer(request, &self.0.clients).await
    }

    /// Answers a request of the host itself, as [`EdgeHost::handle`] does, in places that clients cannot fill.
    pub async fn handle_own(&self, request: Request<Bytes>) -> Response<Body> {
        self.answer(request, &self.0.own).await
    }

    async fn answer(&self, request: Request<Bytes>, places: &Semaphore) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let Some(found) = self.0.router.find(&path) else {
            return response::error(
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                &format!("no component serves {path}"),
            );
        };
        let request = match request::prepare(request, &found) {
            Ok(prepared) => prepared,
            Err(request::Refused::TooLarge) => return too_large(),
            Err(request::Refused::BadHost(text)) => {
                return response::error(StatusCode::BAD_REQUEST, "BAD_REQUEST", text);
            }
        };
        let handler = &self.0.handlers[found.component];
        let answer = call(handler, request, places).await;
        answer.unwrap_or_else(|failure| failure.answer(&handler.state().grants.id))
    }
}

/// Calls the component in one of the `places`, within the time of a request.
async fn call(
    handler: &Handler,
    request: Request<WasiBody>,
    places: &Semaphore,
) -> Result<Response<Body>, Failure> {
    let began = Instant::now();
    let allowed = Duration::from_millis(bounds::REQUEST_TIMEOUT_MS);
    let work = async {
        let _place = places.acquire().await.map_err(|_| Failure::Busy)?;
        let answer = dispatch(handler, request, began).await?;
        response::finish(answer).await.map_err(Failure::Component)
    };
    match tokio::time::timeout(allowed, work).await {
        // An instance that is late is dropped by its supervisor; its requests then fail with another error.
        Ok(Err(Failure::Component(_))) if began.elapsed() >= allowed => Err(Failure::Timeout),
        Ok(answer) => answer,
        Err(_) => Err(Failure::Timeout),
    }
}

/// Calls the component; waits for a free instance where the pool is exhausted.
async fn dispatch(
    handler: &Handler,
    mut request: Request<WasiBody>,
    began: Instant,
) -> Result<Response<WasiBody>, Failure> {
    loop {
        let error = match handler.handle((), request).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if error.is::<ExpirationError>() {
            return Err(Failure::Timeout);
        }
        match error.downcast::<InstantiationError<()>>() {
            Ok(full) if full.error.is::<wasmtime::PoolConcurrencyLimitError>() => {
                if began.elapsed() >= Duration::from_millis(bounds::REQUEST_TIMEOUT_MS / 2) {
                    return Err(Failure::Busy);
                }
                request = full
                    .request
                    .into_inner()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                tokio::time::sleep(Duration::from_millis(bounds::POOL_RETRY_MS)).await;
            }
            Ok(broken) => {
                return Err(Failure::Component(anyhow::anyhow!(
                    "cannot instantiate: {:#}",
                    broken.error
                )));
            }
            Err(other) => return Err(Failure::Component(other.into())),
        }
    }
}

impl Failure {
    fn answer(self, component: &str) -> Response<Body> {
        match self {
            Self::Timeout => {
                tracing::warn!(
                    component,
                    "no answer within {} ms",
                    bounds::REQUEST_TIMEOUT_MS
                );
                response::error(
                    StatusCode::GATEWAY_TIMEOUT,
                    "TIMEOUT",
                    "the component did not answer in time",
                )
            }
            Self::Component(error) => {
                tracing::error!(component, "request failed: {error:#}");
                response::error(StatusCode::BAD_GATEWAY, "INTERNAL", "the component failed")
            }
            Self::Busy => response::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "BUSY",
                "too many requests in work; try again",
            ),
        }
    }
}

fn too_large() -> Response<Body> {
    let text = format!(
        "the request body exceeds the limit of {} bytes",
        bounds::REQUEST_BYTES_MAX
    );
    response::error(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", &text)
}
