//! `spin.toml`, manifest version 2, as far as this host runs it: component sources are files, triggers are HTTP.
//!
//! A [`Manifest`] holds only keys that this host supports ([`keys`]), and its triggers and dependencies name components
//! that exist.

mod keys;

use crate::variables::check_name;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Why a manifest is refused.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read the manifest {0}: {1}")]
    Read(PathBuf, #[source] std::io::Error),
    /// Not TOML, or a value of the wrong type.
    #[error("manifest: {0}")]
    Toml(String),
    /// Keys and values that this host does not support; one line each.
    #[error("manifest: {}", .0.join("\nmanifest: "))]
    Unsupported(Vec<String>),
    /// A name leads nowhere.
    #[error("manifest: {0}")]
    Reference(String),
}

/// An application.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// Name and version.
    pub application: Application,
    /// Application variables by name.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    /// Triggers by kind; only HTTP exists.
    #[serde(default, rename = "trigger")]
    pub triggers: Triggers,
    /// Components by id.
    #[serde(default, rename = "component")]
    pub components: BTreeMap<String, Component>,
    /// Folder of the manifest; relative paths start here.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// `[application]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Application {
    /// The application's name.
    pub name: String,
    /// Its version; empty when not given.
    #[serde(default)]
    pub version: String,
}

/// One entry of `[variables]`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Variable {
    /// Value when none is set.
    pub default: Option<String>,
    /// A value must be set.
    #[serde(default)]
    pub required: bool,
    /// Never to be shown.
    #[serde(default)]
    pub secret: bool,
}

/// `[[trigger.http]]`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Triggers {
    /// HTTP triggers in the order of the manifest.
    #[serde(default)]
    pub http: Vec<HttpTrigger>,
}

/// A route and its component.
#[derive(Debug, Clone, Deserialize)]
pub struct HttpTrigger {
    /// Route in Spin's grammar.
    pub route: String,
    /// Id of the component.
    pub component: String,
}

/// `[component.<id>]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Component {
    /// The `.wasm` file, relative to the manifest.
    pub source: PathBuf,
    /// What the component gets from `spin:variables`: name to template.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Environment variables (literal values).
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Patterns of hosts it may reach; templates allowed; none by default.
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
    /// Labels of SQLite databases it may open.
    #[serde(default)]
    pub sqlite_databases: Vec<String>,
    /// Labels of key-value stores it may open.
    #[serde(default)]
    pub key_value_stores: Vec<String>,
    /// Imports satisfied by other components: name to dependency.
    #[serde(default)]
    pub dependencies: BTreeMap<String, Dependency>,
    /// How the file is made; for messages and `build_missing` only.
    pub build: Option<Build>,
}

/// What satisfies an import.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    /// Another component of the application.
    pub component: Option<String>,
    /// Or a `.wasm` file, relative to the manifest.
    pub path: Option<PathBuf>,
    /// Name of the export; the import's name when missing.
    pub export: Option<String>,
}

/// `[component.<id>.build]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Build {
    /// One command, or several that run in order.
    pub command: Commands,
    /// Folder it runs in, relative to the manifest.
    pub workdir: Option<PathBuf>,
}

/// Spin takes a string or a list of strings.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Commands {
    /// One command.
    One(String),
    /// Several commands, in order.
    Many(Vec<String>),
}

impl Commands {
    /// The commands in order.
    pub fn list(&self) -> Vec<&str> {
        match self {
            Self::One(command) => vec![command],
            Self::Many(commands) => commands.iter().map(String::as_str).collect(),
        }
    }
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ManifestError::Read(path.to_owned(), error))?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        Self::parse(&text, folder)
    }

    /// Checks the text of a manifest whose relative paths start at `folder`.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ManifestError> {
        let table: toml::Table = text
            .parse()
            .map_err(|error| ManifestError::Toml(one_line(text, &error)))?;
        let unsupported = keys::unsupported(&table);
        if !unsupported.is_empty() {
            return Err(ManifestError::Unsupported(unsupported));
        }
        let mut manifest: Self =
            toml::from_str(text).map_err(|error| ManifestError::Toml(one_line(text, &error)))?;
        folder.clone_into(&mut manifest.folder);
        manifest.check_names()?;
        manifest.check_references()?;
        Ok(manifest)
    }

    /// Ids of the components that have a route, in the order of their first trigger.
    pub fn served(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = Vec::new();
        for trigger in &self.triggers.http {
            if !ids.contains(&trigger.component.as_str()) {
                ids.push(&trigger.component);
            }
        }
        ids
    }

    fn check_names(&self) -> Result<(), ManifestError> {
        for (name, variable) in &self.variables {
            check_name(name).map_err(|error| ManifestError::Reference(error.to_string()))?;
            if variable.default.is_none() && !variable.required {
                return Err(ManifestError::Reference(format!(
                    "variable `{name}` needs a default, or `required = true`"
                )));
            }
        }
        for (id, component) in &self.components {
            if !is_kebab(id) {
                return Err(ManifestError::Reference(format!(
                    "component id `{id}` is not kebab-case"
                )));
            }
            for label in component
                .sqlite_databases
                .iter()
                .chain(&component.key_value_stores)
            {
                if !is_label(label) {
                    let text = format!(
                        "component `{id}`: the store label `{label}` may have letters, digits, `-` and `_` only"
                    );
                    return Err(ManifestError::Reference(text));
                }
            }
        }
        Ok(())
    }

    fn check_references(&self) -> Result<(), ManifestError> {
        for trigger in &self.triggers.http {
            if !self.components.contains_key(&trigger.component) {
                let text = format!(
                    "route `{}` names the component `{}`, which does not exist",
                    trigger.route, trigger.component
                );
                return Err(ManifestError::Reference(text));
            }
        }
        for (id, component) in &self.components {
            for (import, dependency) in &component.dependencies {
                let text = match (&dependency.component, &dependency.path) {
                    (Some(other), None) if self.components.contains_key(other) => continue,
                    (None, Some(_)) => continue,
                    (Some(other), None) => format!(
                        "component `{id}` depends on the component `{other}`, which does not exist"
                    ),
                    _ => format!(
                        "component `{id}`: the dependency `{import}` needs either `component` or `path`"
                    ),
                };
                return Err(ManifestError::Reference(text));
            }
        }
        Ok(())
    }
}

/// The drawing that TOML errors add does not survive in a log line; the line's number does.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!(
            "line {}: {}",
            before.matches('\n').count() + 1,
            error.message()
        ),
        None => error.message().to_owned(),
    }
}

fn is_kebab(id: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_alphabetic())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    id.split('-').all(word)
}

fn is_label(label: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty()
        && label.len() <= limits::edge_host::LABEL_CHARS_MAX
        && label.bytes().all(legal)
}
