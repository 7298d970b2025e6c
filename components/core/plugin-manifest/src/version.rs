//! Versions (Semantic Versioning 2.0.0) and version ranges (npm's syntax). The length of both is checked before they
//! are parsed.

mod npm;

use limits::manifest::RANGE_BYTES_MAX;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not a version or not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadVersion {
    /// Longer than npm reads.
    #[error("longer than {RANGE_BYTES_MAX} bytes")]
    TooLong,
    /// Not of the form.
    #[error("{0}")]
    Form(String),
}

/// Reads a version: three numbers, with pre-release and build behind them. `1.0` and `v1.0.0` are refused.
///
/// # Errors
/// When `text` is longer than [`RANGE_BYTES_MAX`], not of the form, or holds a number above 2^53-1, where npm and Rust
/// part.
pub fn parse_version(text: &str) -> Result<Version, BadVersion> {
    if text.len() > RANGE_BYTES_MAX {
        return Err(BadVersion::TooLong);
    }
    let version = Version::parse(text).map_err(|error| BadVersion::Form(error.to_string()))?;
    to_npm(&version).map(|_| version)
}

fn to_npm(version: &Version) -> Result<js_semver::Version, BadVersion> {
    js_semver::Version::parse(&version.to_string())
        .map_err(|error| BadVersion::Form(error.to_string()))
}

/// A version range in npm's grammar: `^1.2`, `>=1 <3`, `1.x || 2.x`, `1.2 - 2`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionRange {
    text: String,
    range: js_semver::Range,
}

impl VersionRange {
    /// Reads a range.
    ///
    /// # Errors
    /// When `text` is longer than [`RANGE_BYTES_MAX`] or not a range.
    pub fn new(text: impl Into<String>) -> Result<Self, BadVersion> {
        let text = text.into();
        if text.len() > RANGE_BYTES_MAX {
            return Err(BadVersion::TooLong);
        }
        let range = js_semver::Range::parse(&npm::common(&text))
            .map_err(|error| BadVersion::Form(error.to_string()))?;
        Ok(Self { text, range })
    }

    /// The range that an `apiVersion` stands for: a full version is read as `^version`, anything else as a range.
    ///
    /// # Errors
    /// As [`VersionRange::new`]; empty text is refused.
    pub fn from_api_version(text: &str) -> Result<Self, BadVersion> {
        if text.trim().is_empty() {
            return Err(BadVersion::Form("empty text".to_owned()));
        }
        match parse_version(text) {
            Ok(version) => Self::new(format!("^{version}")),
            Err(_) => Self::new(text),
        }
    }

    /// Whether `version` lies in the range. As in npm, a pre-release lies only in ranges that name a pre-release of the
    /// same three numbers.
    #[must_use]
    pub fn contains(&self, version: &Version) -> bool {
        to_npm(version).is_ok_and(|version| self.range.satisfies(&version))
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for VersionRange {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for VersionRange {}

impl fmt::Debug for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for VersionRange {
    type Error = BadVersion;
    fn try_from(text: String) -> Result<Self, BadVersion> {
        Self::new(text)
    }
}

impl From<VersionRange> for String {
    fn from(range: VersionRange) -> Self {
        range.text
    }
}

/// The lowest version that `range` admits, as far as it names one: for `engines` of other hosts, where only the lower
/// bound is carried over.
pub(crate) fn lower_bound(range: &VersionRange) -> Option<Version> {
    let named = range.as_str().split(|letter: char| {
        letter.is_whitespace() || matches!(letter, '|' | '<' | '>' | '=' | '^' | '~' | ',')
    });
    let candidates = named.filter_map(|word| {
        let word = word.trim_start_matches('v');
        let (numbers, tail) = word
            .find(['-', '+'])
            .map_or((word, ""), |at| word.split_at(at));
        let mut three: Vec<u64> = numbers
            .split('.')
            .take(3)
            .map_while(|part| part.parse().ok())
            .collect();
        let first_number = three.first().copied()?;
        three.resize(3, 0);
        let full =
            parse_version(&format!("{}.{}.{}{tail}", first_number, three[1], three[2])).ok()?;
        let after = Version::new(full.major, full.minor, full.patch.saturating_add(1));
        Some([full, after])
    });
    candidates
        .flatten()
        .chain([Version::new(0, 0, 0)])
        .filter(|version| range.contains(version))
        .min()
}

#[cfg(test)]
mod tests {
    use super::{VersionRange, lower_bound, parse_version};

    #[test]
    fn versions_have_three_numbers() {
        for good in [
            "1.0.0",
            "0.0.0",
            "1.2.3-rc.1+build.5",
            "9007199254740991.0.0",
        ] {
            assert!(parse_version(good).is_ok(), "{good}");
        }
        for bad in [
            "1.0",
            "v1.0.0",
            "1.0.0.0",
            "01.0.0",
            " 1.0.0",
            "1.0.0 ",
            "",
            "9007199254740992.0.0",
            "1.0.0-",
            &format!("1.0.0-{}", "a.".repeat(100_000)),
        ] {
            assert!(parse_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_api_version_is_a_caret_range() {
        let holds = |wanted: &str, host: &str| {
            VersionRange::from_api_version(wanted)
                .unwrap()
                .contains(&parse_version(host).unwrap())
        };
        assert!(
            holds("1.0.0", "1.4.0")
                && !holds("1.5.0", "1.4.0")
                && !holds("2.x", "1.0.0")
                && holds("1", "1.0.0")
                && holds("1.x || 2.x", "2.1.0")
        );
        assert!(
            VersionRange::from_api_version("").is_err()
                && VersionRange::from_api_version("one").is_err()
        );
    }

    #[test]
    fn the_lower_bound_is_admitted_by_the_range() {
        for (range, bound) in [
            (">=0.20.0", "0.20.0"),
            ("^1.2", "1.2.0"),
            ("~2", "2.0.0"),
            (">1.0.0", "1.0.1"),
            ("1.x || >=2.5", "1.0.0"),
            ("<2", "0.0.0"),
            ("*", "0.0.0"),
            ("1 - 3", "1.0.0"),
        ] {
            assert_eq!(
                lower_bound(&VersionRange::new(range).unwrap())
                    .unwrap()
                    .to_string(),
                bound,
                "{range}"
            );
        }
    }
}
