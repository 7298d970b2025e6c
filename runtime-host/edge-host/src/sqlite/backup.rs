//! Copies the databases of a data directory while they are in use. SQLite itself makes each copy, so that it is one consistent state; a copy
//! that exists under its final name is complete.

use crate::lock::make_private_dir;
use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// Copies every database file (`*.db`) of `data_dir` into `target`, which must hold none of them yet. Returns the copies. Blocks.
///
/// # Errors
/// When a file cannot be read, is damaged, exists in the target, or the target is full.
pub fn backup(data_dir: &Path, target: &Path) -> Result<Vec<PathBuf>> {
    make_private_dir(target)?;
    let mut copies = Vec::new();
    let entries = std::fs::read_dir(data_dir)
        .with_context(|| format!("cannot read {}", data_dir.display()))?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "db"));
    files.sort();
    for file in files {
        let Some(name) = file.file_name() else {
            continue;
        };
        let copy = target.join(name);
        if copy.exists() {
            bail!("{} exists already; name an empty directory", copy.display());
        }
        copy_one(&file, &copy).with_context(|| format!("cannot back up {}", file.display()))?;
        copies.push(copy);
    }
    Ok(copies)
}

fn copy_one(file: &Path, copy: &Path) -> Result<()> {
    let partial = copy.with_extension("db.partial");
    if partial.exists() {
        std::fs::remove_file(&partial)?;
    }
    let source = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    source.busy_timeout(std::time::Duration::from_millis(
        limits::edge_host::SQLITE_BUSY_TIMEOUT_MS,
    ))?;
    source.execute("VACUUM INTO ?1", [partial.to_string_lossy()])?;
    let finding: String =
        Connection::open(&partial)?.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if finding != "ok" {
        bail!("the copy is damaged: {finding}");
    }
    std::fs::File::open(&partial)?.sync_all()?;
    std::fs::rename(&partial, copy)?;
    Ok(())
}
