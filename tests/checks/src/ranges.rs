//! A version range, and behind the last line break a version that may lie in it.

use crate::{budget, two_parts};
use plugin_manifest::{VersionRange, parse_version};

/// Fails when reading or asking panics or takes too long, when a text is not kept, or when a version does not lie in the range that
/// names it alone.
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
    // Ranges do not know what stands behind a '+'.
    let bare = written.split('+').next().unwrap_or_default();
    let itself = VersionRange::new(bare);
    assert!(
        itself.is_ok_and(|range| range.contains(&version)),
        "{written} is itself"
    );
}
