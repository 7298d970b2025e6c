//! Crashing plugins: restarts, the limit of crashes in a row, and the effect on other plugins.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use tests::{
    bystander::{Bystander, STEADY},
    client::Client,
    guests::guest,
    host::Host,
    measures::resident_bytes,
    plugins::Directory,
    until,
};

/// As many plugins as a host runs.
const CROWD: usize = limits::plugin::PLUGINS_MAX;
/// How many of them misbehave.
const EVIL: usize = 50;
/// Memory of an idle plugin: instance, code, rows.
const BYTES_PER_PLUGIN_MAX: usize = 256 * limits::KIB;
/// Calls that are ended at their deadline one after another, and the memory they may leave behind
/// together.
const SLEEPERS: usize = 40;
const SLEEPERS_LEAVE_BYTES_MAX: usize = 24 * limits::MIB;

/// Number of lifecycle events of one kind.
fn rows(host: &Host, plugin: &str, kind: &str) -> usize {
    let page = host
        .admin(
            "GET",
            &format!("/api/plugins/{plugin}/events?page_size=100"),
            &Value::Null,
        )
        .expect(200)
        .text();
    page.matches(&format!("\"{kind}\"")).count()
}

#[test]
fn ten_crashes_in_a_row_disable_until_enabled_again() {
    let directory = Directory::default();
    directory.install_guest("tests.traps", &guest("activate-traps"), |_| {});
    directory.install("plugin-probe", |_| {});
    let data = tempfile::tempdir().unwrap();
    let start = || {
        directory
            .settings()
            .data(data.path())
            .config(STEADY)
            .config("[plugins]\nrestart_ms = 1\n")
            .start()
    };
    let host = start();
    let bystander = Bystander::start(&host, "calm");
    let given_up = host.plugin_in("tests.traps", "disabled");
    assert_eq!(
        (&given_up["enabled"], &given_up["lastError"]),
        (&json!(false), &json!("max_restarts_exceeded")),
        "ten crashes in a row must disable: {given_up}"
    );
    let cause = given_up["lastCrash"].as_str().unwrap_or_default();
    assert!(cause.contains("activate"), "{given_up}");
    assert_eq!(
        (
            rows(&host, "tests.traps", "crashed"),
            rows(&host, "tests.traps", "restarting")
        ),
        (10, 9),
        "ten crashes, nine restarts"
    );
    assert_eq!(rows(&host, "tests.traps", "disabled_after_max_restarts"), 1);

    host.plugin_in("tests.probe", "loaded");
    for crash in 1..=10 {
        assert_eq!(
            host.ask_plugin("GET", "/probe/panic", b"").status,
            502,
            "crash {crash}"
        );
        until("the crash to be written down", || {
            (rows(&host, "tests.probe", "crashed") == crash).then_some(())
        });
        host.plugin_in(
            "tests.probe",
            if crash < 10 { "loaded" } else { "disabled" },
        );
    }
    assert_eq!(
        host.ask_plugin("GET", "/probe/status/418", b"").status,
        404,
        "it is switched off"
    );
    let _ = host
        .admin("POST", "/api/plugins/tests.probe/enable", &Value::Null)
        .expect(200);
    host.plugin_in("tests.probe", "loaded");
    assert_eq!(host.ask_plugin("GET", "/probe/panic", b"").status, 502);
    until("another crash to be written down", || {
        (rows(&host, "tests.probe", "crashed") == 11).then_some(())
    });
    host.plugin_in("tests.probe", "loaded");
    bystander.undisturbed();
    host.kill();

    let host = start();
    host.plugin_in("tests.traps", "disabled");
    assert_eq!(
        rows(&host, "tests.traps", "crashed"),
        10,
        "what was given up is not tried again by a restart of the host"
    );
}

#[test]
fn an_update_that_does_not_start_is_given_up_and_the_old_version_serves() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let host = directory
        .settings()
        .config("[plugins]\nrestart_ms = 1\n")
        .start();
    host.plugin_in("tests.probe", "loaded");
    // Too little fuel to activate.
    directory.install("plugin-probe", |manifest| {
        manifest["limits"] = json!({"fuelPerCall": 1_000})
    });
    until("the update to be given up", || {
        (rows(&host, "tests.probe", "update_abandoned") == 1).then_some(())
    });
    assert_eq!(rows(&host, "tests.probe", "update_failed"), 10);
    let about = host.plugin_in("tests.probe", "loaded");
    let why = about["lastError"].as_str().unwrap_or_default();
    assert!(why.contains("1000 instructions"), "{about}");
    assert_eq!(host.ask_plugin("GET", "/probe/status/418", b"").status, 418);
    let reload = || host.admin("POST", "/api/plugins/tests.probe/reload", &Value::Null);
    assert!(reload().expect(409).text().contains("1000 instructions"));
    directory.install("plugin-probe", |manifest| {
        manifest["title"] = "Probe, repaired".into()
    });
    until("the repaired update", || {
        let about = host.admin("GET", "/api/plugins/tests.probe", &Value::Null);
        let about = about.expect(200).json();
        (about["name"] == "Probe, repaired" && about["lastError"].is_null()).then_some(())
    });
    assert_eq!(host.ask_plugin("GET", "/probe/status/418", b"").status, 418);
}

/// A message for three plugins: the first crashes over it, the others still get it, in order.
#[test]
fn a_crash_over_a_message_does_not_take_it_from_other_plugins() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let after = |id: &str, manifest: &mut Value| {
        manifest["capabilities"] = json!(["messages.moderate"]);
        manifest["relationships"] = json!({"after": [{"id": id}]});
    };
    directory.install_guest("tests.second", &guest("chat-rewrites"), |manifest| {
        after("tests.probe", manifest)
    });
    directory.install_guest("tests.third", &guest("chat-flags"), |manifest| {
        after("tests.second", manifest)
    });
    let host = directory
        .settings()
        .config(STEADY)
        .config("[plugins]\nrestart_ms = 1\non_failure = \"pass\"\n")
        .start();
    for plugin in ["tests.probe", "tests.second", "tests.third"] {
        host.plugin_in(plugin, "loaded");
        host.grant_all(plugin);
    }
    host.create_server("olga", "plaza");
    let mut alice = Client::joined(&host, "alice", "plaza");
    let mut bob = Client::joined(&host, "bob", "plaza");
    let mut say = |text: &str| {
        alice.send(json!({"type": "chat_message", "serverId": "plaza", "message": text}));
        bob.expect("chat_message")["message"].clone()
    };
    assert_eq!(say("hello"), "seen");
    assert_eq!(
        say("!panic now"),
        "seen",
        "the second plugin must get the message"
    );
    until("the crash to be written down", || {
        (rows(&host, "tests.probe", "crashed") == 1).then_some(())
    });
    let flagged = until("both flags", || {
        let logs = host
            .admin("GET", "/api/plugins/tests.third/logs", &Value::Null)
            .expect(200)
            .text();
        (logs.matches("flagged a message").count() == 2).then_some(logs)
    });
    assert!(
        !flagged.contains("hello") && !flagged.contains("!panic"),
        "the third plugin must see the rewritten text: {flagged}"
    );
    host.plugin_in("tests.probe", "loaded");
    assert_eq!(say("!rewrite again"), "seen", "the first is back");
    assert_eq!(
        say("!sleep now"),
        "seen",
        "a slow plugin takes no time from the second"
    );
}

#[test]
fn a_sleeping_call_ends_at_its_deadline_and_leaves_no_memory() {
    let directory = Directory::default();
    directory.install("plugin-probe", |manifest| {
        manifest["limits"] = json!({"responseTimeoutMs": 100})
    });
    let host = directory.settings().config(STEADY).start();
    let bystander = Bystander::start(&host, "calm");
    let mut early = 0;
    for sleeper in 0..SLEEPERS {
        host.plugin_in("tests.probe", "loaded");
        let answer = host.ask_plugin("GET", "/probe/sleep", b"");
        let _ = answer.expect(504);
        // A reload does not wait for the back-off; it may fail while the crash is being recorded.
        until("a reload", || {
            (host
                .admin("POST", "/api/plugins/tests.probe/reload", &Value::Null)
                .status
                == 200)
                .then_some(())
        });
        if sleeper == SLEEPERS / 4 {
            early = resident_bytes(&host);
        }
    }
    let grown = resident_bytes(&host).saturating_sub(early);
    println!("{grown} bytes more after {SLEEPERS} sleepers");
    assert!(
        grown < SLEEPERS_LEAVE_BYTES_MAX,
        "{grown} bytes are left behind by {SLEEPERS} ended calls"
    );
    bystander.undisturbed();
}

#[test]
fn a_thousand_plugins_run_although_fifty_misbehave() {
    let directory = Directory::default();
    let (idle, loops, traps) = (guest("idle"), guest("start-loops"), guest("activate-traps"));
    for at in 0..CROWD {
        let component = match at {
            at if at < EVIL / 2 => &loops,
            at if at < EVIL => &traps,
            _ => &idle,
        };
        directory.install_guest(&format!("tests.crowd-{at}"), component, |manifest| {
            manifest["limits"] = json!({"fuelPerCall": 1_000_000})
        });
    }
    let host = directory.settings().config(STEADY).start();
    let bystander = Bystander::start(&host, "calm");
    let before = resident_bytes(&host);
    let states = until("the crowd to be settled", || {
        let list = host
            .admin("GET", "/api/plugins", &Value::Null)
            .expect(200)
            .json();
        let list = list
            .as_array()
            .or_else(|| list["plugins"].as_array())
            .cloned()
            .unwrap_or_else(|| panic!("{list}"));
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for plugin in &list {
            *states
                .entry(plugin["state"].as_str().expect("a state").to_owned())
                .or_default() += 1;
        }
        (states.get("loaded") == Some(&(CROWD - EVIL))).then_some(states)
    });
    let grown = resident_bytes(&host).saturating_sub(before);
    println!("{states:?}, {grown} bytes");
    assert!(
        states.values().sum::<usize>() == CROWD,
        "all are listed: {states:?}"
    );
    assert!(
        grown < CROWD * BYTES_PER_PLUGIN_MAX,
        "{grown} bytes for {CROWD} plugins"
    );
    bystander.undisturbed();
}
