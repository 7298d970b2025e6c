//! The same components under `spin up`, if a `spin` that can run them (4.1 or a current canary) is
//! on the PATH.

use crate::{
    PATIENCE,
    case::Target,
    host::{Host, SERVICE_CREDENTIAL, jackfield, run},
    http::Request,
    root, until,
};
use std::{
    collections::BTreeMap,
    net::TcpListener,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// Whether a `spin` is on the PATH.
#[must_use]
pub fn is_installed() -> bool {
    Command::new("spin")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A running `spin up`.
pub struct Spin {
    child: Child,
    address: String,
    /// Its key signs the tokens that the components trust.
    keys: Host,
    _state: TempDir,
}

impl Spin {
    /// Starts the application with these variables and those of the tests.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start(variables: &BTreeMap<String, String>) -> Self {
        let keys = Host::start();
        let state = tempfile::tempdir().expect("a temporary folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address").to_string();
        drop(free);
        let mut command = Command::new("spin");
        command
            .args(["up", "--quiet", "--listen", &address, "--state-dir"])
            .arg(state.path())
            .current_dir(root());
        command
            .env("SPIN_VARIABLE_PUBLIC_KEY", public_key(&keys))
            .env("SPIN_VARIABLE_SERVICE_CREDENTIAL", SERVICE_CREDENTIAL);
        for (name, value) in variables {
            command.env(format!("SPIN_VARIABLE_{}", name.to_uppercase()), value);
        }
        let child = command.stdin(Stdio::null()).spawn().expect("spin starts");
        let spin = Self {
            child,
            address,
            keys,
            _state: state,
        };
        // Any answer means ready: some cases use variables that make the components refuse
        // everything.
        until("spin up", || {
            Request::new("GET", "/api/openapi.json")
                .send(&spin.address)
                .ok()
        });
        spin
    }
}

fn public_key(keys: &Host) -> String {
    let output = run(jackfield()
        .args(["keys", "show", "--data"])
        .arg(keys.data()));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Target for Spin {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn token(&self, user: &str, role: &str) -> String {
        self.keys.token(user, role)
    }

    fn service_credential(&self) -> String {
        SERVICE_CREDENTIAL.into()
    }
}

impl Drop for Spin {
    fn drop(&mut self) {
        // Spin runs its trigger as a child process and ends it on SIGTERM.
        let _ = Command::new("kill")
            .arg("-INT")
            .arg(self.child.id().to_string())
            .status();
        let begin = std::time::Instant::now();
        while begin.elapsed() < PATIENCE {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let _ = self.child.kill();
    }
}
