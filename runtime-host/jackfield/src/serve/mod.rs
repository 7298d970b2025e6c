//! `jackfield serve`: starts a host, says that it is ready, and stops it when a signal asks for it.

mod directory;
mod host;
mod process;
mod setup;
mod tokens;

use crate::{data, keys, telemetry};
use anyhow::{Context as _, Result};
use host::Host;
use limits::socket::END_TIMEOUT_MS;
use process::ShutdownSignal;
use setup::Setup;
use std::{io::Write as _, path::PathBuf, time::Duration};

/// Arguments of `jackfield serve`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address to listen on; port 0 picks a free one. The host prints `ready http://HOST:PORT` when it accepts connections
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8080",
        env = "JACKFIELD_LISTEN"
    )]
    listen: String,
    /// Data folder with databases and keys; created if it does not exist
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "data",
        env = "JACKFIELD_DATA"
    )]
    data: PathBuf,
    /// Configuration file; `jackfield config default` prints one
    #[arg(long, value_name = "FILE", env = "JACKFIELD_CONFIG")]
    config: Option<PathBuf>,
    /// Application to serve in place of the one in this binary [default: spin.toml in the working directory, if there is one]
    #[arg(long, value_name = "SPIN_TOML", env = "JACKFIELD_APP")]
    app: Option<PathBuf>,
    /// Base URL of an edge application that runs elsewhere: REST requests go there, and no directory is stored here
    #[arg(long, value_name = "URL")]
    edge: Option<String>,
    /// Allow identity mode `open`, which accepts any name without proof, on addresses that other machines can reach
    #[arg(long)]
    force_open: bool,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Something that the host needs is missing, damaged or in use; the text names it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let config = setup::config(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime does not start")?;
    let telemetry = telemetry::start(&config, runtime.handle())?;
    let lock = edge_host::lock(&args.data)?;
    data::warn_if_shared(&args.data);
    keys::init(&args.data)?;
    let setup = Setup::new(args, config)?;
    let outcome = runtime.block_on(serve(setup));
    drop(telemetry);
    runtime.shutdown_timeout(Duration::from_millis(END_TIMEOUT_MS));
    // Last: until here something may still write to the data directory.
    drop(lock);
    outcome
}

async fn serve(setup: Setup) -> Result<()> {
    process::survive_file_size_limit()?;
    let url = setup.url();
    let host = Host::start(setup).await?;
    // Before "ready" is printed, so that an early SIGTERM shuts down cleanly.
    let shutdown = ShutdownSignal::install()?;
    tracing::info!(url, "ready");
    // A parent process that does not read the line is no reason to end.
    let _ = writeln!(std::io::stdout(), "ready {url}");
    shutdown.received().await;
    tracing::info!("shutting down: clients are told when to reconnect");
    host.stop().await;
    Ok(())
}
