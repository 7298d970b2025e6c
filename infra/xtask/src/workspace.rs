//! The workspace as cargo sees it: its packages, their dependencies, and where cargo puts what it builds.

use crate::command::{cargo, read};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A package of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// Its name in Cargo.toml.
    pub(crate) name: String,
    /// Its folder, relative to the workspace's root.
    pub(crate) folder: PathBuf,
    /// Whether it is built natively by default.
    pub(crate) is_default: bool,
    /// Ordinary and build dependencies, by name.
    pub(crate) dependencies: Vec<String>,
    /// Dependencies of its tests alone, by name.
    pub(crate) dev_dependencies: Vec<String>,
}

/// Packages and folders, without the dependencies that come from a registry.
pub(crate) struct Workspace {
    /// All members.
    pub(crate) packages: Vec<Package>,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn read() -> Result<Self> {
        let metadata = metadata(&["--no-deps"])?;
        let root = PathBuf::from(text(&metadata["workspace_root"])?);
        let defaults = metadata["workspace_default_members"]
            .as_array()
            .context("cargo metadata names no default members")?;
        let packages = metadata["packages"]
            .as_array()
            .context("cargo metadata names no packages")?;
        let packages = packages
            .iter()
            .map(|package| Package::new(package, &root, defaults.contains(&package["id"])))
            .collect::<Result<_>>()?;
        let target = text(&metadata["target_directory"])?.into();
        Ok(Self { packages, target })
    }

    /// Where cargo puts native programs.
    pub(crate) fn output_folder(&self, release: bool) -> PathBuf {
        self.target.join(if release { "release" } else { "debug" })
    }

    /// The member of this name.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

impl Package {
    fn new(package: &Value, root: &Path, is_default: bool) -> Result<Self> {
        let manifest = Path::new(text(&package["manifest_path"])?);
        let folder = manifest
            .parent()
            .and_then(|folder| folder.strip_prefix(root).ok())
            .context("a package outside the workspace")?;
        let dependencies = package["dependencies"].as_array();
        let of_kind = |is_dev: bool| {
            let chosen = dependencies
                .into_iter()
                .flatten()
                .filter(move |dependency| (dependency["kind"] == "dev") == is_dev);
            chosen
                .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
                .collect()
        };
        Ok(Self {
            name: text(&package["name"])?.to_owned(),
            folder: folder.to_owned(),
            is_default,
            dependencies: of_kind(false),
            dev_dependencies: of_kind(true),
        })
    }
}

/// `cargo metadata` with these arguments.
pub(crate) fn metadata(arguments: &[&str]) -> Result<Value> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--locked"]);
    Ok(serde_json::from_str(&read(command.args(arguments))?)?)
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().context("cargo metadata lacks a member")
}
