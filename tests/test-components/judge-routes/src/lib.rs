//! A judge that routes, which only the last one may.

mod bindings {
    #![allow(
        unsafe_code,
        missing_docs,
        unreachable_pub,
        clippy::all,
        reason = "generated code"
    )]
    wit_bindgen::generate!({ path: "../../../wit", world: "jackfield:envelopes/filter" });
    use crate::Guest;
    export!(Guest);
}

use bindings::{
    exports::jackfield::envelopes::judge,
    jackfield::envelopes::types::{Decision, Effect},
};

struct Guest;

impl judge::Guest for Guest {
    fn judge(_: judge::Context, _: Vec<u8>) -> judge::Verdict {
        judge::Verdict::Route(Decision {
            patches: Vec::new(),
            effects: vec![Effect::Keepalive],
        })
    }
}
