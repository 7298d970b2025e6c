//! The plugins directory: which packages are in it.
//!
//! One level deep: a folder with a manifest, or a `.wasm` file with a manifest of the same name beside it (`name.wasm`,
//! `name.json`). Nothing is loaded here. Every file that is read lies below the directory, symbolic links included.

use crate::lifecycle::files::Place;
use anyhow::{Context, Result, bail, ensure};
use limits::plugin as bounds;
use plugin_manifest::{
    Kind, Manifest, Options, RelativePath, Severity,
    import::{self, LOOKUP_ORDER},
};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A plugin as it lies in the directory.
#[derive(Debug, Clone)]
pub struct Package {
    /// Name of its folder, or of its file.
    pub name: String,
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// The manifest's file.
    pub manifest_path: PathBuf,
    /// The component; none for a plugin that does not run here.
    pub component: Option<PathBuf>,
    /// Where its files may lie.
    pub place: Place,
    /// Digest of the manifest's bytes and of the component's size and time of change.
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

/// The names of the folders or files that plugins' ids belong to, by id.
pub(crate) type Owners = BTreeMap<Arc<str>, String>;

impl Catalog {
    /// The packages by the plugin's id, and all errors. Of two packages with one id the one that the id belongs to
    /// counts; of two new ones that with the higher version, then the first name. An entry that cannot be used keeps its
    /// id. Where there are more than the host takes, those that it `knows` and those that own their id come first.
    pub(crate) fn by_id(
        self,
        owners: &Owners,
        knows: impl Fn(&str) -> bool,
    ) -> (BTreeMap<Arc<str>, Package>, BTreeMap<String, String>) {
        let mut errors = self.errors;
        let mut refused = BTreeMap::new();
        let mut found: BTreeMap<Arc<str>, Package> = BTreeMap::new();
        for (name, package) in self.packages {
            let id: Arc<str> = package.manifest.id.as_str().into();
            if let Some(owner) = owners.get(&id).filter(|owner| errors.contains_key(*owner)) {
                let why = format!("{id} belongs to {owner}, which cannot be used now");
                refused.insert(name, why);
                continue;
            }
            let rank = |package: &Package| {
                let is_owner = owners.get(&id) == Some(&package.name);
                (is_owner, package.manifest.version.clone())
            };
            let twice = match found.remove(&id) {
                Some(other) if rank(&other) >= rank(&package) => {
                    found.insert(id.clone(), other);
                    Some((name, id))
                }
                other => {
                    found.insert(id.clone(), package);
                    other.map(|other| (other.name, id))
                }
            };
            if let Some((name, id)) = twice
                && let Some(used) = found.get(&id)
            {
                refused.insert(
                    name,
                    format!("{id} is there twice; it belongs to {}", used.name),
                );
            }
        }
        let mut order: Vec<_> = found.keys().cloned().collect();
        order.sort_by_cached_key(|id| {
            let name = &found[id].name;
            (!knows(id), owners.get(id) != Some(name), name.clone())
        });
        for id in order.into_iter().skip(bounds::PLUGINS_MAX) {
            if let Some(package) = found.remove(&id) {
                let why = format!("more than {} plugins", bounds::PLUGINS_MAX);
                refused.insert(package.name, why);
            }
        }
        errors.extend(refused);
        (found, errors)
    }
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
        match package(&root, &shown, &root.join(&name)) {
            Ok(Some(package)) => drop(catalog.packages.insert(shown, package)),
            Ok(None) => {}
            Err(error) => drop(catalog.errors.insert(shown, format!("{error:#}"))),
        }
    }
    Ok(catalog)
}

/// One entry; none when it is no plugin at all.
fn package(root: &Path, name: &str, path: &Path) -> Result<Option<Package>> {
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
        let place = Place::new(root, path, false)?;
        return read(name, place, path, &manifest, None).map(Some);
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
            let place = Place::new(root, folder, true)?;
            read(name, place, folder, &manifest, Some(path)).map(Some)
        }
        _ => Ok(None),
    }
}

fn read(
    name: &str,
    place: Place,
    folder: &Path,
    manifest_path: &Path,
    component: Option<&Path>,
) -> Result<Package> {
    let bytes = place.manifest_bytes(manifest_path)?;
    let form = match component {
        // A manifest beside a component may have any name; its form is ours.
        Some(_) => LOOKUP_ORDER[0],
        None => manifest_path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or(LOOKUP_ORDER[0]),
    };
    let imported = import::import(form, &bytes, Options::default());
    let Some(manifest) = imported.manifest else {
        let first = imported
            .violations
            .iter()
            .find(|violation| violation.severity == Severity::Error);
        let why = first.map_or("it is no manifest", |violation| violation.message.as_str());
        bail!("{}: {why}", manifest_path.display());
    };
    let path_of = |entry: &RelativePath| {
        let segments = entry.segments();
        segments.fold(folder.to_owned(), |path, segment| path.join(segment))
    };
    // A plugin that is a single file has no others, whatever its manifest names.
    let has_folder = component.is_none();
    let component = component
        .map(Path::to_owned)
        .or_else(|| entry(&manifest).map(path_of))
        .filter(|_| runs_components(manifest.kind));
    if has_folder {
        // A file that only clients load may be elsewhere; what is here lies in the plugin's folder.
        let files = manifest.files().into_iter();
        let files = files.map(|(pointer, file)| (pointer, path_of(file)));
        for (pointer, file) in files.filter(|(_, file)| fs::symlink_metadata(file).is_ok()) {
            place.check(&file).with_context(|| pointer)?;
        }
    }
    let mut digest = Sha256::new();
    digest.update(&bytes);
    if let Some(component) = &component {
        place.check(component)?;
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
        name: name.to_owned(),
        manifest: Arc::new(manifest),
        manifest_path: manifest_path.to_owned(),
        component,
        place,
        fingerprint: digest.finalize().into(),
    })
}

/// Whether a plugin of this kind may have a component that this host runs. A plugin for clients may have one beside, and
/// the section of a `package.json` that names one is imported as a script.
const fn runs_components(kind: Kind) -> bool {
    match kind {
        Kind::Component | Kind::Client | Kind::Script => true,
        Kind::Library | Kind::Process | Kind::Theme => false,
    }
}

impl Package {
    /// Why nothing of the plugin runs on this host, if nothing does.
    #[must_use]
    pub fn not_here(&self) -> Option<&'static str> {
        if self.component.is_some() {
            return None;
        }
        Some(match self.manifest.kind {
            Kind::Component => "not_here: its manifest names no .wasm file that runs on the server",
            Kind::Client => "not_here: kind \"client\" is loaded by clients",
            Kind::Library => "not_here: kind \"library\" is used by others and never activated",
            Kind::Script => {
                "not_here: kind \"script\" does not run on this host, which runs components"
            }
            Kind::Process => {
                "not_here: kind \"process\" does not run on this host, which runs components"
            }
            Kind::Theme => "not_here: kind \"theme\" is loaded by clients",
        })
    }
}

/// The entry point that this host runs.
pub(super) fn entry(manifest: &Manifest) -> Option<&RelativePath> {
    let entry = &manifest.entry;
    let entry = entry.server.as_ref().or(entry.both.as_ref());
    entry
        .or(manifest.entrypoint.as_ref())
        .filter(|entry| entry.as_str().ends_with(".wasm"))
}
