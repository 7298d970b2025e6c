//! The files of a plugin's folder: the manifest is found and read, and the files that it names are looked for.
//!
//! At most [`BYTES_MAX`] + 1 bytes of a manifest are read, and no other file is. A host opens a plugin's files below its folder without
//! following links, whatever was found here.

use super::report::shown;
use anyhow::{Context as _, Result, ensure};
use limits::manifest::BYTES_MAX;
use plugin_manifest::{
    Code, RelativePath, Violation,
    import::{self, Imported},
};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// The manifest: `path` itself, or the first file in this folder that can be one.
///
/// # Errors
/// The path does not exist, or the folder has no manifest.
pub(super) fn locate(path: &Path) -> Result<PathBuf> {
    let kind = fs::metadata(path).with_context(|| shown(path))?;
    if !kind.is_dir() {
        return Ok(path.to_owned());
    }
    let found = import::LOOKUP_ORDER
        .iter()
        .map(|name| path.join(name))
        .find(|file| file.is_file());
    found.with_context(|| {
        format!(
            "{}: no plugin: none of {} is in the folder",
            shown(path),
            import::LOOKUP_ORDER.join(", ")
        )
    })
}

/// Reads a manifest.
///
/// # Errors
/// It is not a regular file, or cannot be read.
pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    let name = || shown(file);
    // Reading a pipe or a device might never end.
    ensure!(
        fs::metadata(file).with_context(name)?.is_file(),
        "{}: not a regular file",
        shown(file)
    );
    let mut bytes = Vec::new();
    File::open(file)
        .with_context(name)?
        .take(BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(name)?;
    Ok(bytes)
}

/// Files that the manifest names and that are missing, or that a link leads out of the folder.
pub(super) fn missing_files(imported: &Imported, folder: &Path) -> Vec<Violation> {
    let (Some(manifest), Ok(root)) = (&imported.manifest, fs::canonicalize(folder)) else {
        return Vec::new();
    };
    let finding = |(pointer, path): (String, &RelativePath)| {
        let target = path
            .segments()
            .fold(root.clone(), |folder, segment| folder.join(segment));
        let (code, message, help) = match fs::canonicalize(&target) {
            Ok(real) if !real.starts_with(&root) => (
                Code::FileEscapes,
                format!("{path} leads out of the plugin's folder through a link"),
                Some("copy the file into the folder"),
            ),
            Ok(real) if real.is_file() => return None,
            Ok(_) => (Code::FileMissing, format!("{path} is not a file"), None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (
                Code::FileMissing,
                format!("{path} is not in the folder"),
                Some("build the plugin first, or correct the path"),
            ),
            Err(error) => (
                Code::FileMissing,
                format!("{path} cannot be read: {error}"),
                None,
            ),
        };
        let (pointer, span) = imported.place(&pointer).unwrap_or((pointer, 0..0));
        Some(Violation::new(
            code,
            &pointer,
            span,
            message,
            help.map(str::to_owned),
        ))
    };
    manifest.files().into_iter().filter_map(finding).collect()
}
