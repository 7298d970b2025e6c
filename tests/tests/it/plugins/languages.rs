//! The same plugin in JavaScript, Python and C, built by the tools of those languages.
//!
//! Left out by `--quick`: their tools come from package registries.

use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};
use tests::{
    client::Client,
    host::{Host, jackfield, run},
    plugins::Directory,
};

const SERVER: &str = "plaza";

/// One plugin, and what it logs about a stored value that is not JSON.
struct Language {
    plugin: &'static str,
    fault: &'static str,
}

const LANGUAGES: [Language; 3] = [
    Language {
        plugin: "welcome-js",
        fault: "handle: SyntaxError",
    },
    Language {
        plugin: "welcome-py",
        fault: "handle: JSONDecodeError",
    },
    Language {
        plugin: "welcome-c",
        fault: "there is no JSON string",
    },
];

impl Language {
    fn id(&self) -> String {
        format!("jackfield.{}", self.plugin)
    }

    fn route(&self) -> String {
        format!("/{}/", self.plugin)
    }

    fn greet(&self, name: &str) -> Value {
        json!({"type": "plugin_event", "serverId": SERVER, "pluginId": self.id(), "eventName": "greet", "payload": {"name": name}})
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/plugins/{}/{rest}", self.id())
    }

    fn log(&self, host: &Host) -> String {
        host.admin("GET", &self.path("logs"), &Value::Null)
            .expect(200)
            .text()
    }

    fn told(&self, host: &Host) -> Value {
        host.ask_plugin("GET", &self.route(), b"")
            .expect(200)
            .json()
    }

    fn events(&self, host: &Host) -> String {
        host.admin("GET", &self.path("events"), &Value::Null)
            .expect(200)
            .text()
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    u64::try_from(now.as_millis()).expect("milliseconds fit")
}

#[test]
fn the_same_plugin_serves_in_every_language() {
    let directory = Directory::default();
    for language in &LANGUAGES {
        directory.install(language.plugin, |_| {});
    }
    let host = directory.settings().start();
    host.create_server("olga", SERVER);
    for language in &LANGUAGES {
        host.plugin_in(&language.id(), "loaded");
        host.grant_all(&language.id());
        host.require(
            "olga",
            SERVER,
            &language.id(),
            &json!({"status": "optional"}),
        );
        host.define(
            "olga",
            SERVER,
            &language.id(),
            "greet",
            &json!({"direction": "clientToServer", "scope": "server"}),
        );
        host.define(
            "olga",
            SERVER,
            &language.id(),
            "welcome",
            &json!({"direction": "serverRelay", "scope": "server"}),
        );
    }
    let mut alice = Client::joined(&host, "alice", SERVER);
    let mut bob = Client::joined(&host, "bob", SERVER);
    for language in &LANGUAGES {
        checks(&directory, language);
        welcomes(&host, language, &mut alice, &mut bob);
        is_disabled_and_enabled(&host, language);
        crashes_and_restarts(&host, language);
        // The instance for the server ended too and is created again.
        let before = language.told(&host)["welcomed"].as_i64().expect("a count");
        alice.send(language.greet("Zo\u{eb}"));
        assert_eq!(
            bob.expect("plugin_event")["payload"]["number"],
            before + 1,
            "{}",
            language.plugin
        );
        assert_eq!(
            language.told(&host),
            json!({"welcomed": before + 1, "latest": "Zo\u{eb}"}),
            "{}",
            language.plugin
        );
    }
}

fn checks(directory: &Directory, language: &Language) {
    let output = run(jackfield()
        .args(["plugin", "check", "--strict"])
        .arg(directory.path().join(language.id())));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn welcomes(host: &Host, language: &Language, alice: &mut Client, bob: &mut Client) {
    let plugin = language.plugin;
    assert_eq!(
        language.told(host),
        json!({"welcomed": 0, "latest": null}),
        "{plugin}"
    );
    let began = now_ms();
    alice.send(language.greet("  \u{17d}ana \"Z\" \u{1f44b} "));
    let heard = bob.expect("plugin_event");
    assert_eq!(
        (&heard["pluginId"], &heard["eventName"]),
        (&json!(language.id()), &json!("welcome")),
        "{plugin}: greet is consumed"
    );
    let payload = &heard["payload"];
    assert_eq!(
        (&payload["text"], &payload["number"]),
        (&json!("welcome, \u{17d}ana \"Z\" \u{1f44b}!"), &json!(1)),
        "{plugin}"
    );
    let at = payload["at"].as_u64().expect("milliseconds");
    assert!(
        (began..=now_ms()).contains(&at),
        "{plugin}: {at} is not the time of the host"
    );
    assert_eq!(
        language.told(host),
        json!({"welcomed": 1, "latest": "\u{17d}ana \"Z\" \u{1f44b}"}),
        "{plugin}"
    );
    let refused = alice.refused(language.greet("  "), "PLUGIN_REFUSED");
    assert!(
        refused.to_string().contains("a name has letters"),
        "{plugin}: {refused}"
    );
    let _ = host
        .admin(
            "PUT",
            &language.path("settings"),
            &json!({"greeting": "hej"}),
        )
        .expect(200);
    alice.send(language.greet("Bo"));
    assert_eq!(
        bob.expect("plugin_event")["payload"]["text"],
        "hej, Bo!",
        "{plugin}: settings"
    );
    tests::until("both lines in the log", || {
        let log = language.log(host);
        (log.contains("welcomed somebody") && log.contains("\"number\":2")).then_some(())
    });
    let error = host.ask_plugin("POST", &language.route(), b"");
    assert_eq!(error.status, 502, "{plugin}: {}", error.text());
    assert!(
        error.text().contains("only GET is answered here"),
        "{plugin}: an error of the call, not of the plugin: {}",
        error.text()
    );
    assert!(!language.events(host).contains("crashed"), "{plugin}");
}

fn is_disabled_and_enabled(host: &Host, language: &Language) {
    let _ = host
        .admin("POST", &language.path("disable"), &Value::Null)
        .expect(200);
    assert_eq!(
        host.ask_plugin("GET", &language.route(), b"").status,
        404,
        "the route of a disabled plugin is gone"
    );
    let _ = host
        .admin("POST", &language.path("enable"), &Value::Null)
        .expect(200);
    host.plugin_in(&language.id(), "loaded");
    assert_eq!(
        language.told(host)["welcomed"],
        2,
        "{}: values survive",
        language.plugin
    );
}

/// An uncaught error in the plugin: the call fails, the log has the reason, and the plugin is
/// restarted.
fn crashes_and_restarts(host: &Host, language: &Language) {
    let plugin = language.plugin;
    let kv = |body: Value| {
        host.admin("POST", &language.path("kv"), &body)
            .expect(200)
            .json()
    };
    let _ = kv(json!({"action": "set", "key": "latest", "value": "no JSON"}));
    let answer = host.ask_plugin("GET", &language.route(), b"");
    assert_eq!(answer.status, 502, "{plugin}: {}", answer.text());
    host.plugin_in(&language.id(), "loaded");
    tests::until("a restart after the fault", || {
        language.events(host).contains("restarted").then_some(())
    });
    tests::until("the fault in the log", || {
        let log = language.log(host);
        (log.contains(language.fault) && log.contains("crashed: trap in handle")).then_some(())
    });
    let _ = kv(json!({"action": "set", "key": "latest", "value": "\"somebody\""}));
    assert_eq!(
        language.told(host),
        json!({"welcomed": 2, "latest": "somebody"}),
        "{plugin}"
    );
}

#[test]
fn a_script_error_ends_its_instance_and_is_logged() {
    let directory = Directory::default();
    directory.install("trouble-js", |manifest| {
        manifest["limits"] = json!({"fuelPerCall": 500_000_000})
    });
    directory.install("polls", |_| {});
    let host = directory.settings().start();
    host.plugin_in("jackfield.polls", "loaded");
    host.grant_all("jackfield.polls");
    for (deed, cause) in [
        ("spin", "all fuel consumed"),
        ("throw", "trap in handle"),
        ("recurse", "trap in handle"),
        ("hog", "trap in handle"),
    ] {
        host.plugin_in("tests.trouble-js", "loaded");
        let answer = host.ask_plugin("GET", &format!("/trouble-js/{deed}"), b"");
        assert_eq!(answer.status, 502, "{deed}: {}", answer.text());
        assert_eq!(
            host.ask_plugin("GET", "/polls/", b"").status,
            200,
            "{deed}: another plugin goes on"
        );
        tests::until(deed, || {
            let log = host
                .admin("GET", "/api/plugins/tests.trouble-js/logs", &Value::Null)
                .expect(200)
                .json();
            log["logs"][0]["message"]
                .as_str()
                .is_some_and(|line| line.starts_with("crashed: ") && line.contains(cause))
                .then_some(())
        });
    }
}

#[test]
fn scripts_get_time_and_randomness_from_the_host() {
    let directory = Directory::default();
    directory.install("trouble-js", |_| {});
    let host = directory.settings().start();
    host.plugin_in("tests.trouble-js", "loaded");
    let began = now_ms();
    let chances: Vec<Value> = (0..8)
        .map(|_| {
            host.ask_plugin("GET", "/trouble-js/chance", b"")
                .expect(200)
                .json()
        })
        .collect();
    let different: BTreeSet<String> = chances
        .iter()
        .map(|chance| chance["bytes"].to_string())
        .collect();
    assert_eq!(different.len(), 8, "random bytes must differ: {chances:?}");
    assert!(
        chances.iter().all(|chance| chance["bytes"]
            .as_array()
            .is_some_and(|bytes| bytes.len() == 16)),
        "{chances:?}"
    );
    assert!(
        chances
            .iter()
            .all(|chance| (began..=now_ms()).contains(&chance["now"].as_u64().unwrap_or_default())),
        "{chances:?}"
    );
    let refused = host.ask_plugin("GET", "/trouble-js/too-much-chance", b"");
    assert!(
        refused.status == 502 && refused.text().contains("65536"),
        "{}",
        refused.text()
    );
}
