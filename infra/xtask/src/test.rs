//! The tests: what they need first, then the tests themselves, and a summary that counts what did not run.

use crate::{
    build,
    command::{self, cargo, step},
    generate, guests, select, setup,
    summary::Summary,
    tidy,
    workspace::Workspace,
};
use anyhow::{Result, bail};
use clap::Args;

/// Modules of tests that need what only `cargo xtask setup` installs.
const NEED_TOOLS: [&str; 2] = ["foreign::", "languages::"];

/// `cargo xtask test`.
#[derive(Args, Default)]
pub(crate) struct Test {
    /// Leaves out foreign clients and plugins in other languages, and with them the browser, npm and Python packages, and clang.
    #[arg(long)]
    quick: bool,
    /// Runs the long tests as well, which are left out otherwise.
    #[arg(long)]
    long: bool,
    /// A crate, whose tests are run, or a part of the names of the tests to run. Only what these tests need is built.
    name: Option<String>,
}

impl Test {
    /// Installs and builds what the tests need, and runs them.
    pub(crate) fn run(&self) -> Result<()> {
        let mut summary = Summary::new(&Workspace::read()?)?;
        match &self.name {
            Some(name) => self.some(name, &mut summary)?,
            None => self.all(&mut summary)?,
        }
        summary.print()
    }

    fn all(&self, summary: &mut Summary) -> Result<()> {
        setup::formatter()?;
        step("formatting", tidy::formatting)?;
        generate::run(true)?;
        if !self.quick {
            setup::for_tests()?;
        }
        build::components()?;
        guests::build(!self.quick)?;
        // One command for binaries and tests: cargo resolves features once, so the engine is compiled once.
        step("host and tests", || {
            command::run(cargo().args(["build", "--bins", "--tests"]))
        })?;
        step("tests", || self.cargo_test(&[], None, summary))?;
        // What the example components compute is ordinary Rust; what calls the host is left out natively.
        step("tests of the examples", || {
            let packages = ["polls", "moderation", "webhook-notifier", "word-filter"];
            let packages = packages.iter().flat_map(|package| ["-p", package]);
            let arguments: Vec<&str> = ["--lib"].into_iter().chain(packages).collect();
            self.cargo_test(&arguments, None, summary)
        })?;
        // Not a default member, so that ordinary builds leave it out.
        step("tests of the bench", || {
            self.cargo_test(&["-p", "bench"], None, summary)
        })
    }

    fn some(&self, name: &str, summary: &mut Summary) -> Result<()> {
        let workspace = Workspace::read()?;
        let selection = select::tests(&workspace, name)?;
        if selection.targets.is_empty() {
            bail!("no crate and no test is named {name:?}");
        }
        eprintln!("tests of {}", selection.names());
        if selection.needs_guests {
            build::components()?;
            guests::build(false)?;
        }
        if selection.needs_host {
            build::host(false)?;
        }
        for target in &selection.targets {
            let arguments = target.arguments();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            step(&format!("tests of {target}"), || {
                self.cargo_test(&arguments, selection.filter.as_deref(), summary)
            })?;
        }
        Ok(())
    }

    fn cargo_test(
        &self,
        arguments: &[&str],
        filter: Option<&str>,
        summary: &mut Summary,
    ) -> Result<()> {
        let mut command = cargo();
        command
            .args(["test", "--no-fail-fast"])
            .args(arguments)
            .args(filter)
            .args(["--", "--quiet"]);
        if self.quick {
            command.args(NEED_TOOLS.iter().flat_map(|module| ["--skip", module]));
        }
        if self.long {
            command.arg("--include-ignored");
        }
        summary.run(&mut command)
    }
}
