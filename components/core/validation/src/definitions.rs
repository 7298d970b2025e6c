//! [`Definitions`]: the definitions of servers, and the compiled schemas of their events.
//!
//! Both are bounded caches: the least recently used entry is removed first, and is requested or compiled again when it
//! is needed. A schema is compiled at first use; a new revision keeps the compiled schemas whose text did not change.

use envelope::{
    tape::Tape,
    verdict::{Definition, Requirement, Snapshot},
};
use limits::plugin_event::{
    COMPILED_SCHEMAS_MAX, DEFINED_BYTES_MAX, DEFINED_SERVERS_MAX, DEFINITIONS_PER_SERVER_MAX,
    REQUIREMENTS_PER_SERVER_MAX,
};
use plugin_event::{Schema, SchemaError};
use std::{collections::HashMap, sync::Arc};

/// The state of a validator instance. It consists of caches only, so an instance can be replaced at any time.
#[derive(Debug, Default)]
pub struct Definitions {
    servers: HashMap<Box<str>, ServerDefinitions>,
    schemas: HashMap<u64, Compiled>,
    /// Bytes of all schema documents in `servers`.
    bytes: usize,
    /// Counter of uses, for the least recently used entry.
    clock: u64,
    next_id: u64,
    /// Storage for payloads, reused by each call.
    tape: Tape,
}

/// The definitions of one server.
#[derive(Debug)]
pub(crate) struct ServerDefinitions {
    pub(crate) revision: u64,
    used: u64,
    bytes: usize,
    /// Ordered by plugin.
    requirements: Vec<Requirement>,
    /// Ordered by plugin and event.
    events: Vec<Event>,
}

/// One registered event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) definition: Definition,
    /// Key of its compiled schema.
    id: u64,
}

#[derive(Debug)]
struct Compiled {
    /// Shared, so that the cache is not borrowed while a payload is checked.
    schema: Result<Arc<Schema>, SchemaError>,
    used: u64,
}

impl Definitions {
    /// Without any definitions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the definitions of one server. A list beyond its limit is cut.
    pub fn update(&mut self, snapshot: Snapshot) {
        let old = self.forget(&snapshot.server_id);
        let mut requirements = snapshot.requirements;
        requirements.truncate(REQUIREMENTS_PER_SERVER_MAX);
        requirements.sort_by(|left, right| left.plugin_id.cmp(&right.plugin_id));
        let mut definitions = snapshot.definitions;
        definitions.truncate(DEFINITIONS_PER_SERVER_MAX);
        definitions.sort_by(|left, right| key(left).cmp(&key(right)));
        let bytes = definitions
            .iter()
            .filter_map(|definition| definition.schema.as_ref())
            .map(String::len)
            .sum();
        let events: Vec<Event> = definitions
            .into_iter()
            .map(|definition| self.event(definition, old.as_ref()))
            .collect();
        self.drop_schemas(old.iter().flat_map(|old| &old.events), &events);
        self.make_room(bytes);
        self.clock += 1;
        self.bytes += bytes;
        let definitions = ServerDefinitions {
            revision: snapshot.revision,
            used: self.clock,
            bytes,
            requirements,
            events,
        };
        self.servers.insert(snapshot.server_id.into(), definitions);
    }

    /// A server's definitions, if they are of `revision` or a later one.
    pub(crate) fn server(&mut self, server_id: &str, revision: u64) -> Option<&ServerDefinitions> {
        self.clock += 1;
        let definitions = self
            .servers
            .get_mut(server_id)
            .filter(|known| known.revision >= revision)?;
        definitions.used = self.clock;
        Some(definitions)
    }

    /// The compiled schema of an event; `None` when its payload is free.
    pub(crate) fn schema(
        &mut self,
        server_id: &str,
        plugin_id: &str,
        event_name: &str,
    ) -> Option<Result<Arc<Schema>, SchemaError>> {
        self.clock += 1;
        let event = self.servers.get(server_id)?.event(plugin_id, event_name)?;
        let text = event.definition.schema.as_deref()?;
        if let Some(compiled) = self.schemas.get_mut(&event.id) {
            compiled.used = self.clock;
            return Some(compiled.schema.clone());
        }
        let schema = Schema::compile(text).map(Arc::new);
        let id = event.id;
        if self.schemas.len() >= COMPILED_SCHEMAS_MAX {
            let oldest = self
                .schemas
                .iter()
                .min_by_key(|(_, compiled)| compiled.used)
                .map(|(id, _)| *id);
            oldest.and_then(|oldest| self.schemas.remove(&oldest));
        }
        self.schemas.insert(
            id,
            Compiled {
                schema: schema.clone(),
                used: self.clock,
            },
        );
        Some(schema)
    }

    /// Takes the storage out for one call.
    pub(crate) fn lend_tape(&mut self) -> Tape {
        std::mem::take(&mut self.tape)
    }

    pub(crate) fn take_back(&mut self, tape: Tape) {
        self.tape = tape;
    }

    fn forget(&mut self, server_id: &str) -> Option<ServerDefinitions> {
        let old = self.servers.remove(server_id)?;
        self.bytes -= old.bytes;
        Some(old)
    }

    /// Gives an event the id of the old event with the same schema, so that its compiled schema is kept.
    fn event(&mut self, definition: Definition, old: Option<&ServerDefinitions>) -> Event {
        let same = old
            .and_then(|old| {
                old.event(
                    definition.plugin_id.as_str(),
                    definition.event_name.as_str(),
                )
            })
            .filter(|old| old.definition.schema == definition.schema);
        let id = same.map_or_else(
            || {
                self.next_id += 1;
                self.next_id
            },
            |old| old.id,
        );
        Event { definition, id }
    }

    fn drop_schemas<'e>(&mut self, old: impl Iterator<Item = &'e Event>, kept: &[Event]) {
        for event in old {
            if !kept.iter().any(|kept| kept.id == event.id) {
                self.schemas.remove(&event.id);
            }
        }
    }

    /// Removes the least recently used servers until one more with `bytes` fits.
    fn make_room(&mut self, bytes: usize) {
        while !self.servers.is_empty()
            && (self.servers.len() >= DEFINED_SERVERS_MAX || self.bytes + bytes > DEFINED_BYTES_MAX)
        {
            let Some(oldest) = self
                .servers
                .iter()
                .min_by_key(|(_, definitions)| definitions.used)
                .map(|(id, _)| id.clone())
            else {
                return;
            };
            let old = self.forget(&oldest);
            self.drop_schemas(old.iter().flat_map(|old| &old.events), &[]);
        }
    }
}

impl ServerDefinitions {
    pub(crate) fn event(&self, plugin_id: &str, event_name: &str) -> Option<&Event> {
        let found = self
            .events
            .binary_search_by(|event| key(&event.definition).cmp(&(plugin_id, event_name)));
        found.ok().map(|index| &self.events[index])
    }

    pub(crate) fn requirement(&self, plugin_id: &str) -> Option<&Requirement> {
        let found = self
            .requirements
            .binary_search_by(|requirement| requirement.plugin_id.as_str().cmp(plugin_id));
        found.ok().map(|index| &self.requirements[index])
    }

    /// The plugin whose identity `claimed` is, if the server knows the plugin and does not block it.
    pub(crate) fn plugin_of<'v>(&'v self, claimed: &'v str) -> Option<&'v str> {
        let named = claimed.strip_prefix("plugin:").filter(|id| self.knows(id));
        let own = || {
            self.requirements
                .iter()
                .find(|known| known.plugin_user_id.as_deref() == Some(claimed))
                .map(|known| known.plugin_id.as_str())
        };
        named.or_else(own).filter(|id| {
            !self
                .requirement(id)
                .is_some_and(|requirement| requirement.blocked)
        })
    }

    fn knows(&self, plugin_id: &str) -> bool {
        let first = self
            .events
            .partition_point(|event| event.definition.plugin_id.as_str() < plugin_id);
        let has_event = self
            .events
            .get(first)
            .is_some_and(|event| event.definition.plugin_id.as_str() == plugin_id);
        has_event || self.requirement(plugin_id).is_some()
    }
}

fn key(definition: &Definition) -> (&str, &str) {
    (
        definition.plugin_id.as_str(),
        definition.event_name.as_str(),
    )
}

#[cfg(test)]
mod tests {
    use super::Definitions;
    use envelope::verdict::{Definition, EventDirection, EventScope, Snapshot};
    use identifiers::{EventName, PluginId};
    use limits::plugin_event::{
        COMPILED_SCHEMAS_MAX, DEFINED_BYTES_MAX, DEFINED_SERVERS_MAX, SCHEMA_BYTES_MAX,
    };

    fn definition(plugin_id: &str, event_name: &str, schema: &str) -> Definition {
        Definition {
            plugin_id: PluginId::new(plugin_id).expect("legal"),
            event_name: EventName::new(event_name).expect("legal"),
            direction: EventDirection::ServerRelay,
            scope: EventScope::Server,
            schema: Some(schema.to_owned()),
            payload_bytes_max: 65_536,
        }
    }

    fn snapshot(server_id: &str, revision: u64, definitions: Vec<Definition>) -> Snapshot {
        Snapshot {
            server_id: server_id.to_owned(),
            revision,
            requirements: Vec::new(),
            definitions,
        }
    }

    #[test]
    fn the_least_recently_used_server_is_forgotten() {
        let mut known = Definitions::new();
        for at in 0..DEFINED_SERVERS_MAX {
            known.update(snapshot(&format!("s{at}"), 1, Vec::new()));
        }
        assert!(known.server("s0", 1).is_some(), "used again");
        known.update(snapshot("new", 1, Vec::new()));
        assert!(
            known.server("s0", 1).is_some()
                && known.server("s1", 1).is_none()
                && known.server("new", 1).is_some()
        );
        assert_eq!(known.servers.len(), DEFINED_SERVERS_MAX);
    }

    #[test]
    fn bytes_of_definitions_stay_below_their_bound() {
        let mut known = Definitions::new();
        let big = format!(r#"{{"$comment":"{}"}}"#, "x".repeat(SCHEMA_BYTES_MAX - 20));
        for at in 0..40 {
            let definitions = (0..100)
                .map(|event| definition("abc", &format!("event.{event}"), &big))
                .collect();
            known.update(snapshot(&format!("s{at}"), 1, definitions));
            assert!(known.bytes <= DEFINED_BYTES_MAX);
        }
        assert!(known.server("s39", 1).is_some() && known.server("s0", 1).is_none());
        let total: usize = known.servers.values().map(|known| known.bytes).sum();
        assert_eq!(total, known.bytes);
    }

    #[test]
    fn compiled_schemas_are_bounded_and_survive_a_revision() {
        let mut known = Definitions::new();
        let names: Vec<String> = (0..COMPILED_SCHEMAS_MAX + 10)
            .map(|at| format!("event.{at}"))
            .collect();
        let all = || {
            names
                .iter()
                .map(|name| definition("abc", name, "true"))
                .collect::<Vec<_>>()
        };
        known.update(snapshot("s", 1, all()));
        for name in &names {
            assert!(
                known
                    .schema("s", "abc", name)
                    .expect("has a schema")
                    .is_ok()
            );
        }
        assert_eq!(known.schemas.len(), COMPILED_SCHEMAS_MAX);
        known.update(snapshot("s", 2, all()));
        assert_eq!(
            known.schemas.len(),
            COMPILED_SCHEMAS_MAX,
            "unchanged texts stay compiled"
        );
        known.update(snapshot(
            "s",
            3,
            vec![definition("abc", &names[20], "true")],
        ));
        assert_eq!(known.schemas.len(), 1, "what is gone is dropped");
        assert!(known.server("s", 3).is_some() && known.server("s", 4).is_none());
    }
}
