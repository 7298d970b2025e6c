//! The API over real plugins directories and stores; nothing is compiled: there is no compiler, or it waits.

mod access;
mod entries;
mod logs;
mod manage;
mod missed;
mod people;
mod values;

use bytes::Bytes;
use capability::Policy;
use egress::{Guard, GuardSettings};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use identifiers::UserId;
use identity::{Expectations, NewToken, Role, SigningKey, Verifier, sign};
use outbound::{Client, SystemResolver};
use plugin_api::{Body, PluginApi};
use plugin_bus::{
    Actor, ChatHost, NotHere, OpenServer, Outcome, OutgoingMessage, PublishError, RosterPage,
    Sending, Ticket,
};
use plugin_host::{Compiler, HostLimits, Plugins, Setup};
use plugin_store::{PLUGINS_FILE, PluginStore};
use sandbox::CodeCache;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

const SEED: [u8; 32] = [7; 32];

/// An API with two plugins, `first.plugin` and `second.plugin`.
struct Fixture {
    folder: tempfile::TempDir,
    api: PluginApi,
    plugins: Plugins,
}

/// A gateway without connections.
struct NoGateway;

impl ChatHost for NoGateway {
    fn send(&self, _: OutgoingMessage) -> Sending<'_> {
        Box::pin(async { Err(PublishError::NotHere(NotHere::NotOpen)) })
    }
    fn decided(&self, _: Ticket, _: Outcome) {}
    fn roster(&self, _: Actor<'_>, _: &str, _: usize, _: usize) -> Result<RosterPage, NotHere> {
        Err(NotHere::NotOpen)
    }
    fn open_servers(&self, _: Actor<'_>) -> Vec<OpenServer> {
        Vec::new()
    }
    fn recent_channels(&self, _: Actor<'_>, _: &str) -> Result<Vec<Box<str>>, NotHere> {
        Err(NotHere::NotOpen)
    }
}

fn manifest(id: &str) -> Value {
    json!({
        "schemaVersion": 1, "id": id, "title": format!("Plugin {id}"), "description": "A plugin for tests", "version": "1.2.3", "apiVersion": "1.0.0",
        "kind": "client", "compatibility": {"minimumHostVersion": "0.0.0"}, "entrypoint": "./main.js", "icon": "🧪",
        "authors": [{"name": "Ada"}],
        "capabilities": ["storage.kv", {"id": "http.fetch", "hosts": ["*.example.org"], "reason": "to tell people"}],
        "settings": {
            "limit": {"type": "integer", "default": 3, "min": 1, "max": 10},
            "key": {"type": "string", "secret": true},
        },
    })
}

fn install(directory: &Path, id: &str) {
    let folder = directory.join(id);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("jackfield.json"), manifest(id).to_string()).expect("a manifest");
    fs::write(folder.join("main.js"), format!("// {id}")).expect("a script");
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for id in ["first.plugin", "second.plugin"] {
            install(&folder.path().join("plugins"), id);
        }
        Self::over(folder).await
    }

    /// The same, started again.
    async fn again(self) -> Self {
        let Self {
            folder,
            api,
            plugins,
        } = self;
        plugins.stop().await;
        drop((api, plugins));
        Self::over(folder).await
    }

    async fn over(folder: tempfile::TempDir) -> Self {
        let store = PluginStore::open(&folder.path().join(PLUGINS_FILE)).expect("a store");
        let cache = CodeCache::open(&folder.path().join("code")).expect("a cache");
        let compiler = Compiler::new(folder.path().join("compiler"), cache);
        let (guard, resolver) = (
            Guard::new(&GuardSettings::default()).expect("a guard"),
            SystemResolver::default(),
        );
        let client = Client::new(
            outbound::Config::default(),
            Arc::new(guard),
            Arc::new(resolver),
        )
        .expect("a client");
        let directory = folder.path().join("plugins");
        let setup = Setup {
            directory,
            compiler,
            policy: Policy::default(),
            store,
            chat_host: Arc::new(NoGateway),
            client,
            limits: HostLimits::default(),
            restart_ms: 1_000,
            options: plugin_host::OperatorOptions::default(),
        };
        let plugins = Plugins::new(setup).expect("plugins");
        plugins.restore_kill_switches().await.expect("switches");
        plugins.scan().await.expect("a look");
        let verifier = Verifier::new(Expectations::default())
            .with_public_key(&SigningKey::from_seed(&SEED).public_key());
        let verify = Box::new(move |token: &str| verifier.verify(token, now_s()));
        let api = PluginApi::new(plugins.clone(), verify, vec!["https://app.example".into()]);
        Self {
            folder,
            api,
            plugins,
        }
    }

    fn store(&self) -> &PluginStore {
        self.plugins.store()
    }

    async fn send(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(body).expect("a request");
        assert!(PluginApi::takes(request.uri()), "{path}");
        self.api.answer(request).await
    }

    /// An administrator's request; status and JSON of the answer.
    async fn admin(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.with(&token("olga", Role::Admin), method, path, body)
            .await
    }

    async fn with(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let response = self.send(Some(token), method, path, body).await;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        (
            head.status.as_u16(),
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    /// What must be done.
    async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.admin(method, path, body).await;
        assert_eq!(status, StatusCode::OK.as_u16(), "{method} {path}: {answer}");
        answer
    }
}

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

fn token(user: &str, role: Role) -> String {
    let token = NewToken {
        user_id: UserId::new(user).expect("a name"),
        role,
        issued_at_s: now_s(),
        lifetime_s: 600,
        audience: None,
        issuer: None,
    };
    sign(&SigningKey::from_seed(&SEED), &token).expect("a token")
}
