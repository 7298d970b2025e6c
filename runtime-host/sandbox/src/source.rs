//! Where the bytes of a component come from: a file, or the program itself.

use anyhow::Result;
use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
};

/// The source of a component.
#[derive(Clone)]
pub enum ComponentSource {
    /// A file.
    File(PathBuf),
    /// Bytes that are part of this program.
    Embedded {
        /// The file they were when the program was built; for messages.
        name: &'static str,
        /// The component.
        bytes: &'static [u8],
    },
}

impl ComponentSource {
    /// The component's bytes.
    ///
    /// # Errors
    /// The file cannot be read, or is larger than [`limits::manifest::COMPONENT_BYTES_MAX`].
    pub fn read(&self) -> Result<Cow<'static, [u8]>> {
        match self {
            Self::File(path) => crate::read(path).map(Cow::Owned),
            Self::Embedded { bytes, .. } => Ok(Cow::Borrowed(bytes)),
        }
    }

    /// Whether there is anything to read.
    #[must_use]
    pub fn exists(&self) -> bool {
        match self {
            Self::File(path) => path.exists(),
            Self::Embedded { .. } => true,
        }
    }
}

impl From<PathBuf> for ComponentSource {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Path> for ComponentSource {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl fmt::Display for ComponentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Embedded { name, .. } => write!(f, "{name} (embedded)"),
        }
    }
}

impl fmt::Debug for ComponentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
