//! Bytes as a manifest: an accepted one prints as it was read, a refused one has a position.

use crate::budget;
use limits::manifest::VIOLATIONS_MAX;
use plugin_manifest::{Code, Options, Severity, parse, parse_with};
use serde_json::Value;

/// Fails if parsing panics, takes too long, contradicts itself, or accepts as JSON what
/// `serde_json` refuses.
pub fn check(bytes: &[u8]) {
    let outcome = budget::within("a manifest", || parse(bytes));
    let refused = outcome
        .violations
        .iter()
        .any(|violation| violation.severity == Severity::Error);
    assert_eq!(
        outcome.manifest.is_none(),
        refused,
        "{:?}",
        outcome.violations
    );
    assert!(outcome.violations.len() <= VIOLATIONS_MAX + 1);
    for violation in &outcome.violations {
        assert!(
            violation.span.start <= violation.span.end && violation.span.end <= bytes.len(),
            "{violation:?}"
        );
        assert!(violation.position(bytes) >= (1, 1), "{violation:?}");
    }
    let syntax = [
        Code::BadJson,
        Code::TooDeep,
        Code::DuplicateKey,
        Code::TooLarge,
    ];
    let is_json = !outcome
        .violations
        .iter()
        .any(|violation| syntax.contains(&violation.code));
    let value = serde_json::from_slice::<Value>(bytes);
    assert!(!is_json || value.is_ok(), "{value:?}");
    let strict = parse_with(bytes, Options { strict: true });
    let Some(manifest) = outcome.manifest else {
        assert!(strict.manifest.is_none(), "strict is stricter");
        return;
    };
    assert_eq!(
        manifest.text().as_bytes(),
        bytes,
        "it prints as it was read"
    );
    assert_eq!(
        serde_json::to_value(&manifest).ok(),
        value.ok(),
        "and as serde_json writes it"
    );
}
