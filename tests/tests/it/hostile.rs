//! What the tests with hostile clients share. The cases are those of the list of adversarial clients, 55 to 78; sizes that only make an
//! attack longer are smaller here and whole in the long form (`cargo xtask test --long`).

use tests::{
    bystander,
    host::{Host, Settings},
    measures::resident_bytes,
};

/// A host under attack: the product's default limits, with rates for the bystanders' talk, and `config` on top.
pub(crate) fn attacked(config: &str) -> Host {
    Settings::new()
        .config(bystander::RATES)
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

/// Says how much the host's memory has grown since `before`, and that it is no more than `most` bytes.
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
