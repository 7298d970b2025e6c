//! Starts and stops the gateway: the listener, the acceptor and the shard threads.

use crate::{
    http_handoff::HttpHandoff,
    hub::Hub,
    rate::Bucket,
    shard::{Shard, WAKER, inbox::ShardHandle, message::Message},
};
use envelope::Validator;
use limits::socket::{
    ACCEPT_ERROR_PAUSE_MS, ACCEPT_PAUSE_MAX_MS, ACCEPTOR_WAKE_TIMEOUT_MS, BACKLOG,
    DESCRIPTORS_RESERVED, HALF_OPEN_MAX, HTTP_BESIDE_MAX,
};
use mio::{Poll, Waker, net::TcpStream};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

/// Listens at `address` (`host:port`), with an accept queue long enough for a storm of reconnects.
///
/// # Errors
/// The text is not of that form, the name has no address, or no socket can be bound to any of them.
pub fn bind(address: &str) -> io::Result<std::net::TcpListener> {
    let (host, port) = address.rsplit_once(':').unwrap_or(("", address));
    let is_ambiguous = host.contains(':') && !host.starts_with('[');
    if host.is_empty() || is_ambiguous || port.parse::<u16>().is_err() {
        let port = port.parse().unwrap_or(8080_u16);
        let message = format!(
            "`{address}` is not of the form HOST:PORT: 127.0.0.1:{port} is for this machine alone, 0.0.0.0:{port} for all, [::]:{port} with IPv6"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in address.to_socket_addrs()? {
        let listen = || {
            let socket = Socket::new(
                Domain::for_address(address),
                Type::STREAM,
                Some(Protocol::TCP),
            )?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        };
        match listen() {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    hub: Arc<Hub>,
    address: SocketAddr,
    shards: Vec<JoinHandle<io::Result<()>>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Serves `listener` with one shard for each validator chain.
    ///
    /// # Errors
    /// The system refuses a thread, a poll or a wake-up.
    pub fn start(
        hub: Arc<Hub>,
        listener: std::net::TcpListener,
        validators: Vec<Box<dyn Validator>>,
        http_handoff: &HttpHandoff,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let mut polls = Vec::with_capacity(validators.len());
        let mut handles = Vec::with_capacity(validators.len());
        for _ in &validators {
            let poll = Poll::new()?;
            handles.push(ShardHandle::new(
                Arc::new(Waker::new(poll.registry(), WAKER)?),
                &hub.metrics,
            ));
            polls.push(poll);
        }
        let handles: Arc<[ShardHandle]> = handles.into();
        hub.set_shards(handles.clone());
        let mut shards = Vec::with_capacity(validators.len());
        for (index, (validator, poll)) in validators.into_iter().zip(polls).enumerate() {
            let (hub, handles, http_handoff) = (hub.clone(), handles.clone(), http_handoff.clone());
            let thread = std::thread::Builder::new().name(format!("shard-{index}"));
            shards.push(thread.spawn(move || {
                Shard::new(index as u16, hub, handles, validator, http_handoff, poll)?.run()
            })?);
        }
        let accepting = hub.clone();
        let acceptor = std::thread::Builder::new()
            .name("acceptor".into())
            .spawn(move || accept(&accepting, &listener, &handles))?;
        Ok(Self {
            hub,
            address,
            shards,
            acceptor: Some(acceptor),
        })
    }

    /// The address at which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, closes all connections with 1001, and waits at most ten seconds for them. Blocks until then.
    pub fn drain(mut self) {
        self.hub.drain();
        // The acceptor waits in `accept`; one last connection lets it see the flag.
        let timeout = Duration::from_millis(ACCEPTOR_WAKE_TIMEOUT_MS);
        let _ = std::net::TcpStream::connect_timeout(&self.address, timeout);
        for shard in self.shards.drain(..) {
            match shard.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a shard ended with an error"),
                Err(_) => tracing::error!("a shard panicked"),
            }
        }
        if let Some(acceptor) = self.acceptor.take()
            && acceptor.is_finished()
            && acceptor.join().is_err()
        {
            tracing::error!("the acceptor panicked");
        }
    }

    /// Whether every shard is alive.
    #[must_use]
    pub fn shards_are_alive(&self) -> bool {
        self.shards.iter().all(|shard| !shard.is_finished())
    }
}

/// Accepts connections and deals them out to the shards in turn.
fn accept(hub: &Hub, listener: &std::net::TcpListener, shards: &[ShardHandle]) {
    let mut turn = 0;
    let rate = hub.config.socket.accepts.into();
    let mut bucket = Bucket::full(rate, hub.monotonic_ms());
    loop {
        // Connections over the rate wait in the system's queue.
        while let Err(wait_ms) = bucket.take(rate, hub.monotonic_ms()) {
            hub.metrics.accepts_paced.inc();
            std::thread::sleep(Duration::from_millis(
                u64::from(wait_ms).clamp(1, ACCEPT_PAUSE_MAX_MS),
            ));
        }
        let accepted = listener.accept();
        if hub.admission.is_draining() {
            return;
        }
        match accepted {
            Ok((stream, peer)) => {
                // Frames are written once per turn already; Nagle's algorithm would only delay them.
                if stream.set_nonblocking(true).is_err() || stream.set_nodelay(true).is_err() {
                    continue;
                }
                hub.admission.add_placeless();
                shards[turn % shards.len()]
                    .send(Message::Accept(TcpStream::from_std(stream), peer.ip()));
                turn += 1;
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                std::thread::sleep(Duration::from_millis(ACCEPT_ERROR_PAUSE_MS));
            }
        }
    }
}

/// The limit of WebSockets: as configured (0: not), and never more than the open files that the host does not need for
/// itself.
#[must_use]
pub fn connections_max(configured: usize, descriptors: usize) -> usize {
    let eighth = descriptors / 8;
    let beside = HALF_OPEN_MAX.min(eighth) + HTTP_BESIDE_MAX.min(eighth);
    let available = descriptors
        .saturating_sub(DESCRIPTORS_RESERVED + beside)
        .max(1);
    if configured == 0 {
        available
    } else {
        configured.min(available)
    }
}

#[cfg(test)]
mod tests {
    use super::bind;

    #[test]
    fn an_address_without_host_or_port_is_told_the_form() {
        for address in [":8080", "8080", "localhost", "::1", "127.0.0.1:http"] {
            let error = bind(address).expect_err(address).to_string();
            assert!(error.contains("127.0.0.1:"), "{error}");
        }
        let _ = bind("127.0.0.1:0").expect("a free port");
    }
}
