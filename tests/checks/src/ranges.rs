//! A version range, and after the last line break a version.

use crate::{budget, two_parts};
use plugin_manifest::{VersionRange, parse_version};

/// Fails if parsing or matching panics or takes too long, if a text is not kept, or if a version is
/// not in the range that names only it.
pub fn check(bytes: &[u8]) {
    let Some((range, version)) = two_parts(bytes) else {
        return;
    };
    budget::within("a range", || {
        let range = [
            VersionRange::new(range),
            VersionRange::from_api_version(range),
        ];
        let version = parse_version(version);
        for range in range.iter().flatten() {
            let again = VersionRange::new(range.as_str()).expect("what was read is read again");
            assert_eq!(again, *range);
            if let Ok(version) = &version {
                assert_eq!(
                    again.contains(version),
                    range.contains(version),
                    "{range} {version}"
                );
            }
        }
    });
    let Ok(version) = parse_version(version) else {
        return;
    };
    let written = version.to_string();
    assert_eq!(parse_version(&written).as_ref(), Ok(&version), "{written}");
    // Ranges ignore build metadata.
    let bare = written.split('+').next().unwrap_or_default();
    let itself = VersionRange::new(bare);
    assert!(
        itself.is_ok_and(|range| range.contains(&version)),
        "{written} is itself"
    );
}
