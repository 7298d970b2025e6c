//! The parts of a manifest as types, in the order of its fields.
//!
//! Each field has one name, whichever spelling the manifest used.

use crate::{
    RelativePath, VersionRange,
    choices::{DataScope, DataStorage, Direction, Form, Priority, Tier},
};
use capability::Request;
use identifiers::{EventName, PluginId};
use semver::Version;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Versions of the host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "CompatibilitySpellings")]
pub struct Compatibility {
    /// Lowest version.
    pub minimum: Version,
    /// Highest version.
    pub maximum: Option<Version>,
    /// Highest version it was tried with.
    pub verified: Option<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompatibilitySpellings {
    minimum_host_version: Option<Version>,
    maximum_host_version: Option<Version>,
    verified_host_version: Option<Version>,
    minimum_toju_version: Option<Version>,
    maximum_toju_version: Option<Version>,
    verified_toju_version: Option<Version>,
}

impl From<CompatibilitySpellings> for Compatibility {
    fn from(raw: CompatibilitySpellings) -> Self {
        Self {
            minimum: raw
                .minimum_host_version
                .or(raw.minimum_toju_version)
                .unwrap_or(Version::new(0, 0, 0)),
            maximum: raw.maximum_host_version.or(raw.maximum_toju_version),
            verified: raw.verified_host_version.or(raw.verified_toju_version),
        }
    }
}

/// Entrypoints by place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Loaded by the server.
    pub server: Option<RelativePath>,
    /// Loaded by the terminal client.
    pub tui: Option<RelativePath>,
    /// Loaded by either.
    pub both: Option<RelativePath>,
}

/// A package that is fetched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// Where the bundle is.
    pub url: String,
    entrypoint_url: Option<String>,
    entrypoint: Option<String>,
    /// Digest of what is fetched.
    pub sha256: Option<String>,
    /// Digests in the notation of subresource integrity.
    pub integrity: Option<String>,
}

impl Bundle {
    /// The module to load: a URL or a path below [`Bundle::url`]; `None` means `url` itself.
    #[must_use]
    pub fn entrypoint(&self) -> Option<&str> {
        self.entrypoint_url
            .as_deref()
            .or(self.entrypoint.as_deref())
    }
}

/// Bounds of outbound requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Host patterns; empty means the operator's.
    pub allowed_domains: Vec<String>,
    /// Refuse plain http.
    pub require_https: bool,
    /// Requests a minute.
    pub rate_limit_rpm: Option<u32>,
}

/// Resources asked for; `None` means the host's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceLimits {
    /// Instructions of one call.
    pub fuel_per_call: Option<u64>,
    /// Memory of one instance, in mebibytes.
    #[serde(rename = "memoryMiB")]
    pub memory_mib: Option<u32>,
    /// Time for one answer.
    pub response_timeout_ms: Option<u64>,
    /// Instances for requests at once; 1 for a plugin that keeps something in memory between requests.
    pub request_instances: Option<u8>,
    /// Calls of the host each second that need a capability.
    pub max_hostcalls_per_sec: Option<u32>,
    /// Bytes written in all.
    pub max_bytes_written: Option<u64>,
    /// Time for one tool call.
    pub max_tool_duration_secs: Option<u32>,
}

/// A plugin event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventDeclaration {
    /// Its name.
    pub event_name: EventName,
    /// Which way it goes.
    pub direction: Direction,
    /// Whom it concerns.
    pub scope: DataScope,
    /// Schema of its payload, as an object or a boolean; not compiled here.
    #[serde(default, deserialize_with = "schema")]
    pub schema: Option<Value>,
    /// Largest payload in bytes.
    pub max_payload_bytes: Option<u64>,
}

/// A tool.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Schema of its parameters.
    #[serde(default, deserialize_with = "schema")]
    pub parameters: Option<Value>,
    /// What it may do; `exec` when the manifest is silent.
    #[serde(default = "exec")]
    pub tier: Tier,
}

fn exec() -> Tier {
    Tier::Exec
}

/// A value the plugin keeps.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DataDeclaration {
    /// Its key.
    pub key: String,
    /// Whom it concerns.
    pub scope: DataScope,
    /// Where it is kept.
    pub storage: DataStorage,
    /// Schema of the value.
    #[serde(default, deserialize_with = "schema")]
    pub schema: Option<Value>,
}

/// A part that can be switched on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Feature {
    /// What it adds.
    pub description: String,
    /// On unless switched off.
    #[serde(default)]
    pub default: bool,
    /// File it loads.
    pub entry: Option<RelativePath>,
    /// What it asks for beyond the plugin's own.
    #[serde(default)]
    pub additional_capabilities: Vec<Request>,
}

/// Other plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Relationships {
    /// Without these it is blocked.
    pub requires: Vec<Relation>,
    /// Activated before it where present.
    pub optional: Vec<Relation>,
    /// With one of these it is blocked.
    pub conflicts: Vec<Relation>,
    /// It is activated before these.
    pub before: Vec<Relation>,
    /// It is activated after these.
    pub after: Vec<Relation>,
}

/// Another plugin, and the versions of it that are meant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RelationSpellings")]
pub struct Relation {
    /// Its id.
    pub plugin_id: PluginId,
    /// Versions; `None` means all.
    pub version_range: Option<VersionRange>,
}

impl Relation {
    /// Whether `version` is meant.
    #[must_use]
    pub fn admits(&self, version: &Version) -> bool {
        self.version_range
            .as_ref()
            .is_none_or(|range| range.contains(version))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RelationSpellings {
    Bare(PluginId),
    Full {
        #[serde(rename = "pluginId")]
        plugin_id: Option<PluginId>,
        id: Option<PluginId>,
        #[serde(rename = "versionRange")]
        version_range: Option<VersionRange>,
    },
}

impl TryFrom<RelationSpellings> for Relation {
    type Error = &'static str;
    fn try_from(raw: RelationSpellings) -> Result<Self, Self::Error> {
        match raw {
            RelationSpellings::Bare(plugin_id) => Ok(Self {
                plugin_id,
                version_range: None,
            }),
            RelationSpellings::Full {
                plugin_id,
                id,
                version_range,
            } => Ok(Self {
                plugin_id: plugin_id.or(id).ok_or("pluginId is missing")?,
                version_range,
            }),
        }
    }
}

/// Activation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Load {
    /// Class among plugins activated together.
    pub priority: Priority,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            priority: Priority::Default,
        }
    }
}

/// A plugin's own identity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginUser {
    display_name: Option<String>,
    name: Option<String>,
    /// Its own id.
    pub id: Option<String>,
    /// Picture.
    pub avatar_url: Option<String>,
}

impl PluginUser {
    /// Name that others see.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.display_name
            .as_deref()
            .or(self.name.as_deref())
            .unwrap_or_default()
    }
}

/// A kind of file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileLoader {
    /// Name of the kind.
    pub file_type: String,
    /// Extensions without dots.
    pub supported_extensions: Vec<String>,
}

/// A source of data.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataSource {
    /// Name for people.
    pub display_name: String,
}

/// An exporter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exporter {
    /// Extension of what it writes.
    pub output_extension: String,
}

/// A theme.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Theme {
    /// Name of the family.
    pub family: String,
    /// Variants: name, and whether it is dark.
    pub catalog: Vec<(String, bool)>,
}

/// Who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "AuthorSpellings")]
pub struct Author {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: Option<String>,
    /// Page.
    pub url: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AuthorSpellings {
    Bare(String),
    Full {
        name: String,
        email: Option<String>,
        url: Option<String>,
    },
}

impl From<AuthorSpellings> for Author {
    fn from(raw: AuthorSpellings) -> Self {
        match raw {
            AuthorSpellings::Bare(name) => Self {
                name,
                email: None,
                url: None,
            },
            AuthorSpellings::Full { name, email, url } => Self { name, email, url },
        }
    }
}

/// Who signs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Publisher {
    /// Id of the key.
    pub key_id: String,
    /// Signature, base64.
    pub signature: Option<String>,
}

/// What the manifest was imported from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Origin {
    /// The foreign form.
    pub form: Form,
    /// The id there, as written.
    pub id: Option<String>,
}

/// A schema that may be given as JSON text becomes JSON.
fn schema<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Value>, D::Error> {
    Ok(Some(match Value::deserialize(reader)? {
        Value::String(text) => serde_json::from_str(&text).map_err(serde::de::Error::custom)?,
        value => value,
    }))
}
