//! What the operator says in the configuration about single plugins.

use serde_json::{Value, json};
use tests::{host::Host, plugins::Directory};

const PLUGINS: [&str; 2] = ["tests.probe", "tests.other"];

fn directory() -> Directory {
    let directory = Directory::default();
    for id in PLUGINS {
        directory.install_as("plugin-probe", id, |_| {});
    }
    directory
}

/// What reading a value is refused with, by plugin.
fn refusals(host: &Host) -> [Value; 2] {
    PLUGINS.map(|id| {
        host.plugin_in(id, "loaded");
        let about = json!({"plugin": id, "capability": "storage.kv"});
        let decision = host.admin("POST", "/api/capabilities/check", &about);
        let path = format!("/{id}/kv-get/a");
        let answer = host.ask_plugin("GET", &path, b"").expect(200).json();
        let is_allowed = decision.expect(200).json()["outcome"] == "allow";
        assert_eq!(is_allowed, answer["error"].is_null(), "{id}: {answer}");
        answer["error"].clone()
    })
}

#[test]
fn a_mode_of_one_plugin_is_for_it_alone() {
    let directory = directory();
    let strict = "[plugins.by_id.\"tests.other\"]\nmode = \"strict\"\n";
    let policy = "[plugins.policy]\nprofile = \"permissive\"\n";
    let host = directory.settings().config(policy).config(strict).start();
    let not_granted = json!("ErrorCode::NotGranted");
    assert_eq!(refusals(&host), [Value::Null, not_granted.clone()]);
    let permissive = "[plugins.by_id.\"tests.other\"]\nmode = \"permissive\"\n";
    let policy = "[plugins.policy]\nprofile = \"safe\"\n";
    let host = directory
        .settings()
        .config(policy)
        .config(permissive)
        .start();
    assert_eq!(refusals(&host), [not_granted, Value::Null]);
}

#[test]
fn a_deadline_of_one_plugin_is_for_it_alone() {
    let directory = directory();
    let own = "[plugins.by_id.\"tests.other\"]\ntimeout_ms = 250\n";
    let host = directory.settings().config(own).start();
    for id in PLUGINS {
        host.plugin_in(id, "loaded");
        host.grant_all(id);
    }
    let input = json!({"input": {"tests.other": {"do": "sleep"}}});
    let run = host.admin("POST", "/api/hooks/PreToolUse", &input);
    let run = run.expect(200).json();
    let reason = run["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("deadline of 250 ms"), "{run}");
    assert_eq!(run["pluginId"], "tests.other", "{run}");
}

#[test]
fn the_lists_of_plugins_say_which_run() {
    let directory = directory();
    let both = "[plugins]\nenable = [\"tests.other\"]\ndisable = [\"tests.other\"]\n";
    let host = directory.settings().config(both).start();
    let said = PLUGINS.map(|id| host.plugin_in(id, "blocked").to_string());
    assert!(said[0].contains("plugins.enable"), "{}", said[0]);
    assert!(said[1].contains("plugins.disable"), "{}", said[1]);
    let one = "[plugins]\nenable = [\"tests.other\"]\n";
    let host = directory.settings().config(one).start();
    host.plugin_in("tests.other", "loaded");
    host.plugin_in("tests.probe", "blocked");
}

#[test]
fn options_that_cannot_be_meant_are_refused_by_name() {
    let directory = Directory::default();
    for (text, named) in [
        (
            "[plugins.by_id.\"tests.other\"]\ntimeout_ms = 0\n",
            "timeout_ms (0)",
        ),
        (
            "[plugins.by_id.\"tests.other\"]\ntimeout_ms = 30001\n",
            "from 1 to 30000",
        ),
        (
            "[plugins.by_id.\"tests.other\"]\non_failure = \"skip\"\n",
            "skip",
        ),
        ("[plugins.by_id.\"No id\"]\ntimeout_ms = 1\n", "pluginId"),
        ("[plugins]\ndisable = [\"No id\"]\n", "pluginId"),
    ] {
        let refused = directory.settings().config(text).try_start();
        let said = refused.err().expect("it does not start").log;
        assert!(said.contains(named), "{text}: {said}");
    }
}
