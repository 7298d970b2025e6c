//! The file `.metadata/config.json` in the plugins directory, `{"plugins": {"<id>": true}}`: which plugins are enabled, for editing by hand and
//! for older tools.
//!
//! The store is authoritative; this file mirrors it and its changes are applied. The file is replaced as a whole, and one that cannot be parsed
//! changes nothing. A plugin that was disabled after repeated crashes is not enabled by an older entry.

use crate::{Plugins, lifecycle::plugin::Plugin};
use anyhow::{Context, Result, ensure};
use limits::manifest::BYTES_MAX;
use plugin_lifecycle::State;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Board {
    #[serde(default)]
    plugins: BTreeMap<String, bool>,
}

/// What was seen or written last; nobody has changed the file while it says the same.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    text: Option<String>,
    /// Said once.
    cannot_write: bool,
}

fn file(directory: &Path) -> PathBuf {
    directory.join(".metadata/config.json")
}

/// The file's text; empty where there is none.
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
    /// Does what somebody has written into the file, and writes into it what is so now.
    pub(crate) async fn reconcile_file(&self) {
        let path = file(&self.host.directory);
        let text = self.read_file().await;
        let is_news = !text.is_empty() && self.seen.lock().await.text.as_ref() != Some(&text);
        if is_news {
            match serde_json::from_str::<Board>(&text) {
                Ok(board) => self.follow(&board).await,
                Err(error) => {
                    tracing::warn!(file = %path.display(), "is not understood, and is made anew: {error}")
                }
            }
        }
        self.write_file().await;
    }

    async fn read_file(&self) -> String {
        let path = file(&self.host.directory);
        let reading = path.clone();
        let text = tokio::task::spawn_blocking(move || read(&reading))
            .await
            .map_err(anyhow::Error::from)
            .flatten();
        text.unwrap_or_else(|error| {
            tracing::warn!(file = %path.display(), "cannot be read, and is made anew: {error:#}");
            String::new()
        })
    }

    /// Writes into the file what is so now, where it says something else.
    pub(crate) async fn write_file(&self) {
        let mut seen = self.seen.lock().await;
        let text = self.read_file().await;
        let plugins: BTreeMap<String, bool> = self
            .host
            .plugins
            .read()
            .values()
            .map(|plugin| (plugin.id.to_string(), plugin.state() != State::Disabled))
            .collect();
        // Absent means enabled, and whoever never disabled anything needs no file.
        if text.is_empty() && plugins.values().all(|enabled| *enabled) {
            return;
        }
        let Ok(mut now) = serde_json::to_string_pretty(&Board { plugins }) else {
            return;
        };
        now.push('\n');
        if now != text {
            let (path, writing) = (file(&self.host.directory), now.clone());
            let shown = path.display().to_string();
            let written = tokio::task::spawn_blocking(move || write(&path, &writing))
                .await
                .map_err(anyhow::Error::from)
                .flatten();
            if let Err(error) = &written
                && !seen.cannot_write
            {
                tracing::warn!(
                    file = shown,
                    "cannot be written; what is enabled is kept in the store alone: {error:#}"
                );
            }
            seen.cannot_write = written.is_err();
        }
        seen.text = Some(now);
    }

    /// Enables and disables what the file says otherwise.
    async fn follow(&self, board: &Board) {
        let plugins: Vec<Arc<Plugin>> = self.host.plugins.read().values().cloned().collect();
        for plugin in plugins {
            let (Some(wanted), disabled) = (
                board.plugins.get(&*plugin.id),
                plugin.state() == State::Disabled,
            ) else {
                continue;
            };
            let crashed = disabled && plugin.status.load().reason.is_some();
            let done = match (*wanted, disabled) {
                (false, false) => self.disable(&plugin.id).await,
                (true, true) if !crashed => self.enable(&plugin.id).await,
                _ => continue,
            };
            match done {
                Ok(_) => tracing::info!(
                    plugin = &*plugin.id,
                    enabled = wanted,
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
