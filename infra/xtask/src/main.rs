//! All automation of the repository: `cargo xtask <verb>`.
//!
//! Each verb runs ordinary commands, prints them, and fails with the command that failed.

mod bench;
mod build;
#[allow(
    unreachable_pub,
    reason = "shared with the library of the tests, where it is public"
)]
#[path = "../../../tests/src/cache.rs"]
mod cache;
mod command;
mod fuzz;
mod generate;
mod guests;
mod languages;
mod layers;
mod licences;
mod links;
mod reference;
mod select;
mod setup;
mod soak;
mod summary;
mod test;
mod tidy;
mod up;
mod vocabulary;
mod words;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Automation of the Jackfield repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Installs what building and testing need: the wasm target, rustfmt, a browser, foreign clients, tools of other languages.
    Setup,
    /// Builds the components of the product and the native host.
    Build {
        /// With optimisation and without debug information, into target/release.
        #[arg(long)]
        release: bool,
    },
    /// Builds the examples and the test guests into target/guests; those in other languages where their tools are installed.
    Guests,
    /// Builds, then runs the native host on an embedded database until Ctrl-C.
    Up(up::Up),
    /// Installs what the tests need and passes them.
    Test(test::Test),
    /// Measures the gateway and the components against two references, in release builds; docs/reference/performance.md says how to read it.
    Bench(bench::Bench),
    /// Fuzzes the parsers of untrusted input, a minute each; the kept inputs are replayed by the ordinary tests.
    Fuzz(fuzz::Fuzz),
    /// Connections that join, send, stall and leave at random, against a model of what each must have received.
    Soak(soak::Soak),
    /// Writes the generated reference in docs/reference.
    Gen {
        /// Writes nothing; fails when a file is stale.
        #[arg(long)]
        check: bool,
    },
    /// Words, links, layers, licences, sizes, formatting and lints.
    Tidy,
    /// What must hold before a change is merged: tidy, gen --check and test, with the time of each step.
    Ci,
}

fn main() -> ExitCode {
    match run(Args::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    std::env::set_current_dir(root())?;
    match verb {
        Verb::Setup => setup::all(),
        Verb::Build { release } => build::all(release),
        Verb::Guests => guests::build(false),
        Verb::Up(up) => up.run(),
        Verb::Test(test) => test.run(),
        Verb::Bench(bench) => bench.run(),
        Verb::Fuzz(fuzz) => fuzz.run(),
        Verb::Soak(soak) => soak.run(),
        Verb::Gen { check } => generate::run(check),
        Verb::Tidy => tidy::run(),
        Verb::Ci => ci(),
    }
}

fn ci() -> Result<()> {
    let checks = || {
        command::step("tidy", tidy::run)?;
        command::step("test", || test::Test::default().run())
    };
    let result = checks();
    command::print_times();
    result
}

/// The folder with the workspace's Cargo.toml; every verb runs there.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("infra/xtask lies two folders deep")
        .to_owned()
}
