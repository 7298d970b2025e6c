//! One HTTP connection: requests one after another, each with the connection's place. Between requests another client may
//! get the place; then, or when the time between requests is over, the connection ends.

use super::{HttpService, io::ClientIo};
use anyhow::Result;
use bytes::Bytes;
use edge_host::Body;
use gateway::{HttpPlace, HttpSocket, HttpUpgrade, Hub, Place};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::{TokioIo, TokioTimer};
use limits::{rest::BUFFER_BYTES, socket::CLOSE_TIMEOUT_MS};
use parking_lot::Mutex;
use rest::HostError;
use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Serves a connection until it ends.
pub(super) async fn serve(service: Arc<HttpService>, socket: HttpSocket) -> Result<()> {
    let stream = TcpStream::from_std(socket.stream)?;
    let peer = stream.peer_addr()?;
    let activity = Activity::new(socket.place);
    let clock = Clock::new(&service, &activity);
    let io = ClientIo::new(stream, socket.read, activity.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (service, activity) = (service.clone(), activity.clone());
        async move {
            let open = OpenRequest::begin(activity, &service.hub);
            Ok::<_, Infallible>(service.handle(request, peer, open).await)
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES)
        .half_close(true);
    let mut connection = pin!(
        server
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades()
    );
    tokio::select! {
        biased;
        ended = connection.as_mut() => return Ok(ended?),
        () = clock.end() => {}
    }
    // What is written already arrives, and a request that begins only now is still answered.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        ended = connection => Ok(ended?),
        () = clock.gives_up() => Ok(()),
    }
}

/// Hands the socket of an upgrade to a shard, as soon as the answer is written.
pub(super) async fn open_upgraded(hub: Arc<Hub>, upgrade: HttpUpgrade, upgraded: OnUpgrade) {
    let socket = match upgraded.await {
        Ok(upgraded) => upgraded.downcast::<TokioIo<ClientIo>>(),
        Err(error) => {
            return tracing::debug!(%error, "a connection ended before its WebSocket was open");
        }
    };
    let Ok(parts) = socket else {
        return tracing::error!("the socket of an upgrade is of an unknown kind");
    };
    match parts.io.into_inner().into_parts() {
        Ok((stream, unread)) => {
            let read = [&parts.read_buf[..], &unread].concat();
            hub.open_upgraded(upgrade, stream, read);
        }
        Err(error) => tracing::warn!(%error, "the socket of an upgrade cannot be handed over"),
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// A request is open.
    Busy,
    /// No request is open since then.
    Idle(Instant),
    /// The first bytes of a request have come then.
    Head(Instant),
}

/// The open requests of a connection and its place.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    place: HttpPlace,
    open: usize,
    phase: Phase,
}

impl Activity {
    /// The first head has come already and is about to be read.
    fn new(place: HttpPlace) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            place,
            open: 0,
            phase: Phase::Head(Instant::now()),
        })))
    }

    /// Bytes of the client have come.
    pub(super) fn note_bytes(&self) {
        let phase = &mut self.0.lock().phase;
        if let Phase::Idle(_) = phase {
            *phase = Phase::Head(Instant::now());
        }
    }

    fn phase(&self) -> Phase {
        self.0.lock().phase
    }

    fn is_busy(&self) -> bool {
        matches!(self.phase(), Phase::Busy)
    }

    fn begin(&self, hub: &Hub) -> Result<(), HostError> {
        let mut state = self.0.lock();
        state.open += 1;
        state.phase = Phase::Busy;
        hub.resume_http(&mut state.place)
    }

    fn end(&self) {
        let mut state = self.0.lock();
        state.open -= 1;
        if state.open == 0 {
            state.place.idle();
            state.phase = Phase::Idle(Instant::now());
        }
    }
}

/// The time limits of a connection without an open request.
struct Clock {
    activity: Arc<Activity>,
    revoked: Arc<Notify>,
    keep_alive: Duration,
    head: Duration,
}

/// The shortest time between two looks at the clock.
const LOOK_MIN: Duration = Duration::from_millis(10);

impl Clock {
    fn new(service: &HttpService, activity: &Arc<Activity>) -> Self {
        Self {
            activity: activity.clone(),
            revoked: activity.0.lock().place.revoked(),
            keep_alive: service.keep_alive,
            head: Duration::from_millis(service.hub.config.socket.head_timeout_ms),
        }
    }

    /// Returns when the connection has to end. Requests set no timer: the phase is looked at before any that begins after
    /// the last look can have lasted too long.
    async fn end(&self) {
        let look = self.keep_alive.min(self.head).max(LOOK_MIN);
        loop {
            let deadline = match self.activity.phase() {
                Phase::Busy => None,
                Phase::Idle(since) => Some(since + self.keep_alive),
                Phase::Head(since) => Some(since + self.head),
            };
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return;
            }
            let next = now + look;
            let next = deadline.map_or(next, |deadline| deadline.min(next));
            tokio::select! {
                // A request that came first has a place again, or ends the connection itself.
                () = self.revoked.notified() => if !self.activity.is_busy() {
                    return;
                },
                () = sleep_until(next) => {}
            }
        }
    }

    /// Returns when the client did not let the connection end in time.
    async fn gives_up(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(CLOSE_TIMEOUT_MS)).await;
            if !self.activity.is_busy() {
                return;
            }
        }
    }
}

/// An open request: from its head until its answer is written or given up.
#[derive(Debug)]
pub(super) struct OpenRequest {
    activity: Arc<Activity>,
    refused: Option<HostError>,
    /// The place of the client behind a trusted proxy.
    client: Option<Place>,
}

impl OpenRequest {
    fn begin(activity: Arc<Activity>, hub: &Hub) -> Self {
        let refused = activity.begin(hub).err();
        Self {
            activity,
            refused,
            client: None,
        }
    }

    /// Takes the reason for which the connection has no place any more, if that is so. It ends with the answer.
    pub(super) fn take_refusal(&mut self) -> Option<HostError> {
        self.refused.take()
    }

    /// Gives back the place of the connection, which becomes another one.
    pub(super) fn give_back_place(&self) {
        self.activity.0.lock().place.give_back();
    }

    /// Keeps a place until the request ends.
    pub(super) fn keep(&mut self, place: Option<Place>) {
        self.client = place;
    }

    /// Ends with the body of the answer.
    pub(super) fn until_written(self, response: Response<Body>) -> Response<AnswerBody> {
        response.map(|body| AnswerBody { body, _open: self })
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.activity.end();
    }
}

/// The body of an answer, whose request is open until it is dropped.
pub(super) struct AnswerBody {
    body: Body,
    _open: OpenRequest,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = anyhow::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<anyhow::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
