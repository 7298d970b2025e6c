//! The host under test: the real binary, in a fresh folder, on a free port.

use crate::{
    PATIENCE,
    case::Target,
    http::{Request, Response},
    output_folder, root,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Mutex, Once, mpsc::channel},
};
use tempfile::TempDir;

/// The service credential of every test host.
pub const SERVICE_CREDENTIAL: &str = "tests-service-credential-0123456789abcdef";

/// How a host is started.
#[derive(Debug, Default)]
pub struct Settings {
    config: toml::Table,
    data: Option<PathBuf>,
    log: Option<PathBuf>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    open_files: Option<usize>,
}

impl Settings {
    /// The defaults, with two shards, limits that one address alone cannot reach, and a long
    /// silence limit, because clients of a test answer pings only while the test reads from them.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn new() -> Self {
        let cache = toml::Value::from(
            output_folder()
                .join("jackfield-test-cache")
                .display()
                .to_string(),
        );
        Self::default().config(&format!(
            "[socket]\nshards = 2\nconnections_per_address_max = 100000\nsilence_max_ms = 600000\n\
             handshakes_per_address = {{ per_second = 100000, burst = 100000 }}\n\
             [rest]\nper_address = {{ per_second = 100000, burst = 100000 }}\nchanges_per_minute = 1000000\n\
             [cache]\ndirectory = {cache}\n[edge]\nservice_credential = \"{SERVICE_CREDENTIAL}\"\n"
        ))
    }

    /// Adds configuration; later settings win.
    ///
    /// # Panics
    /// When it is not TOML.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        merge(&mut self.config, text.parse().expect("TOML"));
        self
    }

    /// Uses this data folder instead of a new one.
    #[must_use]
    pub fn data(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_owned());
        self
    }

    /// Writes the log to this file instead of one in the folder of the host.
    #[must_use]
    pub fn log(mut self, file: &Path) -> Self {
        self.log = Some(file.to_owned());
        self
    }

    /// Limits the files and sockets that the host may have open.
    #[must_use]
    pub fn open_files(mut self, max: usize) -> Self {
        self.open_files = Some(max);
        self
    }

    /// Adds arguments of `jackfield serve`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Sets an environment variable of the host.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts a host and waits until it accepts connections.
    ///
    /// # Panics
    /// When it ends instead; the message shows its log.
    #[must_use]
    pub fn start(self) -> Host {
        self.try_start().unwrap_or_else(|failure| {
            panic!("the host ended with {}:\n{}", failure.status, failure.log)
        })
    }

    /// Starts a host that may refuse to start.
    ///
    /// # Errors
    /// It ended before it was ready.
    ///
    /// # Panics
    /// When it neither ends nor gets ready.
    pub fn try_start(self) -> Result<Host, Failure> {
        // The first host compiles the product's components; all hosts after it find the code in the cache that they share.
        static COMPILED: Once = Once::new();
        COMPILED.call_once(|| drop(Self::new().launch()));
        self.launch()
    }

    fn launch(self) -> Result<Host, Failure> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = self
            .data
            .clone()
            .unwrap_or_else(|| folder.path().join("data"));
        let log = self
            .log
            .clone()
            .unwrap_or_else(|| folder.path().join("log"));
        let mut command = self.command(folder.path(), &data);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log file"))
            .spawn()
            .expect("the binary starts");
        let output = child.stdout.take().expect("a piped output");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(url) = line.strip_prefix("ready ") {
                    let _ = sender.send(url.to_owned());
                }
            }
        });
        match lines.recv_timeout(PATIENCE) {
            Ok(url) => Ok(Host {
                child,
                url,
                data,
                log,
                folder,
                tokens: Mutex::default(),
            }),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                let status = child.wait().expect("an ended child has a status");
                Err(Failure {
                    status,
                    log: fs::read_to_string(&log).unwrap_or_default(),
                })
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                panic!(
                    "the host never got ready:\n{}",
                    fs::read_to_string(&log).unwrap_or_default()
                )
            }
        }
    }

    /// Starts a host and kills it after the given time, ready or not.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_and_kill(self, after: std::time::Duration) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = self
            .data
            .clone()
            .unwrap_or_else(|| folder.path().join("data"));
        let mut command = self.command(folder.path(), &data);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        std::thread::sleep(after);
        child.kill().expect("a running host");
        child.wait().expect("a killed host ends");
    }

    /// `jackfield serve` with its configuration in `folder`.
    fn command(&self, folder: &Path, data: &Path) -> Command {
        let config = folder.join("jackfield.toml");
        fs::write(&config, toml::to_string(&self.config).expect("TOML"))
            .expect("a written configuration");
        let mut command = jackfield();
        if let Some(max) = self.open_files {
            let mut limited = Command::new("sh");
            limited
                .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &max.to_string()])
                .arg(command.get_program())
                .env_remove("RUST_LOG");
            command = limited;
        }
        // Outside of the checkout: the application is the one in the binary.
        command
            .current_dir(folder)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(&config)
            .args(&self.arguments)
            .envs(self.variables.iter().cloned());
        command
    }
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// A host that ended before it was ready.
#[derive(Debug)]
pub struct Failure {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard error.
    pub log: String,
}

/// A running host; dropped with this value.
pub struct Host {
    child: Child,
    url: String,
    data: PathBuf,
    log: PathBuf,
    folder: TempDir,
    /// Tokens by user and role.
    tokens: Mutex<BTreeMap<(String, String), String>>,
}

impl Host {
    /// A host with the settings of the tests.
    #[must_use]
    pub fn start() -> Self {
        Settings::new().start()
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on requests and clients of this value go to `address`, where a proxy passes them on to the host.
    pub fn answers_at(&mut self, address: &str) {
        self.url = format!("http://{address}");
    }

    /// `127.0.0.1:port`.
    ///
    /// # Panics
    /// When the ready line has no `http` URL.
    #[must_use]
    pub fn address(&self) -> String {
        self.url
            .strip_prefix("http://")
            .expect("an http URL")
            .to_owned()
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A folder that lives as long as the host.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// A token made by `jackfield token`.
    #[must_use]
    pub fn token(&self, user: &str, role: &str) -> String {
        token(&self.data, user, role)
    }

    /// The same, created once, for tests that need it often.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn known_token(&self, user: &str, role: &str) -> String {
        let mut tokens = self.tokens.lock().expect("no test panics with it");
        tokens
            .entry((user.to_owned(), role.to_owned()))
            .or_insert_with(|| self.token(user, role))
            .clone()
    }

    /// Sends a request.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn send(&self, request: &Request) -> Response {
        request.send(&self.address()).unwrap_or_else(|error| {
            panic!(
                "{} {}: {error}\n{}",
                request.method,
                request.path,
                self.log()
            )
        })
    }

    /// `GET` without credentials.
    #[must_use]
    pub fn get(&self, path: &str) -> Response {
        self.send(&Request::new("GET", path))
    }

    /// A request with a JSON body, in the name of `user`.
    #[must_use]
    pub fn act(&self, user: &str, method: &str, path: &str, body: &Value) -> Response {
        self.send(
            &Request::new(method, path)
                .bearer(&self.token(user, "client"))
                .json(body),
        )
    }

    /// Makes a public server owned by `owner`.
    pub fn create_server(&self, owner: &str, id: &str) {
        let _ = self
            .act(
                owner,
                "POST",
                "/api/servers",
                &json!({"id": id, "name": id}),
            )
            .expect(201);
    }

    /// Stores a plugin requirement and returns the row.
    pub fn require(&self, owner: &str, server: &str, plugin: &str, body: &Value) -> Value {
        self.act(
            owner,
            "PUT",
            &format!("/api/servers/{server}/plugins/{plugin}/requirement"),
            body,
        )
        .expect(200)
        .json()
    }

    /// Registers a plugin event and returns the row.
    pub fn define(
        &self,
        owner: &str,
        server: &str,
        plugin: &str,
        event: &str,
        body: &Value,
    ) -> Value {
        self.act(
            owner,
            "PUT",
            &format!("/api/servers/{server}/plugins/{plugin}/events/{event}"),
            body,
        )
        .expect(200)
        .json()
    }

    /// The value of a metric without labels, or of all its label sets together; of one set if the name has labels.
    #[must_use]
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").expect(200).text();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let is_meant = |line: &&str| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with([' ', '{'])
        };
        let values = lines
            .filter(is_meant)
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// Sends a signal: `TERM`, `INT`, `STOP`, `CONT`.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.child.id().to_string())
            .status();
        assert!(status.expect("kill runs").success(), "kill -{signal}");
    }

    /// Kills it without warning and waits for its end. The data stays when it lies outside the
    /// host's own folder.
    pub fn kill(mut self) {
        self.child.kill().expect("a running host");
        self.child.wait().expect("a killed host ends");
    }

    /// Waits for its own end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait(mut self) -> ExitStatus {
        crate::until("the end of the host", || {
            self.child.try_wait().expect("a child has a status")
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let ended = self.child.try_wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let how = match ended {
                Ok(Some(status)) => format!("which had ended by itself ({status})"),
                _ => "which ran until now".to_owned(),
            };
            eprintln!(
                "--- log of the host at {}, {how}:\n{}",
                self.url,
                self.log()
            );
        }
    }
}

impl Target for Host {
    fn address(&self) -> String {
        self.address()
    }

    fn token(&self, user: &str, role: &str) -> String {
        self.token(user, role)
    }

    fn service_credential(&self) -> String {
        SERVICE_CREDENTIAL.into()
    }
}

/// A token made with the key in `data`.
///
/// # Panics
/// When `jackfield token` fails.
#[must_use]
pub fn token(data: &Path, user: &str, role: &str) -> String {
    let output = run(jackfield()
        .arg("token")
        .arg("--data")
        .arg(data)
        .args(["--user", user, "--role", role]));
    assert!(
        output.status.success(),
        "jackfield token: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("a token is text");
    text.trim_end().lines().last().expect("a token").to_owned()
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot start.
pub fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The binary that cargo built beside this test, in the workspace's root.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn jackfield() -> Command {
    let binary = output_folder().join("jackfield");
    assert!(
        binary.exists(),
        "{} is missing; run `cargo xtask test`, or `cargo build --bins` first",
        binary.display()
    );
    let mut command = Command::new(binary);
    command.current_dir(root()).env_remove("RUST_LOG");
    command
}
