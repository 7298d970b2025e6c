//! The last judge of the chain as a component: `validation` behind the WIT interface `jackfield:envelopes/judge`.
//!
//! What it is: a translation of types in both directions, and the place where one instance keeps what it learned.
//! What it is not: policy; that is `validation`. Invariant: it imports nothing that could tell it more than its arguments do.

mod bindings;
mod translate;

use bindings::exports::jackfield::envelopes::{definitions, judge};
use std::cell::RefCell;
use validation::Definitions;

thread_local! {
    /// A component has one thread; a trap ends the instance and this with it.
    static DEFINITIONS: RefCell<Definitions> = RefCell::new(Definitions::new());
}

struct Validator;

impl judge::Guest for Validator {
    fn judge(context: judge::Context, envelope: Vec<u8>) -> judge::Verdict {
        let verdict = DEFINITIONS.with_borrow_mut(|known| {
            validation::validate(known, &translate::context(&context), &envelope)
        });
        translate::verdict(verdict)
    }
}

impl definitions::Guest for Validator {
    fn learn(snapshot: definitions::Snapshot) {
        DEFINITIONS.with_borrow_mut(|known| known.update(translate::snapshot(snapshot)));
    }
}
