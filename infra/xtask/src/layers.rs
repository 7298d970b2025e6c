//! The layers of docs/layers.toml against the dependencies that cargo knows.

use crate::workspace::{Package, Workspace};
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use std::{collections::BTreeMap, fs};

const FILE: &str = "docs/layers.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Layers {
    tests_only: Vec<String>,
    group: Vec<Group>,
    only: Vec<Only>,
}

/// Crates that may depend on each other and on lower layers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    layer: u8,
    name: String,
    crates: Vec<String>,
}

/// Dependencies that only some crates may name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Only {
    dependencies: Vec<String>,
    #[serde(default)]
    crates: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
}

/// Fails with every dependency that the layers do not allow.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let layers: Layers = toml::from_str(&fs::read_to_string(FILE)?).context(FILE)?;
    let mut groups: BTreeMap<&str, &Group> = BTreeMap::new();
    for group in &layers.group {
        for name in &group.crates {
            ensure!(
                workspace.package(name).is_some(),
                "{FILE}: there is no crate {name}"
            );
            ensure!(
                groups.insert(name, group).is_none(),
                "{FILE}: {name} is in two groups"
            );
        }
    }
    let mut faults = Vec::new();
    for package in &workspace.packages {
        let Some(group) = groups.get(package.name.as_str()) else {
            faults.push(format!("{} is in no group", package.name));
            continue;
        };
        faults.extend(upward(package, group, &groups, &layers.tests_only));
        let breaches = layers
            .only
            .iter()
            .filter_map(|only| only.breach(package, group));
        faults.extend(breaches);
    }
    if !faults.is_empty() {
        bail!("{FILE} does not allow:\n{}", faults.join("\n"));
    }
    Ok(())
}

/// Dependencies that point neither down nor into the own group.
fn upward(
    package: &Package,
    group: &Group,
    groups: &BTreeMap<&str, &Group>,
    tests_only: &[String],
) -> Vec<String> {
    let ordinary = package.dependencies.iter().map(|name| (name, false));
    let of_tests = package.dev_dependencies.iter().map(|name| (name, true));
    let is_allowed = |name: &String, is_dev: bool| {
        groups.get(name.as_str()).is_none_or(|other| {
            other.layer < group.layer
                || other.name == group.name
                || is_dev && tests_only.contains(name)
        })
    };
    ordinary
        .chain(of_tests)
        .filter(|(name, is_dev)| !is_allowed(name, *is_dev))
        .map(|(name, _)| {
            format!(
                "{} (layer {}, {}) depends on {name}",
                package.name, group.layer, group.name
            )
        })
        .collect()
}

impl Only {
    fn breach(&self, package: &Package, group: &Group) -> Option<String> {
        if self.crates.contains(&package.name) || self.groups.contains(&group.name) {
            return None;
        }
        let named = package.dependencies.iter().chain(&package.dev_dependencies);
        let breach = named
            .into_iter()
            .find(|name| self.dependencies.contains(name))?;
        Some(format!("{} names {breach}", package.name))
    }
}
