//! A judge that traps on the text "trap", with words on its standard error, is not sure about "ponder" before it has heard
//! "meanwhile", and never about "doubt". Everything else passes.

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

use bindings::exports::jackfield::envelopes::judge;
use std::cell::Cell;

struct Guest;

thread_local! {
    static IS_SURE: Cell<bool> = const { Cell::new(false) };
}

impl judge::Guest for Guest {
    fn judge(_: judge::Context, envelope: Vec<u8>) -> judge::Verdict {
        let says = |word: &str| {
            envelope
                .windows(word.len())
                .any(|window| window == word.as_bytes())
        };
        assert!(!says("\"trap\""), "the judge gives up");
        IS_SURE.set(IS_SURE.get() || says("\"meanwhile\""));
        if says("\"doubt\"") || (says("\"ponder\"") && !IS_SURE.get()) {
            return judge::Verdict::Later(7);
        }
        judge::Verdict::Pass
    }
}
