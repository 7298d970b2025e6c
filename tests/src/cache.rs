//! Paths of the tools that the tests use. Shared with `cargo xtask`, which installs them there.

use std::path::{Path, PathBuf};

/// The Python environment with the third-party clients: `$JACKFIELD_CACHE/python`, by default
/// `~/.cache/jackfield/python`.
///
/// # Errors
/// Neither `JACKFIELD_CACHE` nor `HOME` is set.
pub fn python_environment() -> Result<PathBuf, std::io::Error> {
    Ok(folder()?.join("python"))
}

/// The Python environment of componentize-py: `$JACKFIELD_CACHE/componentize-py`.
///
/// # Errors
/// Neither `JACKFIELD_CACHE` nor `HOME` is set.
pub fn python_componentizer() -> Result<PathBuf, std::io::Error> {
    Ok(folder()?.join("componentize-py"))
}

/// The official JSON Schema test suite, one folder per draft: `$JACKFIELD_CACHE/json-schema-suite`.
///
/// # Errors
/// Neither `JACKFIELD_CACHE` nor `HOME` is set.
pub fn schema_suite() -> Result<PathBuf, std::io::Error> {
    Ok(folder()?.join("json-schema-suite"))
}

fn folder() -> Result<PathBuf, std::io::Error> {
    match (
        std::env::var_os("JACKFIELD_CACHE"),
        std::env::var_os("HOME"),
    ) {
        (Some(cache), _) => Ok(PathBuf::from(cache)),
        (None, Some(home)) => Ok(Path::new(&home).join(".cache/jackfield")),
        (None, None) => Err(std::io::Error::other(
            "neither JACKFIELD_CACHE nor HOME is set",
        )),
    }
}

/// The browser: `$JACKFIELD_CHROMIUM`, else the Debian package's.
#[must_use]
pub fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("JACKFIELD_CHROMIUM").map(PathBuf::from);
    named
        .or_else(|| Some(PathBuf::from("/usr/bin/chromium")))
        .filter(|path| path.exists())
}
