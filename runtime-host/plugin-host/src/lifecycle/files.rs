//! Reading files below the plugins directory.
//!
//! Nothing is read that lies elsewhere: symbolic links are resolved first, and the resolved path is opened folder by folder without following
//! links, so that a link that is exchanged meanwhile leads nowhere.

#[cfg(test)]
mod tests;

use anyhow::{Context, Result, ensure};
use limits::manifest::BYTES_MAX;
use rustix::fs::{Mode, OFlags};
use std::{
    fs,
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// Where the files of one plugin may lie: its own folder, or for a plugin that is a single file, that file's folder
/// without the folders in it.
#[derive(Debug, Clone)]
pub struct Place {
    /// The plugins directory, without links.
    root: PathBuf,
    /// Without links.
    folder: PathBuf,
    is_single_file: bool,
}

impl Place {
    /// The place of a plugin below the plugins directory `root`, which has no links.
    pub(super) fn new(root: &Path, folder: &Path, is_single_file: bool) -> Result<Self> {
        Ok(Self {
            root: root.to_owned(),
            folder: inside(root, folder)?,
            is_single_file,
        })
    }

    /// Refuses a path that leads out of the plugin's place.
    pub(super) fn check(&self, path: &Path) -> Result<PathBuf> {
        let real = inside(&self.folder, path)?;
        ensure!(
            !self.is_single_file || real.parent() == Some(&self.folder),
            "{} leads into the folder of another plugin",
            path.display()
        );
        Ok(real)
    }

    /// Opens a file of the plugin for reading. Symbolic links are resolved first; the resolved path is then opened folder
    /// by folder without following links, so that a link that is created in between opens nothing.
    fn open(&self, path: &Path) -> Result<fs::File> {
        let real = self.check(path)?;
        walk(&self.root, &real).with_context(|| format!("{} cannot be read", path.display()))
    }

    /// The bytes of the plugin's manifest, never more than a manifest may have.
    pub(super) fn manifest_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        read_at_most(self.open(path)?, BYTES_MAX)?
            .with_context(|| format!("{} has more than {BYTES_MAX} bytes", path.display()))
    }

    /// The bytes of the plugin's component.
    ///
    /// # Errors
    /// It cannot be read, leads out of the plugin's place, or is longer than a component may be.
    pub(super) fn component_bytes(&self, component: &Path) -> Result<Vec<u8>> {
        sandbox::read_open(self.open(component)?).with_context(|| component.display().to_string())
    }
}

/// Refuses a path that leads out of a folder, which has no links.
fn inside(folder: &Path, path: &Path) -> Result<PathBuf> {
    let real = path
        .canonicalize()
        .with_context(|| format!("{} cannot be read", path.display()))?;
    ensure!(
        real.starts_with(folder),
        "{} leads out of the plugins directory or of its plugin's folder",
        path.display()
    );
    Ok(real)
}

/// Opens a regular file by a path below `root` that has no links; each step refuses one that has been put there since.
fn walk(root: &Path, real: &Path) -> Result<fs::File> {
    let plain = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at: OwnedFd = rustix::fs::open(root, plain | OFlags::DIRECTORY, Mode::empty())?;
    let mut names = real.strip_prefix(root)?.components().peekable();
    while let Some(name) = names.next() {
        // Opening a pipe would block.
        let kind = if names.peek().is_some() {
            OFlags::DIRECTORY
        } else {
            OFlags::NONBLOCK
        };
        at = rustix::fs::openat(&at, name.as_os_str(), plain | kind, Mode::empty())?;
    }
    let file = fs::File::from(at);
    ensure!(file.metadata()?.is_file(), "not a regular file");
    Ok(file)
}

/// Opens a regular file of the operator's for reading, wherever it lies.
pub(crate) fn open_regular(path: &Path) -> io::Result<fs::File> {
    // Opening a pipe would block.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// At most `most` bytes of the file `name` in a plugin's own folder; nothing when there is no such file, it is larger,
/// or it leads out of the folder. A plugin that is a single file has no folder of its own.
pub(crate) fn file_of(directory: &Path, folder: &Path, name: &str, most: usize) -> Option<Vec<u8>> {
    let root = directory.canonicalize().ok()?;
    let folder = inside(&root, folder)
        .ok()
        .filter(|folder| *folder != root)?;
    let real = inside(&folder, &folder.join(name)).ok()?;
    read_at_most(walk(&root, &real).ok()?, most).ok()?
}

/// The bytes of a file; nothing when it has more than `most`.
fn read_at_most(file: fs::File, most: usize) -> Result<Option<Vec<u8>>> {
    if file.metadata()?.len() > most as u64 {
        return Ok(None);
    }
    // It may have grown since it was measured.
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}
