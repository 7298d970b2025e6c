//! The binary alone: the application that it carries, the code that it keeps, and what replaces the application.

use std::{fs, path::Path};
use tests::{
    host::{Host, Settings, jackfield, run},
    root,
};

/// A host in an empty folder, with its compiled code in `cache`.
fn host(cache: &Path, arguments: &[&str]) -> Host {
    Settings::new()
        .config(&format!("[cache]\ndirectory = {cache:?}\n"))
        .arguments(arguments)
        .start()
}

#[test]
fn a_host_in_an_empty_folder_compiles_once_for_all_hosts_of_a_user() {
    let cache = tempfile::tempdir().expect("a folder");
    let first = host(cache.path(), &[]);
    first.create_server("olga", "lobby");
    assert_eq!(first.get("/api/asyncapi.json").status, 200);
    let compiled = first.metric("jackfield_code_cache_compiled_total");
    assert!(compiled >= 1.0, "nothing was compiled for an empty cache");
    first.signal("TERM");
    assert!(first.wait().success());
    let second = host(cache.path(), &[]);
    assert_eq!(second.get("/api/asyncapi.json").status, 200);
    assert_eq!(second.metric("jackfield_code_cache_compiled_total"), 0.0);
    assert_eq!(second.metric("jackfield_code_cache_hits_total"), compiled);
}

#[test]
fn an_application_that_is_named_replaces_the_embedded_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = fs::read_to_string(root().join("spin.toml")).expect("the product's manifest");
    let from_here = format!("source = \"{}/", root().display());
    let text = text
        .replace("source = \"", &from_here)
        .replace("route = \"/api/audit\"", "route = \"/api/renamed.json\"");
    let manifest = folder.path().join("spin.toml");
    fs::write(&manifest, text).expect("a manifest");
    let settings = || Settings::new().arguments(&["--app", manifest.to_str().expect("UTF-8")]);
    let host = settings().start();
    assert_eq!(host.get("/api/audit").status, 404);
    assert_eq!(host.get("/api/servers").status, 200);
    drop(host);
    fs::write(&manifest, "spin_manifest_version = 2\n").expect("a manifest");
    let failure = settings().try_start().err().expect("not an application");
    assert!(failure.log.contains("manifest"), "{}", failure.log);
}

#[test]
fn the_help_names_what_replaces_the_application() {
    let help = run(jackfield().args(["serve", "--help"]));
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("--app <SPIN_TOML>"), "{help}");
}
