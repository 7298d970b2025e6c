//! The file `.metadata/config.json` in the plugins directory, `{"plugins": {"<id>": true}}`: which plugins are enabled,
//! for editing by hand and for older tools.
//!
//! The store is authoritative; this file mirrors it, and each entry that is edited is applied once, before anything is
//! started. The file is replaced as a whole, never while it holds an edit that has not been read; one that cannot be
//! parsed changes no plugin and is overwritten. A plugin that was disabled after repeated crashes is not enabled by an
//! older entry.

use crate::{Plugins, lifecycle::files::open_regular, now_ms};
use anyhow::{Context, Result, ensure};
use limits::{manifest::BYTES_MAX, plugin as bounds};
use plugin_lifecycle::State;
use plugin_store::{AuditDecision, AuditEntry};
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
    text: String,
    /// What the text says, also of plugins that are not in the directory.
    plugins: BTreeMap<String, bool>,
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

    /// The entries that were edited since the file was read or written here, each once.
    pub(crate) async fn edits(&self) -> BTreeMap<String, bool> {
        let mut last = self.last.lock().await;
        let text = self.read().await.filter(|text| !text.is_empty());
        let Some(text) = text.filter(|text| *text != last.text) else {
            return BTreeMap::new();
        };
        last.text = text;
        match serde_json::from_str::<Content>(&last.text) {
            Ok(content) => {
                let before = std::mem::replace(&mut last.plugins, content.plugins);
                let mut edits = last.plugins.clone();
                edits.retain(|id, enabled| before.get(id) != Some(enabled));
                edits
            }
            Err(error) => {
                tracing::warn!(file = %self.path.display(), "the file of enabled plugins cannot be parsed and is overwritten: {error}");
                BTreeMap::new()
            }
        }
    }

    /// Whether the file disables a plugin.
    pub(crate) async fn disables(&self, id: &str) -> bool {
        self.last.lock().await.plugins.get(id) == Some(&false)
    }

    /// Writes which of the known plugins are enabled, if the file says something else. A file that holds an edit stays as
    /// it is until the edit has been read, and entries of plugins that are not in the directory stay in it.
    async fn write(&self, known: impl FnOnce() -> BTreeMap<String, bool>) {
        let mut last = self.last.lock().await;
        let text = self.read().await;
        // An empty file is one that is being written.
        if text.as_ref().is_some_and(|text| *text != last.text) {
            return;
        }
        let mut plugins = last.plugins.clone();
        plugins.extend(known());
        // A plugin that is absent counts as enabled, so a file is needed only once a plugin was disabled.
        if text.is_none() && plugins.values().all(|enabled| *enabled) {
            return;
        }
        let content = Content { plugins };
        let Ok(mut now) = serde_json::to_string_pretty(&content) else {
            return;
        };
        now.push('\n');
        if text.as_ref() != Some(&now) {
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
            if written.is_err() {
                return;
            }
        }
        last.text = now;
        last.plugins = content.plugins;
    }

    /// The file's text; none if there is no file, or it cannot be read.
    async fn read(&self) -> Option<String> {
        let path = self.path.clone();
        let text = tokio::task::spawn_blocking(move || read(&path))
            .await
            .map_err(anyhow::Error::from)
            .flatten();
        text.unwrap_or_else(|error| {
            tracing::warn!(file = %self.path.display(), "the file of enabled plugins cannot be read and is overwritten: {error:#}");
            None
        })
    }
}

/// The file's text; none if there is no file.
fn read(path: &Path) -> Result<Option<String>> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut text = String::new();
    file.take(BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    ensure!(
        text.len() <= BYTES_MAX,
        "it has more than {BYTES_MAX} bytes"
    );
    Ok(Some(text))
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
        let edits = self.enabled_file.edits().await;
        if self.apply(&edits).await {
            self.reconcile_within(bounds::ENABLE_WAIT_MS).await;
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

    /// Enables and disables plugins, and starts none; whether there was anything to do.
    pub(crate) async fn apply(&self, wanted: &BTreeMap<String, bool>) -> bool {
        let mut is_changed = false;
        for (id, enabled) in wanted {
            let Some(plugin) = self.host.plugins.get(id) else {
                continue;
            };
            let disabled = plugin.state() == State::Disabled;
            let crashed = disabled && plugin.status.load().reason.is_some();
            if *enabled != disabled || *enabled && crashed {
                continue;
            }
            is_changed = true;
            self.host.store.audit(AuditEntry {
                at_ms: now_ms(),
                plugin: id.clone(),
                capability: "administration".to_owned(),
                target: None,
                action: if *enabled { "enable" } else { "disable" }.to_owned(),
                decision: AuditDecision::Allowed,
                layer: 0,
                reason: "edited".to_owned(),
                duration_us: None,
                by: Some(".metadata/config.json".to_owned()),
            });
            match self.set_enabled(&plugin, *enabled).await {
                Ok(()) => tracing::info!(
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
        is_changed
    }
}
