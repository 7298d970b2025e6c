//! Measuring: release builds of everything, then the program that measures.

use crate::{
    build,
    command::{cargo, run, step},
    guests,
    workspace::Workspace,
};
use anyhow::Result;
use clap::Args;
use std::process::Command;

/// `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Bench {
    /// A quick look: two short pairs instead of five. A full run of all cases writes docs/reference/performance.md, any other only prints.
    #[arg(long)]
    quick: bool,
    /// Only these cases, such as `G1,G3`.
    #[arg(long, value_name = "CASES")]
    case: Option<String>,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Bench {
    /// Builds and measures.
    pub(crate) fn run(self) -> Result<()> {
        build::components()?;
        guests::build(false)?;
        // The example has the features of the binaries, so that the engine is compiled once.
        step("host", || {
            run(cargo().args(["build", "--release", "--bins", "--example", "measure"]))
        })?;
        step("bench", || {
            run(cargo().args(["build", "--release", "-p", "bench"]))
        })?;
        let mut command = Command::new(Workspace::read()?.output_folder(true).join("bench"));
        command.arg("run");
        if self.quick {
            command.arg("--quick");
        }
        if self.json {
            command.arg("--json");
        }
        if let Some(cases) = &self.case {
            command.args(["--case", cases]);
        }
        if !self.quick && self.case.is_none() {
            command.args(["--page", "docs/reference/performance.md"]);
        }
        run(&mut command)
    }
}
