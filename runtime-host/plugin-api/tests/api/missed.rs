//! What plugins decide about waits for one that should run, from the moment it is found.

use crate::{Fixture, manifest};
use plugin_bus::ServerPlugins;
use plugin_host::Verdict;
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

/// Installs a plugin whose compiler waits until something is written into the pipe that is returned, and then fails.
fn install_waiting(fixture: &Fixture, id: &str) -> std::path::PathBuf {
    let pipe = fixture.folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let compiler = fixture.folder.path().join("compiler");
    let script = format!("#!/bin/sh\nread line < {}\nexit 1\n", pipe.display());
    fs::write(&compiler, script).expect("a script");
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).expect("a mode");
    let folder = fixture.folder.path().join("plugins").join(id);
    let mut manifest = manifest(id);
    manifest["kind"] = "component".into();
    manifest["entrypoint"] = "plugin.wasm".into();
    manifest["onFailure"] = "refuse".into();
    manifest["hooks"] = json!(["PreToolUse"]);
    manifest
        .as_object_mut()
        .expect("an object")
        .remove("settings");
    manifest["capabilities"] = json!(["hooks.subscribe", "messages.moderate"]);
    fs::create_dir_all(&folder).expect("a folder");
    // The preamble of a component.
    fs::write(folder.join("plugin.wasm"), b"\0asm\x0d\0\x01\0").expect("a file");
    fs::write(folder.join("jackfield.json"), manifest.to_string()).expect("a manifest");
    pipe
}

/// A public server whose requirements name no plugin.
fn public_server() -> ServerPlugins {
    let state = json!({
        "serverId": "s", "name": "S", "revision": 1, "pluginsRevision": 1, "private": false, "password": false,
        "maxMembers": null, "ownerId": "olga", "bans": [], "requirements": [], "eventDefinitions": [],
    });
    ServerPlugins::new(&serde_json::from_value(state).expect("a state"))
}

#[tokio::test]
async fn a_plugin_that_is_being_compiled_is_missed_where_it_decides() {
    let fixture = Fixture::new().await;
    let id = "third.plugin";
    let pipe = install_waiting(&fixture, id);
    let server = public_server();
    let dispatch = fixture.plugins.dispatch();
    let verdict = async || {
        let run = fixture
            .plugins
            .run_hook("PreToolUse", json!({}), None)
            .await;
        run.expect("a hook").verdict
    };
    let plugins = fixture.plugins.clone();
    let scanning = tokio::spawn(async move { plugins.scan().await });
    while fixture
        .plugins
        .get(id)
        .map_or(true, |plugin| plugin.status.state.as_str() != "loading")
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(verdict().await, Verdict::Continue, "it has no grant");
    assert!(!dispatch.moderates(&server), "it has no grant");
    for capability in ["hooks.subscribe", "messages.moderate"] {
        let grant = json!({"capability": capability});
        let path = format!("/api/plugins/{id}/grants");
        fixture.done("PUT", &path, grant).await;
    }
    let seen = verdict().await;
    let plugin = fixture.plugins.get(id).expect("the plugin");
    assert!(
        matches!(seen, Verdict::Deny { .. }),
        "{seen:?}: {:?}",
        plugin.status
    );
    assert!(dispatch.moderates(&server), "no message passes without it");

    tokio::task::spawn_blocking(move || fs::write(pipe, "go\n"))
        .await
        .expect("a task")
        .expect("a pipe");
    scanning.await.expect("a task").expect("a look");
    let path = format!("/api/plugins/{id}");
    let plugin = fixture.done("GET", &path, Value::Null).await;
    assert_eq!(plugin["state"], "blocked");
    assert_eq!(verdict().await, Verdict::Continue, "it should not run");
    assert!(!dispatch.moderates(&server), "it should not run");
}
