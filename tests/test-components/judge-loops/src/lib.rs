//! A judge that never ends.

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

struct Guest;

impl judge::Guest for Guest {
    fn judge(_: judge::Context, _: Vec<u8>) -> judge::Verdict {
        let mut count = 0u64;
        loop {
            count = std::hint::black_box(count.wrapping_add(1));
        }
    }
}
