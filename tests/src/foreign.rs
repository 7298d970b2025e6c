//! Third-party clients: npm `ws`, PyPI `websockets`, and a page in a browser. Each is a process
//! that translates between its library and a line protocol: `{"do":"send","text":…}` in,
//! `{"event":"frame","text":…}` out.

use crate::{
    PATIENCE, cache,
    client::{Client, Event, Transport},
    host::Host,
    root,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

/// Message for a missing tool that `cargo xtask` installs.
const INSTALL: &str =
    "run `cargo xtask setup`, or leave the foreign clients out: `cargo xtask test --quick`";

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// npm `ws` on Node.js.
    Ws,
    /// PyPI `websockets` on CPython.
    Websockets,
    /// `WebSocket` of a page in Chromium.
    Browser,
}

impl Library {
    /// Connects to `host` and waits for `connected`.
    ///
    /// # Panics
    /// When the library is not installed or the host refuses.
    #[must_use]
    pub fn connect(self, host: &Host, name: &str) -> Client {
        let mut process = Process::start(self.command());
        process.tell(&json!({"do": "open", "url": format!("ws://{}/ws", host.address())}));
        match process
            .event(PATIENCE)
            .as_ref()
            .and_then(|event| event["event"].as_str())
        {
            Some("open") => Client::new(name, Box::new(process)),
            other => panic!("{name}: wanted open from {self:?}, found {other:?}"),
        }
    }

    fn command(self) -> Command {
        let clients = root().join("tests/clients");
        let mut command = match self {
            Self::Ws => node("ws-client.mjs"),
            Self::Websockets => {
                let mut command = Command::new(python());
                command.arg("-u").arg(clients.join("websockets_client.py"));
                command
            }
            Self::Browser => {
                let mut command = node("browser-client.mjs");
                let browser = cache::chromium().unwrap_or_else(|| panic!("no Chromium; {INSTALL}"));
                command.env("JACKFIELD_CHROMIUM", browser);
                command
            }
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }
}

/// Node.js with a script of tests/clients.
///
/// # Panics
/// When the npm packages are not installed.
#[must_use]
pub fn node(script: &str) -> Command {
    let clients = root().join("tests/clients");
    assert!(
        clients.join("node_modules/ws").is_dir(),
        "the npm packages of tests/clients are missing; {INSTALL}"
    );
    let mut command = Command::new("node");
    command.arg(clients.join(script)).current_dir(clients);
    command
}

/// The Python interpreter of the third-party clients.
///
/// # Panics
/// When it is not installed.
#[must_use]
pub fn python() -> PathBuf {
    let environment = cache::python_environment().expect("a cache folder");
    let python = environment.join("bin/python");
    assert!(
        python.exists(),
        "no Python environment at {}; {INSTALL}",
        environment.display()
    );
    python
}

/// A client process.
struct Process {
    child: Child,
    input: ChildStdin,
    events: Receiver<Value>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; {INSTALL}"));
        let input = child.stdin.take().expect("a piped input");
        let output = child.stdout.take().expect("a piped output");
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("{error} in the line {line}"));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            input,
            events,
        }
    }

    fn tell(&mut self, order: &Value) {
        // Waiting for the next event reports a process that has ended.
        let _ = writeln!(self.input, "{order}");
    }

    fn event(&mut self, patience: Duration) -> Option<Value> {
        self.events.recv_timeout(patience).ok()
    }
}

impl Transport for Process {
    fn send(&mut self, text: &str) {
        self.tell(&json!({"do": "send", "text": text}));
    }

    fn send_binary(&mut self, bytes: &[u8]) {
        self.tell(&json!({"do": "sendBinary", "base64": STANDARD.encode(bytes)}));
    }

    fn receive(&mut self, patience: Duration) -> Option<Event> {
        let event = self.event(patience)?;
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str() {
            Some("frame") => Some(Event::Frame(text("text"))),
            Some("closed") => Some(Event::Closed(
                event["code"]
                    .as_u64()
                    .and_then(|code| code.try_into().ok())
                    .unwrap_or(1006),
                text("reason"),
            )),
            _ => panic!("a foreign client failed: {event}"),
        }
    }

    fn close(&mut self) {
        self.tell(&json!({"do": "close"}));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.tell(&json!({"do": "quit"}));
        // The driver ends its browser on request; a process that does not end is killed.
        for _ in 0..250 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
