//! Helpers of the tests with hostile clients. Sizes that only make an attack longer are smaller
//! here; the long form (`cargo xtask test --long`) uses the full ones.

use tests::{
    bystander,
    host::{Host, Settings},
    measures::resident_bytes,
};

/// A host under attack: default limits, rates for the bystanders, and `config` on top.
pub(crate) fn attacked(config: &str) -> Host {
    Settings::new()
        .config(bystander::STEADY)
        .config(config)
        .start()
}

/// `long` in the long form of the tests, else `short`.
pub(crate) fn many(short: usize, long: usize) -> usize {
    if std::env::args().any(|argument| argument == "--include-ignored") {
        long
    } else {
        short
    }
}

/// Prints how much the memory of the host has grown since `before`, and asserts that it is at most
/// `most` bytes.
pub(crate) fn measured(host: &Host, what: &str, before: usize, most: usize) {
    let after = resident_bytes(host);
    println!(
        "{what}: {} KiB before, {} KiB after",
        before / limits::KIB,
        after / limits::KIB
    );
    assert!(
        after <= before + most,
        "{what}: resident memory grew by {} KiB",
        (after - before) / limits::KIB
    );
}
