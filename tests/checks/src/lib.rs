//! Checks for arbitrary bytes: one function for each parser of untrusted input.
//!
//! Each function takes bytes and panics if a parser panics, breaks a property, or differs from a
//! second reader. `cargo xtask fuzz` searches for such bytes; the tests of this crate replay the
//! corpus below `infra/fuzz/corpus`.
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

/// A check with its name, which is also the name of its fuzz target and corpus folder.
pub type Named = (&'static str, fn(&[u8]));

/// All checks.
pub const ALL: [Named; 6] = [
    ("frame", frame),
    ("envelope", envelope),
    ("manifest", manifest),
    ("schema", schema),
    ("range", range),
    ("url", url),
];

/// Bytes as one envelope: read like `serde_json` does, and the scan of the host agrees.
pub fn envelope(bytes: &[u8]) {
    envelopes::same(bytes);
}

/// The text before the last line break and the line after it: the format of inputs with two parts.
fn two_parts(bytes: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(bytes)
        .ok()
        .map(|text| text.rsplit_once('\n').unwrap_or((text, "")))
}
