//! Building: components first, because the host is of no use without them.

use crate::{
    command::{cargo, read, run, step},
    languages, setup,
};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::{collections::BTreeSet, path::PathBuf, process::Command};

/// The target of components.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Components and host.
pub(crate) fn all(release: bool) -> Result<()> {
    components(Guests::Product)?;
    languages::components(Guests::Product, false)?;
    host(release)
}

/// The components that a release binary carries.
const EMBEDDED: [&str; 3] = ["plugin-support", "envelope-api", "envelope-validator"];
/// Their profile.
const RELEASE_PROFILE: &str = "component-release";

/// Which components.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guests {
    /// What the product is made of, and its examples.
    Product,
    /// Those of the tests as well.
    All,
}

/// Components of the workspace, each with the command that spin.toml names, so that both find the same files fresh.
pub(crate) fn components(guests: Guests) -> Result<()> {
    setup::wasm_target()?;
    let packages = component_packages(guests)?;
    for (at, package) in packages.iter().enumerate() {
        step(
            &format!("component {} of {}: {package}", at + 1, packages.len()),
            || component(package),
        )?;
    }
    Ok(())
}

/// One component.
pub(crate) fn component(package: &str) -> Result<()> {
    run(cargo().args([
        "build",
        "-p",
        package,
        "--target",
        TARGET,
        "--profile",
        "component",
    ]))
}

/// The binary `jackfield`.
pub(crate) fn host(release: bool) -> Result<()> {
    if release {
        step("embedded components", embedded_components)?;
    }
    step("host", || {
        let mut command = cargo();
        // All binaries rather than one package: cargo then resolves the features of the tests' build, and nothing is compiled twice.
        command.args(["build", "--bins"]);
        if release {
            command.arg("--release");
            command.env("JACKFIELD_COMPONENTS", wasm_folder(RELEASE_PROFILE)?);
        }
        run(&mut command)
    })
}

fn embedded_components() -> Result<()> {
    let packages = EMBEDDED.iter().flat_map(|package| ["-p", package]);
    run(cargo()
        .args(["build", "--target", TARGET, "--profile", RELEASE_PROFILE])
        .args(packages))
}

/// Where cargo puts the binary.
pub(crate) fn host_binary(release: bool) -> Result<PathBuf> {
    Ok(output_folder(release)?.join("jackfield"))
}

/// Where cargo puts native binaries.
pub(crate) fn output_folder(release: bool) -> Result<PathBuf> {
    Ok(target_folder()?.join(if release { "release" } else { "debug" }))
}

/// Where cargo puts components.
pub(crate) fn components_folder() -> Result<PathBuf> {
    wasm_folder("component")
}

fn wasm_folder(profile: &str) -> Result<PathBuf> {
    Ok(target_folder()?.join(TARGET).join(profile))
}

fn target_folder() -> Result<PathBuf> {
    let metadata = metadata()?;
    Ok(metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target directory")?
        .into())
}

/// The workspace's members that are no default members, outside `infra`: they build for WebAssembly only.
pub(crate) fn component_packages(guests: Guests) -> Result<Vec<String>> {
    let metadata = metadata()?;
    let ids = |key: &str| -> BTreeSet<String> {
        metadata[key]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect()
    };
    let (members, native) = (ids("workspace_members"), ids("workspace_default_members"));
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let named = packages.iter().filter(|package| {
        let id = package["id"].as_str().unwrap_or_default();
        let lies_in = |folder: &str| {
            package["manifest_path"]
                .as_str()
                .is_some_and(|path| path.contains(folder))
        };
        members.contains(id)
            && !native.contains(id)
            && !lies_in("/infra/")
            && (guests == Guests::All || lies_in("/components/"))
    });
    Ok(named
        .filter_map(|package| package["name"].as_str().map(str::to_owned))
        .collect())
}

fn metadata() -> Result<Value> {
    let mut command: Command = cargo();
    let text = read(command.args(["metadata", "--no-deps", "--format-version", "1"]))?;
    Ok(serde_json::from_str(&text)?)
}
