//! Ordinary HTTP requests arrive at the gateway's port as well: their sockets are handed to the HTTP server of the
//! host.

use crate::{hub::HttpPlace, shard::handshake::last_answer};
use http::StatusCode;
use limits::rest::IN_FLIGHT_MAX;
use mio::net::TcpStream;
use rest::HostError;
use std::io::Write;
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
