//! The tests: what they need first, then everything in one build with one set of features.

use crate::{
    build,
    command::{self, cargo, step},
    generate, setup, tidy,
};
use anyhow::Result;

/// Installs what the tests need and passes them.
///
/// `quick` leaves out the tests with foreign clients; `filter` names tests by a part of their name.
pub(crate) fn run(quick: bool, filter: Option<&str>) -> Result<()> {
    setup::formatter()?;
    step("formatting", tidy::formatting)?;
    generate::run(true)?;
    if !quick {
        setup::for_tests()?;
    }
    build::components()?;
    // One command for binaries and tests: cargo resolves features once, so the engine is compiled once.
    step("host and tests", || command::run(cargo().args(["build", "--bins", "--tests"])))?;
    step("tests", || {
        let mut command = cargo();
        command.arg("test").args(filter).args(["--", "--quiet"]);
        if quick {
            command.args(["--skip", "foreign::"]);
        }
        command::run(&mut command)
    })
}
