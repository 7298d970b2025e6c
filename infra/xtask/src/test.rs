//! The tests: what they need first, then everything in one build with one set of features.

use crate::{
    build,
    command::{self, cargo, step},
    generate, languages, setup, tidy,
};
use anyhow::Result;

/// Which tests.
#[derive(Default)]
pub(crate) struct Choice {
    /// Leave out the tests with foreign clients, and those of plugins in other languages.
    pub(crate) quick: bool,
    /// Run those as well that are marked as long.
    pub(crate) long: bool,
    /// Only tests whose name contains this.
    pub(crate) filter: Option<String>,
}

/// Installs what the tests need and passes them.
pub(crate) fn run(choice: &Choice) -> Result<()> {
    setup::formatter()?;
    step("formatting", tidy::formatting)?;
    generate::run(true)?;
    if !choice.quick {
        setup::for_tests()?;
    }
    build::components(build::Guests::All)?;
    if !choice.quick {
        languages::components(build::Guests::All, true)?;
    }
    // One command for binaries and tests: cargo resolves features once, so the engine is compiled once.
    step("host and tests", || {
        command::run(cargo().args(["build", "--bins", "--tests"]))
    })?;
    step("tests", || {
        let mut command = cargo();
        command
            .arg("test")
            .args(&choice.filter)
            .args(["--", "--quiet"]);
        if choice.quick {
            command.args(["--skip", "foreign::", "--skip", "languages::"]);
        }
        if choice.long {
            command.arg("--include-ignored");
        }
        command::run(&mut command)
    })?;
    if choice.filter.is_some() {
        return Ok(());
    }
    // What the example components compute is ordinary Rust; what calls the host is left out natively.
    step("tests of the examples", || {
        let packages = ["polls", "moderation", "webhook-notifier", "word-filter"]
            .iter()
            .flat_map(|package| ["-p", package]);
        command::run(
            cargo()
                .args(["test", "--lib"])
                .args(packages)
                .args(["--", "--quiet"]),
        )
    })?;
    // No default member, so that ordinary builds leave it out; it reaches no engine and takes seconds.
    step("tests of the bench", || {
        command::run(cargo().args(["test", "-p", "bench", "--", "--quiet"]))
    })
}
