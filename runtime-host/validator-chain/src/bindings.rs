//! What wasmtime makes of the world `validator`. A filter exports a part of it, so its interface `judge` serves for
//! both.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "jackfield:envelopes/validator",
    ownership: Borrowing { duplicate_if_necessary: true },
});

/// The WIT interface that every component of a chain exports.
pub(crate) const JUDGE: &str = "jackfield:envelopes/judge@0.1.0";
/// The WIT interface that takes what a server has registered.
pub(crate) const DEFINITIONS: &str = "jackfield:envelopes/definitions@0.1.0";
