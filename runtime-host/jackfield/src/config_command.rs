//! `jackfield config default` and `jackfield config check`.

use crate::config::Config;
use anyhow::{Context, Result};
use clap::Subcommand;
use std::path::PathBuf;

/// Shows the default configuration, or checks one.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Prints every key with its default, as a file that can be edited.
    Default,
    /// Reads a configuration as `serve` would, environment included, and prints the outcome.
    Check {
        /// The file.
        #[arg(long, env = "JACKFIELD_CONFIG")]
        config: Option<PathBuf>,
        /// Print the effective configuration.
        #[arg(long)]
        show: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// The configuration is not legal.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Default => {
            println!(
                "# Every key with its default. Units are in the names; JACKFIELD_<TABLE>__<KEY> in the environment wins over this file."
            );
            print!(
                "{}",
                toml::to_string_pretty(&Config::default())
                    .context("the defaults cannot be shown")?
            );
        }
        What::Check { config, show } => {
            let mut read = Config::read(config.as_deref(), std::env::vars())?;
            if *show {
                hide(&mut read.identity.hs256_secret);
                hide(&mut read.edge.service_credential);
                print!(
                    "{}",
                    toml::to_string_pretty(&read).context("the configuration cannot be shown")?
                );
            } else {
                println!("the configuration is good");
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
