//! From a checkout to a running host.

use crate::{
    build,
    command::{read, step},
};
use anyhow::{Context as _, Result};
use clap::Args;
use std::{os::unix::process::CommandExt as _, path::PathBuf, process::Command};

/// `cargo xtask up`.
#[derive(Args)]
pub(crate) struct Up {
    /// Where the database and the signing key live; made when missing.
    #[arg(long, default_value = "data")]
    data: PathBuf,
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// Optimised; takes longer to build.
    #[arg(long)]
    release: bool,
    /// Further arguments of `jackfield serve`.
    #[arg(last = true)]
    further: Vec<String>,
}

impl Up {
    /// Builds, prints what a developer needs, and becomes the host.
    pub(crate) fn run(self) -> Result<()> {
        build::all(self.release)?;
        let binary = build::host_binary(self.release)?;
        let command = |words: &[&str]| {
            let mut command = Command::new(&binary);
            command.args(words).arg("--data").arg(&self.data);
            command
        };
        let printed = step("development token", || {
            read(&mut command(&["keys", "init"]))?;
            read(command(&["token"]).args(["--user", "owner", "--role", "admin"]))
        })?;
        let token = printed
            .trim_end()
            .lines()
            .last()
            .context("jackfield token printed nothing")?;
        let address = &self.listen;
        eprintln!();
        eprintln!(
            "REST       http://{address}/api/servers      (described in http://{address}/api/openapi.json)"
        );
        eprintln!(
            "WebSocket  ws://{address}/ws                 (described in http://{address}/api/asyncapi.json)"
        );
        eprintln!("Health     http://{address}/healthz  /readyz  /metrics");
        eprintln!("Data       {}", self.data.display());
        eprintln!("Token of the development owner `owner` (role admin):");
        eprintln!("{token}");
        eprintln!();
        // The host takes this process's place: Ctrl-C and the exit code are its own.
        let error = Command::new(&binary)
            .arg("serve")
            .arg("--listen")
            .arg(address)
            .arg("--data")
            .arg(&self.data)
            .args(&self.further)
            .exec();
        Err(error).with_context(|| binary.display().to_string())
    }
}
