//! A user as others see it, and the plugins that its client has.

use envelope::verdict::Status;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// A user as one of its connections identified, shared by the connection and the rosters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// The user.
    pub user_id: Arc<str>,
    /// Display name.
    pub display_name: Arc<str>,
    /// Profile text.
    pub description: Option<Arc<str>>,
    /// JSON of the profile's version, as it was given.
    pub profile_updated_at: Option<Arc<str>>,
    /// Whether the connection has proven the identity.
    pub verified: bool,
}

/// A roster entry as it goes over the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    oder_id: &'a str,
    display_name: &'a str,
    status: &'a str,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_updated_at: Option<&'a RawValue>,
}

impl Profile {
    /// The roster entry as JSON.
    pub(super) fn entry(&self, status: Status, verified: bool) -> Arc<str> {
        let updated_at = self.profile_updated_at.as_deref();
        let entry = Entry {
            oder_id: &self.user_id,
            display_name: &self.display_name,
            status: status.as_str(),
            verified,
            description: self.description.as_deref(),
            profile_updated_at: updated_at.and_then(|raw| serde_json::from_str(raw).ok()),
        };
        // Texts, a flag and checked JSON always serialize.
        serde_json::to_string(&entry).unwrap_or_default().into()
    }
}

/// The plugins that a client declared in `identify`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeclaredPlugins(Box<[DeclaredPlugin]>);

#[derive(Debug, PartialEq, Eq)]
struct DeclaredPlugin {
    id: Box<str>,
    version: Box<str>,
}

impl DeclaredPlugins {
    /// Plugins by id and version, which is empty if the client named none.
    pub(crate) fn new(plugins: Vec<(String, String)>) -> Self {
        let plugins = plugins.into_iter().map(|(id, version)| DeclaredPlugin {
            id: id.into(),
            version: version.into(),
        });
        Self(plugins.collect())
    }

    /// The version of a plugin, empty if the client named none; `None` for a plugin that it did not declare.
    pub(crate) fn find(&self, plugin_id: &str) -> Option<&str> {
        let mut plugins = self.0.iter();
        let plugin = plugins.find(|plugin| *plugin.id == *plugin_id)?;
        Some(&plugin.version)
    }
}
