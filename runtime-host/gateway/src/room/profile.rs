//! A user as others see it, and the plugins that its client has.

use envelope::verdict::Status;
use limits::envelope::ROSTER_ENTRY_BYTES_MAX;
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
    /// The roster entry as JSON, at most [`ROSTER_ENTRY_BYTES_MAX`]: the description is cut if it has to be.
    pub(super) fn entry(&self, status: Status, verified: bool) -> Arc<str> {
        let updated_at = self.profile_updated_at.as_deref();
        let mut entry = Entry {
            oder_id: &self.user_id,
            display_name: &self.display_name,
            status: status.as_str(),
            verified,
            description: None,
            profile_updated_at: updated_at.and_then(|raw| serde_json::from_str(raw).ok()),
        };
        let Some(description) = self.description.as_deref() else {
            return json(&entry).into();
        };
        entry.description = Some("");
        let bytes_left = ROSTER_ENTRY_BYTES_MAX.saturating_sub(json(&entry).len());
        entry.description = Some(cut(description, bytes_left));
        json(&entry).into()
    }
}

/// Texts, a flag and checked JSON always serialize.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The beginning of a text that has at most `bytes_max` inside the quotes of JSON.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut bytes = 0;
    let end = text.char_indices().find(|(_, character)| {
        bytes += match character {
            '"' | '\\' | '\n' | '\r' | '\t' | '\x08' | '\x0c' => 2,
            '\0'..'\x20' => 6,
            other => other.len_utf8(),
        };
        bytes > bytes_max
    });
    end.map_or(text, |(at, _)| &text[..at])
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

#[cfg(test)]
mod tests {
    use super::{Profile, cut};
    use envelope::verdict::Status;
    use limits::envelope::{DESCRIPTION_CHARS_MAX, ROSTER_ENTRY_BYTES_MAX};
    use serde_json::Value;

    #[test]
    fn an_entry_has_as_much_of_a_description_as_fits_when_it_is_escaped() {
        for character in ["a", "\n", "\"", "\u{1}", "\u{7f}", "ä", "語", "🦀"] {
            let profile = Profile {
                user_id: "\"".repeat(128).into(),
                display_name: "Alice".into(),
                description: Some(character.repeat(DESCRIPTION_CHARS_MAX).into()),
                profile_updated_at: Some("1".into()),
                verified: false,
            };
            let entry = profile.entry(Status::Online, false);
            assert!(entry.len() <= ROSTER_ENTRY_BYTES_MAX, "{character:?}");
            let seen: Value = serde_json::from_str(&entry).expect("JSON");
            let seen = seen["description"].as_str().expect("a text");
            let is_whole = seen.chars().count() == DESCRIPTION_CHARS_MAX;
            let is_full = entry.len() + 6 > ROSTER_ENTRY_BYTES_MAX;
            assert!(is_whole || is_full, "{character:?} is cut early");
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("aä🦀", 7), "aä🦀");
        assert_eq!(
            (cut("aä🦀", 6), cut("aä🦀", 2), cut("", 0)),
            ("aä", "a", "")
        );
        assert_eq!((cut("\u{1}\n", 7), cut("\u{1}\n", 5)), ("\u{1}", ""));
    }
}
