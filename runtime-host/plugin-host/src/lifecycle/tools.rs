//! The tools of a manifest, with the schemas of their parameters, compiled once when the plugin is loaded.

use limits::plugin::TOOL_ARGUMENT_VALUES_MAX;
use plugin_event::{Schema, SchemaError, Violation};
use plugin_manifest::{Code, Manifest, Tool, import::Imported};
use serde_json::Value;
use std::collections::HashMap;

/// The compiled schemas by tool; a tool without one takes any JSON.
#[derive(Debug, Default)]
pub(crate) struct ToolSchemas(HashMap<Box<str>, Schema>);

impl ToolSchemas {
    /// Compiles them.
    ///
    /// # Errors
    /// JSON pointer into the manifest and reason of the first schema that is refused.
    pub(crate) fn compile(manifest: &Manifest) -> Result<Self, (String, SchemaError)> {
        let schemas = compiled(manifest).map(|(tool, pointer, schema)| {
            let schema = schema.map_err(|error| (pointer, error))?;
            Ok((tool.name.as_str().into(), schema))
        });
        schemas.collect::<Result<_, _>>().map(Self)
    }

    /// Checks the arguments of a tool.
    ///
    /// # Errors
    /// What the schema says against them, with JSON pointers into the arguments.
    pub(crate) fn check(&self, tool: &str, arguments: &Value) -> Result<(), Vec<Violation>> {
        let Some(schema) = self.0.get(tool) else {
            return Ok(());
        };
        if values(arguments) > TOOL_ARGUMENT_VALUES_MAX {
            return Err(vec![Violation {
                pointer: String::new(),
                keyword: "json".to_owned(),
                message: format!("has more than {TOOL_ARGUMENT_VALUES_MAX} values"),
            }]);
        }
        schema.check(&arguments.to_string())
    }
}

/// The number of values in a JSON text whose depth its parser has bounded.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(elements) => elements.iter().map(values).sum(),
        Value::Object(members) => members.values().map(values).sum(),
        _ => 0,
    }
}

fn compiled(
    manifest: &Manifest,
) -> impl Iterator<Item = (&Tool, String, Result<Schema, SchemaError>)> {
    let tools = manifest.tools.iter().enumerate();
    tools.filter_map(|(at, tool)| {
        let schema = Schema::compile(&tool.parameters.as_ref()?.to_string());
        Some((tool, format!("/tools/{at}/parameters"), schema))
    })
}

/// What is wrong with the schemas of a manifest's tools; a plugin with such a tool is not loaded.
#[must_use]
pub fn bad_tool_schemas(imported: &Imported) -> Vec<plugin_manifest::Violation> {
    let refused = |(tool, pointer, schema): (&Tool, String, Result<Schema, SchemaError>)| {
        let message = format!(
            "the parameters of the tool {:?}: {}",
            tool.name,
            schema.err()?
        );
        let (pointer, span) = imported.place(&pointer).unwrap_or((pointer, 0..0));
        Some(plugin_manifest::Violation::new(
            Code::BadSchema,
            &pointer,
            span,
            message,
            None,
        ))
    };
    let manifest = imported.manifest.iter();
    manifest.flat_map(compiled).filter_map(refused).collect()
}
