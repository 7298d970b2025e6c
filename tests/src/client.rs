//! A client of the gateway, independent of the WebSocket library: our own, or the third-party ones
//! of [`crate::foreign`].

use crate::{PATIENCE, frames, host::Host};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::TcpStream,
    time::{Duration, Instant},
};
use tungstenite::{Message, WebSocket, client::IntoClientRequest as _, protocol::WebSocketConfig};

/// What a transport reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A text frame.
    Frame(String),
    /// The connection has ended, with the server's close code and reason; 1006 and the library's
    /// reason without a close frame.
    Closed(u16, String),
}

/// A WebSocket library.
pub trait Transport: Send {
    /// Sends one text frame.
    fn send(&mut self, text: &str);
    /// Sends one binary frame.
    fn send_binary(&mut self, bytes: &[u8]);
    /// Waits at most `patience` for the next event.
    fn receive(&mut self, patience: Duration) -> Option<Event>;
    /// Closes the connection from this side with code 1000.
    fn close(&mut self);
}

/// A connected client.
pub struct Client {
    transport: Box<dyn Transport>,
    /// Name of the client in failure messages.
    name: String,
    /// Received envelopes that no test has taken yet.
    waiting: VecDeque<Value>,
    /// The first frame.
    connected: Value,
    closed: Option<(u16, String)>,
}

impl Client {
    /// Takes a connected transport and its first frame, which must be `connected`.
    ///
    /// # Panics
    /// When the first frame is something else.
    #[must_use]
    pub fn new(name: &str, transport: Box<dyn Transport>) -> Self {
        let mut client = Self {
            transport,
            name: name.into(),
            waiting: VecDeque::new(),
            connected: Value::Null,
            closed: None,
        };
        client.connected = client.next_frame();
        assert_eq!(
            client.connected["type"], "connected",
            "{name}: the first frame"
        );
        client
    }

    /// Connects to `/ws` with this crate's own library.
    ///
    /// # Panics
    /// When the host refuses.
    #[must_use]
    pub fn connect(host: &Host, name: &str) -> Self {
        Self::new(
            name,
            Box::new(
                Native::open(host, "/ws", &[]).unwrap_or_else(|error| panic!("{name}: {error}")),
            ),
        )
    }

    /// Connects and identifies as `name`.
    #[must_use]
    pub fn identified(host: &Host, name: &str) -> Self {
        let mut client = Self::connect(host, name);
        client.identify(json!({}));
        client
    }

    /// Connects, identifies as `name`, and joins `server`.
    #[must_use]
    pub fn joined(host: &Host, name: &str, server: &str) -> Self {
        let mut client = Self::identified(host, name);
        client.join(server);
        client
    }

    /// Sends `identify` with its own name and these additional members.
    pub fn identify(&mut self, further: Value) {
        let mut envelope = json!({"type": "identify", "oderId": self.name, "displayName": self.name.to_uppercase(), "features": ["errors"]});
        if let (Value::Object(envelope), Value::Object(further)) = (&mut envelope, further) {
            envelope.extend(further);
        }
        self.send(envelope);
    }

    /// Joins, and returns roster and requirements.
    pub fn join(&mut self, server: &str) -> (Value, Value) {
        self.send(json!({"type": "join_server", "serverId": server}));
        (
            self.expect("server_users"),
            self.expect("plugin_requirements"),
        )
    }

    /// The `connected` frame.
    #[must_use]
    pub fn connected(&self) -> &Value {
        &self.connected
    }

    /// Sends one envelope.
    pub fn send(&mut self, envelope: Value) {
        self.transport.send(&envelope.to_string());
    }

    /// Sends a text unchanged.
    pub fn send_text(&mut self, text: &str) {
        self.transport.send(text);
    }

    /// Sends a binary frame.
    pub fn send_binary(&mut self, bytes: &[u8]) {
        self.transport.send_binary(bytes);
    }

    /// The next envelope in order of arrival.
    ///
    /// # Panics
    /// When the connection ends instead.
    pub fn next_frame(&mut self) -> Value {
        if let Some(frame) = self.waiting.pop_front() {
            return frame;
        }
        match self.receive() {
            Event::Frame(text) => frames::read(&text),
            Event::Closed(code, reason) => panic!("{}: closed with {code} {reason:?}", self.name),
        }
    }

    /// The next envelope of this type; earlier ones of other types stay queued.
    ///
    /// # Panics
    /// When the connection ends instead; the message shows what came.
    pub fn expect(&mut self, kind: &str) -> Value {
        self.find(&format!("type {kind}"), |frame| frame["type"] == kind)
    }

    /// The next envelope that `wanted` accepts; earlier ones stay queued.
    ///
    /// # Panics
    /// As [`Client::expect`].
    pub fn find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.waiting.iter().position(&wanted) {
            return self.waiting.remove(at).expect("just found");
        }
        loop {
            match self.receive() {
                Event::Frame(text) => {
                    let frame = frames::read(&text);
                    if wanted(&frame) {
                        return frame;
                    }
                    self.waiting.push_back(frame);
                }
                Event::Closed(code, reason) => {
                    panic!(
                        "{}: wanted {what}, closed with {code} {reason:?}; waiting: {:?}",
                        self.name, self.waiting
                    )
                }
            }
        }
    }

    /// Sends `envelope` and returns the refusal of it (`error`, `plugin_error` or `access_denied`),
    /// which must carry `code`.
    ///
    /// # Panics
    /// When the next refusal carries another code.
    pub fn refused(&mut self, envelope: Value, code: &str) -> Value {
        self.send(envelope);
        self.refusal(code)
    }

    /// The next refusal, which must carry `code`.
    ///
    /// # Panics
    /// When it carries another code.
    pub fn refusal(&mut self, code: &str) -> Value {
        let refusals = ["error", "plugin_error", "access_denied"];
        let refusal = self.find(&format!("refusal {code}"), |frame| {
            frame["type"]
                .as_str()
                .is_some_and(|kind| refusals.contains(&kind))
        });
        assert_eq!(refusal["code"], code, "{}: {refusal}", self.name);
        refusal
    }

    /// All envelopes that have arrived by the time an envelope sent now is answered.
    ///
    /// The answer is the refusal of a call without a target.
    pub fn settled(&mut self) -> Vec<Value> {
        let id = format!("settled-{}", self.waiting.len());
        self.send(json!({"type": "ice_candidate", "requestId": id}));
        self.find("the answer that settles", |frame| {
            frame["requestId"] == id.as_str()
        });
        self.waiting.drain(..).collect()
    }

    /// Types of the queued envelopes, for checks that something did not arrive.
    #[must_use]
    pub fn waiting_types(&self) -> Vec<&str> {
        self.waiting
            .iter()
            .filter_map(|frame| frame["type"].as_str())
            .collect()
    }

    /// Waits for the end of the connection and drops what arrives before it.
    pub fn closed(&mut self) -> (u16, String) {
        loop {
            if let Event::Closed(code, reason) = self.receive() {
                return (code, reason);
            }
        }
    }

    /// Ends the connection from this side.
    pub fn close(mut self) {
        self.transport.close();
    }

    fn receive(&mut self) -> Event {
        if let Some((code, reason)) = &self.closed {
            return Event::Closed(*code, reason.clone());
        }
        let event = self.transport.receive(PATIENCE);
        let event = event
            .unwrap_or_else(|| panic!("{}: nothing came; waiting: {:?}", self.name, self.waiting));
        if let Event::Closed(code, reason) = &event {
            self.closed = Some((*code, reason.clone()));
        }
        event
    }
}

/// The transport of our own client.
pub struct Native(WebSocket<TcpStream>);

impl Native {
    /// Opens a WebSocket at `path` with additional headers.
    ///
    /// # Errors
    /// The handshake is refused; the error carries the answer.
    pub fn open(
        host: &Host,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Box<tungstenite::Error>> {
        let stream = TcpStream::connect(host.address()).map_err(tungstenite::Error::from)?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .map_err(tungstenite::Error::from)?;
        stream.set_nodelay(true).map_err(tungstenite::Error::from)?;
        let mut request = format!("ws://{}{path}", host.address()).into_client_request()?;
        for (name, value) in headers {
            let name: tungstenite::http::HeaderName = name.parse().expect("a header name");
            request
                .headers_mut()
                .insert(name, value.parse().expect("a header value"));
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(4 * limits::MIB))
            .max_frame_size(Some(4 * limits::MIB));
        match tungstenite::client::client_with_config(request, stream, Some(config)) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::HandshakeError::Failure(error)) => Err(Box::new(error)),
            Err(tungstenite::HandshakeError::Interrupted(_)) => {
                Err(Box::new(tungstenite::Error::Io(ErrorKind::TimedOut.into())))
            }
        }
    }
}

impl Transport for Native {
    fn send(&mut self, text: &str) {
        // The next `receive` reports a host that has closed.
        let _ = self.0.send(Message::text(text));
    }

    fn send_binary(&mut self, bytes: &[u8]) {
        let _ = self.0.send(Message::binary(bytes.to_vec()));
    }

    fn receive(&mut self, patience: Duration) -> Option<Event> {
        let end = Instant::now() + patience;
        let mut said: Option<(u16, String)> = None;
        loop {
            let left = end
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())?;
            self.0
                .get_ref()
                .set_read_timeout(Some(left))
                .expect("a socket takes a timeout");
            match self.0.read() {
                Ok(Message::Text(text)) => return Some(Event::Frame(text.as_str().to_owned())),
                Ok(Message::Binary(bytes)) => {
                    panic!("the server sent a binary frame of {} bytes", bytes.len())
                }
                Ok(Message::Close(frame)) => {
                    said = Some(frame.map_or((1005, String::new()), |frame| {
                        (frame.code.into(), frame.reason.as_str().to_owned())
                    }));
                }
                Ok(_) => {}
                // A read with a timeout is interrupted when the process is stopped and continued
                // (signal(7)).
                Err(tungstenite::Error::Io(error))
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => {
                    let (code, reason) = said.unwrap_or_else(|| (1006, error.to_string()));
                    return Some(Event::Closed(code, reason));
                }
            }
        }
    }

    fn close(&mut self) {
        let _ = self.0.close(Some(tungstenite::protocol::CloseFrame {
            code: 1000.into(),
            reason: "".into(),
        }));
        let _ = self.0.flush();
    }
}
