//! The soak: builds what the tests need, then runs the long test whose duration is set here.

use crate::{
    build,
    command::{cargo, run, step},
};
use anyhow::Result;
use clap::Args;

/// `cargo xtask soak`.
#[derive(Args)]
pub(crate) struct Soak {
    /// How long connections are busy.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// How many connections there are; each takes a file handle here and one in the host.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(100..=19_000))]
    connections: u64,
    /// The seed that a failure printed, to repeat its random choices.
    #[arg(long)]
    seed: Option<u64>,
    /// Builds and runs everything with optimisation and without debug information.
    #[arg(long)]
    release: bool,
}

impl Soak {
    /// Builds and plays.
    pub(crate) fn run(self) -> Result<()> {
        build::components()?;
        let profile = self.release.then_some("--release");
        // One command for binaries and tests, as for the tests: cargo resolves features once.
        step("host and tests", || {
            run(cargo().args(["build", "--bins", "--tests"]).args(profile))
        })?;
        step("soak", || {
            let mut command = cargo();
            command.args(["test", "--test", "it"]).args(profile).args([
                "--",
                "--ignored",
                "--exact",
                "soak::a_soak_of_the_configured_length_matches_the_model",
                "--nocapture",
            ]);
            command.env("JACKFIELD_SOAK_MINUTES", self.minutes.to_string());
            command.env("JACKFIELD_SOAK_CONNECTIONS", self.connections.to_string());
            if let Some(seed) = self.seed {
                command.env("JACKFIELD_TEST_SEED", seed.to_string());
            }
            run(&mut command)
        })
    }
}
