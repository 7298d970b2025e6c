//! A server under load: one of the references or the subject, in a process of its own, pinned to its processor.

use crate::process::{self, Cores};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Time for a server to get ready; the first start of the subject compiles its components.
const READY_MS_MAX: u64 = 180_000;
/// Owner of all chat servers of a run.
const OWNER: &str = "bench-owner";

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The smallest server there can be.
    Floor,
    /// The usual design in Node.
    Seed,
    /// The gateway.
    Subject,
    /// The subject with an instance of its own for every HTTP request.
    Fresh,
    /// The subject's components under `spin up`.
    Spin,
}

impl Kind {
    /// In the order in which they take turns: a reference, the subject, a reference, so that drift touches both alike.
    pub(crate) const TURNS: [Self; 3] = [Self::Floor, Self::Subject, Self::Seed];

    /// Its name in figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Seed => "seed",
            Self::Subject => "jackfield",
            Self::Fresh => "jackfield with fresh instances",
            Self::Spin => "spin",
        }
    }
}

/// Where the programs are, and where they run.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The subject's binary.
    pub subject: PathBuf,
    /// What measures the components: an example of plugin-host.
    pub measure: PathBuf,
    /// The workspace: the subject finds its `spin.toml` there.
    pub root: PathBuf,
    /// The folder of the seed, with its packages installed.
    pub seed: PathBuf,
    /// Compiled components of the subject, kept between runs.
    pub cache: PathBuf,
    /// Processors.
    pub cores: Cores,
}

/// A running server; ends with this value.
pub(crate) struct Server {
    child: Child,
    folder: Rc<TempDir>,
    /// Time from its start until it said that it is ready.
    ready: Duration,
    address: SocketAddr,
    token: String,
}

impl Server {
    /// Starts one and waits until it accepts connections. `environment` is for the subject only.
    pub(crate) fn start(kind: Kind, place: &Place, environment: &[(&str, &str)]) -> Result<Self> {
        Self::start_in(Rc::new(tempfile::tempdir()?), kind, place, environment)
    }

    /// Ends the subject as an operator would, and starts it again with what it had stored.
    pub(crate) fn again(mut self, place: &Place, environment: &[(&str, &str)]) -> Result<Self> {
        process::end(self.child.id());
        let end = Instant::now() + Duration::from_millis(READY_MS_MAX);
        while self.child.try_wait()?.is_none() {
            ensure!(
                Instant::now() < end,
                "the subject does not end:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Self::start_in(self.folder.clone(), Kind::Subject, place, environment)
    }

    fn start_in(
        folder: Rc<TempDir>,
        kind: Kind,
        place: &Place,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = match kind {
            Kind::Floor => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("floor");
                command
            }
            Kind::Seed => {
                let mut command = Command::new("node");
                command.arg("server.mjs").current_dir(&place.seed);
                command
            }
            Kind::Subject => subject(place, folder.path(), environment)?,
            Kind::Fresh => {
                let mut command = subject(place, folder.path(), environment)?;
                command.env("JACKFIELD_EDGE__REQUESTS_PER_INSTANCE_MAX", "1");
                command
            }
            Kind::Spin => return Self::start_spin(place, folder, &[]),
        };
        let log = folder.path().join("log");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?);
        process::pin(place.cores.server)?;
        let began = Instant::now();
        let spawned = command.spawn();
        process::pin(place.cores.load)?;
        let mut child =
            spawned.with_context(|| format!("cannot start {}: {command:?}", kind.name()))?;
        let address = match ready(&mut child) {
            Some(address) => address,
            None => {
                let _ = child.kill();
                let status = child.wait()?;
                bail!(
                    "{} ended before it was ready ({status}):\n{}",
                    kind.name(),
                    fs::read_to_string(&log).unwrap_or_default()
                );
            }
        };
        let mut server = Self {
            child,
            folder,
            ready: began.elapsed(),
            address,
            token: String::new(),
        };
        if kind == Kind::Subject {
            server.token = token(place, server.folder.path())?;
        }
        Ok(server)
    }

    /// Spin picks no port by itself and does not say when it is ready.
    fn start_spin(
        place: &Place,
        folder: Rc<TempDir>,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new("spin");
        command
            .args([
                "up",
                "--quiet",
                "--listen",
                &address.to_string(),
                "--state-dir",
            ])
            .arg(folder.path())
            .current_dir(&place.root)
            .envs(environment.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log"))?);
        process::pin(place.cores.server)?;
        let spawned = command.spawn();
        process::pin(place.cores.load)?;
        let child = spawned.context("cannot start spin")?;
        let mut server = Self {
            child,
            folder,
            ready: Duration::ZERO,
            address,
            token: String::new(),
        };
        let end = Instant::now() + Duration::from_millis(READY_MS_MAX);
        while TcpStream::connect(address).is_err() {
            let over = server.child.try_wait()?.is_some() || Instant::now() > end;
            ensure!(!over, "`spin up` does not get ready:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Starts Spin with the subject's components, its key and its token, so that both answer the same requests.
    pub(crate) fn spin_beside(&self, place: &Place) -> Result<Self> {
        let key = printed(place, self.folder.path(), &["keys", "show"])?;
        let environment = [
            ("SPIN_VARIABLE_PUBLIC_KEY", key.as_str()),
            ("SPIN_VARIABLE_SERVERS_PER_OWNER", "1000000"),
            ("SPIN_VARIABLE_CHANGES_PER_MINUTE", "1000000"),
        ];
        let mut spin = Self::start_spin(place, Rc::new(tempfile::tempdir()?), &environment)?;
        spin.token.clone_from(&self.token);
        Ok(spin)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Time from its start until it said that it is ready.
    pub(crate) fn ready(&self) -> Duration {
        self.ready
    }

    /// A token of an ordinary user; the references know none.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Processor time that it has used, nanoseconds.
    pub(crate) fn cpu_ns(&self) -> Result<u64> {
        process::cpu_ns(self.child.id()).with_context(|| self.log())
    }

    /// Its own resident memory, bytes.
    pub(crate) fn memory_bytes(&self) -> Result<u64> {
        process::own_memory_bytes(self.child.id())
    }

    /// The end of what it wrote to its standard error: why it failed, if it did.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Creates open chat servers. Only the subject needs them created beforehand.
    pub(crate) fn make_rooms(&self, names: &[String]) -> Result<()> {
        if self.token.is_empty() {
            return Ok(());
        }
        for name in names {
            let body = format!(r#"{{"id":"{name}","name":"{name}"}}"#);
            let (status, text) = self.http("POST", "/api/servers", &body)?;
            ensure!(
                status == 201,
                "the subject made no server '{name}': {status} {text}"
            );
        }
        Ok(())
    }

    /// The sum of a metric's samples whose line holds `label`; only the subject has metrics.
    pub(crate) fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let (status, text) = self.http("GET", "/metrics", "")?;
        ensure!(status == 200, "GET /metrics: {status}");
        let lines = text
            .lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(label));
        Ok(lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }

    /// Asks once; status and answer.
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .context("no status line")?;
        Ok((status, answer))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Spin's trigger is a child of its own, which ends when Spin is asked to end.
        for process in process::family(self.child.id()) {
            process::kill(process);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The subject as an operator would run it, except for limits that one load generator on one address would meet: rates, addresses and
/// quotas are raised by configuration, and all of the code stays on.
fn subject(place: &Place, folder: &Path, environment: &[(&str, &str)]) -> Result<Command> {
    let config = folder.join("jackfield.toml");
    let rate = "{ per_second = 1000000, burst = 4000000 }";
    let rates: String = [
        "all",
        "typing",
        "chat",
        "membership",
        "signalling",
        "direct",
        "plugin_event",
    ]
    .map(|class| format!("{class} = {rate}\n"))
    .concat();
    fs::write(
        &config,
        format!(
            "[socket]\nshards = 1\nconnections_per_address_max = 1000000\naccepts = {rate}\nhandshakes_per_address = {rate}\n\
             [rates]\nbytes_per_second = 4000000000\nnew_targets_per_minute = 4000000\n{rates}\
             [rest]\nservers_per_owner = 1000000\nchanges_per_minute = 1000000\nper_address = {rate}\n\
             [cache]\ndirectory = {:?}\n[log]\nfilter = \"warn\"\n",
            place.cache
        ),
    )?;
    let mut command = Command::new(&place.subject);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(config)
        .arg("--data")
        .arg(folder.join("data"));
    command
        .current_dir(&place.root)
        .env_remove("RUST_LOG")
        .env_remove("RUST_BACKTRACE")
        .envs(environment.iter().copied());
    Ok(command)
}

fn token(place: &Place, folder: &Path) -> Result<String> {
    printed(
        place,
        folder,
        &["token", "--user", OWNER, "--role", "client"],
    )
}

/// The last line that a command of the subject prints about its data.
fn printed(place: &Place, folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(&place.subject);
    command
        .current_dir(&place.root)
        .args(arguments)
        .arg("--data")
        .arg(folder.join("data"));
    let output = command.output()?;
    let what = arguments.join(" ");
    ensure!(
        output.status.success(),
        "jackfield {what}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let line = text.trim_end().lines().last();
    Ok(line
        .with_context(|| format!("jackfield {what} printed nothing"))?
        .to_owned())
}

/// Reads lines until the one that says where the server listens; whatever it prints later is read and forgotten.
fn ready(child: &mut Child) -> Option<SocketAddr> {
    let output = child.stdout.take()?;
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(url) = line.strip_prefix("ready http://") {
                let _ = sender.send(url.parse().ok());
            }
        }
    });
    let end = Instant::now() + Duration::from_millis(READY_MS_MAX);
    receiver
        .recv_timeout(end.saturating_duration_since(Instant::now()))
        .ok()
        .flatten()
}
