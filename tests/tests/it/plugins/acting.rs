//! The servers on which a plugin acts, and what its failures cost there.

use serde_json::{Value, json};
use tests::{client::Client, host::Host, plugins::Directory};

const PROBE: &str = "tests.probe";
/// Public, without a requirement.
const OPEN: &str = "open";
/// Public, with the probe as optional.
const NAMED: &str = "named";
/// Public, with the probe as blocked.
const BLOCKED: &str = "blocked";
/// Private, without a requirement.
const PRIVATE: &str = "private";
/// Private, with the probe as recommended.
const WELCOMED: &str = "welcomed";
/// Private, with the probe as blocked.
const REFUSED: &str = "refused";

const SERVERS: [(&str, bool, Option<&str>); 6] = [
    (OPEN, false, None),
    (NAMED, false, Some("optional")),
    (BLOCKED, false, Some("blocked")),
    (PRIVATE, true, None),
    (WELCOMED, true, Some("recommended")),
    (REFUSED, true, Some("blocked")),
];

/// A host with the probe and all these servers.
fn host(directory: &Directory, config: &str) -> Host {
    directory.install("plugin-probe", |_| {});
    let host = directory.settings().config(config).start();
    host.plugin_in(PROBE, "loaded");
    host.grant_all(PROBE);
    for (server, private, status) in SERVERS {
        let body = json!({"id": server, "name": server, "private": private});
        let _ = host.act("olga", "POST", "/api/servers", &body).expect(201);
        for (event, direction) in [("ask", "clientToServer"), ("tell", "serverRelay")] {
            let definition = json!({"direction": direction, "scope": "server"});
            host.define("olga", server, PROBE, event, &definition);
        }
        if let Some(status) = status {
            host.require("olga", server, PROBE, &json!({"status": status}));
        }
    }
    host
}

/// A client on a server, by an invite of its owner.
fn invited(host: &Host, name: &str, server: &str) -> Client {
    let path = format!("/api/servers/{server}/invites");
    let invite = host.act("olga", "POST", &path, &json!({})).expect(200);
    let mut client = Client::identified(host, name);
    client.send(
        json!({"type": "join_server", "serverId": server, "inviteToken": invite.json()["code"]}),
    );
    client.expect("plugin_requirements");
    client
}

fn chat(server: &str, text: &str) -> Value {
    json!({"type": "chat_message", "serverId": server, "message": text})
}

fn ask(server: &str, what: &str) -> Value {
    json!({"type": "plugin_event", "serverId": server, "pluginId": PROBE, "eventName": "ask", "payload": {"do": what}})
}

/// Checks that the probe acts on exactly these servers, by every way of acting.
fn acts_on(host: &Host, expected: &[&str]) {
    for (server, _, status) in SERVERS {
        let acts = expected.contains(&server);
        let mut alice = invited(host, "alice", server);
        let mut bob = invited(host, "bob", server);
        // It decides about chat, and hears and decides about its events.
        if acts {
            alice.refused(chat(server, "!refuse this"), "PLUGIN_REFUSED");
            alice.refused(ask(server, "reject"), "PLUGIN_REFUSED");
        } else {
            alice.send(chat(server, "!refuse this"));
            assert_eq!(bob.expect("chat_message")["message"], "!refuse this");
            if status == Some("blocked") {
                alice.refused(ask(server, "reject"), "PLUGIN_BLOCKED");
            } else {
                alice.send(ask(server, "reject"));
                assert_eq!(bob.expect("plugin_event")["payload"]["do"], "reject");
            }
        }
        // It reads and sends, from where no server is given too.
        let call = |deed: &str| {
            let path = format!("/probe/{deed}/{server}");
            let answer = host.ask_plugin("POST", &path, b"from the plugin");
            answer.expect(200).json()
        };
        for deed in ["say", "roster", "channels"] {
            let answer = call(deed);
            assert_eq!(answer["error"].is_null(), acts, "{deed} {server}: {answer}");
            if !acts {
                assert_eq!(
                    answer["error"], "ErrorCode::Denied",
                    "{deed} {server}: {answer}"
                );
                let code = match status {
                    Some(_) => "PLUGIN_BLOCKED",
                    None => "PLUGIN_NOT_NAMED",
                };
                assert!(
                    answer.to_string().contains(code),
                    "{deed} {server}: {answer}"
                );
            }
        }
        let open = call("servers");
        let is_listed = open.as_array().expect("a list").contains(&json!(server));
        assert_eq!(is_listed, acts, "{server}: {open}");
        let said = bob.settled().into_iter();
        let said = said
            .filter(|frame| frame["message"] == "from the plugin")
            .count();
        assert_eq!(said == 1, acts, "{server}");
    }
}

#[test]
fn servers_have_the_first_word_about_plugins_and_the_operator_the_second() {
    let directory = Directory::default();
    acts_on(&host(&directory, ""), &[OPEN, NAMED, WELCOMED]);
}

#[test]
fn an_operator_can_leave_plugins_to_the_servers() {
    let directory = Directory::default();
    let config = "[plugins]\nservers = \"named\"\n";
    acts_on(&host(&directory, config), &[NAMED, WELCOMED]);
}

#[test]
fn an_operator_can_let_one_plugin_act_on_all_servers_that_do_not_block_it() {
    let directory = Directory::default();
    let config =
        "[plugins]\nservers = \"named\"\n[plugins.by_id.\"tests.probe\"]\nservers = \"all\"\n";
    let host = host(&directory, config);
    assert_eq!(host.plugin_in(PROBE, "loaded")["servers"], "all");
    acts_on(&host, &[OPEN, NAMED, PRIVATE, WELCOMED]);
}

#[test]
fn a_changed_requirement_takes_a_plugin_off_the_server_and_brings_it_back() {
    let directory = Directory::default();
    let host = host(&directory, "");
    let mut alice = invited(&host, "alice", NAMED);
    for (status, acts) in [
        ("blocked", false),
        ("required", true),
        ("incompatible", false),
    ] {
        host.require("olga", NAMED, PROBE, &json!({"status": status}));
        alice.find("the requirement", |frame| {
            frame["type"] == "plugin_requirements" && frame["requirements"][0]["status"] == status
        });
        alice.send(chat(NAMED, "!refuse this"));
        if acts {
            alice.refusal("PLUGIN_REFUSED");
        } else {
            let frames = alice.settled();
            assert!(
                frames.iter().all(|frame| frame["code"] != "PLUGIN_REFUSED"),
                "{status}: {frames:?}"
            );
        }
        let answer = host.ask_plugin("POST", &format!("/probe/say/{NAMED}"), b"hello");
        let answer = answer.expect(200).json();
        assert_eq!(answer["error"].is_null(), acts, "{status}: {answer}");
    }
}

/// What the manifest says, what the operator says about all plugins, what it says about this one; whether a message
/// passes that the plugin fails on.
#[test]
fn a_message_on_which_its_moderator_fails_passes_only_where_it_is_said_to() {
    for (manifest, all, one, passes) in [
        (None, None, None, false),
        (Some("pass"), None, None, false),
        (Some("pass"), Some("pass"), None, true),
        (Some("refuse"), Some("pass"), None, false),
        (None, Some("pass"), Some("refuse"), false),
        (Some("refuse"), Some("refuse"), Some("pass"), true),
    ] {
        let case = format!("{manifest:?} {all:?} {one:?}");
        let directory = Directory::default();
        directory.install("plugin-probe", |probe| {
            if let Some(manifest) = manifest {
                probe["onFailure"] = manifest.into();
            }
        });
        let mut config = "[plugins]\n".to_owned();
        if let Some(all) = all {
            config += &format!("on_failure = \"{all}\"\n");
        }
        if let Some(one) = one {
            config += &format!("[plugins.by_id.\"{PROBE}\"]\non_failure = \"{one}\"\n");
        }
        let host = directory.settings().config(&config).start();
        let about = host.plugin_in(PROBE, "loaded");
        let said = if passes { "pass" } else { "refuse" };
        assert_eq!(about["onFailure"], said, "{case}");
        host.grant_all(PROBE);
        host.create_server("olga", OPEN);
        let mut alice = Client::joined(&host, "alice", OPEN);
        let mut bob = Client::joined(&host, "bob", OPEN);
        alice.send(chat(OPEN, "!panic"));
        if passes {
            assert_eq!(bob.expect("chat_message")["message"], "!panic", "{case}");
            alice.send(chat(OPEN, "while it restarts"));
            let next = bob.expect("chat_message");
            assert_eq!(next["message"], "while it restarts", "{case}");
        } else {
            alice.refusal("PLUGIN_UNAVAILABLE");
            let frames = bob.settled();
            let heard = frames.iter().any(|frame| frame["type"] == "chat_message");
            assert!(!heard, "{case}: {frames:?}");
        }
    }
}

#[test]
fn a_failing_moderator_costs_only_the_servers_on_which_it_acts() {
    let directory = Directory::default();
    let host = host(&directory, "[plugins]\nrestart_ms = 1000\n");
    let mut moderated = invited(&host, "alice", NAMED);
    let mut free = invited(&host, "bob", BLOCKED);
    let mut hears = invited(&host, "carol", BLOCKED);
    // It ends before it has seen a message, and no message passes unseen all the same.
    let _ = host.ask_plugin("GET", "/probe/panic", b"").expect(502);
    moderated.refused(chat(NAMED, "unseen"), "PLUGIN_UNAVAILABLE");
    host.plugin_in(PROBE, "loaded");
    moderated.refused(chat(NAMED, "!panic"), "PLUGIN_UNAVAILABLE");
    let mut refusals = 0;
    tests::until("the moderator to be back", || {
        moderated.send(chat(NAMED, "still there?"));
        free.send(chat(BLOCKED, "nothing is missed here"));
        assert_eq!(
            hears.expect("chat_message")["message"],
            "nothing is missed here"
        );
        let frames = moderated.settled();
        let refused = frames.iter().find(|frame| frame["type"] == "error");
        if let Some(refused) = refused {
            assert_eq!(refused["code"], "PLUGIN_UNAVAILABLE", "{refused}");
            refusals += 1;
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        refused.is_none().then_some(())
    });
    assert!(refusals > 0, "it was being started again for a second");
}
