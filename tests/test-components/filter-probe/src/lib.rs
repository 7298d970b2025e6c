//! A guest that does what the envelope asks for: `{"message":"probe:trap"}` traps, `"probe:65 patches"` returns 65 patches. It is used as
//! an operator's filter and as the validator; an envelope without `probe:` passes.

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
use std::{cell::Cell, hint::black_box, mem::forget, time::Duration};

const MARK: &[u8] = b"probe:";

struct Guest;

thread_local! {
    static IS_SURE: Cell<bool> = const { Cell::new(false) };
}

impl judge::Guest for Guest {
    fn judge(_: judge::Context, envelope: Vec<u8>) -> judge::Verdict {
        let length = u32::try_from(envelope.len()).unwrap_or(u32::MAX);
        match asked(&envelope) {
            // What takes time or memory.
            "trap" => panic!("the probe traps"),
            "loop" => loop {
                black_box(());
            },
            "wait" => std::thread::sleep(Duration::from_secs(3_600)),
            "grow" => forget(black_box(vec![1u8; 20 * 1024 * 1024])),
            // Undecided: `ponder` until another envelope says `meanwhile`, `doubt` for ever.
            "meanwhile" => IS_SURE.set(true),
            "ponder" if IS_SURE.get() => {}
            "ponder" | "doubt" => return judge::Verdict::Later(7),
            // Rewriting.
            "same" => return judge::Verdict::Rewrite(envelope),
            "garbage" => return judge::Verdict::Rewrite(b"garbage".to_vec()),
            "another type" => {
                return judge::Verdict::Rewrite(br#"{"type":"keepalive"}"#.to_vec());
            }
            "another server" => {
                return judge::Verdict::Rewrite(
                    br#"{"type":"chat_message","serverId":"elsewhere","message":"x"}"#.to_vec(),
                );
            }
            // Routing, with as many effects and patches as are allowed, and more.
            "16 effects" => return route(Vec::new(), 16),
            "17 effects" => return route(Vec::new(), 17),
            "64 patches" => return route((0..64).map(|_| patch(0, 0)).collect(), 1),
            "65 patches" => return route((0..65).map(|_| patch(0, 0)).collect(), 1),
            "patch at the end" => return route(vec![patch(length, 0)], 1),
            "patch behind the end" => return route(vec![patch(length, 1)], 1),
            "patches in disorder" => return route(vec![patch(2, 1), patch(1, 1)], 1),
            // Refusing.
            "bad code" => return refuse("no code", br#"{"type":"error"}"#),
            "bad reply" => return refuse("NO", b"garbage"),
            "foreign reply" => return refuse("NO", br#"{"type":"chat_message"}"#),
            "good refusal" => return refuse("NO", br#"{"type":"error"}"#),
            _ => {}
        }
        judge::Verdict::Pass
    }
}

impl definitions::Guest for Guest {
    fn learn(_: definitions::Snapshot) {}
}

/// The text between [`MARK`] and the next quotation mark; empty where there is none.
fn asked(envelope: &[u8]) -> &str {
    let begin = envelope
        .windows(MARK.len())
        .position(|window| window == MARK);
    let text = begin.and_then(|begin| envelope.get(begin + MARK.len()..));
    text.and_then(|text| text.split(|byte| *byte == b'"').next())
        .and_then(|text| std::str::from_utf8(text).ok())
        .unwrap_or_default()
}

fn patch(offset: u32, remove: u32) -> Patch {
    Patch {
        offset,
        remove,
        insert: Vec::new(),
    }
}

fn route(patches: Vec<Patch>, effects: usize) -> judge::Verdict {
    judge::Verdict::Route(Decision {
        patches,
        effects: vec![Effect::Keepalive; effects],
    })
}

fn refuse(code: &str, reply: &[u8]) -> judge::Verdict {
    judge::Verdict::Refuse(Refusal {
        code: code.to_owned(),
        reply: reply.to_vec(),
    })
}
