//! What a start is made of: the configuration with the command line applied, the open port, and the application.

use super::Args;
use crate::{
    application::{self, Found},
    code_cache,
    config::{Config, variables},
    data,
};
use anyhow::{Context as _, Result, bail};
use identity::Mode;
use sandbox::CodeCache;
use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

/// Everything that a host is started with.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) data: PathBuf,
    /// Compiled code.
    pub(super) cache: CodeCache,
    pub(super) application: Found,
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
    /// The service credential of gateway and edge.
    pub(super) credential: String,
}

/// The configuration of a host: file, environment, then the command line.
///
/// # Errors
/// As [`Config::read`].
pub(super) fn config(args: &Args) -> Result<Config> {
    let mut config = Config::read(args.config.as_deref(), variables()?)?;
    if let Some(url) = &args.edge {
        config.edge.url.clone_from(url);
    }
    if let Some(app) = &args.app {
        config.edge.app.clone_from(app);
    }
    Ok(config)
}

impl Setup {
    /// Opens the port and finds the application. The data directory is locked and has a signing key.
    ///
    /// # Errors
    /// The port is taken, the cache of compiled code cannot be used, identity mode `open` would be reachable from other machines, or there is no application.
    pub(super) fn new(args: &Args, config: Config) -> Result<Self> {
        let listener = gateway::bind(&args.listen)
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        let address = listener.local_addr()?;
        if config.identity.mode == Mode::Open && !address.ip().is_loopback() && !args.force_open {
            bail!(
                "identity mode `open` accepts any name without proof: listen on a loopback address, or add --force-open"
            );
        }
        let credential = match config.edge.service_credential.as_str() {
            "" => data::service_credential(&args.data)?,
            text => text.to_owned(),
        };
        Ok(Self {
            application: application::find(config.edge.app())?,
            cache: code_cache::open(&config, &args.data)?,
            data: args.data.clone(),
            config,
            listener,
            address,
            credential,
        })
    }

    /// The base URL of this host.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
