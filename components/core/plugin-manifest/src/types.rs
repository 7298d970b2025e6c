//! The manifest as types, for the rest of the system.
//!
//! Each field has one name, whichever spelling the manifest used; lists are never absent, schemas are JSON. The text
//! that was read is kept and printed unchanged, unknown fields included.

mod parts;

use crate::{
    RelativePath,
    choices::{HookSet, Kind, OnFailure, PluginScope, Role},
};
use capability::{CapabilityId, Request};
use identifiers::PluginId;
pub use parts::*;
use semver::Version;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, value::RawValue};
use std::collections::BTreeMap;

/// A manifest without errors.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    #[serde(skip)]
    pub(crate) text: Box<str>,
    /// The plugin's id.
    pub id: PluginId,
    /// Name for people.
    pub title: String,
    /// What the plugin does.
    pub description: String,
    /// Its version.
    pub version: Version,
    /// Host API it is written for, as written; see [`Manifest::compatibility_with`].
    pub api_version: String,
    /// What it is made of.
    pub kind: Kind,
    /// Where it lives.
    pub scope: Option<PluginScope>,
    /// What it does for the application.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Versions of the host.
    pub compatibility: Compatibility,
    /// The file that is loaded.
    pub entrypoint: Option<RelativePath>,
    /// Entrypoints by place.
    #[serde(default)]
    pub entry: Entry,
    /// Where it is fetched from.
    pub bundle: Option<Bundle>,
    /// Digest of each file, by path.
    #[serde(default)]
    pub integrity: BTreeMap<RelativePath, String>,
    /// Segment below which it answers requests, with its slash.
    pub route: Option<String>,
    /// Emoji, file or URL.
    pub icon: Option<String>,
    /// What it asks to be allowed.
    #[serde(default)]
    pub capabilities: Vec<Request>,
    /// Bounds of its outbound requests.
    pub network: Option<Network>,
    /// Resources it asks for.
    #[serde(default)]
    pub limits: ResourceLimits,
    /// Plugin events it defines.
    #[serde(default)]
    pub events: Vec<EventDeclaration>,
    /// Hooks it takes part in.
    #[serde(default)]
    pub hooks: Vec<String>,
    /// What becomes of what it decides about when it fails.
    pub on_failure: Option<OnFailure>,
    /// Tools it offers.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// Values it keeps.
    #[serde(default)]
    pub data: Vec<DataDeclaration>,
    /// Its settings, as written.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// Parts that are switched on by themselves.
    #[serde(default)]
    pub features: BTreeMap<String, Feature>,
    /// How it stands to other plugins.
    #[serde(default)]
    pub relationships: Relationships,
    /// When it is activated.
    #[serde(default)]
    pub load: Load,
    /// Identity for messages it posts itself.
    pub plugin_user: Option<PluginUser>,
    /// Contributions to the interface, as written.
    #[serde(default)]
    pub ui: Map<String, Value>,
    /// Files it reads.
    #[serde(default)]
    pub file_loaders: Vec<FileLoader>,
    /// The data source it is.
    pub data_source: Option<DataSource>,
    /// The exporter it is.
    pub exporter: Option<Exporter>,
    /// The theme it is.
    pub theme: Option<Theme>,
    /// Who wrote it.
    #[serde(default)]
    pub authors: Vec<Author>,
    /// Its page.
    pub homepage: Option<String>,
    /// Where faults are reported.
    pub bugs: Option<String>,
    /// Where its source is.
    pub repository: Option<String>,
    /// Its list of changes.
    pub changelog: Option<String>,
    /// Its licence.
    pub license: Option<String>,
    /// A file that describes it.
    pub readme: Option<RelativePath>,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Groups it belongs to.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Who signs it.
    pub publisher: Option<Publisher>,
    /// What it was imported from.
    pub origin: Option<Origin>,
}

impl Manifest {
    /// The manifest as text: the bytes that were read, or the canonical print of an imported one.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it asks for `id`, in whatever scope; only what is declared can be granted.
    #[must_use]
    pub fn declares(&self, id: CapabilityId) -> bool {
        id.entry().always || self.capabilities.iter().any(|request| request.id == id)
    }

    /// The hooks of the host that it takes part in.
    #[must_use]
    pub fn hook_set(&self) -> HookSet {
        self.hooks.iter().collect()
    }

    /// Why the plugin needs a capability, where the manifest says so.
    #[must_use]
    pub fn reason_for(&self, id: CapabilityId) -> Option<&str> {
        self.capabilities
            .iter()
            .filter(|request| request.id == id)
            .find_map(|request| request.reason.as_deref())
    }

    /// The identity under which the plugin posts: the one it names, else `plugin:<id>`.
    #[must_use]
    pub fn plugin_user_id(&self) -> String {
        let own = self.plugin_user.as_ref().and_then(|user| user.id.clone());
        own.unwrap_or_else(|| format!("plugin:{}", self.id))
    }

    /// The id in the form it was imported from, where that differs.
    #[must_use]
    pub fn alias(&self) -> Option<&str> {
        self.origin
            .as_ref()?
            .id
            .as_deref()
            .filter(|id| *id != self.id.as_str())
    }

    /// All files of the package that the manifest names, each with its JSON pointer.
    #[must_use]
    pub fn files(&self) -> Vec<(String, &RelativePath)> {
        let entry = &self.entry;
        let fixed = [
            ("/entrypoint", &self.entrypoint),
            ("/entry/server", &entry.server),
            ("/entry/tui", &entry.tui),
            ("/entry/both", &entry.both),
            ("/readme", &self.readme),
        ];
        let fixed = fixed
            .into_iter()
            .filter_map(|(pointer, path)| Some((pointer.to_owned(), path.as_ref()?)));
        let features = self.features.iter().filter_map(|(name, feature)| {
            let mut pointer = "/features".to_owned();
            crate::node::push(&mut pointer, name);
            Some((pointer + "/entry", feature.entry.as_ref()?))
        });
        fixed.chain(features).collect()
    }
}

impl Serialize for Manifest {
    /// Writes [`Manifest::text`], so that nothing is lost on the way.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.text)
            .map_err(serde::ser::Error::custom)?
            .serialize(out)
    }
}
