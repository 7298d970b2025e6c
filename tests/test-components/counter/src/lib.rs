//! A guest without imports of its own that keeps one number; composed into `http-counter`.

use bindings::exports::jackfield_test::counter::{counting, setting, types::Count};
use std::cell::Cell;

#[allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "counter" });
    export!(Counter with_types_in self);

    use super::Counter;
}

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counter;

impl counting::Guest for Counter {
    fn next() -> Count {
        Count {
            value: COUNT.with(|count| count.replace(count.get() + 1) + 1),
        }
    }
}

impl setting::Guest for Counter {
    fn set(count: Count) {
        COUNT.with(|own| own.set(count.value));
    }
}
