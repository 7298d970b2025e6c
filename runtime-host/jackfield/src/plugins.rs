//! Builds the plugin host from the configuration and gives it the gateway to talk to.

use crate::config::{Config, variables};
use anyhow::{Context as _, Result};
use capability::Environment;
use egress::Guard;
use gateway::{Hub, LiveChatHost};
use outbound::{Client, ExceptOwn, SystemResolver};
use plugin_host::{Compiler, Plugins, Setup};
use plugin_store::{PLUGINS_FILE, PluginStore};
use sandbox::CodeCache;
use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Builds the plugin host for a host that listens on `listening`; no plugin runs before [`Plugins::start`].
///
/// # Errors
/// The store or the policy cannot be used.
pub(crate) fn open(
    config: &Config,
    data: &Path,
    cache: &CodeCache,
    hub: &Arc<Hub>,
    listening: SocketAddr,
) -> Result<Plugins> {
    let variables = variables()?;
    let environment = Environment::read(
        variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )?;
    let policy = config.plugins.policy(&environment)?;
    let directory = match (&environment.directory, config.plugins.directory.as_path()) {
        (Some(directory), _) => PathBuf::from(directory),
        (None, directory) if directory.as_os_str().is_empty() => data.join("plugins"),
        (None, directory) => directory.to_owned(),
    };
    let guard = Guard::new(&config.plugins.network).context("plugins.network")?;
    let program = env::current_exe().context("the binary does not know where it is")?;
    Plugins::new(Setup {
        directory,
        compiler: Compiler::new(program, cache.clone()),
        policy,
        store: PluginStore::open(&data.join(PLUGINS_FILE))?,
        chat_host: Arc::new(LiveChatHost::new(hub)),
        client: Client::new(
            outbound::Config::default(),
            Arc::new(ExceptOwn::new(guard, vec![listening])),
            Arc::new(SystemResolver::default()),
        )?,
        limits: config.plugins.limits.clone(),
        restart_ms: config.plugins.restart_ms,
        options: config.plugins.options(&environment),
    })
}
