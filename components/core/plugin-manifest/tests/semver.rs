//! Ranges as npm itself evaluates them: the recorded verdicts of `tests/cases/semver` against ours.

use plugin_manifest::{VersionRange, parse_version};

#[test]
fn ranges_hold_what_npm_says_they_hold() {
    let recorded = include_str!("../../../../tests/cases/semver/verdicts.json");
    let verdicts: Vec<(String, String, Option<bool>)> = serde_json::from_str(recorded).unwrap();
    assert!(verdicts.len() >= 2_000);
    let mut wrong = Vec::new();
    for (range, version, expected) in &verdicts {
        let version = parse_version(version).unwrap();
        let found = VersionRange::new(range.as_str())
            .ok()
            .map(|range| range.contains(&version));
        if found != *expected {
            wrong.push(format!(
                "{range:?} {version}: npm says {expected:?}, we say {found:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ\n{}",
        wrong.len(),
        verdicts.len(),
        wrong.join("\n")
    );
}
