//! A validator that does what the last judge of a chain may not, as the connection's id in the context asks.

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
    types::{Decision, Effect, Patch, Refusal},
};

struct Guest;

impl judge::Guest for Guest {
    fn judge(context: judge::Context, envelope: Vec<u8>) -> judge::Verdict {
        let patch = |offset: u32, remove: u32| Patch {
            offset,
            remove,
            insert: Vec::new(),
        };
        let route = |patches: Vec<Patch>, effects: usize| {
            judge::Verdict::Route(Decision {
                patches,
                effects: vec![Effect::Keepalive; effects],
            })
        };
        let length = u32::try_from(envelope.len()).unwrap_or(u32::MAX);
        let refuse = |code: &str, reply: &[u8]| {
            judge::Verdict::Refuse(Refusal {
                code: code.to_owned(),
                reply: reply.to_vec(),
            })
        };
        match context.connection_id.as_str() {
            "rewrite" => judge::Verdict::Rewrite(envelope),
            "16 effects" => route(Vec::new(), 16),
            "17 effects" => route(Vec::new(), 17),
            "64 patches" => route((0..64).map(|_| patch(0, 0)).collect(), 1),
            "65 patches" => route((0..65).map(|_| patch(0, 0)).collect(), 1),
            "patch at the end" => route(vec![patch(length, 0)], 1),
            "patch behind the end" => route(vec![patch(length, 1)], 1),
            "patches in disorder" => route(vec![patch(2, 1), patch(1, 1)], 1),
            "bad code" => refuse("no code", br#"{"type":"error"}"#),
            "bad reply" => refuse("NO", b"garbage"),
            "foreign reply" => refuse("NO", br#"{"type":"chat_message"}"#),
            "good refusal" => refuse("NO", br#"{"type":"error"}"#),
            "later" => judge::Verdict::Later(7),
            _ => judge::Verdict::Pass,
        }
    }
}

impl definitions::Guest for Guest {
    fn learn(_: definitions::Snapshot) {}
}
