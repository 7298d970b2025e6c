//! Guests outside the product: examples and test guests, in any language. This is the only place that builds them.
//!
//! They share cargo's folder of compiled dependencies with the product's components; the finished files are in a folder of their own,
//! `target/guests`. No command here names a package of the product, so that its files stay those of `spin build`.

use crate::{
    build::TARGET,
    command::{cargo, run, step},
    languages::{self, Language},
    setup,
    workspace::Workspace,
};
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders with one guest in each folder.
const FOLDERS: [&str; 3] = [
    "components/examples",
    "tests/test-components",
    "tests/test-scripts",
];

/// A guest.
pub(crate) struct Guest {
    /// The name of its folder, and of its package in Rust.
    pub(crate) name: String,
    /// Its folder, relative to the workspace's root.
    pub(crate) folder: PathBuf,
    /// None for Rust.
    pub(crate) language: Option<Language>,
}

/// All guests.
pub(crate) fn list() -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for entry in FOLDERS
        .iter()
        .map(fs::read_dir)
        .collect::<Result<Vec<_>, _>>()?
    {
        for folder in entry {
            guests.push(Guest::new(folder?.path())?);
        }
    }
    guests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(guests)
}

/// Builds all. Guests in other languages are left out with a note where their tools are missing, unless they are `needed`.
pub(crate) fn build(needed: bool) -> Result<()> {
    setup::wasm_target()?;
    let guests = list()?;
    let folder = Workspace::read()?.target.join("guests");
    fs::create_dir_all(&folder)?;
    let (rust, others): (Vec<&Guest>, Vec<&Guest>) =
        guests.iter().partition(|guest| guest.language.is_none());
    step(&format!("{} guests in Rust", rust.len()), || {
        rust_guests(&rust, &folder)
    })?;
    for guest in others {
        languages::build(guest, &folder, needed)?;
    }
    Ok(())
}

/// One command for all: features are resolved once, and each dependency is compiled once.
fn rust_guests(guests: &[&Guest], folder: &Path) -> Result<()> {
    let packages = guests.iter().flat_map(|guest| ["-p", &guest.name]);
    run(cargo()
        .args(["build", "--target", TARGET, "--profile", "component"])
        .args(packages))?;
    let built = Workspace::read()?.target.join(TARGET).join("component");
    for file in guests.iter().map(|guest| guest.file()) {
        let list = Path::new(&file).with_extension("d");
        for name in [Path::new(&file), &list] {
            let (from, to) = (built.join(name), folder.join(name));
            let _ = fs::remove_file(&to);
            fs::hard_link(&from, &to).with_context(|| from.display().to_string())?;
        }
    }
    Ok(())
}

impl Guest {
    fn new(folder: PathBuf) -> Result<Self> {
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .context("a guest's folder has a name")?
            .to_owned();
        let language = if folder.join("Cargo.toml").exists() {
            None
        } else {
            Some(Language::of(&folder, stem(&name)).with_context(|| {
                format!(
                    "{}: there is no source of a known language",
                    folder.display()
                )
            })?)
        };
        Ok(Self {
            name,
            folder,
            language,
        })
    }

    /// The name of its file in `target/guests`.
    pub(crate) fn file(&self) -> String {
        format!("{}.wasm", self.name.replace('-', "_"))
    }

    /// The name of its source without extension, in other languages than Rust: the folder's name up to its hyphen.
    pub(crate) fn stem(&self) -> &str {
        stem(&self.name)
    }
}

fn stem(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}

/// Fails for each guest that no test, case or measurement names.
pub(crate) fn all_are_used(files: &[String]) -> Result<()> {
    let users: Vec<String> = files
        .iter()
        .filter(|path| {
            path.starts_with("tests/cases/")
                || path.contains("/examples/measure/")
                || path.starts_with("infra/bench/src/")
                || path.contains("/tests/") && path.ends_with(".rs")
        })
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    let is_used = |guest: &Guest| {
        let names = [
            format!("\"{}\"", guest.name),
            guest.file(),
            format!("\"{}.wasm\"", guest.name),
        ];
        users
            .iter()
            .any(|text| names.iter().any(|name| text.contains(name)))
    };
    let unused: Vec<String> = list()?
        .iter()
        .filter(|guest| !is_used(guest))
        .map(|guest| guest.folder.display().to_string())
        .collect();
    if !unused.is_empty() {
        bail!("guests that no test uses: {}", unused.join(", "));
    }
    Ok(())
}
