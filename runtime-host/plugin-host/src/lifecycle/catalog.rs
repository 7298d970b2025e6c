//! The plugins directory: which packages are in it.
//!
//! One level deep: a folder with a manifest, or a `.wasm` file with a manifest of the same name beside it (`name.wasm`,
//! `name.json`). Nothing is loaded here. Every file that is read lies below the directory, symbolic links included.

use anyhow::{Context, Result, bail, ensure};
use limits::{manifest::BYTES_MAX, plugin as bounds};
use plugin_manifest::{
    Manifest, Options, Severity,
    import::{self, LOOKUP_ORDER},
};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A plugin as it lies in the directory.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// The manifest's file.
    pub manifest_path: PathBuf,
    /// The component; none for a plugin that only clients run.
    pub component: Option<PathBuf>,
    /// Changes when the manifest or the component changes.
    pub fingerprint: [u8; 32],
}

/// The result of a scan.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Plugins by the name of their folder or file.
    pub packages: BTreeMap<String, Package>,
    /// Errors of the other entries, by name of their folder or file.
    pub errors: BTreeMap<String, String>,
}

/// Scans `directory`, which is created if it is missing.
///
/// # Errors
/// The directory cannot be made or read; what is wrong with a single plugin is part of the catalog.
pub fn discover(directory: &Path) -> Result<Catalog> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make the plugins directory {}", directory.display()))?;
    let root = directory
        .canonicalize()
        .with_context(|| format!("cannot use the plugins directory {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&root)? {
        let name = entry?.file_name();
        ensure!(
            names.len() < bounds::DIRECTORY_ENTRIES_MAX,
            "{} has more than {} entries",
            root.display(),
            bounds::DIRECTORY_ENTRIES_MAX
        );
        names.push(name);
    }
    names.sort();
    let mut catalog = Catalog::default();
    for name in names {
        let shown = name.to_string_lossy().into_owned();
        if shown.starts_with('.') {
            continue;
        }
        match package(&root, &root.join(&name)) {
            Ok(Some(package)) => drop(catalog.packages.insert(shown, package)),
            Ok(None) => {}
            Err(error) => drop(catalog.errors.insert(shown, format!("{error:#}"))),
        }
    }
    Ok(catalog)
}

/// One entry; none when it is no plugin at all.
fn package(root: &Path, path: &Path) -> Result<Option<Package>> {
    let about = fs::metadata(path).context("cannot be read")?;
    if about.is_dir() {
        let found = LOOKUP_ORDER
            .iter()
            .map(|name| path.join(name))
            .find(|path| path.is_file());
        let Some(manifest) = found else {
            bail!(
                "holds no manifest; one of {} is expected",
                LOOKUP_ORDER.join(", ")
            )
        };
        return read(root, path, &manifest, None).map(Some);
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("wasm") => {
            let manifest = path.with_extension("json");
            ensure!(
                manifest.is_file(),
                "has no manifest beside it; {} is expected",
                manifest.display()
            );
            let folder = path.parent().unwrap_or(root);
            read(root, folder, &manifest, Some(path)).map(Some)
        }
        _ => Ok(None),
    }
}

fn read(
    root: &Path,
    folder: &Path,
    manifest_path: &Path,
    component: Option<&Path>,
) -> Result<Package> {
    let bytes = manifest_bytes(root, manifest_path)?;
    let name = match component {
        // A manifest beside a component may have any name; its form is ours.
        Some(_) => LOOKUP_ORDER[0],
        None => manifest_path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or(LOOKUP_ORDER[0]),
    };
    let imported = import::import(name, &bytes, Options::default());
    let Some(manifest) = imported.manifest else {
        let first = imported
            .violations
            .iter()
            .find(|violation| violation.severity == Severity::Error);
        let why = first.map_or("it is no manifest", |violation| violation.message.as_str());
        bail!("{}: {why}", manifest_path.display());
    };
    let entry = manifest
        .entry
        .server
        .as_ref()
        .or(manifest.entry.both.as_ref())
        .or(manifest.entrypoint.as_ref());
    let component = component.map(Path::to_owned).or_else(|| {
        let entry = entry.filter(|entry| entry.as_str().ends_with(".wasm"))?;
        Some(
            entry
                .segments()
                .fold(folder.to_owned(), |path, segment| path.join(segment)),
        )
    });
    let mut digest = Sha256::new();
    digest.update(&bytes);
    if let Some(component) = &component {
        inside(root, component)?;
        let about = fs::metadata(component)
            .with_context(|| format!("{} cannot be read", component.display()))?;
        digest.update(about.len().to_le_bytes());
        let changed = about
            .modified()
            .ok()
            .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
            .unwrap_or_default();
        digest.update(changed.as_nanos().to_le_bytes());
    }
    Ok(Package {
        manifest: Arc::new(manifest),
        manifest_path: manifest_path.to_owned(),
        component,
        fingerprint: digest.finalize().into(),
    })
}

/// Refuses a path that leads out of the plugins directory.
fn inside(root: &Path, path: &Path) -> Result<PathBuf> {
    let real = path
        .canonicalize()
        .with_context(|| format!("{} cannot be read", path.display()))?;
    ensure!(
        real.starts_with(root),
        "{} leads out of the plugins directory",
        path.display()
    );
    Ok(real)
}

/// Opens a file below `root` for reading. Symbolic links are resolved first; the resolved path is then opened folder by
/// folder without following links, so that a link that is created in between opens nothing.
fn open(root: &Path, path: &Path) -> Result<fs::File> {
    walk(root, &inside(root, path)?).with_context(|| format!("{} cannot be read", path.display()))
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

/// A manifest's bytes, never more than a manifest may have.
fn manifest_bytes(root: &Path, path: &Path) -> Result<Vec<u8>> {
    read_at_most(open(root, path)?, BYTES_MAX)?
        .with_context(|| format!("{} has more than {BYTES_MAX} bytes", path.display()))
}

/// The bytes of a package's component.
///
/// # Errors
/// It cannot be read, leads out of the directory, or is longer than a component may be.
pub(crate) fn component_bytes(directory: &Path, component: &Path) -> Result<Vec<u8>> {
    sandbox::read_open(open(&directory.canonicalize()?, component)?)
        .with_context(|| component.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::{discover, file_of, manifest_bytes};
    use std::{
        fs,
        os::unix::fs::symlink,
        path::Path,
        sync::atomic::{AtomicBool, Ordering},
    };

    const SWAPS: usize = 10_000;

    fn manifest(id: &str) -> String {
        format!(
            r#"{{"schemaVersion":1,"id":"{id}","title":"T","description":"","version":"1.0.0","apiVersion":"1.0.0","kind":"client",
            "compatibility":{{"minimumHostVersion":"0.0.0"}},"entrypoint":"main.js"}}"#
        )
    }

    /// Puts the folder and a link to the outside in each other's place until told to end; at least [`SWAPS`] times.
    fn swap(place: &Path, folder: &Path, outside: &Path, end: &AtomicBool) {
        let mut swaps = 0;
        while swaps < SWAPS || !end.load(Ordering::Relaxed) {
            fs::rename(place, folder).unwrap();
            symlink(outside, place).unwrap();
            fs::remove_file(place).unwrap();
            fs::rename(folder, place).unwrap();
            swaps += 1;
        }
    }

    #[test]
    fn a_link_that_is_swapped_in_opens_nothing() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = inside.path().canonicalize().unwrap();
        let place = root.join("plugin");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("jackfield.json"), manifest("tests.inside")).unwrap();
        fs::write(
            outside.path().join("jackfield.json"),
            manifest("tests.outside"),
        )
        .unwrap();
        let end = AtomicBool::new(false);
        std::thread::scope(|threads| {
            let swapping =
                threads.spawn(|| swap(&place, &root.join(".away"), outside.path(), &end));
            let mut seen = 0;
            while seen < 1_000 || !swapping.is_finished() {
                if let Ok(bytes) = manifest_bytes(&root, &place.join("jackfield.json")) {
                    assert!(
                        !String::from_utf8_lossy(&bytes).contains("outside"),
                        "a swapped link must not lead out of the directory"
                    );
                }
                if let Some(bytes) = file_of(&root, &place, "jackfield.json", 1_024) {
                    assert!(!String::from_utf8_lossy(&bytes).contains("outside"));
                }
                let catalog = discover(&root).unwrap();
                assert!(
                    catalog
                        .packages
                        .values()
                        .all(|package| package.manifest.id.as_str() == "tests.inside"),
                    "a swapped link must not lead out of the directory"
                );
                seen += 1;
                end.store(seen >= 1_000, Ordering::Relaxed);
            }
        });
        assert_eq!(
            discover(&root).unwrap().packages["plugin"]
                .manifest
                .id
                .as_str(),
            "tests.inside"
        );
    }

    /// The folder stays where it is, and a file in it becomes a link to the outside and a file again.
    #[test]
    fn a_script_that_is_swapped_for_a_link_is_not_read() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = inside.path().canonicalize().unwrap();
        let folder = root.join("plugin");
        fs::create_dir(&folder).unwrap();
        let (script, spare, secret) = (
            folder.join("bundle.js"),
            folder.join("spare.js"),
            outside.path().join("secret"),
        );
        fs::write(&spare, "script").unwrap();
        fs::write(&secret, "secret").unwrap();
        let end = AtomicBool::new(false);
        let mut read = 0;
        std::thread::scope(|threads| {
            let swapping = threads.spawn(|| {
                let (link, copy) = (folder.join("link"), folder.join("copy"));
                let mut swaps = 0;
                while swaps < SWAPS || !end.load(Ordering::Relaxed) {
                    fs::hard_link(&spare, &copy).unwrap();
                    fs::rename(&copy, &script).unwrap();
                    // A rename of one hard link over another of the same file does nothing.
                    let _ = fs::remove_file(&copy);
                    symlink(&secret, &link).unwrap();
                    fs::rename(&link, &script).unwrap();
                    swaps += 1;
                }
            });
            while read < 1_000 || !swapping.is_finished() {
                if let Some(bytes) = file_of(&root, &folder, "bundle.js", 64) {
                    assert_eq!(bytes, b"script");
                    read += 1;
                }
                end.store(read >= 1_000, Ordering::Relaxed);
            }
        });
        assert_eq!(
            file_of(&root, &folder, "spare.js", 6).as_deref(),
            Some(&b"script"[..])
        );
        assert_eq!(
            file_of(&root, &folder, "spare.js", 5),
            None,
            "one byte too many"
        );
        assert_eq!(
            file_of(&root, &root, "plugin/spare.js", 64),
            None,
            "no folder of its own"
        );
        assert_eq!(
            file_of(&root, &folder, "../plugin/spare.js", 64).as_deref(),
            Some(&b"script"[..])
        );
    }

    #[test]
    fn links_and_pipes_are_no_files() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = inside.path().canonicalize().unwrap();
        fs::write(outside.path().join("secret"), "canary").unwrap();
        symlink(outside.path().join("secret"), root.join("absolute")).unwrap();
        symlink("../../../../../../etc/passwd", root.join("relative")).unwrap();
        symlink("/", root.join("slash")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            root.join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        fs::write(root.join("real"), "kept").unwrap();
        symlink("real", root.join("within")).unwrap();
        let read = |name: &str| {
            manifest_bytes(&root, &root.join(name)).map_err(|error| format!("{error:#}"))
        };
        for name in ["absolute", "relative", "slash/etc/passwd"] {
            assert!(
                read(name)
                    .unwrap_err()
                    .contains("leads out of the plugins directory"),
                "{name}"
            );
        }
        assert!(read("pipe").unwrap_err().contains("not a regular file"));
        assert_eq!(read("within").unwrap(), b"kept");
    }
}
