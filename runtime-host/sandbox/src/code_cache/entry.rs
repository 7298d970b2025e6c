//! One file of the cache: a keyed digest over its name and its code, then the code.

use anyhow::{Result, anyhow};
use hmac::{Hmac, KeyInit, Mac};
use limits::sandbox::CODE_BYTES_MAX;
use sha2::Sha256;
use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Bytes of the key: the block that HMAC-SHA-256 makes of any key is no stronger.
pub(super) const KEY_BYTES: usize = 32;
/// How entries' names end.
pub(super) const ENDING: &str = "cwasm";
/// Bytes of the digest before the code.
const DIGEST_BYTES: usize = 32;

/// A place in the cache, filled or not.
pub(super) struct Entry<'a> {
    folder: &'a Path,
    key: &'a [u8; KEY_BYTES],
    name: String,
    path: PathBuf,
}

/// What lies in an entry's place.
pub(super) enum Found {
    /// Code that was written with this key under this name.
    Code(Vec<u8>),
    /// No file.
    Nothing,
    /// Something else.
    Forged,
}

impl<'a> Entry<'a> {
    pub(super) fn new(folder: &'a Path, key: &'a [u8; KEY_BYTES], name: String) -> Self {
        Self {
            path: folder.join(&name),
            folder,
            key,
            name,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file and checks its digest. A file that is used becomes the youngest one.
    pub(super) fn read(&self) -> Found {
        match self.try_read() {
            Ok(Some(code)) => Found::Code(code),
            Ok(None) => Found::Forged,
            Err(error) if error.kind() == ErrorKind::NotFound => Found::Nothing,
            Err(_) => Found::Forged,
        }
    }

    fn try_read(&self) -> std::io::Result<Option<Vec<u8>>> {
        let mut file = File::open(&self.path)?;
        let mut digest = [0; DIGEST_BYTES];
        file.read_exact(&mut digest)?;
        let mut code = Vec::with_capacity(file.metadata()?.len().min(CODE_BYTES_MAX) as usize);
        (&mut file).take(CODE_BYTES_MAX).read_to_end(&mut code)?;
        let fits = self
            .mac(&code)
            .is_ok_and(|mac| mac.verify_slice(&digest).is_ok());
        if fits {
            // Only the order of eviction depends on it.
            let _ = file.set_modified(SystemTime::now());
        }
        Ok(fits.then_some(code))
    }

    /// Puts the code in place at once, or not at all. The file has mode 0600.
    pub(super) fn write(&self, code: &[u8]) -> Result<()> {
        let digest = self.mac(code)?.finalize().into_bytes();
        let mut file = tempfile::NamedTempFile::new_in(self.folder)?;
        file.write_all(&digest)?;
        file.write_all(code)?;
        file.persist(&self.path)?;
        Ok(())
    }

    /// The name is a part of what is authenticated, so good code under another component's name is refused.
    fn mac(&self, code: &[u8]) -> Result<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key)
            .map_err(|_| anyhow!("the key of the code cache has a wrong length"))?;
        mac.update(self.name.as_bytes());
        mac.update(&[0]);
        mac.update(code);
        Ok(mac)
    }
}
