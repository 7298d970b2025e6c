//! The OpenAPI 3.1 document, made from operations and schemas. It is made natively, checked in, and served as it is
//! stored.

use serde_json::{Map, Value, json};

/// A parameter of the path or the query.
#[derive(Debug, Clone)]
pub struct Parameter {
    name: &'static str,
    place: &'static str,
    description: &'static str,
    required: bool,
    schema: Value,
}

impl Parameter {
    /// A placeholder of the path.
    #[must_use]
    pub fn path(name: &'static str, description: &'static str, schema: Value) -> Self {
        Self {
            name,
            place: "path",
            description,
            required: true,
            schema,
        }
    }

    /// An optional parameter of the query.
    #[must_use]
    pub fn query(name: &'static str, description: &'static str, schema: Value) -> Self {
        Self {
            name,
            place: "query",
            description,
            required: false,
            schema,
        }
    }

    /// The same, but required.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "in": self.place,
            "required": self.required,
            "description": self.description,
            "schema": self.schema,
        })
    }
}

/// One answer of an operation.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status, or `default`.
    pub status: String,
    /// When it is given.
    pub description: &'static str,
    /// Media type and schema of the body, where it has one.
    pub content: Option<(&'static str, &'static str)>,
}

impl Response {
    /// An answer with JSON.
    #[must_use]
    pub fn json(status: u16, description: &'static str, schema: &'static str) -> Self {
        Self {
            status: status.to_string(),
            description,
            content: Some(("application/json", schema)),
        }
    }

    /// An error.
    #[must_use]
    pub fn error(status: u16, description: &'static str) -> Self {
        Self::json(status, description, "Error")
    }

    /// An answer without a described body.
    #[must_use]
    pub fn empty(status: impl ToString, description: &'static str) -> Self {
        Self {
            status: status.to_string(),
            description,
            content: None,
        }
    }
}

/// One method of one path.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The method.
    pub method: &'static str,
    /// The path, with placeholders in braces.
    pub path: &'static str,
    /// `operationId`.
    pub id: String,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What the caller needs, as `x-permission`.
    pub permission: &'static str,
    /// Names of the security schemes of which one is needed; an empty name stands for none.
    pub security: &'static [&'static str],
    /// Path and query.
    pub parameters: Vec<Parameter>,
    /// Schema of the request body, and whether it must be there.
    pub body: Option<(&'static str, bool)>,
    /// Every answer.
    pub responses: Vec<Response>,
}

impl Operation {
    fn to_json(&self) -> Value {
        let scheme = |name: &&str| match *name {
            "" => json!({}),
            name => json!({ name: [] }),
        };
        let mut responses = Map::new();
        for response in &self.responses {
            let mut described = json!({"description": response.description});
            if let Some((media, schema)) = response.content {
                described["content"] = json!({ media: {"schema": reference(schema)} });
            }
            responses.insert(response.status.clone(), described);
        }
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "tags": [self.tag()],
            "x-permission": self.permission,
            "security": self.security.iter().map(scheme).collect::<Vec<_>>(),
            "parameters": self.parameters.iter().map(Parameter::to_json).collect::<Vec<_>>(),
            "responses": responses,
        });
        if let Some((schema, required)) = self.body {
            operation["requestBody"] = json!({
                "required": required,
                "content": {"application/json": {"schema": reference(schema)}},
            });
        }
        operation
    }

    /// The part of the interface: the segment after `/api`.
    fn tag(&self) -> &'static str {
        self.path
            .split('/')
            .nth(2)
            .unwrap_or_default()
            .trim_end_matches(".json")
    }
}

/// A reference to a schema of the document.
#[must_use]
pub fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

/// The placeholders of a path.
pub fn placeholders(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// A document in the making.
#[derive(Debug, Clone)]
pub struct Document(Value);

impl Document {
    /// A document without operations.
    #[must_use]
    pub fn new(title: &str, description: &str, version: &str) -> Self {
        Self(json!({
            "openapi": "3.1.0",
            "info": {
                "title": title,
                "description": description,
                "version": version,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": {},
            "components": {"schemas": {}, "securitySchemes": {}},
        }))
    }

    /// Adds operations.
    #[must_use]
    pub fn operations(mut self, operations: impl IntoIterator<Item = Operation>) -> Self {
        for operation in operations {
            self.0["paths"][operation.path][operation.method.to_ascii_lowercase()] =
                operation.to_json();
        }
        self
    }

    /// Adds schemas by their names.
    #[must_use]
    pub fn schemas(mut self, schemas: Map<String, Value>) -> Self {
        for (name, schema) in schemas {
            self.0["components"]["schemas"][name] = schema;
        }
        self
    }

    /// Adds a way to present a credential as bearer token.
    #[must_use]
    pub fn bearer(mut self, name: &str, description: &str) -> Self {
        self.0["components"]["securitySchemes"][name] =
            json!({"type": "http", "scheme": "bearer", "description": description});
        self
    }

    /// The document.
    #[must_use]
    pub fn into_json(self) -> Value {
        self.0
    }

    /// Names of schemas that are referred to and missing, then those that nothing refers to.
    #[must_use]
    pub fn unresolved(&self) -> (Vec<String>, Vec<String>) {
        let text = self.0.to_string();
        let named: Vec<&str> = text
            .split("#/components/schemas/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        let known = self.0["components"]["schemas"].as_object();
        let known: Vec<&String> = known.into_iter().flat_map(Map::keys).collect();
        (
            named
                .iter()
                .filter(|name| !known.iter().any(|known| known == *name))
                .map(ToString::to_string)
                .collect(),
            known
                .into_iter()
                .filter(|known| !named.contains(&known.as_str()))
                .cloned()
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, Operation, Parameter, Response, placeholders};
    use serde_json::{Map, json};

    #[test]
    fn operations_become_paths() {
        let operation = Operation {
            method: "PUT",
            path: "/api/things/{id}",
            id: "putThing".to_owned(),
            summary: "Store a thing.",
            permission: "identity",
            security: &["", "token"],
            parameters: vec![
                Parameter::path("id", "The id.", json!({"type": "string"})),
                Parameter::query("dry", "Only check.", json!({"type": "boolean"})),
            ],
            body: Some(("Thing", true)),
            responses: vec![
                Response::json(200, "Done.", "Thing"),
                Response::error(404, "There is no such thing."),
                Response::empty("default", "Anything."),
            ],
        };
        let document = Document::new("T", "D", "1").operations([operation]);
        assert_eq!(
            document.unresolved().0,
            ["Thing", "Thing", "Error"],
            "in the order of use"
        );
        let schemas = Map::from_iter([("Extra".to_owned(), json!({}))]);
        let document = document.schemas(schemas);
        assert_eq!(document.unresolved().1, ["Extra"]);
        let document = document.into_json();
        let put = &document["paths"]["/api/things/{id}"]["put"];
        assert_eq!(put["tags"], json!(["things"]));
        assert_eq!(put["security"], json!([{}, {"token": []}]));
        assert_eq!(put["parameters"][1]["required"], false);
        assert_eq!(
            put["responses"]["default"],
            json!({"description": "Anything."})
        );
        assert_eq!(put["requestBody"]["required"], true);
        assert_eq!(placeholders("/a/{b}/c/{d}").collect::<Vec<_>>(), ["b", "d"]);
    }
}
