//! A client that tests read and write through.

use bytes::Bytes;
use serde_json::Value;
use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use tungstenite::{Message, WebSocket};

/// How long anything may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A client.
pub(crate) struct Client {
    socket: WebSocket<TcpStream>,
    waiting: VecDeque<(Value, String)>,
}

impl Client {
    /// A client of the gateway at `address`.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        let (socket, _) =
            tungstenite::client(format!("ws://{address}/ws"), stream).expect("an upgrade");
        Self {
            socket,
            waiting: VecDeque::new(),
        }
    }

    /// Sends an envelope.
    pub(crate) fn send(&mut self, envelope: Value) {
        self.socket
            .send(Message::text(envelope.to_string()))
            .expect("sent");
    }

    /// Sends a close frame, and reads no answer.
    pub(crate) fn close(&mut self) {
        self.socket.close(None).expect("a close frame");
    }

    /// The next envelope of this type; others are left aside.
    #[track_caller]
    pub(crate) fn expect(&mut self, kind: &str) -> Value {
        self.next_of(&[kind]).0
    }

    /// The same as it came over the wire.
    #[track_caller]
    pub(crate) fn expect_text(&mut self, kind: &str) -> String {
        self.next_of(&[kind]).1
    }

    /// The next envelope of one of these types.
    #[track_caller]
    pub(crate) fn next_of(&mut self, kinds: &[&str]) -> (Value, String) {
        let wanted = |envelope: &Value| kinds.iter().any(|kind| envelope["type"] == **kind);
        if let Some(at) = self
            .waiting
            .iter()
            .position(|(envelope, _)| wanted(envelope))
        {
            return self.waiting.remove(at).expect("it is there");
        }
        loop {
            let frame = self
                .socket
                .read()
                .unwrap_or_else(|error| panic!("waiting for {kinds:?}: {error}"));
            let Message::Text(text) = frame else { continue };
            let envelope: Value = serde_json::from_str(&text).expect("JSON");
            if wanted(&envelope) {
                return (envelope, text.to_string());
            }
            self.waiting.push_back((envelope, text.to_string()));
        }
    }

    /// The texts of the next chat messages.
    #[track_caller]
    pub(crate) fn chats(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            texts.push(
                self.expect("chat_message")["message"]
                    .as_str()
                    .expect("a text")
                    .to_owned(),
            );
        }
        texts
    }

    /// Sends a binary message.
    pub(crate) fn send_binary(&mut self, bytes: &'static [u8]) {
        let message = Message::Binary(Bytes::from_static(bytes));
        self.socket.send(message).expect("sent");
    }

    /// Sends an envelope, if the connection is still open.
    pub(crate) fn try_send(&mut self, envelope: &Value) {
        let _ = self.socket.send(Message::text(envelope.to_string()));
    }

    /// The code with which the server closes the connection, if it sends one.
    pub(crate) fn close_code(&mut self) -> Option<u16> {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// The next envelope of this type, or the code with which the server closes the connection.
    pub(crate) fn next_until_closed(&mut self, kind: &str) -> Result<Value, Option<u16>> {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return Err(frame.map(|frame| frame.code.into())),
                Ok(Message::Text(text)) => {
                    let envelope: Value = serde_json::from_str(&text).expect("JSON");
                    if envelope["type"] == *kind {
                        return Ok(envelope);
                    }
                }
                Ok(_) => {}
                Err(_) => return Err(None),
            }
        }
    }

    /// Types of everything that comes until the server has closed the connection.
    pub(crate) fn until_closed(&mut self) -> Vec<String> {
        let mut types: Vec<String> = self
            .waiting
            .drain(..)
            .map(|(envelope, _)| envelope["type"].to_string())
            .collect();
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => types
                    .push(serde_json::from_str::<Value>(&text).expect("JSON")["type"].to_string()),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    panic!("it is not closed")
                }
                Err(_) => return types,
            }
        }
    }

    /// Whether anything of this type came and was left aside.
    pub(crate) fn has(&self, kind: &str) -> bool {
        self.waiting
            .iter()
            .any(|(envelope, _)| envelope["type"] == *kind)
    }
}
