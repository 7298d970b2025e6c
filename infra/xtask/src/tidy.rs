//! Checks that a reviewer should not have to make by hand.

use crate::{
    build,
    command::{cargo, read, run as run_command, step},
    guests, layers, licences, links, setup, vocabulary, words,
    workspace::Workspace,
};
use anyhow::{Result, bail};
use std::{fs, process::Command};

/// Lines above which a file may have two purposes; it is named, without a failure.
const LINES_MAX: usize = 500;

/// All checks, the quick ones first.
pub(crate) fn run() -> Result<()> {
    setup::formatter()?;
    setup::linter()?;
    setup::wasm_target()?;
    let files = tracked()?;
    let workspace = Workspace::read()?;
    step("words", || words::check(&files))?;
    step("ids and subjects", || vocabulary::check(&files))?;
    step("layers", || layers::check(&workspace))?;
    step("licences and origins", licences::check)?;
    step("links", || links::check(&files))?;
    step("each guest has a test", || guests::all_are_used(&files))?;
    step("core crates forbid unsafe code", core_forbids_unsafe)?;
    step("bounds are in limits", || bounds(&files))?;
    step("file sizes", || {
        sizes(&files);
        Ok(())
    })?;
    step("formatting", formatting)?;
    // One command, so that features are resolved once.
    let natives: Vec<String> = workspace
        .packages
        .iter()
        .filter(|package| package.is_default || package.folder.starts_with("infra"))
        .flat_map(|package| ["-p".to_owned(), package.name.clone()])
        .collect();
    step("lints of the native crates", || {
        let mut lint = cargo();
        lint.arg("clippy").args(natives).arg("--all-targets");
        run_command(lint.args(["--", "-D", "warnings"]))
    })?;
    let guests: Vec<String> = workspace
        .packages
        .iter()
        .filter(|package| !package.is_default && !package.folder.starts_with("infra"))
        .flat_map(|package| ["-p".to_owned(), package.name.clone()])
        .collect();
    step("lints of the components and guests", || {
        let mut lint = cargo();
        lint.arg("clippy").args(guests);
        lint.args(["--target", build::TARGET, "--profile", "component"]);
        run_command(lint.args(["--", "-D", "warnings"]))
    })
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

/// Files whose constants with a number are no bounds of ours.
const FORMATS: &[&str] = &[
    "runtime-host/plugin-store/src/file/log_check.rs",
    "components/core/validation/src/time.rs",
];

/// A bound is a constant of `limits`, or is made of one.
fn bounds(files: &[String]) -> Result<()> {
    let is_ours = |path: &&String| {
        let native = path.starts_with("runtime-host/") || path.starts_with("components/");
        let elsewhere = [
            "/tests",
            "/examples/",
            "components/core/limits/",
            "/plugin-sdk/",
        ];
        native
            && path.ends_with(".rs")
            && !elsewhere.iter().any(|part| path.contains(part))
            && !FORMATS.contains(&path.as_str())
    };
    let mut found = Vec::new();
    for path in files.iter().filter(is_ours) {
        let text = fs::read_to_string(path)?;
        let source = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, line) in source.lines().enumerate() {
            let Some((_, constant)) = line.split_once("const ") else {
                continue;
            };
            let Some((name, value)) = constant.split_once('=') else {
                continue;
            };
            let name = name.split(':').next().unwrap_or_default();
            let is_bound = ["_MAX", "_MIN", "_MS", "_SECONDS"]
                .iter()
                .any(|end| name.ends_with(end));
            let is_number = value
                .trim()
                .starts_with(|first: char| first.is_ascii_digit());
            if is_bound && is_number {
                found.push(format!("{path}:{}: {name}", at + 1));
            }
        }
    }
    if !found.is_empty() {
        bail!(
            "bounds that are not in components/core/limits:\n{}",
            found.join("\n")
        );
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
