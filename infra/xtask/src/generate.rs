//! The generated reference: written by `cargo xtask gen`, kept true by `cargo xtask gen --check`.

use crate::{command::step, reference};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Where generated files live.
const FOLDER: &str = "docs/reference";

/// Writes the reference, or with `check` only compares it.
pub(crate) fn run(check: bool) -> Result<()> {
    step(
        if check {
            "generated reference is true"
        } else {
            "generated reference"
        },
        || {
            let files = files()?;
            if check {
                compare(&files)
            } else {
                write(&files)
            }
        },
    )
}

/// Every generated file by its path below [`FOLDER`].
fn files() -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::from([
        ("asyncapi.json".into(), pretty(&envelope_docs::asyncapi())?),
        (
            "openapi-edge.json".into(),
            pretty(&directory::api::document().into_json())?,
        ),
        ("envelopes.md".into(), envelope_docs::markdown()),
        ("envelopes.d.ts".into(), envelope_docs::typescript()),
        (
            "lifecycle.md".into(),
            plugin_lifecycle::lifecycle_markdown(),
        ),
        ("limits.md".into(), limits_page()?),
        (
            "refusals.md".into(),
            reference::refusals(&capability::decisions_markdown(), &egress::rules_markdown()),
        ),
        ("manifest.md".into(), plugin_manifest::reference_markdown()),
        (
            "manifest.schema.json".into(),
            pretty(&plugin_manifest::json_schema())?,
        ),
        (
            "errors.md".into(),
            reference::errors(
                &source("components/core/envelope/src/reply.rs")?,
                &source("runtime-host/gateway/src/frame.rs")?,
            )?,
        ),
    ]);
    for (path, schema) in envelope_docs::schemas() {
        files.insert(Path::new("schemas").join(path), pretty(&schema)?);
    }
    Ok(files)
}

fn limits_page() -> Result<String> {
    const FOLDER: &str = "components/core/limits/src";
    let mut files = Vec::new();
    for entry in fs::read_dir(FOLDER).context(FOLDER)? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .context("a file of the limits has a name")?;
        if name != "lib" {
            files.push((
                name.to_owned(),
                source(path.to_str().context("a path is text")?)?,
            ));
        }
    }
    files.sort();
    let rows = source("components/core/limits/limits.toml")?;
    reference::limits(&source(&format!("{FOLDER}/lib.rs"))?, &files, &rows)
}

fn source(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.to_owned())
}

fn pretty(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn write(files: &BTreeMap<PathBuf, String>) -> Result<()> {
    for (path, text) in files {
        let path = Path::new(FOLDER).join(path);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        if fs::read_to_string(&path).is_ok_and(|there| there == *text) {
            continue;
        }
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        eprintln!("    wrote {}", path.display());
    }
    for path in leftovers(files)? {
        fs::remove_file(&path)?;
        eprintln!("    removed {}", path.display());
    }
    Ok(())
}

fn compare(files: &BTreeMap<PathBuf, String>) -> Result<()> {
    let mut stale: Vec<String> = Vec::new();
    for (path, text) in files {
        let path = Path::new(FOLDER).join(path);
        if fs::read_to_string(&path).ok().as_ref() != Some(text) {
            stale.push(path.display().to_string());
        }
    }
    stale.extend(
        leftovers(files)?
            .iter()
            .map(|path| path.display().to_string()),
    );
    if !stale.is_empty() {
        bail!(
            "stale: {}; run `cargo xtask gen` and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}

/// Schemas of types that no longer exist.
fn leftovers(files: &BTreeMap<PathBuf, String>) -> Result<Vec<PathBuf>> {
    let mut leftovers = Vec::new();
    for direction in envelope_docs::Direction::ALL {
        let below = Path::new("schemas").join(direction.name());
        let Ok(entries) = fs::read_dir(Path::new(FOLDER).join(&below)) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            if !files.contains_key(&below.join(entry.file_name())) {
                leftovers.push(entry.path());
            }
        }
    }
    Ok(leftovers)
}
