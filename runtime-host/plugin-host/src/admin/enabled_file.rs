//! The file `.metadata/config.json` in the plugins directory, `{"plugins": {"<id>": true}}`: which plugins are enabled,
//! for editing by hand and for older tools.
//!
//! The store is authoritative; this file mirrors it and its changes are applied. The file is replaced as a whole; one
//! that cannot be read or parsed changes no plugin and is overwritten. A plugin that was disabled after repeated crashes
//! is not enabled by an older entry.

use crate::Plugins;
use anyhow::{Context, Result, ensure};
use limits::manifest::BYTES_MAX;
use plugin_lifecycle::State;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};
use tokio::sync::Mutex;

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    plugins: BTreeMap<String, bool>,
}

/// The file, and what was read from it or written to it last.
#[derive(Debug)]
pub(crate) struct EnabledFile {
    path: PathBuf,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    /// The file has not been edited while it holds this text.
    text: Option<String>,
    /// Logged once.
    cannot_write: bool,
}

impl EnabledFile {
    /// The file of a plugins directory.
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            path: directory.join(".metadata/config.json"),
            last: Mutex::default(),
        }
    }

    /// Which plugins the file enables and disables, if it was edited since it was written here.
    async fn edited(&self) -> Option<BTreeMap<String, bool>> {
        let text = self.read().await;
        let is_edited = !text.is_empty() && self.last.lock().await.text.as_ref() != Some(&text);
        if !is_edited {
            return None;
        }
        match serde_json::from_str::<Content>(&text) {
            Ok(content) => Some(content.plugins),
            Err(error) => {
                tracing::warn!(file = %self.path.display(), "the file of enabled plugins cannot be parsed and is overwritten: {error}");
                None
            }
        }
    }

    /// Writes which plugins are enabled, if the file says something else.
    async fn write(&self, plugins: impl FnOnce() -> BTreeMap<String, bool>) {
        let mut last = self.last.lock().await;
        let text = self.read().await;
        let plugins = plugins();
        // A plugin that is absent counts as enabled, so a file is needed only once a plugin was disabled.
        if text.is_empty() && plugins.values().all(|enabled| *enabled) {
            return;
        }
        let Ok(mut now) = serde_json::to_string_pretty(&Content { plugins }) else {
            return;
        };
        now.push('\n');
        if now != text {
            let (path, new) = (self.path.clone(), now.clone());
            let written = tokio::task::spawn_blocking(move || write(&path, &new))
                .await
                .map_err(anyhow::Error::from)
                .flatten();
            if let Err(error) = &written
                && !last.cannot_write
            {
                tracing::warn!(
                    file = %self.path.display(),
                    "the file of enabled plugins cannot be written; the store alone has them: {error:#}"
                );
            }
            last.cannot_write = written.is_err();
        }
        last.text = Some(now);
    }

    async fn read(&self) -> String {
        let path = self.path.clone();
        let text = tokio::task::spawn_blocking(move || read(&path))
            .await
            .map_err(anyhow::Error::from)
            .flatten();
        text.unwrap_or_else(|error| {
            tracing::warn!(file = %self.path.display(), "the file of enabled plugins cannot be read and is overwritten: {error:#}");
            String::new()
        })
    }
}

/// The file's text; empty if there is no file.
fn read(path: &Path) -> Result<String> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error.into()),
    };
    let mut text = String::new();
    file.take(BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    ensure!(
        text.len() <= BYTES_MAX,
        "it has more than {BYTES_MAX} bytes"
    );
    Ok(text)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("no folder")?;
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

impl Plugins {
    /// Applies what was edited in the file, then writes the file as it should be.
    pub(crate) async fn reconcile_file(&self) {
        if let Some(wanted) = self.enabled_file.edited().await {
            self.apply(&wanted).await;
        }
        self.write_file().await;
    }

    /// Writes the file as it should be.
    pub(crate) async fn write_file(&self) {
        let enabled = || {
            let plugins = self.host.plugins.all();
            let enabled = plugins.values();
            enabled
                .map(|plugin| (plugin.id.to_string(), plugin.state() != State::Disabled))
                .collect()
        };
        self.enabled_file.write(enabled).await;
    }

    /// Enables and disables plugins.
    async fn apply(&self, wanted: &BTreeMap<String, bool>) {
        for plugin in self.host.plugins.all().into_values() {
            let Some(enabled) = wanted.get(&*plugin.id) else {
                continue;
            };
            let disabled = plugin.state() == State::Disabled;
            let crashed = disabled && plugin.status.load().reason.is_some();
            let done = match (*enabled, disabled) {
                (false, false) => self.disable(&plugin.id).await,
                (true, true) if !crashed => self.enable(&plugin.id).await,
                _ => continue,
            };
            match done {
                Ok(_) => tracing::info!(
                    plugin = &*plugin.id,
                    enabled,
                    "switched by .metadata/config.json"
                ),
                Err(error) => tracing::warn!(
                    plugin = &*plugin.id,
                    "what .metadata/config.json says cannot be done: {error:#}"
                ),
            }
        }
    }
}
