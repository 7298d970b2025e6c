//! A judge that waits in the host, where no deadline of its own code could end it.

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
        std::thread::sleep(std::time::Duration::from_secs(3_600));
        judge::Verdict::Pass
    }
}
