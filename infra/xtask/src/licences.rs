//! deny.toml: which licences may be linked, and where crates may come from. The same file serves `cargo deny check licenses sources`.

use crate::workspace;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeSet, fs};

#[derive(Deserialize)]
struct Deny {
    graph: Graph,
    licenses: Licenses,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// A licence that is allowed for one crate alone.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// Fails with every dependency whose licence or origin deny.toml does not allow.
pub(crate) fn check() -> Result<()> {
    let deny: Deny = toml::from_str(&fs::read_to_string("deny.toml")?).context("deny.toml")?;
    let mut faults = BTreeSet::new();
    for target in &deny.graph.targets {
        let metadata = workspace::metadata(&["--filter-platform", target])?;
        let linked = linked(&metadata)?;
        let packages = metadata["packages"].as_array();
        for package in packages.into_iter().flatten() {
            if linked.contains(package["id"].as_str().unwrap_or_default()) {
                faults.extend(fault(&deny, package));
            }
        }
    }
    if !faults.is_empty() {
        let faults: Vec<String> = faults.into_iter().collect();
        bail!("deny.toml does not allow:\n{}", faults.join("\n"));
    }
    Ok(())
}

/// The packages that the workspace reaches on the platform of the metadata.
fn linked(metadata: &Value) -> Result<BTreeSet<&str>> {
    let nodes = metadata["resolve"]["nodes"]
        .as_array()
        .context("cargo metadata resolves nothing")?;
    Ok(nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect())
}

fn fault(deny: &Deny, package: &Value) -> Option<String> {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let (name, license, source) = (text("name"), text("license"), text("source"));
    let registry = source.strip_prefix("registry+").unwrap_or(source);
    if !source.is_empty()
        && !deny
            .sources
            .allow_registry
            .iter()
            .any(|allowed| allowed == registry)
    {
        return Some(format!("{name} comes from {source}"));
    }
    let exception = deny
        .licenses
        .exceptions
        .iter()
        .filter(|exception| exception.name == name);
    let mut allowed = deny.licenses.allow.clone();
    allowed.extend(exception.flat_map(|exception| exception.allow.iter().cloned()));
    (!is_allowed(&license.replace('/', " OR "), &allowed))
        .then(|| format!("{name} is under {license:?}"))
}

/// Whether an SPDX expression can be met with the allowed licences.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    either(&mut words, allowed) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut holds = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        holds |= both(words, allowed);
    }
    holds
}

fn both(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut holds = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        holds &= one(words, allowed);
    }
    holds
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let holds = either(words, allowed);
        return words.next() == Some(")") && holds;
    }
    let Some(license) = words.next() else {
        return false;
    };
    match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
        Some(exception) => allowed.contains(&format!("{license} WITH {exception}")),
        None => allowed.contains(license),
    }
}

#[cfg(test)]
mod tests {
    use super::is_allowed;
    use std::collections::BTreeSet;

    #[test]
    fn expressions_are_met_or_not() {
        let allowed: BTreeSet<String> = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]
            .map(str::to_owned)
            .into();
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("MIT AND ISC", true),
            ("MIT AND GPL-3.0-only", false),
            ("(GPL-3.0-only OR ISC) AND MIT", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        }
    }
}
