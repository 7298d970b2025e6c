//! What tests of several crates share: where built components are, and how a test says that it was skipped.
//!
//! No test builds anything: a missing component fails the test with the command that builds it.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The file to which [`skip`] appends one line for each skipped test; set by `cargo xtask test`, which prints them in its summary.
pub const SKIPPED_FILE: &str = "JACKFIELD_SKIPPED_FILE";

/// The root of the workspace.
///
/// # Panics
/// Never: this crate is in the workspace.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("tests/support is two folders deep")
}

/// Cargo's output folder of the profile that built the running test.
///
/// # Panics
/// When the running program is not a test that cargo built.
#[must_use]
pub fn output_folder() -> PathBuf {
    let program = env::current_exe().expect("a running program has a path");
    program
        .ancestors()
        .nth(2)
        .expect("cargo puts tests into <profile>/deps")
        .to_owned()
}

/// Cargo's target folder.
///
/// # Panics
/// When the running program is not a test that cargo built.
#[must_use]
pub fn target_folder() -> PathBuf {
    output_folder()
        .parent()
        .expect("a profile's folder is in the target folder")
        .to_owned()
}

/// A component of the product, by package: the file that spin.toml names.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn component(package: &str) -> PathBuf {
    built("wasm32-wasip2/component", package, "cargo xtask build")
}

/// A guest that is not part of the product (an example or a test guest), by package.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn guest(package: &str) -> PathBuf {
    built("guests", package, "cargo xtask guests")
}

fn built(folder: &str, package: &str, command: &str) -> PathBuf {
    let file = format!("{}.wasm", package.replace('-', "_"));
    let path = target_folder().join(folder).join(file);
    assert!(
        path.exists(),
        "{} is missing; run `{command}`",
        path.display()
    );
    if let Some(source) = newer_source(&path) {
        eprintln!(
            "{} is older than {source}; `{command}` rebuilds it",
            path.display()
        );
    }
    path
}

/// The first source that changed after the component was built, from the list that cargo writes beside the component.
fn newer_source(component: &Path) -> Option<String> {
    let list = fs::read_to_string(component.with_extension("d")).ok()?;
    let built = modified(component)?;
    let (_, sources) = list.split_once(": ")?;
    let is_newer = |source: &&str| modified(Path::new(source)).is_some_and(|time| time > built);
    sources
        .split_whitespace()
        .find(is_newer)
        .map(ToOwned::to_owned)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// Records that the running test was skipped and why. The caller returns from the test after it.
///
/// # Panics
/// When the record cannot be written.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {reason}\n", thread.name().unwrap_or("a test"));
    // Not `eprint!`, which libtest hides for tests that pass.
    io::stderr()
        .write_all(format!("skipped {line}").as_bytes())
        .expect("standard error");
    if let Some(path) = env::var_os(SKIPPED_FILE) {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the record of skipped tests");
    }
}
