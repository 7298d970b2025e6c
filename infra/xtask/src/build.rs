//! Building the product: its components by the commands of spin.toml, then the native host.

use crate::{
    command::{cargo, run, step},
    setup,
    workspace::Workspace,
};
use anyhow::{Result, bail};
use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

/// The target of components.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Components and host.
pub(crate) fn all(release: bool) -> Result<()> {
    components()?;
    host(release)
}

/// The profile of the commands in spin.toml, and that of the components which a release binary carries.
const PROFILE: &str = "component";
const RELEASE_PROFILE: &str = "component-release";

/// The components of the product, built by the commands that `spin build` runs, so that both make the same files.
pub(crate) fn components() -> Result<()> {
    step("components of the product", || with_profile(PROFILE))
}

fn with_profile(profile: &str) -> Result<()> {
    setup::wasm_target()?;
    let manifest = fs::read_to_string("spin.toml")?;
    let commands: BTreeSet<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("command = \"")?.strip_suffix('"'))
        .collect();
    for line in commands {
        let Some(arguments) = line.strip_prefix("cargo ") else {
            bail!("spin.toml: {line:?} is not a cargo command");
        };
        let arguments = arguments.split(' ');
        run(cargo().args(arguments.map(|word| if word == PROFILE { profile } else { word })))?;
    }
    Ok(())
}

/// The binary `jackfield`.
pub(crate) fn host(release: bool) -> Result<()> {
    if release {
        step("embedded components", || with_profile(RELEASE_PROFILE))?;
    }
    step("host", || {
        let mut command = cargo();
        // All binaries rather than one package: cargo then resolves the features of the tests' build, and nothing is compiled twice.
        command.args(["build", "--bins"]);
        if release {
            command.arg("--release");
            let folder = Workspace::read()?.target.join(TARGET).join(RELEASE_PROFILE);
            command.env("JACKFIELD_COMPONENTS", folder);
        }
        run(&mut command)
    })?;
    if release {
        step("compiled code of the embedded components", || {
            let mut command = Command::new(host_binary(true)?);
            // Not in the checkout, whose spin.toml would replace the embedded application.
            command.args(["precompile", "--embed"]).current_dir("infra");
            run(&mut command)
        })?;
    }
    Ok(())
}

/// Where cargo puts the binary.
pub(crate) fn host_binary(release: bool) -> Result<PathBuf> {
    Ok(Workspace::read()?.output_folder(release).join("jackfield"))
}
