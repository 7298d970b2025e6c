//! The data folder: secrets in files with mode 0600, created once.

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustix::fs::Mode;
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Name of the file with the gateways' credential.
pub(crate) const SERVICE_CREDENTIAL_FILE: &str = "service-credential";

/// Makes every file and folder that this process creates from now on readable for its own user only: databases hold
/// password hashes and invites, and compiled code is run.
pub(crate) fn keep_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Warns of a data folder, made by another program, that other users of the machine may enter.
pub(crate) fn warn_if_shared(data: &Path) {
    const OTHERS: u32 = 0o077;
    let mode = fs::metadata(data).map_or(0, |about| about.permissions().mode());
    if mode & OTHERS != 0 {
        tracing::warn!(
            folder = %data.display(),
            mode = format!("{:o}", mode & 0o777),
            "other users of this machine may enter the data folder: `chmod 700` closes it"
        );
    }
}

/// Random bytes of the system.
///
/// # Errors
/// The system provides none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system provides no random bytes: {error}"))?;
    Ok(bytes)
}

/// Reads a secret file, or creates it with the result of `make`.
///
/// # Errors
/// The file cannot be read or written.
pub(crate) fn read_or_make(path: &Path, make: impl FnOnce() -> Result<String>) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim_end().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = make()?;
            write_secret(path, &text)?;
            Ok(text.trim_end().to_owned())
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Writes a secret file with mode 0600 atomically: the text is written to another file, which is then renamed.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<()> {
    let aside = path.with_extension("new");
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(text.trim_end().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    })();
    written.with_context(|| format!("{} cannot be written", path.display()))
}

/// The gateways' credential in `data`, created if it is missing.
///
/// # Errors
/// As [`read_or_make`].
pub(crate) fn service_credential(data: &Path) -> Result<String> {
    read_or_make(&data.join(SERVICE_CREDENTIAL_FILE), || {
        Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
    })
}
