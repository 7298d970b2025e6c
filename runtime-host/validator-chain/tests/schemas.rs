//! Schemas against the validator as shipped: those that could hurt, and the official test suite of JSON Schema. The
//! verdict of the component is the verdict of the native library, and no call runs into its deadline or its memory
//! mark.

#[path = "../../../tests/src/cache.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with xtask and the integration tests"
)]
mod cache;
#[path = "../../../components/core/plugin-event/tests/hostile/mod.rs"]
mod hostile;
#[path = "schemas/suite.rs"]
mod suite;
mod support;

use envelope::{
    Verdict,
    verdict::{Definition, EventDirection, EventScope, Snapshot, Validator, ValidatorError},
};
use identifiers::{EventName, PluginId};
use limits::plugin_event::PAYLOAD_BYTES_MAX;
use plugin_event::Schema;
use serde_json::Value;
use std::{io::ErrorKind, net::TcpListener};
use support::{ALICE, factory, factory_with, validator};
use test_support::guest;
use validator_chain::{Chain, ChainConfig, ChainFactory, ComponentStats};

pub(crate) fn definition(event_name: &str, schema: &str) -> Definition {
    Definition {
        plugin_id: PluginId::new("example.suite").expect("legal"),
        event_name: EventName::new(event_name).expect("legal"),
        direction: EventDirection::ServerRelay,
        scope: EventScope::Server,
        schema: Some(schema.to_owned()),
        payload_bytes_max: PAYLOAD_BYTES_MAX as u32,
    }
}

pub(crate) fn snapshot(definitions: Vec<Definition>) -> Snapshot {
    Snapshot {
        server_id: "s1".to_owned(),
        revision: 1,
        requirements: Vec::new(),
        definitions,
    }
}

/// One payload for one event, as a client sends it.
pub(crate) fn send(
    chain: &mut Chain,
    event_name: &str,
    payload: &str,
) -> Result<Verdict, ValidatorError> {
    let envelope = format!(
        r#"{{"type":"plugin_event","serverId":"s1","pluginId":"example.suite","eventName":"{event_name}","payload":{payload}}}"#
    );
    chain.validate(&ALICE, envelope.as_bytes())
}

/// The component's verdict in the words of the native library, with what it told the sender.
pub(crate) fn said(verdict: Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Route(_) => ("ok", String::new()),
        Verdict::Refuse(refusal) => {
            let reply: Value = serde_json::from_slice(&refusal.reply).expect("JSON");
            let verdict = match refusal.code.as_str() {
                "SCHEMA_VIOLATION" => "violation",
                "BAD_JSON" => "bad-json",
                "INTERNAL" => "refused",
                other => panic!("{other}: {reply}"),
            };
            (
                verdict,
                reply["message"].as_str().expect("a text").to_owned(),
            )
        }
        other => panic!("{other:?}"),
    }
}

fn stats(factory: &ChainFactory) -> ComponentStats {
    factory.stats().pop().expect("the validator")
}

/// Nothing trapped, ran out of its processor time or grew beyond the mark.
pub(crate) fn assert_calm(factory: &ChainFactory) {
    let stats = stats(factory);
    assert_eq!(
        (stats.traps, stats.deadlines, stats.recycled),
        (0, 0, 0),
        "{stats:?}"
    );
}

fn ask(chain: &mut Chain, schema: &str, payload: &str) -> String {
    chain
        .update_definitions(&snapshot(vec![definition("event.one", schema)]))
        .expect("learns");
    let (verdict, message) = said(send(chain, "event.one", payload).expect("an answer"));
    let native = Schema::compile(schema);
    match (verdict, native) {
        ("refused", Err(error)) => {
            assert!(message.contains(&error.to_string()), "{message} / {error}");
            format!("refused {}", error.code())
        }
        ("bad-json", _) => {
            assert!(
                message.contains("nested deeper than 128 levels"),
                "{message}"
            );
            verdict.to_owned()
        }
        (_, Ok(native)) => {
            assert_eq!(
                native.check(payload).is_ok(),
                verdict == "ok",
                "native and component differ: {schema}"
            );
            verdict.to_owned()
        }
        (_, Err(error)) => panic!("native refuses what the component takes: {error}"),
    }
}

/// The validator with ten times the usual deadline: a schema that could hurt needs a thousand times more, and a busy
/// machine that gives half of the usual speed is no reason to refuse.
fn patient_validator() -> ChainFactory {
    factory_with(Vec::new(), validator(), 10 * ChainConfig::CALL_DEADLINE)
}

macro_rules! rows {
    ($($test:ident)*) => {
        $(#[test]
        fn $test() {
            let factory = patient_validator();
            let mut chain = factory.instance().expect("an instance");
            hostile::run(stringify!($test), |schema, payload| ask(&mut chain, schema, payload));
            assert_calm(&factory);
        })*
    };
}

rows! {
    loops_of_references
    references_that_double
    nesting_and_nodes
    patterns_that_backtrack
    patterns_that_compile_to_megabytes
    large_enumerations
    deep_payloads
    many_patterns
}

#[test]
fn nothing_is_fetched() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("settable");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let factory = patient_validator();
    let mut chain = factory.instance().expect("an instance");
    for (schema, expected) in [
        (
            format!(r#"{{"$ref":"{address}/x"}}"#),
            "refused SCHEMA_EXTERNAL_REF",
        ),
        (
            format!(r#"{{"$schema":"{address}/x"}}"#),
            "refused UNSUPPORTED_DIALECT",
        ),
        (
            format!(r#"{{"properties":{{"a":{{"$id":"{address}/","$ref":"x"}}}}}}"#),
            "refused SCHEMA_EXTERNAL_REF",
        ),
        (
            r#"{"$ref":"file:///etc/hostname"}"#.to_owned(),
            "refused SCHEMA_EXTERNAL_REF",
        ),
        (
            format!(r#"{{"$id":"{address}/event","type":"object"}}"#),
            "ok",
        ),
    ] {
        assert_eq!(ask(&mut chain, &schema, "{}"), expected, "{schema}");
    }
    assert!(
        listener
            .accept()
            .is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
        "no connection was made"
    );
    assert_calm(&factory);
}

#[test]
fn what_slips_through_meets_the_deadline() {
    let factory = factory(Vec::new(), guest("validator-unguarded"));
    let mut chain = factory.instance().expect("an instance");
    let doubling = hostile::first_schema("references_that_double");
    chain
        .update_definitions(&snapshot(vec![definition("event.one", &doubling)]))
        .expect("it compiles");
    assert_eq!(
        send(&mut chain, "event.one", "1"),
        Err(ValidatorError::Deadline {
            component: "validator".to_owned()
        })
    );
    assert_eq!(stats(&factory).deadlines, 1);
    // The instance went with it: the next one knows nothing, learns, and works.
    assert_eq!(
        send(&mut chain, "event.one", "1"),
        Ok(Verdict::NeedSnapshot("s1".to_owned()))
    );
    chain
        .update_definitions(&snapshot(vec![definition("event.one", "true")]))
        .expect("learns");
    assert!(matches!(
        send(&mut chain, "event.one", "1"),
        Ok(Verdict::Route(_))
    ));
    assert_eq!((stats(&factory).deadlines, stats(&factory).traps), (1, 0));
}

#[test]
fn a_definition_cannot_lift_the_limit_of_its_type() {
    let factory = patient_validator();
    let mut chain = factory.instance().expect("an instance");
    let boundless = Definition {
        payload_bytes_max: u32::MAX,
        ..definition("event.one", "true")
    };
    chain
        .update_definitions(&snapshot(vec![boundless]))
        .expect("learns");
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
    assert!(matches!(
        send(&mut chain, "event.one", &text(PAYLOAD_BYTES_MAX)),
        Ok(Verdict::Route(_))
    ));
    let refused = send(&mut chain, "event.one", &text(PAYLOAD_BYTES_MAX + 8_192));
    assert!(
        matches!(&refused, Ok(Verdict::Refuse(refusal)) if refusal.code == "PAYLOAD_TOO_LARGE"),
        "{refused:?}"
    );
    assert_calm(&factory);
}
