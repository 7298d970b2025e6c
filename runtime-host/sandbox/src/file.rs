//! Reading a component's bytes, within the limit, with a clear error when they are something else.

use anyhow::{Context, Result, bail, ensure};
use limits::manifest::COMPONENT_BYTES_MAX;
use std::{fs::File, io::Read, path::Path};

/// Reads a component's file.
///
/// # Errors
/// As [`read_open`], or it cannot be opened.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_open(File::open(path).context("cannot be opened")?)
}

/// Reads a component's file that was opened before.
///
/// # Errors
/// It cannot be read, or has more than [`COMPONENT_BYTES_MAX`] bytes; of those that are too many, none is kept.
pub fn read_open(file: File) -> Result<Vec<u8>> {
    let length = file.metadata().context("cannot be read")?.len();
    let within = |bytes: u64| bytes <= COMPONENT_BYTES_MAX as u64;
    ensure!(
        within(length),
        "has {length} bytes; the limit of a component is {COMPONENT_BYTES_MAX}"
    );
    let mut bytes = Vec::with_capacity(length as usize);
    // It may have grown since it was measured.
    file.take(COMPONENT_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .context("cannot be read")?;
    ensure!(
        within(bytes.len() as u64),
        "has more than {COMPONENT_BYTES_MAX} bytes, the limit of a component"
    );
    Ok(bytes)
}

/// The first eight bytes tell modules from components, and both from everything else (component model, binary format).
///
/// # Errors
/// The bytes are no component.
pub fn check_preamble(bytes: &[u8]) -> Result<()> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 0x0d, 0, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => {
            bail!(
                "is a core WebAssembly module; a component is needed (in Rust: build it with --target wasm32-wasip2)"
            )
        }
        _ if bytes.is_empty() => bail!("is empty"),
        _ => bail!("is not a WebAssembly component"),
    }
}

#[cfg(test)]
mod tests {
    use super::{check_preamble, read};
    use limits::manifest::COMPONENT_BYTES_MAX;

    #[test]
    fn what_is_no_component_is_told_apart() {
        let said = |bytes: &[u8]| check_preamble(bytes).expect_err("no component").to_string();
        assert!(check_preamble(b"\0asm\x0d\0\x01\0").is_ok());
        assert!(said(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
        assert_eq!(said(b""), "is empty");
        assert_eq!(said(b"#!/bin/sh\n"), "is not a WebAssembly component");
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file()
            .set_len(COMPONENT_BYTES_MAX as u64)
            .expect("a length");
        assert_eq!(
            read(file.path()).expect("it fits").len(),
            COMPONENT_BYTES_MAX
        );
        file.as_file()
            .set_len(COMPONENT_BYTES_MAX as u64 + 1)
            .expect("a length");
        let said = read(file.path()).expect_err("one too many").to_string();
        assert!(said.contains(&COMPONENT_BYTES_MAX.to_string()), "{said}");
    }
}
