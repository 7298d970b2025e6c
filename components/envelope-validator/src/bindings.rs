//! What wit-bindgen makes of the world `validator`; made anew with each build, never edited.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "jackfield:envelopes/validator",
});

use crate::Validator;
export!(Validator);
