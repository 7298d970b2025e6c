//! One process per data directory: an advisory lock on `jackfield.lock` inside it, held by [`DataLock`] and released
//! with the process. File systems that ignore locks are not protected.

use anyhow::{Context, Result};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Name of the lock file in the data directory.
pub const LOCK_FILE: &str = "jackfield.lock";

/// Another process holds the data directory.
#[derive(Debug, thiserror::Error)]
#[error("data directory {} is in use by process {owner}", data_dir.display())]
pub struct InUse {
    data_dir: PathBuf,
    owner: String,
}

/// The lock on a data directory; released when dropped.
#[derive(Debug)]
pub struct DataLock {
    path: PathBuf,
    _file: File,
}

impl DataLock {
    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the data directory where it is missing (mode 0700) and takes its lock.
///
/// # Errors
/// When another process holds it (the text names the process), or the directory cannot be written.
pub fn lock(data_dir: &Path) -> Result<DataLock> {
    make_private_dir(data_dir)?;
    let path = data_dir.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| {
            format!(
                "cannot open {}: is the data directory writable?",
                path.display()
            )
        })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // The process id only completes the message; a file that cannot be read must not replace the error.
            let _ = file.take(32).read_to_string(&mut owner);
            let owner = if owner.trim().is_empty() {
                "of another process".to_owned()
            } else {
                owner.trim().to_owned()
            };
            return Err(InUse {
                data_dir: data_dir.to_owned(),
                owner,
            }
            .into());
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| writeln!(file, "{}", std::process::id()))
        .with_context(|| {
            format!(
                "cannot write {}: is the disk full or read-only?",
                path.display()
            )
        })?;
    Ok(DataLock { path, _file: file })
}

/// Makes a directory and its parents; only the owner may enter what it makes.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_private_dir(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .with_context(|| format!("cannot make the directory {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_names_the_process_that_holds_the_first() {
        let dir = tempfile::tempdir().expect("directory");
        let held = lock(dir.path()).expect("first lock");
        let refused = lock(dir.path()).expect_err("second lock").to_string();
        assert!(
            refused.ends_with(&format!("is in use by process {}", std::process::id())),
            "{refused}"
        );
        drop(held);
        lock(dir.path()).expect("lock after release");
    }
}
