//! The steps of a plugin author: create, build, install.

use std::process::Command;
use tests::{host::jackfield, output_folder, plugins::Directory};

#[test]
fn a_new_plugin_builds_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let made = jackfield()
        .args(["new", "plugin", "say-hello", "--into"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let again = jackfield()
        .args(["new", "plugin", "say-hello", "--into"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        !again.status.success()
            && String::from_utf8_lossy(&again.stderr).contains("already exists")
    );
    let source = folder.path().join("say-hello");
    // Below the build output, so that a second run reuses it.
    let target = output_folder().parent().unwrap().join("new-plugin");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--release",
            "--target",
            "wasm32-wasip2",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(&source);
    let built = cargo.env_remove("RUSTFLAGS").output().unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let directory = Directory::default();
    let manifest =
        serde_json::from_slice(&std::fs::read(source.join("jackfield.json")).unwrap()).unwrap();
    directory.put(
        "say-hello",
        &manifest,
        &target.join("wasm32-wasip2/release/say_hello.wasm"),
    );
    let host = directory.settings().start();
    host.plugin_in("example.say-hello", "loaded");
    assert_eq!(
        host.ask_plugin("GET", "/say-hello", b"").expect(200).text(),
        "hello alice"
    );
}
