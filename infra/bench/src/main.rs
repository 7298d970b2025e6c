//! The measurements of `cargo xtask bench`: two references, one subject, one load generator, and what came of it.
//!
//! What it is not: a test. A shared machine drifts by half within minutes, so absolute times mean little and fail nothing; every figure is a
//! ratio of processor time measured in one run, reference and subject taking turns. Invariant: references, subject and load use the same
//! bytes on the wire, and nothing here knows how the subject works inside.

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
