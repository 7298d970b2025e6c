//! What is found at load: missing files, foreign imports, the code cache.

use crate::support::{get, load, load_with, probe_manifest, send};
use http::Method;
use sandbox::CodeCache;
use test_support::guest;

async fn refusal(manifest: &str) -> String {
    let dir = tempfile::tempdir().expect("directory");
    format!(
        "{:#}",
        load(dir.path(), manifest, &[])
            .await
            .err()
            .expect("a refusal")
    )
}

fn manifest(component: &str) -> String {
    format!(
        "spin_manifest_version = 2\n[application]\nname = \"x\"\n[[trigger.http]]\nroute = \"/x\"\ncomponent = \"x\"\n[component.x]\n{component}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_named_with_its_build_command() {
    let text = refusal(&manifest(
        "source = \"target/x.wasm\"\nbuild = { command = \"cargo build -p x\" }",
    ))
    .await;
    assert!(
        text.contains("component `x`: ")
            && text.contains("target/x.wasm does not exist; build it with: cargo build -p x"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_import_is_named() {
    let text = refusal(&manifest(&format!("source = {:?}", guest("redis-user")))).await;
    assert!(text.contains("component `x` imports `spin:redis/redis@3.0.0`, which this host does not offer; it offers wasi:cli/"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_component_is_named() {
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("x.wasm");
    std::fs::write(&file, b"no wasm").expect("file");
    let text = refusal(&manifest(&format!("source = {file:?}"))).await;
    assert!(
        text.contains("component `x` is not a valid component"),
        "{text}"
    );
    let text = refusal(&probe_manifest(
        "",
        "dependencies.\"a:b/c\" = { component = \"probe\" }",
    ))
    .await;
    assert!(
        text.contains("component `probe`: the dependency `a:b/c` matches none of its imports"),
        "{text}"
    );
    let text = refusal(&probe_manifest(
        "",
        "allowed_outbound_hosts = [\"nonsense\"]",
    ))
    .await;
    assert!(
        text.contains("allowed_outbound_hosts: `nonsense`: no scheme"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_with_authority_is_refused() {
    let text = refusal(&probe_manifest(
        "",
        "dependencies.\"spin:key-value\" = { component = \"probe\" }",
    ))
    .await;
    assert!(
        text.contains("a dependency gets no configuration")
            && !text.contains("wasi:cli/environment"),
        "{text}"
    );
    let grants = "environment = { SECRET = \"1\" }\ndependencies.\"spin:key-value\" = { component = \"probe\" }";
    let text = refusal(&probe_manifest("", grants)).await;
    assert!(
        text.contains("wasi:cli/environment@"),
        "an environment is not for dependencies: {text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn compiled_code_is_kept() {
    let (dir, kept) = (
        tempfile::tempdir().expect("directory"),
        tempfile::tempdir().expect("cache"),
    );
    let manifest = probe_manifest("", "");
    let load = async || {
        let cache = CodeCache::open(kept.path()).expect("cache");
        let host = load_with(dir.path(), cache.clone(), &manifest, &[])
            .await
            .expect("application");
        (host, cache.stats())
    };
    let (first, stats) = load().await;
    assert_eq!((stats.compiled, stats.hits), (1, 0));
    drop(first);
    let (host, stats) = load().await;
    assert_eq!((stats.compiled, stats.hits), (0, 1));
    assert_eq!(get(&host, "/probe/seen").await.json(), 1);
}

/// `http-counter` with these dependencies on `counter`, and more keys.
fn counter_manifest(dependencies: &[&str], more: &str) -> String {
    let dependencies: String = dependencies
        .iter()
        .map(|name| format!("{name:?} = {{ component = \"counter\" }}\n"))
        .collect();
    format!(
        "spin_manifest_version = 2\n[application]\nname = \"counting\"\n[[trigger.http]]\nroute = \"/count/...\"\ncomponent = \"user\"\n\
         [component.user]\nsource = {:?}\n{more}\n[component.user.dependencies]\n{dependencies}\
         [component.counter]\nsource = {:?}\nsqlite_databases = [\"never-opened\"]\n",
        guest("http-counter"),
        guest("counter"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_on_a_package_is_one_instance() {
    let dir = tempfile::tempdir().expect("directory");
    let host = load(
        dir.path(),
        &counter_manifest(&["jackfield-test:counter@0.1.0"], ""),
        &[],
    )
    .await
    .expect("application");
    assert_eq!(
        send(&host, Method::PUT, "/count/41", &[], "").await.body,
        "42"
    );
    assert_eq!(get(&host, "/count").await.body, "43");
    assert!(
        !dir.path().join("data/sqlite-never-opened.db").exists(),
        "a dependency's own grants do not count"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_that_cannot_be_composed_are_named() {
    let both = [
        "jackfield-test:counter/counting@0.1.0",
        "jackfield-test:counter/setting@0.1.0",
    ];
    let text = refusal(&counter_manifest(&both, "")).await;
    assert!(
        text.contains("(one entry per package: `jackfield-test:counter`)"),
        "{text}"
    );
    let text = refusal(&counter_manifest(&[], "")).await;
    assert!(
        text.contains("component `user` imports `jackfield-test:counter/"),
        "{text}"
    );
    let text = refusal(&counter_manifest(&["jackfield-test:counter@0.2.0"], "")).await;
    assert!(text.contains("matches none of its imports"), "{text}");
}
