//! The validator as a component: the crate `validation` behind the WIT interface `jackfield:envelopes/judge`.
//!
//! It translates types in both directions and keeps the definitions of its instance. It imports nothing, so that a
//! verdict depends on its arguments and definitions only.

mod bindings;
mod translate;

use bindings::exports::jackfield::envelopes::{definitions, judge};
use std::cell::RefCell;
use validation::Definitions;

thread_local! {
    /// A component has one thread. After a trap the instance is replaced, with empty definitions.
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
