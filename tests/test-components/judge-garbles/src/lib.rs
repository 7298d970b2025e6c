//! A judge that rewrites each envelope to something that is none, or to another one, as the message asks.

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
    fn judge(_: judge::Context, envelope: Vec<u8>) -> judge::Verdict {
        let has = |word: &str| {
            envelope
                .windows(word.len())
                .any(|window| window == word.as_bytes())
        };
        judge::Verdict::Rewrite(if has("another type") {
            br#"{"type":"keepalive"}"#.to_vec()
        } else if has("another server") {
            br#"{"type":"chat_message","serverId":"elsewhere","message":"x"}"#.to_vec()
        } else {
            b"garbage".to_vec()
        })
    }
}
