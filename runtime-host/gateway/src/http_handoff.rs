//! Ordinary HTTP requests arrive at the gateway's port as well: their sockets are handed to the HTTP server of the
//! host. A later request on such a socket may ask for a WebSocket: then the socket comes back to a shard.

use crate::{
    address::Client,
    hub::{HttpPlace, Hub, Place},
    metrics::Metrics,
    shard::{
        handshake::{self, last_answer},
        message::Message,
    },
};
use http::{Response, StatusCode, request::Parts};
use limits::rest::IN_FLIGHT_MAX;
use mio::net::TcpStream;
use rest::{Answer, HostError};
use std::{io::Write, sync::atomic::Ordering::Relaxed};
use tokio::sync::mpsc::{self, error::TrySendError};

/// A socket whose client speaks ordinary HTTP, with the bytes already read from it.
#[derive(Debug)]
pub struct HttpSocket {
    /// The socket, non-blocking.
    pub stream: std::net::TcpStream,
    /// The bytes read from it: a whole request head at least.
    pub read: Vec<u8>,
    /// Its place.
    pub place: HttpPlace,
}

/// The gateway's end of the channel to the HTTP server.
#[derive(Debug, Clone)]
pub struct HttpHandoff(mpsc::Sender<HttpSocket>);

impl HttpHandoff {
    /// Both ends of a channel in which at most [`IN_FLIGHT_MAX`] sockets wait.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<HttpSocket>) {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT_MAX);
        (Self(sender), receiver)
    }

    /// Hands a socket over. If too many wait already, it is answered here with 503.
    pub(crate) fn send(&self, stream: TcpStream, read: Vec<u8>, place: HttpPlace) {
        let socket = HttpSocket {
            stream: stream.into(),
            read,
            place,
        };
        if let Err(TrySendError::Full(mut socket) | TrySendError::Closed(mut socket)) =
            self.0.try_send(socket)
        {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let message = "too many requests are waiting";
            let error = HostError::of_host(status, "OVERLOADED", message);
            // A peer that does not take the short answer at once has no use for it.
            let _ = socket.stream.write_all(&last_answer(error.answer()));
        }
    }
}

/// A socket that comes back to a shard as a WebSocket; the upgrade is answered.
#[derive(Debug)]
pub(crate) struct UpgradedSocket {
    pub stream: TcpStream,
    pub place: Place,
    /// The bytes read behind the head.
    pub read: Vec<u8>,
}

/// An upgrade that the HTTP server has to answer.
#[derive(Debug)]
pub struct HttpUpgrade {
    /// The answer.
    pub response: Response<()>,
    place: Place,
}

impl Hub {
    /// Checks a request on an HTTP connection that asks for a WebSocket, and takes a place for it; `None` if it asks for
    /// none. `give_back` gives back the place of the connection, which the WebSocket needs no longer.
    ///
    /// # Errors
    /// The upgrade is refused, with this answer.
    pub fn upgrade_http(
        &self,
        head: &Parts,
        client: &Client,
        give_back: impl FnOnce(),
    ) -> Option<Result<HttpUpgrade, Answer>> {
        let checked = handshake::upgrade(head, &self.config.socket)?;
        let admitted = checked.and_then(|accepted| {
            give_back();
            let place = self.admission.web_socket(client.key, self.monotonic_ms());
            let place = place.inspect_err(|_| self.note_refusal(client))?;
            let response = accepted.response();
            Ok(HttpUpgrade { response, place })
        });
        Some(admitted.map_err(|refusal| {
            Metrics::count(&self.metrics.handshakes_refused, refusal.reason);
            *refusal.answer
        }))
    }

    /// Hands the socket of an upgrade whose answer is written to a shard, with the bytes read behind the request.
    pub fn open_upgraded(&self, upgrade: HttpUpgrade, stream: std::net::TcpStream, read: Vec<u8>) {
        let shards = self.shards();
        let turn = self.upgrades.fetch_add(1, Relaxed);
        if let Some(shard) = shards.get(turn % shards.len().max(1)) {
            shard.send(Message::Adopt(UpgradedSocket {
                stream: TcpStream::from_std(stream),
                place: upgrade.place,
                read,
            }));
        }
    }
}
