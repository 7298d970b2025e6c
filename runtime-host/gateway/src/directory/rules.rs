//! What a server says about plugins: requirements and event definitions. They are read once, and shared by the views of
//! all revisions that leave them as they are, so that a ban costs nothing of them.

use crate::{frame, room::DeclaredPlugins};
use bytes::Bytes;
use envelope::verdict::{Definition, EventDirection, Requirement, Snapshot};
use plugin_manifest::{VersionRange, parse_version};
use serde::Serialize;
use serde_json::json;
use server_state::{EventDefinition, ServerState, Status};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The requirements and event definitions of a server.
#[derive(Debug, Default)]
pub(crate) struct PluginRules {
    /// Clients are not told of a revision that leaves it as it was.
    digest: u64,
    /// Without manifests.
    requirements: Box<[server_state::Requirement]>,
    /// Both as clients see them: the members `requirements` and `eventDefinitions` of an object.
    members: Box<str>,
    /// Definitions are ordered by plugin and event.
    snapshot: Snapshot,
}

impl PluginRules {
    /// Those of a state.
    ///
    /// # Errors
    /// They cannot be written as JSON.
    pub(super) fn new(state: &ServerState) -> Result<Self, serde_json::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Members<'a> {
            requirements: Vec<server_state::Requirement>,
            event_definitions: &'a [EventDefinition],
        }
        let seen = state.requirements.iter();
        let object = serde_json::to_string(&Members {
            requirements: seen
                .map(server_state::Requirement::without_internal)
                .collect(),
            event_definitions: &state.event_definitions,
        })?;
        let members = object.strip_prefix('{').unwrap_or_default();
        let members = members.strip_suffix('}').unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        members.hash(&mut hasher);
        let mut definitions: Vec<_> = state.event_definitions.iter().map(definition).collect();
        definitions.sort_by(|left, right| names(left).cmp(&names(right)));
        let requirements = state.requirements.iter();
        let kept = requirements
            .clone()
            .map(|requirement| server_state::Requirement {
                manifest: None,
                ..requirement.clone()
            });
        Ok(Self {
            digest: hasher.finish(),
            requirements: kept.collect(),
            members: members.into(),
            snapshot: Snapshot {
                server_id: state.server_id.as_str().to_owned(),
                revision: state.plugins_revision,
                requirements: requirements.map(requirement).collect(),
                definitions,
            },
        })
    }

    /// Whether two say the same to clients.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// The requirements, without manifests.
    pub(super) fn requirements(&self) -> &[server_state::Requirement] {
        &self.requirements
    }

    /// What the validator chain gets.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The `plugin_requirements` frame at a revision of the server: its plugins, and the same again for clients of
    /// version 1.0.
    pub(super) fn frame(&self, server_id: &str, revision: u64) -> Bytes {
        let head = format!(r#""serverId":{},"revision":{revision},"#, json!(server_id));
        frame::text_of_pieces(&[
            br#"{"type":"plugin_requirements","#,
            head.as_bytes(),
            self.members.as_bytes(),
            br#","snapshot":{"#,
            head.as_bytes(),
            self.members.as_bytes(),
            b"}}",
        ])
    }

    /// What a client lacks that declared these plugins. One that named no version of a plugin has any.
    pub(crate) fn lack(&self, declared: &DeclaredPlugins) -> Option<String> {
        let mut requirements = self.requirements.iter();
        requirements
            .by_ref()
            .filter(|requirement| requirement.status == Status::Required)
            .find_map(|requirement| lack(requirement, declared))
    }

    /// The direction of an event; `None` where no such event is registered.
    pub(crate) fn direction(&self, plugin_id: &str, event_name: &str) -> Option<EventDirection> {
        let definitions = &self.snapshot.definitions;
        let found = definitions
            .binary_search_by(|definition| names(definition).cmp(&(plugin_id, event_name)));
        found.ok().map(|at| definitions[at].direction)
    }
}

fn lack(required: &server_state::Requirement, declared: &DeclaredPlugins) -> Option<String> {
    let plugin_id = required.plugin_id.as_str();
    let Some(version) = declared.find(plugin_id) else {
        return Some(format!("this server requires the plugin '{plugin_id}'"));
    };
    let range = required.version_range.as_deref();
    let range = range.filter(|_| !version.is_empty())?;
    let is_inside = VersionRange::new(range)
        .is_ok_and(|range| parse_version(version).is_ok_and(|version| range.contains(&version)));
    (!is_inside).then(|| {
        format!(
            "this server requires the plugin '{plugin_id}' in a version within '{range}', and the client declared \
             '{version}'"
        )
    })
}

/// Plugin and event, by which definitions are ordered.
fn names(definition: &Definition) -> (&str, &str) {
    (
        definition.plugin_id.as_str(),
        definition.event_name.as_str(),
    )
}

fn requirement(requirement: &server_state::Requirement) -> Requirement {
    Requirement {
        plugin_id: requirement.plugin_id.clone(),
        blocked: matches!(requirement.status, Status::Blocked | Status::Incompatible),
        publishes: requirement.publishes,
        plugin_user_id: requirement.plugin_user_id.clone(),
    }
}

fn definition(definition: &EventDefinition) -> Definition {
    Definition {
        plugin_id: definition.plugin_id.clone(),
        event_name: definition.event_name.clone(),
        direction: definition.direction,
        scope: definition.scope,
        schema: definition
            .schema
            .as_ref()
            .map(|schema| schema.get().to_owned()),
        payload_bytes_max: u32::try_from(definition.max_payload_bytes)
            .unwrap_or(limits::plugin_event::PAYLOAD_BYTES_DEFAULT as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::PluginRules;
    use crate::room::DeclaredPlugins;
    use serde_json::{Value, json};
    use server_state::ServerState;

    fn state(more: Value) -> ServerState {
        let mut state = json!({
            "serverId": "s1", "name": "S", "revision": 7, "pluginsRevision": 5, "private": false, "password": false,
            "access": 0, "maxMembers": null, "ownerId": "olga", "bans": [], "requirements": [],
            "eventDefinitions": [{
                "pluginId": "example.polls", "eventName": "ping", "direction": "serverRelay", "scope": "server",
                "schema": {"type": "object"}, "maxPayloadBytes": 100,
            }],
        });
        let members = state.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        serde_json::from_value(state).expect("a state")
    }

    fn requirement(range: Option<&str>) -> Value {
        json!({
            "pluginId": "example.polls", "serverId": "s1", "status": "required", "installUrl": null,
            "sourceUrl": null, "manifest": {"b": 1.0}, "versionRange": range, "updatedAt": 1, "updatedBy": "olga",
            "publishes": true, "pluginUserId": "bot",
        })
    }

    #[test]
    fn clients_see_the_same_plugins_at_each_revision() {
        let rules = state(json!({"requirements": [requirement(None)]}));
        let rules = PluginRules::new(&rules).expect("rules");
        let frame = crate::frame::payload(&rules.frame("s1", 9));
        let envelope: Value = serde_json::from_slice(&frame).expect("JSON");
        let snapshot = envelope["snapshot"].clone();
        let mut outside = envelope.clone();
        let members = outside.as_object_mut().expect("an object");
        members.remove("snapshot");
        assert_eq!(members.remove("type"), Some("plugin_requirements".into()));
        assert_eq!((&outside, &outside["revision"]), (&snapshot, &json!(9)));
        let seen = snapshot["requirements"][0].as_object().expect("an object");
        assert_eq!(seen["manifest"], json!({"b": 1.0}));
        assert!(!seen.contains_key("publishes") && !seen.contains_key("pluginUserId"));
        assert_eq!(snapshot["eventDefinitions"][0]["eventName"], "ping");
        assert_eq!(rules.snapshot().revision, 5, "of the plugins alone");
        assert!(rules.requirements()[0].manifest.is_none(), "kept once");
    }

    #[test]
    fn a_version_outside_the_range_is_a_plugin_that_is_lacking() {
        let lacks = |range: Option<&str>, version: &str| {
            let required = state(json!({"requirements": [requirement(range)]}));
            let required = PluginRules::new(&required).expect("rules");
            let polls = ("example.polls".to_owned(), version.to_owned());
            let declared = DeclaredPlugins::new(vec![polls]);
            assert!(required.lack(&DeclaredPlugins::new(Vec::new())).is_some());
            required.lack(&declared).is_some()
        };
        let range = Some(">=1.2 <2");
        for (range, version, is_lacking) in [
            (None, "", false),
            (None, "0.1.0", false),
            (range, "", false),
            (range, "1.2.0", false),
            (range, "1.1.9", true),
            (range, "2.0.0", true),
            (range, "1.3.0-beta.1", true),
            (range, "newest", true),
        ] {
            assert_eq!(lacks(range, version), is_lacking, "{range:?} {version:?}");
        }
    }
}
