//! The folder of the cache: where it lies, that it is private, its key, and its size.

use super::entry::{ENDING, KEY_BYTES};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::{
    env,
    ffi::OsString,
    fs::{self, DirBuilder, File},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The file that holds the key.
const KEY_FILE: &str = "key";

/// Where this user's compiled code lies: `$JACKFIELD_CACHE/code`, else `$XDG_CACHE_HOME/jackfield/code`, else
/// `~/.cache/jackfield/code`. None when none of these variables holds an absolute path.
#[must_use]
pub fn user_folder() -> Option<PathBuf> {
    user_folder_from(|name| env::var_os(name))
}

pub(super) fn user_folder_from(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name, below: &str| {
        let folder = PathBuf::from(variable(name)?);
        folder.is_absolute().then(|| folder.join(below))
    };
    path("JACKFIELD_CACHE", "code")
        .or_else(|| path("XDG_CACHE_HOME", "jackfield/code"))
        .or_else(|| path("HOME", ".cache/jackfield/code"))
}

/// Makes the folder, or takes write access from other users.
pub(super) fn make_private(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let about = fs::metadata(folder)?;
    ensure_own(about.uid())?;
    if about.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn ensure_own(owner: u32) -> Result<()> {
    let own = rustix::process::geteuid().as_raw();
    ensure!(
        owner == own,
        "user {owner} owns it, and this process runs as user {own}"
    );
    Ok(())
}

/// Reads the key, or makes one. Of two processes that make one at once, both use the one that was there first.
pub(super) fn key(folder: &Path) -> Result<[u8; KEY_BYTES]> {
    let path = folder.join(KEY_FILE);
    if let Some(key) = read_key(&path)? {
        return Ok(key);
    }
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|error| anyhow!("no random bytes: {error}"))?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&key)?;
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(key),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
            read_key(&path)?.context("its key has just been removed")
        }
        Err(error) => Err(error.error.into()),
    }
}

fn read_key(path: &Path) -> Result<Option<[u8; KEY_BYTES]>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("its key cannot be read"),
    };
    let about = file.metadata()?;
    ensure_own(about.uid()).context("its key")?;
    if about.permissions().mode() & 0o077 != 0 || about.len() != KEY_BYTES as u64 {
        bail!(
            "its key {} is damaged or readable by other users; remove it, and every component is compiled again",
            path.display()
        );
    }
    let mut key = [0; KEY_BYTES];
    file.read_exact(&mut key)?;
    Ok(Some(key))
}

/// The files of the entries.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
    }
    Ok(files)
}

/// Removes the entries that were used longest ago until the rest fits into `bytes_max`.
pub(super) fn evict(folder: &Path, bytes_max: u64) -> Result<()> {
    let mut by_age = Vec::new();
    for path in entries(folder)? {
        // Another process may have removed it since.
        if let Ok(about) = fs::symlink_metadata(&path) {
            by_age.push((about.modified()?, about.len(), path));
        }
    }
    by_age.sort();
    let mut bytes: u64 = by_age.iter().map(|(_, length, _)| length).sum();
    for (_, length, path) in by_age {
        if bytes <= bytes_max {
            break;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => bytes -= length,
        }
    }
    Ok(())
}
