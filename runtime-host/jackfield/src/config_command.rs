//! `jackfield config default` and `jackfield config check`.

use crate::config::{Config, variables};
use anyhow::{Context, Result};
use clap::Subcommand;
use std::path::PathBuf;

/// Arguments of `jackfield config`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Print every key with its default, as a file to edit
    Default,
    /// Read a configuration and the environment as `serve` does, and print what is wrong
    Check {
        /// Configuration file
        #[arg(long, value_name = "FILE", env = "JACKFIELD_CONFIG")]
        config: Option<PathBuf>,
        /// Print the effective configuration, without secrets
        #[arg(long)]
        show: bool,
    },
}

/// Runs `jackfield config`.
///
/// # Errors
/// The configuration is not valid.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Default => {
            println!(
                "# Every key with its default. Units are in the names. The environment variable JACKFIELD_<TABLE>__<KEY> overrides a key."
            );
            print!(
                "{}",
                toml::to_string_pretty(&Config::default())
                    .context("the defaults cannot be written as TOML")?
            );
        }
        What::Check { config, show } => {
            let mut read = Config::read(config.as_deref(), variables()?)?;
            if *show {
                hide(&mut read.identity.hs256_secret);
                hide(&mut read.edge.service_credential);
                print!(
                    "{}",
                    toml::to_string_pretty(&read)
                        .context("the configuration cannot be written as TOML")?
                );
            } else {
                println!("the configuration is valid");
            }
        }
    }
    Ok(())
}

fn hide(secret: &mut String) {
    if !secret.is_empty() {
        "(hidden)".clone_into(secret);
    }
}
