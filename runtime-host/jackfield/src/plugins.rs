//! Builds the plugin host from the configuration and gives it the gateway to talk to.

use crate::config::Config;
use anyhow::{Context as _, Result};
use capability::Environment;
use egress::Guard;
use gateway::{Hub, LiveChatHost};
use outbound::{Client, SystemResolver};
use plugin_host::plugin::{Compiler, Plugins, Setup};
use plugin_store::{PLUGINS_FILE, PluginStore};
use std::{
    env, fs,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The key of the cache of compiled plugins.
const CACHE_KEY_FILE: &str = "plugin-cache-key";

/// Builds the plugin host; no plugin runs before [`Plugins::start`].
///
/// # Errors
/// The store, the policy or the key cannot be used.
pub(crate) fn open(config: &Config, data: &Path, cache: &Path, hub: &Arc<Hub>) -> Result<Plugins> {
    let variables: Vec<(String, String)> = env::vars().collect();
    let environment = Environment::read(
        variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )?;
    let policy = config.plugins.policy(&environment)?;
    let directory = match (environment.directory, config.plugins.directory.as_path()) {
        (Some(directory), _) => PathBuf::from(directory),
        (None, directory) if directory.as_os_str().is_empty() => data.join("plugins"),
        (None, directory) => directory.to_owned(),
    };
    let program = env::current_exe().context("the binary does not know where it is")?;
    Plugins::new(Setup {
        directory,
        compiler: Compiler::new(program, cache, cache_key(data)?)?,
        policy,
        store: PluginStore::open(&data.join(PLUGINS_FILE))?,
        chat_host: Arc::new(LiveChatHost::new(hub)),
        client: Client::new(
            outbound::Config::default(),
            Arc::new(Guard::new(&config.plugins.network).context("plugins.network")?),
            Arc::new(SystemResolver::default()),
        )?,
        ceilings: config.plugins.limits.clone(),
        restart_ms: config.plugins.restart_ms,
    })
}

/// Reads the key, or makes one.
fn cache_key(data: &Path) -> Result<[u8; 32]> {
    let path = data.join(CACHE_KEY_FILE);
    let mut key = [0; 32];
    match fs::File::open(&path) {
        Ok(mut file) => file
            .read_exact(&mut key)
            .with_context(|| format!("{} is damaged; remove it", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            getrandom::fill(&mut key)
                .map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(&key)?;
        }
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", path.display()));
        }
    }
    Ok(key)
}
