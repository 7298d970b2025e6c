//! A judge that traps on the text "trap", with words on its standard error, and passes everything else.

mod bindings {
    #![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ path: "../../../wit", world: "jackfield:envelopes/filter" });
    use crate::Guest;
    export!(Guest);
}

use bindings::exports::jackfield::envelopes::judge;

struct Guest;

impl judge::Guest for Guest {
    fn judge(_: judge::Context, envelope: Vec<u8>) -> judge::Verdict {
        let asked = br#""trap""#;
        assert!(!envelope.windows(asked.len()).any(|window| window == asked), "the judge gives up");
        judge::Verdict::Pass
    }
}
