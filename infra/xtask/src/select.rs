//! Which test programs a name means: those of the crate of that name, or those with a test whose path contains it.
//!
//! Found in the sources, so that no other test program has to be built. A test that a macro makes is found by its file's path alone.

use crate::workspace::{Package, Workspace};
use anyhow::Result;
use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
};

/// Test programs and what they need.
pub(crate) struct Selection {
    /// The programs.
    pub(crate) targets: BTreeSet<Target>,
    /// Passed to each program; none runs all of its tests.
    pub(crate) filter: Option<String>,
    /// Whether one of them reads built components.
    pub(crate) needs_guests: bool,
    /// Whether one of them starts the host.
    pub(crate) needs_host: bool,
}

/// A test program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    package: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Unit tests of the library, if there is one, and of the binaries.
    Unit { has_library: bool },
    /// A file or folder of `tests/`.
    Integration(String),
}

impl Selection {
    /// The programs' names, for people.
    pub(crate) fn names(&self) -> String {
        let names: Vec<String> = self.targets.iter().map(ToString::to_string).collect();
        names.join(", ")
    }
}

impl Target {
    /// The arguments of `cargo test` that build and run this program alone.
    ///
    /// Integration tests are named without their package: cargo then resolves features as for the whole build, and the engine is not
    /// compiled a second time with fewer of them.
    pub(crate) fn arguments(&self) -> Vec<String> {
        match &self.kind {
            // Cargo refuses `--lib` for a package that has no library.
            Kind::Unit { has_library } => {
                let mut arguments = ["-p", &self.package, "--bins"].map(str::to_owned).to_vec();
                arguments.extend(has_library.then(|| "--lib".to_owned()));
                arguments
            }
            Kind::Integration(name) => ["--test", name].map(str::to_owned).to_vec(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Unit { .. } => write!(formatter, "{} (units)", self.package),
            Kind::Integration(name) => write!(formatter, "{} ({name})", self.package),
        }
    }
}

/// The programs that `name` means.
pub(crate) fn tests(workspace: &Workspace, name: &str) -> Result<Selection> {
    let is_package = workspace.package(name).is_some();
    let mut targets = BTreeSet::new();
    let natives = workspace
        .packages
        .iter()
        .filter(|package| package.is_default);
    for package in natives.filter(|package| !is_package || package.name == name) {
        for file in sources(&package.folder)? {
            let text = fs::read_to_string(&file)?;
            let Some(target) = target(package, &file) else {
                continue;
            };
            let has_tests =
                text.contains("#[test]") || text.contains("test(") || text.contains("proptest!");
            if has_tests && (is_package || has_test(&path_of(package, &file), &text, name)) {
                targets.insert(target);
            }
        }
    }
    let packages = || {
        targets
            .iter()
            .filter_map(|target| workspace.package(&target.package))
    };
    let needs_host = packages().any(|package| package.name == "tests");
    let needs_guests = packages().any(|package| {
        let named = package.dependencies.iter().chain(&package.dev_dependencies);
        named.into_iter().any(|name| name == "test-support")
    });
    Ok(Selection {
        filter: (!is_package).then(|| name.to_owned()),
        targets,
        needs_guests,
        needs_host,
    })
}

/// All Rust files of a package.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["src", "tests"].map(|name| folder.join(name)).to_vec();
    while let Some(folder) = folders.pop() {
        // A package within the folder of another is not a part of it.
        if !folder.is_dir() || folder.join("Cargo.toml").exists() {
            continue;
        }
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// The program that a file is compiled into.
fn target(package: &Package, file: &Path) -> Option<Target> {
    let mut parts = file.strip_prefix(&package.folder).ok()?.iter();
    let kind = match parts.next()?.to_str()? {
        "src" => Kind::Unit {
            has_library: package.folder.join("src/lib.rs").is_file(),
        },
        _ => Kind::Integration(Path::new(parts.next()?).file_stem()?.to_str()?.to_owned()),
    };
    Some(Target {
        package: package.name.clone(),
        kind,
    })
}

/// The path of a file's tests as libtest prints it.
fn path_of(package: &Package, file: &Path) -> String {
    let relative = file
        .strip_prefix(&package.folder)
        .unwrap_or(file)
        .with_extension("");
    let parts: Vec<&str> = relative.iter().filter_map(|part| part.to_str()).collect();
    let skipped = if parts.first() == Some(&"tests") {
        2
    } else {
        1
    };
    let modules = parts.iter().skip(skipped);
    let modules: Vec<&str> = modules
        .copied()
        .filter(|part| !["lib", "main", "mod"].contains(part))
        .collect();
    modules.join("::")
}

/// Whether `name` is contained in the path of a function of the file.
fn has_test(path: &str, text: &str, name: &str) -> bool {
    let functions = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("fn ")?;
        rest.split_once('(').map(|(function, _)| function)
    });
    let mut paths = functions.map(|function| format!("{path}::{function}"));
    format!("{path}::").contains(name) || paths.any(|path| path.contains(name))
}
