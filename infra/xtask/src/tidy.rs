//! What a reviewer should not have to look for.

use crate::{
    build,
    command::{cargo, read, run as run_command, step},
    links, setup, words,
};
use anyhow::{Result, bail};
use std::{fs, process::Command};

/// Lines above which a file is asked whether it has two purposes.
const LINES_MAX: usize = 500;

/// Formatting, lints, words and sizes.
pub(crate) fn run() -> Result<()> {
    setup::formatter()?;
    setup::linter()?;
    setup::wasm_target()?;
    let files = tracked()?;
    step("words", || words::check(&files))?;
    step("links", || links::check(&files))?;
    step("core crates forbid unsafe code", core_forbids_unsafe)?;
    step("file sizes", || {
        sizes(&files);
        Ok(())
    })?;
    step("formatting", formatting)?;
    step("lints of the native crates", || {
        run_command(cargo().args(["clippy", "--all-targets", "--", "-D", "warnings"]))
    })?;
    // No default members.
    for package in ["bench", "c-bindings"] {
        let mut lint = cargo();
        lint.args([
            "clippy",
            "-p",
            package,
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]);
        step(&format!("lints of {package}"), || run_command(&mut lint))?;
    }
    for package in build::component_packages(build::Guests::All)? {
        step(&format!("lints of {package}"), || {
            run_command(cargo().args([
                "clippy",
                "-p",
                &package,
                "--target",
                build::TARGET,
                "--profile",
                "component",
                "--",
                "-D",
                "warnings",
            ]))
        })?;
    }
    Ok(())
}

/// Whether every crate is formatted.
pub(crate) fn formatting() -> Result<()> {
    run_command(cargo().args(["fmt", "--all", "--check"]))
}

/// The files of the repository, new ones included, ignored ones not.
fn tracked() -> Result<Vec<String>> {
    let text =
        read(Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    Ok(text
        .lines()
        .map(str::to_owned)
        .filter(|path| fs::metadata(path).is_ok_and(|file| file.is_file()))
        .collect())
}

fn core_forbids_unsafe() -> Result<()> {
    for entry in fs::read_dir("components/core")? {
        let library = entry?.path().join("src/lib.rs");
        if library.exists() && !fs::read_to_string(&library)?.contains("#![forbid(unsafe_code)]") {
            bail!("{} lacks #![forbid(unsafe_code)]", library.display());
        }
    }
    Ok(())
}

fn sizes(files: &[String]) {
    for path in files.iter().filter(|path| path.ends_with(".rs")) {
        let lines = fs::read_to_string(path).map_or(0, |text| text.lines().count());
        if lines > LINES_MAX {
            eprintln!("    {path}: {lines} lines; does it have two purposes?");
        }
    }
}
