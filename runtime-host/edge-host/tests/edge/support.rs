//! Applications written to temporary directories, requests in one line.

use bytes::Bytes;
use edge_host::{Application, EdgeHost, Options};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use sandbox::CodeCache;
use serde_json::Value;
use std::{collections::BTreeMap, path::Path, sync::Mutex};
use tempfile::TempDir;
use test_support::guest;

/// Compiled code of the guests is shared by all tests.
pub(crate) fn cache() -> CodeCache {
    CodeCache::open(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("code-cache")).expect("cache")
}

/// An application in a temporary directory.
pub(crate) struct App {
    pub(crate) dir: TempDir,
    pub(crate) host: EdgeHost,
}

/// A manifest with one component `probe` (the guest) on `/probe/...`, whose entry ends with `grants`; `head` comes
/// before it.
pub(crate) fn probe_manifest(head: &str, grants: &str) -> String {
    let source = guest("http-probe");
    format!(
        "spin_manifest_version = 2\n[application]\nname = \"probe\"\n{head}\n[[trigger.http]]\nroute = \"/probe/...\"\ncomponent = \"probe\"\n\
         [component.probe]\nsource = {source:?}\n{grants}\n"
    )
}

/// Loads a manifest with its data in `dir`.
pub(crate) async fn load(
    dir: &Path,
    manifest: &str,
    variables: &[(&str, &str)],
) -> anyhow::Result<EdgeHost> {
    load_with(dir, cache(), manifest, variables).await
}

/// [`load`] with a cache of compiled code of one's own.
pub(crate) async fn load_with(
    dir: &Path,
    cache: CodeCache,
    manifest: &str,
    variables: &[(&str, &str)],
) -> anyhow::Result<EdgeHost> {
    log();
    let path = dir.join("spin.toml");
    std::fs::write(&path, manifest)?;
    let variables: BTreeMap<_, _> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    // One at a time: the first test compiles a component, the others find its code in the cache.
    static LOADING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _loading = LOADING.lock().await;
    EdgeHost::load(Options {
        cache,
        ..options(dir, Application::read(&path)?, variables)
    })
    .await
}

/// What an application in `dir` is loaded with.
pub(crate) fn options(
    dir: &Path,
    app: Application,
    variables: BTreeMap<String, String>,
) -> Options {
    let (data_dir, cache) = (dir.join("data"), cache());
    Options {
        app,
        data_dir,
        cache,
        variables,
        build_missing: false,
        requests_per_instance_max: 0,
    }
}

impl App {
    /// The probe with these grants.
    pub(crate) async fn probe(grants: &str) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let host = load(dir.path(), &probe_manifest("", grants), &[])
            .await
            .expect("application");
        Self { dir, host }
    }
}

/// A collected answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Asserts an error answer.
    pub(crate) fn is_error(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.json()["code"].as_str()),
            (status, Some(code)),
            "{self:?}"
        );
        assert!(self.json()["error"].is_string());
    }
}

/// Sends a request and collects the answer.
pub(crate) async fn send(
    host: &EdgeHost,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).expect("request");
    let (head, body) = host.handle(request).await.into_parts();
    let body = body.collect().await.expect("body").to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        body,
    }
}

pub(crate) async fn get(host: &EdgeHost, path: &str) -> Answer {
    send(host, Method::GET, path, &[], "").await
}

/// Posts JSON, expects JSON.
pub(crate) async fn post(host: &EdgeHost, path: &str, body: Value) -> Value {
    let answer = send(host, Method::POST, path, &[], body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct LogWriter;

impl std::io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().expect("log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Collects the log of all tests.
fn log() {
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(|| LogWriter)
        .finish();
    // Only the first test sets it.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// What was logged so far.
pub(crate) fn logged() -> String {
    String::from_utf8_lossy(&LOG.lock().expect("log")).into_owned()
}
