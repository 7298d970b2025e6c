//! [`RelativePath`]: a path of a manifest below its plugin's folder.
//!
//! Joined to a folder it stays below it by the rules of POSIX and of Windows, percent-decoded or not. Symbolic links
//! are checked where the file is opened.

use crate::violation::Code;
use limits::manifest::PATH_CHARS_MAX;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A path below the plugin's folder: segments joined by `/`, a leading `./` allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(String);

/// Why a text is not a [`RelativePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {rule}")]
pub struct BadPath {
    /// Whether the path could lead out of the folder, or is merely unusable.
    pub escapes: bool,
    /// The rule that the text breaks.
    pub rule: String,
}

impl BadPath {
    /// The code of the violation.
    #[must_use]
    pub fn code(&self) -> Code {
        if self.escapes {
            Code::PathEscapes
        } else {
            Code::BadPath
        }
    }
}

impl RelativePath {
    /// Checks `text` and takes it.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, BadPath> {
        let text = text.into();
        check(&text)?;
        Ok(Self(text))
    }

    /// The path as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments, without `.`; none of them is empty or `..`.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| *segment != ".")
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RelativePath {
    type Error = BadPath;
    fn try_from(text: String) -> Result<Self, BadPath> {
        Self::new(text)
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> Self {
        path.0
    }
}

fn check(text: &str) -> Result<(), BadPath> {
    let refuse = |escapes: bool, rule: &str| {
        Err(BadPath {
            escapes,
            rule: rule.to_owned(),
        })
    };
    if text.is_empty() {
        return refuse(false, "must not be empty");
    }
    if text.chars().count() > PATH_CHARS_MAX {
        return refuse(
            false,
            &format!("must have at most {PATH_CHARS_MAX} characters"),
        );
    }
    if text.contains('\0') {
        return refuse(
            true,
            "must not hold a NUL, at which some systems would cut it",
        );
    }
    if text.chars().any(char::is_control) {
        return refuse(false, "must not hold control characters");
    }
    if text.contains('\\') {
        return refuse(true, "must be written with '/', not with '\\'");
    }
    if text.starts_with('/') {
        return refuse(
            true,
            "must be relative to the plugin's folder, not absolute",
        );
    }
    if text.contains(':') {
        return refuse(
            true,
            "must not hold ':', which names a drive, a scheme or a stream",
        );
    }
    if has_percent_escape(text) {
        return refuse(
            true,
            "must not hold percent escapes; write the characters themselves",
        );
    }
    for segment in text.split('/') {
        match segment {
            "" => return refuse(false, "must not hold an empty segment"),
            "." => {}
            ".." => return refuse(true, "must not hold the segment '..'"),
            // Windows drops final dots and spaces, so ".. " and "..." lead upwards there.
            _ if segment.trim_end_matches([' ', '.']).is_empty() => {
                return refuse(true, "must not hold a segment of dots and spaces alone");
            }
            _ => {}
        }
    }
    if text.split('/').all(|segment| segment == ".") {
        return refuse(false, "must name a file");
    }
    Ok(())
}

fn has_percent_escape(text: &str) -> bool {
    text.as_bytes().windows(3).any(|three| matches!(three, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::RelativePath;
    use proptest::prelude::*;

    #[test]
    fn usual_paths_pass() {
        for path in [
            "main.js",
            "./main.js",
            "dist/a.b/c-d_e.wasm",
            "ä/ö.js",
            "a b.js",
            "..a/b..",
            "100%.js",
            ".hidden/x",
            "🦀",
        ] {
            assert!(RelativePath::new(path).is_ok(), "{path:?}");
        }
    }

    #[test]
    fn what_could_escape_does_not() {
        let escaping = [
            "../x.js",
            "/etc/passwd",
            "a/../../x",
            "C:\\x",
            "C:/x",
            "c:x",
            "\\\\server\\share",
            "a\\..\\b",
            "%2e%2e/x",
            "a/%2E%2e/x",
            "%252e%252e/x",
            "%5c",
            "a\0.js",
            "..",
            "a/..",
            "file:///etc/passwd",
            "x.js:stream",
            ".. /x",
            ".../x",
            "a/. ./b/.. ",
        ];
        for path in escaping {
            assert!(
                RelativePath::new(path).is_err_and(|error| error.escapes),
                "{path:?}"
            );
        }
        for path in ["", ".", "./.", "a//b", "a/", "a\n", &"a".repeat(513)] {
            assert!(
                RelativePath::new(path).is_err_and(|error| !error.escapes),
                "{path:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_path_that_passes_stays_below_its_folder(path in "[./\\\\a%2eE: \\x00]{0,12}") {
            if let Ok(path) = RelativePath::new(path) {
                let mut depth = 0i32;
                for part in std::path::Path::new(path.as_str()).components() {
                    depth += match part {
                        std::path::Component::Normal(_) => 1,
                        std::path::Component::CurDir => 0,
                        other => panic!("{other:?}"),
                    };
                }
                prop_assert!(depth > 0);
                prop_assert!(path.segments().all(|segment| !segment.is_empty() && segment != ".."));
            }
        }
    }
}
