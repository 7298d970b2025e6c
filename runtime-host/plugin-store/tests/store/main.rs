//! The store on real files.

mod crash;
mod journal;
mod people;
mod secrets;
mod values;

use plugin_store::{PLUGINS_FILE, PluginStore};
use std::path::{Path, PathBuf};

/// A folder with a store.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(PLUGINS_FILE)
    }

    fn open(&self) -> PluginStore {
        open(&self.file())
    }

    /// The database as the sqlite3 tool sees it.
    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.file()).expect("a database")
    }
}

fn open(file: &Path) -> PluginStore {
    PluginStore::open(file).unwrap_or_else(|error| panic!("{error}"))
}

/// The code of what was refused.
fn code<T: std::fmt::Debug>(outcome: Result<T, plugin_store::StoreError>) -> &'static str {
    outcome.expect_err("it is refused").code()
}
