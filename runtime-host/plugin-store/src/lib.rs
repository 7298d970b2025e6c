//! Everything durable about plugins, in one SQLite file: values, secrets, records, grants, consents, logs, events,
//! audit.
//!
//! What was acknowledged survives a crash, no plugin reads the data of another, and everything is bounded for each
//! plugin.
#![forbid(unsafe_code)]

mod audit;
mod cache;
mod connection;
mod consent;
mod error;
mod event;
pub mod file;
mod grant;
mod journal;
mod kv;
mod log;
mod readers;
mod record;
mod secret;
mod switch;
mod text;
mod writer;

use std::{fmt, path::Path, sync::Arc, thread::JoinHandle};

pub use audit::{AuditDecision, AuditEntry, AuditPage, AuditQuery};
pub use consent::{Consent, ConsentState, Decision, NewConsent};
pub use error::StoreError;
pub use event::{EventPage, EventQuery, LifecycleEvent};
pub use grant::Grant;
pub use kv::{Change, KeyPage};
pub use log::{Level, LogEntry, LogPage, LogQuery, Tail};
pub use record::PluginRecord;
pub use secret::SECRETS_KEY_FILE;
pub use switch::Switch;
pub use text::now_ms;

use cache::Cache;
use journal::{Journal, Storing};
use readers::Readers;
use secret::Vault;
use writer::Writer;

/// Name of the file in the data directory.
pub const PLUGINS_FILE: &str = "plugins.db";

/// The store; clones share it. The file is closed, and everything that waits is written, when the last one is dropped.
#[derive(Clone)]
pub struct PluginStore(Arc<Inner>);

/// Dropped in this order: what waits is stored, the readers close, and the writer closes the file last, which moves its
/// write-ahead log into it.
struct Inner {
    cache: Arc<Cache>,
    vault: Vault,
    journal: Arc<Journal>,
    _storing: Storing,
    readers: Readers,
    _reading: Threads,
    writer: Writer,
    _writing: Threads,
}

impl fmt::Debug for PluginStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginStore").finish_non_exhaustive()
    }
}

impl PluginStore {
    /// Opens the file, creates it if it is missing, checks that it is whole and migrates it to the newest schema.
    /// Blocks. The caller owns the folder: no other process writes the file.
    ///
    /// # Errors
    /// The file is damaged, gone, no database, read-only, of a newer program, or its key of secrets is missing; it is
    /// left as it is.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = connection::writer(path)?;
        let vault = Vault::open(&connection, path)?;
        let journal = Arc::new(Journal::open(&connection)?);
        let cache = Arc::new(Cache::default());
        let (readers, reading) = Readers::start(path)?;
        let (writer, writing) = Writer::start(connection, cache.clone())?;
        let storing = Storing::start(journal.clone(), writer.clone())?;
        let (reading, writing) = (Threads(reading), Threads(vec![writing]));
        let inner = Inner {
            cache,
            vault,
            journal,
            _storing: storing,
            readers,
            _reading: reading,
            writer,
            _writing: writing,
        };
        Ok(Self(Arc::new(inner)))
    }

    fn cache(&self) -> &Cache {
        &self.0.cache
    }

    fn vault(&self) -> &Vault {
        &self.0.vault
    }

    fn journal(&self) -> &Journal {
        &self.0.journal
    }

    fn writer(&self) -> &Writer {
        &self.0.writer
    }

    fn readers(&self) -> &Readers {
        &self.0.readers
    }
}

/// The digest of a plugin's token, as [`PluginRecord::token_digest`] holds it: what is stored cannot be used to act as
/// the plugin.
#[must_use]
pub fn token_digest(token: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Threads that end once their channels are closed.
struct Threads(Vec<JoinHandle<()>>);

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the plugin store had ended");
            }
        }
    }
}
