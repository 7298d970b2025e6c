//! A judge that keeps 20 MiB of each call, and passes.

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
        let kept = std::hint::black_box(vec![1u8; 20 * 1024 * 1024]);
        std::mem::forget(kept);
        judge::Verdict::Pass
    }
}
