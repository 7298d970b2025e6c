//! A validator that accepts any schema, as if registration did not check it: its deadline is what stops a hostile one. Not a part of
//! `filter-probe`, because it carries the whole schema engine, which every test with that probe would have to compile.

mod bindings {
    #![allow(
        unsafe_code,
        missing_docs,
        unreachable_pub,
        clippy::all,
        reason = "generated code"
    )]
    wit_bindgen::generate!({ path: "../../../wit", world: "jackfield:envelopes/validator" });
    use crate::Guest;
    export!(Guest);
}

use bindings::exports::jackfield::envelopes::{
    definitions, judge,
    types::{Decision, Effect},
};
use jsonschema::Validator;
use serde_json::Value;
use std::cell::RefCell;

thread_local! {
    static SCHEMA: RefCell<Option<Validator>> = const { RefCell::new(None) };
}

struct Guest;

impl judge::Guest for Guest {
    fn judge(_: judge::Context, envelope: Vec<u8>) -> judge::Verdict {
        let envelope: Value = serde_json::from_slice(&envelope).expect("JSON");
        SCHEMA.with_borrow(|schema| match schema {
            None => judge::Verdict::NeedSnapshot("s1".to_owned()),
            Some(schema) if schema.is_valid(&envelope["payload"]) => {
                judge::Verdict::Route(Decision {
                    patches: Vec::new(),
                    effects: vec![Effect::Keepalive],
                })
            }
            Some(_) => judge::Verdict::Route(Decision {
                patches: Vec::new(),
                effects: Vec::new(),
            }),
        })
    }
}

impl definitions::Guest for Guest {
    fn learn(snapshot: definitions::Snapshot) {
        let text = snapshot
            .definitions
            .iter()
            .find_map(|definition| definition.schema.clone())
            .expect("a schema");
        let schema = serde_json::from_str(&text).expect("JSON");
        SCHEMA.set(Some(
            jsonschema::options()
                .offline()
                .build(&schema)
                .expect("a schema"),
        ));
    }
}
