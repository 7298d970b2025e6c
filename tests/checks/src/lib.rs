//! What has to hold for any bytes whatsoever: one function for each parser that reads what strangers wrote.
//!
//! What it is: the oracles of fuzzing. Each function takes bytes and panics when a parser panics, breaks a promise, or differs from a
//! second reader. `cargo xtask fuzz` looks for such bytes; the tests of this crate run the functions over what was found before and is
//! kept below `infra/fuzz/corpus`.
#![forbid(unsafe_code)]

mod budget;
#[path = "../../../components/core/envelope/tests/same/mod.rs"]
mod envelopes;
mod frames;
mod manifests;
mod ranges;
mod schemas;
mod urls;

pub use frames::check as frame;
pub use manifests::check as manifest;
pub use ranges::check as range;
pub use schemas::check as schema;
pub use urls::check as url;

/// A check, by the name of its fuzz target and of the folder of its inputs.
pub type Named = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Named; 6] = [
    ("frame", frame),
    ("envelope", envelope),
    ("manifest", manifest),
    ("schema", schema),
    ("range", range),
    ("url", url),
];

/// Bytes as one envelope: read as `serde_json` reads them, and the host's look at them agrees.
pub fn envelope(bytes: &[u8]) {
    envelopes::same(bytes);
}

/// The text before the last line break, and the line behind it: how inputs of two parts are written.
fn two_parts(bytes: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(bytes)
        .ok()
        .map(|text| text.rsplit_once('\n').unwrap_or((text, "")))
}
