//! All automation of the repository: `cargo xtask <verb>`.
//!
//! What it is not: part of the product. Invariant: every verb says what it is doing while it does it, runs ordinary commands that a
//! person could type, and fails with the command that failed.

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
mod languages;
mod links;
mod reference;
mod setup;
mod soak;
mod test;
mod tidy;
mod up;
mod words;

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
    /// Builds the components and the native host; plugins in other languages where their tools are.
    Build {
        /// With optimisation and without debug information, into target/release.
        #[arg(long)]
        release: bool,
    },
    /// Builds, then runs the native host on an embedded database until Ctrl-C.
    Up(up::Up),
    /// Installs what the tests need and passes them.
    Test {
        /// Leaves out foreign clients and plugins in other languages, and with them the browser, npm and Python packages, and clang.
        #[arg(long)]
        quick: bool,
        /// Runs the long tests as well, which are left out otherwise.
        #[arg(long)]
        long: bool,
        /// Only tests whose name contains this text.
        filter: Option<String>,
    },
    /// Measures the gateway and the components against two references, in release builds; docs/reference/performance.md says how to read it.
    Bench(bench::Bench),
    /// Fuzzes the parsers of what strangers write, a minute each; the kept inputs are replayed by the ordinary tests.
    Fuzz(fuzz::Fuzz),
    /// Connections that come, talk, stall and go at random, against a model of who must have seen what.
    Soak(soak::Soak),
    /// Writes the generated reference in docs/reference.
    Gen {
        /// Writes nothing; fails when a file is stale.
        #[arg(long)]
        check: bool,
    },
    /// Formatting, lints, words and sizes.
    Tidy,
    /// All of it: gen --check, tidy, test.
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
        Verb::Up(up) => up.run(),
        Verb::Test {
            quick,
            long,
            filter,
        } => test::run(&test::Choice {
            quick,
            long,
            filter,
        }),
        Verb::Bench(bench) => bench.run(),
        Verb::Fuzz(fuzz) => fuzz.run(),
        Verb::Soak(soak) => soak.run(),
        Verb::Gen { check } => generate::run(check),
        Verb::Tidy => tidy::run(),
        Verb::Ci => {
            generate::run(true)?;
            tidy::run()?;
            test::run(&test::Choice::default())
        }
    }
}

/// The folder with the workspace's Cargo.toml; every verb runs there.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("infra/xtask lies two folders deep")
        .to_owned()
}
