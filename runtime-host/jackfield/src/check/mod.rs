//! `jackfield check`: reports every problem of a plugin's manifest, with its line. The rules are those of `plugin-manifest`.
//!
//! Exit codes: 0 no error, 1 errors, 2 there is no manifest or it cannot be read.

mod folder;
mod report;
#[cfg(test)]
mod tests;

use anyhow::Result;
use plugin_manifest::{Options, import};
use report::Report;
use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Exit code if there is no manifest or it cannot be read.
const UNUSABLE: u8 = 2;

/// Arguments of `jackfield check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub check: CheckArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What is checked, and how strictly.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Folder of the plugin, or its manifest
    pub path: PathBuf,
    /// Refuse unknown fields instead of warning about them
    #[arg(long)]
    pub strict: bool,
}

/// Runs `jackfield check`.
pub(crate) fn run(args: &CheckArgs, json: bool) -> ExitCode {
    let mut out = io::stdout().lock();
    let options = Options {
        strict: args.strict,
    };
    match examine(&args.path, options) {
        Ok(report) => {
            let text = if json {
                report.json()
            } else {
                report.text(wants_colour(&out))
            };
            // If the reader closed the pipe, the exit code still says the result.
            let _ = writeln!(out, "{text}");
            ExitCode::from(u8::from(!report.is_ok()))
        }
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "error: {error:#}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn wants_colour(out: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    out.is_terminal()
        && !set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

fn examine(path: &Path, options: Options) -> Result<Report> {
    let file = folder::locate(path)?;
    let bytes = folder::read(&file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut imported = import::import(&name, &bytes, options);
    let mut violations = std::mem::take(&mut imported.violations);
    let parent = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    violations.extend(plugin_host::bad_tool_schemas(&imported));
    violations.extend(folder::missing_files(&imported, parent));
    violations.sort_by_key(|violation| violation.span.start);
    Ok(Report {
        file,
        bytes,
        imported,
        violations,
    })
}
