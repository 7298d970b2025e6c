//! An application: a manifest, and the components that it names, in files beside it or embedded in the program.

use crate::manifest::{Manifest, ManifestError};
use anyhow::{Context as _, Result};
use sandbox::ComponentSource;
use std::{fmt, path::Path};

/// A component file that is part of the program: the path that the manifest names, and its bytes.
pub type EmbeddedFile = (&'static str, &'static [u8]);

/// A manifest and its components.
#[derive(Clone)]
pub struct Application {
    manifest: Manifest,
    embedded: &'static [EmbeddedFile],
}

impl Application {
    /// Reads the `spin.toml` at `path`; component files are relative to its folder and read when the application is
    /// loaded.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        Ok(Self {
            manifest: Manifest::read(path)?,
            embedded: &[],
        })
    }

    /// An application that is part of the program: the text of its `spin.toml`, and the files that this text names.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn embedded(manifest: &str, files: &'static [EmbeddedFile]) -> Result<Self, ManifestError> {
        Ok(Self {
            manifest: Manifest::parse(manifest, Path::new("."))?,
            embedded: files,
        })
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The file of the component `id`.
    ///
    /// # Errors
    /// The manifest has no such component.
    pub fn component(&self, id: &str) -> Result<ComponentSource> {
        let entry = self
            .manifest
            .components
            .get(id)
            .with_context(|| format!("the manifest has no component `{id}`"))?;
        Ok(self.file(&entry.source))
    }

    /// A file that the manifest names.
    pub(crate) fn file(&self, path: &Path) -> ComponentSource {
        let embedded = self
            .embedded
            .iter()
            .find(|(name, _)| Path::new(name) == path);
        match embedded {
            Some((name, bytes)) => ComponentSource::Embedded { name, bytes },
            None => self.manifest.folder.join(path).into(),
        }
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application")
            .field("manifest", &self.manifest)
            .field("embedded", &self.embedded.len())
            .finish()
    }
}
