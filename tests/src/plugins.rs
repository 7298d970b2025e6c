//! Plugins under test: installed into a plugins directory, called over REST.

use crate::{
    PATIENCE, guest,
    host::{Host, Settings},
    http::{Request, Response},
    root,
};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Instant};
use tempfile::TempDir;

/// A plugins directory, filled before or while a host runs.
#[derive(Debug)]
pub struct Directory(TempDir);

impl Default for Directory {
    fn default() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }
}

impl Directory {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Installs a plugin of the workspace: its manifest, changed by `change`, and its component.
    pub fn install(&self, package: &str, change: impl FnOnce(&mut Value)) {
        let mut manifest = manifest_of(package);
        change(&mut manifest);
        let name = manifest["id"].as_str().expect("an id").to_owned();
        self.put(&name, &manifest, &guest(package));
    }

    /// Installs a copy of a plugin of the workspace under another id of the same length.
    pub fn install_as(&self, package: &str, id: &str, change: impl FnOnce(&mut Value)) {
        let mut manifest = manifest_of(package);
        let own = manifest["id"].as_str().expect("an id").to_owned();
        assert_eq!(own.len(), id.len(), "{id} and {own} differ in length");
        let mut bytes = fs::read(guest(package)).expect("a component");
        for at in 0..bytes.len() - own.len() {
            if bytes[at..].starts_with(own.as_bytes()) {
                bytes[at..at + own.len()].copy_from_slice(id.as_bytes());
            }
        }
        let component = tempfile::NamedTempFile::new().expect("a file");
        fs::write(component.path(), bytes).expect("a component");
        manifest["id"] = id.into();
        manifest["route"] = format!("/{id}").into();
        change(&mut manifest);
        self.put(id, &manifest, component.path());
    }

    /// Creates a folder with component and manifest; the manifest is written last, so that the host
    /// never finds a partial package.
    pub fn put(&self, name: &str, manifest: &Value, component: &Path) {
        let folder = self.path().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let file = manifest["entrypoint"].as_str().expect("an entrypoint");
        fs::copy(component, folder.join(file)).expect("a component");
        fs::write(folder.join("jackfield.json"), manifest.to_string())
            .expect("a manifest is written");
    }

    /// Settings for a host with this directory, whose policy allows `http.serve` to every plugin
    /// that declares it.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.closed_settings()
            .config("[plugins.policy]\nallow = [\"http.serve\"]\n")
    }

    /// Settings for a host with this directory, with the default policy.
    #[must_use]
    pub fn closed_settings(&self) -> Settings {
        let directory = toml::Value::from(self.path().display().to_string());
        // Tests make as many calls as they can.
        Settings::new().config(&format!(
            "[plugins]\ndirectory = {directory}\n[plugins.limits]\nhost_calls_per_second = 1000000\n"
        ))
    }
}

/// The manifest of a plugin of the workspace.
fn manifest_of(package: &str) -> Value {
    let source = [
        "components/examples",
        "tests/test-components",
        "tests/test-scripts",
    ]
    .map(|folder| root().join(folder).join(package));
    let source = source
        .iter()
        .find(|folder| folder.is_dir())
        .unwrap_or_else(|| panic!("there is no plugin {package}"));
    let text = fs::read_to_string(source.join("jackfield.json")).expect("a manifest");
    serde_json::from_str(&text).expect("JSON")
}

impl Host {
    /// A request in the name of an administrator.
    #[must_use]
    pub fn admin(&self, method: &str, path: &str, body: &Value) -> Response {
        let request = Request::new(method, path).bearer(&self.known_token("root", "admin"));
        self.send(&if body.is_null() {
            request
        } else {
            request.json(body)
        })
    }

    /// Grants all that a plugin declares.
    pub fn grant_all(&self, plugin: &str) {
        let _ = self
            .admin(
                "PUT",
                &format!("/api/plugins/{plugin}/grants"),
                &json!({"all": true}),
            )
            .expect(200);
    }

    /// Waits until a plugin is in a state; returns its details.
    ///
    /// # Panics
    /// When it does not reach the state.
    pub fn plugin_in(&self, plugin: &str, state: &str) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.admin("GET", &format!("/api/plugins/{plugin}"), &Value::Null);
            let about = if answer.status == 200 {
                answer.json()
            } else {
                Value::Null
            };
            if about["state"] == state {
                return about;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{plugin} is not {state} but {about}\n{}",
                self.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Requests a route of a plugin that may be restarting, until it answers.
    ///
    /// # Panics
    /// When it does not restart.
    #[must_use]
    pub fn ask_plugin_again(&self, method: &str, path: &str) -> Response {
        crate::until(&format!("an answer to {path}"), || {
            let answer = self.ask_plugin(method, path, b"");
            (!matches!(answer.status, 502 | 503)).then_some(answer)
        })
    }

    /// Requests a route of a plugin as a client.
    #[must_use]
    pub fn ask_plugin(&self, method: &str, path: &str, body: &[u8]) -> Response {
        let mut request = Request::new(method, &format!("/api/plugins/route{path}"))
            .bearer(&self.known_token("alice", "client"));
        request.body = Some(body.to_vec());
        self.send(&request)
    }
}
