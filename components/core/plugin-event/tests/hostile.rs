//! Schemas that could hurt, natively. The same cases run against the component in `plugin-host`.

#[path = "hostile/mod.rs"]
mod cases;

use envelope::{DecodeError, Envelope};
use plugin_event::Schema;

fn ask(schema: &str, payload: &str) -> String {
    let schema = match Schema::compile(schema) {
        Ok(schema) => schema,
        Err(error) => return format!("refused {}", error.code()),
    };
    let envelope = format!(r#"{{"type":"plugin_event","payload":{payload}}}"#);
    if Envelope::decode(envelope.as_bytes()).is_err_and(|error| error == DecodeError::Depth) {
        assert!(
            payload.len() < 300
                || schema
                    .check(payload)
                    .is_err_and(|violations| violations[0].keyword == "json"),
            "not JSON for other readers either"
        );
        return "bad-json".to_owned();
    }
    if schema.check(payload).is_ok() {
        "ok"
    } else {
        "violation"
    }
    .to_owned()
}

macro_rules! rows {
    ($($test:ident)*) => {
        $(#[test]
        fn $test() {
            cases::run(stringify!($test), ask);
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
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("settable");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    for schema in [
        format!(r#"{{"$ref":"{address}/x"}}"#),
        format!(r#"{{"$dynamicRef":"{address}/x"}}"#),
        format!(r#"{{"$schema":"{address}/x"}}"#),
        format!(r#"{{"properties":{{"a":{{"$id":"{address}/","$ref":"x"}}}}}}"#),
        format!(
            r##"{{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{{"a":{{"$ref":"{address}/x#/a"}}}}}}"##
        ),
        r#"{"$ref":"file:///etc/hostname"}"#.to_owned(),
    ] {
        let code = Schema::compile(&schema).expect_err("refused").code();
        assert!(
            matches!(code, "SCHEMA_EXTERNAL_REF" | "UNSUPPORTED_DIALECT"),
            "{schema}: {code}"
        );
    }
    // A name of its own is no reference: it compiles, and is not asked for either.
    let named =
        Schema::compile(&format!(r#"{{"$id":"{address}/event","type":"object"}}"#)).expect("legal");
    assert!(named.check("{}").is_ok());
    let hit = listener.accept();
    assert!(
        hit.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
        "nobody came"
    );
}
