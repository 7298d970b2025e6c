//! Chains of real components: verdicts, failures, limits, and what files are refused.

#[path = "../../../components/core/validation/tests/runner/mod.rs"]
mod runner;
mod support;

use envelope::{
    Context, Verdict,
    verdict::{
        Definition, Effect, EventDirection, EventScope, Snapshot, Validator, ValidatorError, apply,
    },
};
use identifiers::{EventName, PluginId};
use limits::validator::FILTER_FAILURES_IN_A_ROW_MAX;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{ALICE, chain, engine, factory, filter, validator};
use test_support::guest;
use validator_chain::{Chain, ChainConfig, ChainFactory, ComponentStats, FilterConfig, OnFailure};

fn chat(message: &str) -> Vec<u8> {
    json!({"type": "chat_message", "serverId": "s1", "message": message, "senderId": "alice", "senderName": "Alice"})
        .to_string()
        .into_bytes()
}

fn broadcast(chain: &mut Chain, message: &str) -> String {
    let bytes = chat(message);
    match chain.validate(&ALICE, &bytes).expect("an answer") {
        Verdict::Route(decision) => {
            assert_eq!(decision.effects, [Effect::Broadcast("s1".to_owned())]);
            let outgoing = apply(&bytes, &decision.patches).expect("patches fit");
            let outgoing: Value = serde_json::from_slice(&outgoing).expect("JSON");
            outgoing["message"].as_str().expect("a text").to_owned()
        }
        other => panic!("{other:?}"),
    }
}

fn snapshot(revision: u64) -> Snapshot {
    let definition = |event_name: &str, schema: &str| Definition {
        plugin_id: PluginId::new("example.polls").expect("legal"),
        event_name: EventName::new(event_name).expect("legal"),
        direction: EventDirection::ServerRelay,
        scope: EventScope::Server,
        schema: Some(schema.to_owned()),
        payload_bytes_max: 65_536,
    };
    Snapshot {
        server_id: "s1".to_owned(),
        revision,
        requirements: Vec::new(),
        definitions: vec![
            definition("poll:vote", r#"{"type":"object"}"#),
            definition("poll:tree", r##"{"type":"array","items":{"$ref":"#"}}"##),
            // Two ways at each level of the payload: following each of them would take for ever.
            definition(
                "poll:slow",
                r##"{"anyOf":[{"items":{"allOf":[{"$ref":"#"},{"minItems":9}]},"maxItems":1},{"items":{"allOf":[{"$ref":"#"},{"minItems":8}]},"maxItems":1}]}"##,
            ),
        ],
    }
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    format!(r#"{{"type":"plugin_event","serverId":"s1","pluginId":"example.polls","eventName":"{name}","payload":{payload}}}"#).into_bytes()
}

fn stats(factory: &ChainFactory, name: &str) -> ComponentStats {
    factory
        .stats()
        .into_iter()
        .find(|stats| stats.name == name)
        .expect("a component")
}

#[test]
fn every_case_against_the_component() {
    let factory = factory(Vec::new(), validator());
    let count = runner::run(|| Box::new(factory.instance().expect("an instance")));
    assert!(count > 150, "{count} cases");
}

#[test]
fn filters_rewrite_refuse_and_pass_before_the_validator() {
    let mut chain = chain(vec![filter("word-filter", OnFailure::Refuse)], validator());
    assert_eq!(broadcast(&mut chain, "hello"), "hello");
    assert_eq!(broadcast(&mut chain, "what the HECK"), "what the ****");
    match chain
        .validate(&ALICE, &chat("freecoins here"))
        .expect("an answer")
    {
        Verdict::Refuse(refusal) => assert_eq!(refusal.code, "WORD_REFUSED"),
        other => panic!("{other:?}"),
    }
    assert!(
        matches!(chain.validate(&ALICE, b"garbage"), Ok(Verdict::Refuse(refusal)) if refusal.code == "BAD_JSON")
    );
}

#[test]
fn a_filter_is_asked_about_its_types_alone() {
    let traps = FilterConfig {
        types: vec!["typing".to_owned()],
        ..filter("filter-probe", OnFailure::Refuse)
    };
    let mut chain = chain(vec![traps], validator());
    assert_eq!(broadcast(&mut chain, "probe:trap"), "probe:trap");
    let typing = br#"{"type":"typing","serverId":"s1","isTyping":true,"channelId":"probe:trap"}"#;
    assert!(matches!(
        chain.validate(&ALICE, typing),
        Err(ValidatorError::Trap { .. })
    ));
}

#[test]
fn a_trap_costs_one_call() {
    let factory = factory(vec![filter("filter-probe", OnFailure::Refuse)], validator());
    let mut chain = factory.instance().expect("instances");
    for _ in 0..3 {
        match chain.validate(&ALICE, &chat("probe:trap")) {
            Err(ValidatorError::Trap { component, reason }) => {
                assert_eq!(component, "filter-probe");
                assert!(reason.contains("the probe traps"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(broadcast(&mut chain, "fine"), "fine");
    }
    let stats = stats(&factory, "filter-probe");
    assert_eq!((stats.calls, stats.traps, stats.deadlines), (6, 3, 0));
    assert!(stats.busy_ns > 0);
}

#[test]
fn a_filter_that_may_be_skipped_is_left_out_after_failures_in_a_row() {
    let factory = factory(vec![filter("filter-probe", OnFailure::Skip)], validator());
    let mut chain = factory.instance().expect("instances");
    for _ in 0..FILTER_FAILURES_IN_A_ROW_MAX + 5 {
        assert_eq!(broadcast(&mut chain, "probe:trap"), "probe:trap");
    }
    assert_eq!(
        stats(&factory, "filter-probe").traps,
        u64::from(FILTER_FAILURES_IN_A_ROW_MAX)
    );
    chain.update_definitions(&snapshot(1)).expect("learns");
    assert_eq!(broadcast(&mut chain, "probe:trap"), "probe:trap");
    assert_eq!(
        stats(&factory, "filter-probe").traps,
        u64::from(FILTER_FAILURES_IN_A_ROW_MAX) + 1,
        "a snapshot gives it another chance"
    );
}

#[test]
fn an_endless_loop_meets_its_deadline() {
    let factory = factory(vec![filter("filter-probe", OnFailure::Skip)], validator());
    let mut chain = factory.instance().expect("instances");
    assert_eq!(broadcast(&mut chain, "probe:loop"), "probe:loop");
    assert_eq!(stats(&factory, "filter-probe").deadlines, 1);
    let mut strict = support::chain(vec![filter("filter-probe", OnFailure::Refuse)], validator());
    assert_eq!(
        strict.validate(&ALICE, &chat("probe:loop")),
        Err(ValidatorError::Deadline {
            component: "filter-probe".to_owned()
        })
    );
}

#[test]
fn waiting_in_the_host_is_refused() {
    let mut chain = chain(vec![filter("filter-probe", OnFailure::Refuse)], validator());
    let started = Instant::now();
    match chain.validate(&ALICE, &chat("probe:wait")) {
        Err(ValidatorError::Trap { reason, .. }) => {
            assert!(reason.contains("may not wait"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
    assert!(
        started.elapsed() < Duration::from_secs(600),
        "it asked for an hour"
    );
}

#[test]
fn memory_is_bounded_and_a_grown_instance_is_replaced() {
    let factory = factory(vec![filter("filter-probe", OnFailure::Refuse)], validator());
    let mut chain = factory.instance().expect("instances");
    for _ in 0..12 {
        assert_eq!(broadcast(&mut chain, "probe:grow"), "probe:grow");
    }
    let stats = stats(&factory, "filter-probe");
    assert!(stats.recycled >= 4 && stats.traps == 0, "{stats:?}");
}

#[test]
fn what_a_place_in_the_chain_does_not_allow_is_a_breach() {
    let mut routes = chain(vec![filter("filter-probe", OnFailure::Refuse)], validator());
    assert!(
        matches!(routes.validate(&ALICE, &chat("probe:16 effects")), Err(ValidatorError::Contract { component, .. }) if component == "filter-probe")
    );

    let garbles_factory = factory(vec![filter("filter-probe", OnFailure::Refuse)], validator());
    let mut garbles = garbles_factory.instance().expect("instances");
    for (message, expected) in [
        ("probe:garbage", "not a JSON object"),
        ("probe:another type", "another type"),
        ("probe:another server", "another server"),
    ] {
        match garbles.validate(&ALICE, &chat(message)) {
            Err(ValidatorError::Contract { reason, .. }) => {
                assert!(reason.contains(expected), "{reason}")
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stats(&garbles_factory, "filter-probe").contract_breaches, 3);
    let mut skipped = chain(vec![filter("filter-probe", OnFailure::Skip)], validator());
    assert_eq!(broadcast(&mut skipped, "probe:garbage"), "probe:garbage");
}

#[test]
fn the_validator_decides_and_keeps_within_its_bounds() {
    let mut chain = chain(Vec::new(), guest("filter-probe"));
    let mut ask = |asked: &str| chain.validate(&ALICE, &chat(&format!("probe:{asked}")));
    for breach in [
        "pass",
        "same",
        "17 effects",
        "65 patches",
        "patch behind the end",
        "patches in disorder",
        "bad code",
        "bad reply",
        "foreign reply",
    ] {
        assert!(
            matches!(ask(breach), Err(ValidatorError::Contract { .. })),
            "{breach}"
        );
    }
    for fine in ["16 effects", "64 patches", "patch at the end"] {
        assert!(matches!(ask(fine), Ok(Verdict::Route(_))), "{fine}");
    }
    assert!(matches!(ask("good refusal"), Ok(Verdict::Refuse(_))));
    assert_eq!(ask("doubt"), Ok(Verdict::Later(7)));
}

#[test]
fn snapshots_are_asked_for_and_hostile_payloads_are_refused_in_time() {
    let factory = factory(Vec::new(), validator());
    let mut chain = factory.instance().expect("instances");
    let vote = event("poll:vote", "{}");
    assert_eq!(
        chain.validate(&ALICE, &vote),
        Ok(Verdict::NeedSnapshot("s1".to_owned()))
    );
    chain.update_definitions(&snapshot(1)).expect("learns");
    assert!(matches!(
        chain.validate(&ALICE, &vote),
        Ok(Verdict::Route(_))
    ));
    let newer = Context {
        server_revision: 2,
        ..ALICE
    };
    assert_eq!(
        chain.validate(&newer, &vote),
        Ok(Verdict::NeedSnapshot("s1".to_owned()))
    );
    // A payload as deep as one may be, against a recursive schema.
    let deep = event(
        "poll:tree",
        &format!("{}{}", "[".repeat(127), "]".repeat(127)),
    );
    assert!(matches!(
        chain.validate(&ALICE, &deep),
        Ok(Verdict::Route(_))
    ));

    let slow = event(
        "poll:slow",
        &format!("{}{}", "[".repeat(100), "]".repeat(100)),
    );
    assert!(
        matches!(chain.validate(&ALICE, &slow), Ok(Verdict::Refuse(refusal)) if refusal.code == "SCHEMA_VIOLATION")
    );
    assert!(matches!(
        chain.validate(&ALICE, &vote),
        Ok(Verdict::Route(_))
    ));
}

#[test]
fn files_that_fit_no_chain_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("component.wasm");
    let refusal = |bytes: &[u8], is_validator: bool| {
        std::fs::write(&path, bytes).expect("writable");
        let broken = FilterConfig {
            name: "broken".to_owned(),
            source: path.clone(),
            on_failure: OnFailure::Refuse,
            types: Vec::new(),
        };
        let config = if is_validator {
            ChainConfig {
                filters: Vec::new(),
                validator: path.clone().into(),
                call_deadline: ChainConfig::CALL_DEADLINE,
            }
        } else {
            ChainConfig {
                filters: vec![broken],
                validator: validator().into(),
                call_deadline: ChainConfig::CALL_DEADLINE,
            }
        };
        format!(
            "{:#}",
            ChainFactory::load(engine(), &config).expect_err("refused")
        )
    };
    assert!(refusal(b"", false).contains("is empty"));
    assert!(refusal(b"(component)", false).contains("is not a WebAssembly component"));
    assert!(refusal(b"\0asm\x01\0\0\0", false).contains("is a core WebAssembly module"));
    assert!(refusal(b"\0asm\x0d\0\x01\0garbage", false).contains("is not a valid component"));
    let nothing = refusal(b"\0asm\x0d\0\x01\0", false);
    assert!(
        nothing.contains("does not export jackfield:envelopes/judge@0.1.0")
            && nothing.contains("world filter"),
        "{nothing}"
    );
    let word_filter = std::fs::read(guest("word-filter")).expect("built");
    let as_validator = refusal(&word_filter, true);
    assert!(
        as_validator.contains("does not export jackfield:envelopes/definitions@0.1.0"),
        "{as_validator}"
    );
    for cut in (1_000..word_filter.len()).step_by(word_filter.len() / 8) {
        assert!(refusal(&word_filter[..cut], false).contains("broken"));
    }
    let file = std::fs::File::create(&path).expect("writable");
    file.set_len(limits::manifest::COMPONENT_BYTES_MAX as u64 + 1)
        .expect("sparse");
    let config = ChainConfig {
        filters: Vec::new(),
        validator: path.clone().into(),
        call_deadline: ChainConfig::CALL_DEADLINE,
    };
    let large = format!(
        "{:#}",
        ChainFactory::load(engine(), &config).expect_err("refused")
    );
    assert!(
        large.contains("the limit of a component is 33554432"),
        "{large}"
    );
    let config = ChainConfig {
        filters: Vec::new(),
        validator: dir.path().join("absent.wasm").into(),
        call_deadline: ChainConfig::CALL_DEADLINE,
    };
    assert!(
        format!(
            "{:#}",
            ChainFactory::load(engine(), &config).expect_err("refused")
        )
        .contains("cannot be opened")
    );
}

#[test]
fn configurations_that_make_no_sense_are_refused() {
    let load = |filters: Vec<FilterConfig>| {
        format!(
            "{:#}",
            ChainFactory::load(
                engine(),
                &ChainConfig {
                    filters,
                    validator: validator().into(),
                    call_deadline: ChainConfig::CALL_DEADLINE,
                }
            )
            .expect_err("refused")
        )
    };
    let words = || filter("word-filter", OnFailure::Refuse);
    assert!(
        load(vec![words(), words()])
            .contains("two components of the validator chain are named 'word-filter'")
    );
    assert!(
        load(vec![FilterConfig {
            types: vec!["chat".to_owned()],
            ..words()
        }])
        .contains("'chat' is not a type")
    );
    assert!(load(vec![words(); 16]).contains("the limit is 16"));
}
