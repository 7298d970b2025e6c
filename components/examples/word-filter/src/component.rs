//! The world `filter`: passes the bytes of an envelope to [`crate::words`], and translates the outcome.
#![allow(unsafe_code, unreachable_pub, missing_docs, reason = "generated code")]

use crate::words::{self, Outcome};

wit_bindgen::generate!({
    path: "../../../wit",
    world: "jackfield:envelopes/filter",
});

use exports::jackfield::envelopes::judge::{Context, Guest, Verdict};
use jackfield::envelopes::types::Refusal;

struct WordFilter;

impl Guest for WordFilter {
    fn judge(_: Context, envelope: Vec<u8>) -> Verdict {
        match words::filter(&envelope) {
            Outcome::Pass => Verdict::Pass,
            Outcome::Rewrite(bytes) => Verdict::Rewrite(bytes),
            Outcome::Refuse { code, reply } => Verdict::Refuse(Refusal {
                code: code.to_owned(),
                reply,
            }),
        }
    }
}

export!(WordFilter);
