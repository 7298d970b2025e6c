//! The measurements of `cargo xtask bench`: two references, one subject, one load generator, and the figures.
//!
//! A shared machine drifts by half within minutes, so a figure is a ratio of processor times measured in one run, reference and subject
//! taking turns, and no figure fails a build. References, subject and load use the same bytes on the wire; the subject is measured from
//! outside only.

mod cases;
mod figure;
mod floor;
mod frame;
mod http;
mod load;
mod page;
mod process;
mod server;
mod swarm;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measurements of the gateway and the components.
#[derive(Parser)]
#[command(name = "bench")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Measures.
    Run(cases::Options),
    /// The reference "floor": the smallest server that can do it. Prints `ready URL` and serves until it is killed.
    Floor,
}

fn main() -> ExitCode {
    let done: Result<()> = match Args::parse().verb {
        Verb::Run(options) => cases::run(&options),
        Verb::Floor => floor::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
