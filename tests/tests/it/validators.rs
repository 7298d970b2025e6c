//! The validator chain: filters of the operator, and the cost of their failures.

use serde_json::json;
use std::collections::BTreeMap;
use tests::{
    case::Target,
    client::Client,
    dry_run, guest,
    host::{Host, Settings},
    root, skip,
    spin::{self, Spin},
};

#[test]
fn the_dry_run_agrees_with_the_validator() {
    agrees(&Host::start());
}

#[test]
fn the_dry_run_agrees_under_spin() {
    if !spin::is_installed() {
        return skip("there is no `spin` on the PATH");
    }
    agrees(&Spin::start(&BTreeMap::new()));
}

fn agrees(target: &dyn Target) {
    let outcome = dry_run::run(&root().join("tests/cases/envelopes"), target);
    let failures = &outcome.failures;
    assert!(
        failures.is_empty(),
        "{} of {} cases differ:\n{}",
        failures.len(),
        outcome.asked,
        failures.join("\n")
    );
    assert!(
        outcome.asked > outcome.left_out,
        "{} asked, {} left out",
        outcome.asked,
        outcome.left_out
    );
}

fn filter(name: &str, on_failure: &str) -> String {
    let source = guest(name).display().to_string();
    format!(
        "[[validator.filters]]\nname = \"{name}\"\nsource = \"{source}\"\non_failure = \"{on_failure}\"\ntypes = [\"chat_message\"]\n"
    )
}

#[test]
fn a_custom_component_joins_the_chain_by_configuration_alone() {
    let host = Settings::new()
        .config(&filter("word-filter", "refuse"))
        .start();
    host.create_server("olga", "filtered");
    let mut alice = Client::joined(&host, "alice", "filtered");
    let mut bob = Client::joined(&host, "bob", "filtered");
    alice.send(
        json!({"type": "chat_message", "serverId": "filtered", "message": "a clean sentence"}),
    );
    assert_eq!(bob.expect("chat_message")["message"], "a clean sentence");
    alice.send(json!({"type": "chat_message", "serverId": "filtered", "message": "what the heck"}));
    assert_eq!(
        bob.expect("chat_message")["message"],
        "what the ****",
        "masked by the component"
    );
    alice.refused(
        json!({"type": "chat_message", "serverId": "filtered", "message": "freecoins here"}),
        "WORD_REFUSED",
    );
    assert!(!bob.waiting_types().contains(&"chat_message"));
}

#[test]
fn an_undecided_filter_is_asked_again_and_pauses_only_the_sender() {
    let settings = format!(
        "[socket]\nshards = 1\ndecision_max_ms = 3000\n{}",
        filter("filter-probe", "refuse")
    );
    let host = Settings::new().config(&settings).start();
    host.create_server("olga", "plaza");
    let mut alice = Client::joined(&host, "alice", "plaza");
    let mut bob = Client::joined(&host, "bob", "plaza");
    let mut carol = Client::joined(&host, "carol", "plaza");
    let say = |message: &str| json!({"type": "chat_message", "serverId": "plaza", "message": message, "requestId": message});
    alice.send(say("probe:ponder"));
    alice.send(say("afterwards"));
    // Her second message waits behind the first; the component decides when another user has
    // spoken.
    bob.send(say("probe:meanwhile"));
    let heard: Vec<_> = (0..3)
        .map(|_| carol.expect("chat_message")["message"].clone())
        .collect();
    assert_eq!(heard, ["probe:meanwhile", "probe:ponder", "afterwards"]);
    let refusal = alice.refused(say("probe:doubt"), "INTERNAL");
    assert!(
        refusal["message"]
            .as_str()
            .is_some_and(|text| text.contains("did not decide within 3000 ms")),
        "{refusal}"
    );
    assert_eq!(refusal["requestId"], "probe:doubt");
    alice.send(say("done"));
    assert_eq!(carol.expect("chat_message")["message"], "done");
    // An undecided envelope ends with its connection.
    alice.send(say("probe:doubt"));
    alice.close();
    bob.send(say("last"));
    assert_eq!(carol.expect("chat_message")["message"], "last");
}

#[test]
fn a_trap_costs_one_refusal() {
    let host = Settings::new()
        .config(&filter("filter-probe", "refuse"))
        .start();
    host.create_server("olga", "trapped");
    let mut alice = Client::joined(&host, "alice", "trapped");
    let mut bob = Client::joined(&host, "bob", "trapped");
    for _ in 0..3 {
        alice.refused(json!({"type": "chat_message", "serverId": "trapped", "message": "probe:trap", "requestId": "t"}), "INTERNAL");
        alice.send(json!({"type": "chat_message", "serverId": "trapped", "message": "fine"}));
        assert_eq!(
            bob.expect("chat_message")["message"],
            "fine",
            "the next one passes, through a fresh instance"
        );
    }
}
