//! Which keys of `spin.toml` this host supports. Every other key that Spin would act on is refused by name; keys that
//! only concern tools are skipped.

use toml::{Table, Value};

const TOP: &[&str] = &[
    "spin_manifest_version",
    "application",
    "variables",
    "trigger",
    "component",
];
const APPLICATION: &[&str] = &[
    "name",
    "version",
    "description",
    "authors",
    "targets",
    "tool",
];
const VARIABLE: &[&str] = &["default", "required", "secret", "description"];
const TRIGGER_KINDS: &[&str] = &["http"];
const TRIGGER: &[&str] = &["id", "route", "component", "executor"];
const COMPONENT: &[&str] = &[
    "source",
    "description",
    "variables",
    "environment",
    "allowed_outbound_hosts",
    "sqlite_databases",
    "key_value_stores",
    "dependencies",
    "dependencies_inherit_configuration",
    "build",
    "targets",
    "tool",
];
const DEPENDENCY: &[&str] = &["component", "path", "export", "inherit_configuration"];

/// All that this host does not support, one sentence each; empty means the manifest may be read.
pub(super) fn unsupported(manifest: &Table) -> Vec<String> {
    let mut found = Findings(Vec::new());
    found.keys("", manifest, TOP);
    match manifest.get("spin_manifest_version") {
        Some(Value::Integer(2)) => {}
        Some(other) => found.0.push(format!(
            "spin_manifest_version {other} is not supported: only 2 is"
        )),
        None => found
            .0
            .push("spin_manifest_version = 2 is missing".to_owned()),
    }
    if let Some(Value::Table(application)) = manifest.get("application") {
        found.keys("application", application, APPLICATION);
    }
    for (name, variable) in entries(manifest.get("variables")) {
        found.keys(&format!("variables.{name}"), variable, VARIABLE);
    }
    if let Some(Value::Table(kinds)) = manifest.get("trigger") {
        found.keys("trigger", kinds, TRIGGER_KINDS);
        if let Some(Value::Array(triggers)) = kinds.get("http") {
            triggers
                .iter()
                .filter_map(Value::as_table)
                .for_each(|trigger| found.trigger(trigger));
        }
    }
    for (id, component) in entries(manifest.get("component")) {
        found.component(&format!("component.{id}"), component);
    }
    found.0
}

/// The sub-tables of a table, with their names.
fn entries(table: Option<&Value>) -> impl Iterator<Item = (&String, &Table)> {
    let table = table.and_then(Value::as_table);
    table
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| value.as_table().map(|table| (name, table)))
}

struct Findings(Vec<String>);

impl Findings {
    fn keys(&mut self, place: &str, table: &Table, supported: &[&str]) {
        for key in table
            .keys()
            .filter(|key| !supported.contains(&key.as_str()))
        {
            let dot = if place.is_empty() { "" } else { "." };
            self.0.push(format!(
                "`{place}{dot}{key}` is not supported by this host; supported here: {}",
                supported.join(", ")
            ));
        }
    }

    fn trigger(&mut self, trigger: &Table) {
        let route = trigger.get("route").and_then(Value::as_str).unwrap_or("?");
        self.keys(&format!("trigger.http({route})"), trigger, TRIGGER);
        if let Some(Value::Table(_)) = trigger.get("route") {
            self.0.push("`trigger.http.route = { private = true }` is not supported by this host: a route is a string".to_owned());
        }
        if let Some(Value::Table(_)) = trigger.get("component") {
            self.0.push(format!("`trigger.http({route}).component` as a table is not supported by this host: name a component"));
        }
        let executor = trigger
            .get("executor")
            .and_then(Value::as_table)
            .and_then(|executor| executor.get("type")?.as_str());
        if trigger.contains_key("executor") && executor != Some("http") {
            self.0.push(format!("`trigger.http({route}).executor` is not supported by this host, except {{ type = \"http\" }}"));
        }
    }

    fn component(&mut self, place: &str, component: &Table) {
        self.keys(place, component, COMPONENT);
        if let Some(Value::Table(_)) = component.get("source") {
            self.0.push(format!("`{place}.source` as a table (url, registry) is not supported by this host: name a file"));
        }
        if component
            .get("dependencies_inherit_configuration")
            .is_some_and(|value| value.as_bool() != Some(false))
        {
            self.0.push(format!(
                "`{place}.dependencies_inherit_configuration = true` is not supported by this host"
            ));
        }
        let Some(Value::Table(dependencies)) = component.get("dependencies") else {
            return;
        };
        for (import, dependency) in dependencies {
            let place = format!("{place}.dependencies.\"{import}\"");
            let Value::Table(dependency) = dependency else {
                self.0.push(format!("`{place}` as a version is not supported by this host: give `component` or `path`"));
                continue;
            };
            self.keys(&place, dependency, DEPENDENCY);
            if dependency
                .get("inherit_configuration")
                .is_some_and(|value| value.as_bool() != Some(false))
            {
                self.0.push(format!("`{place}.inherit_configuration` is not supported by this host: dependencies inherit nothing"));
            }
        }
    }
}
