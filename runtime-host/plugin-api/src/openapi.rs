//! The OpenAPI document of the native host: the directory's, and this crate's routes. Schemas stand in `schemas.json`
//! beside this file.

use crate::{
    auth::Needs,
    route::{ROUTES, Route},
};
use rest::{
    Compressed, Document,
    openapi::{Document as OpenApi, Operation, Parameter, Response, placeholders},
};
use serde_json::json;
use std::sync::LazyLock;

/// Where the document is served.
pub(crate) const PATH: &str = "/api/openapi.json";

const SCHEMAS: &str = include_str!("schemas.json");
const PLUGIN_ID: &str = "^[a-z0-9][a-z0-9.-]{1,126}[a-z0-9]$";
const FORWARDED_PATH: &str = "/api/plugins/route/{route}/{path}";

/// Methods that plugins may answer on their routes.
const FORWARDED: [(&str, &str); 5] = [
    ("GET", "get"),
    ("POST", "post"),
    ("PUT", "put"),
    ("PATCH", "patch"),
    ("DELETE", "delete"),
];

/// The document, made at its first use.
pub(crate) static DOCUMENT: LazyLock<Document> =
    LazyLock::new(|| Compressed::new(&document().into_json()).leak());

/// The directory's routes and those of this crate.
#[must_use]
pub fn document() -> OpenApi {
    directory::api::document()
        .operations(ROUTES.0.iter().map(operation))
        .operations(FORWARDED.map(|(method, verb)| forwarded(method, verb)))
        .schemas(serde_json::from_str(SCHEMAS).unwrap_or_default())
        .bearer(
            "pluginToken",
            "A plugin's own token; it opens the plugin's values and nothing else.",
        )
}

fn operation(route: &Route) -> Operation {
    Operation {
        method: route.method,
        path: route.path,
        id: route.id.to_owned(),
        summary: route.summary,
        permission: route.needs.as_str(),
        security: match route.needs {
            Needs::Own => &["token", "pluginToken"],
            Needs::Client | Needs::Admin => &["token"],
        },
        parameters: path_parameters(route.path)
            .chain(route.query.iter().copied().map(query))
            .collect(),
        body: route.body.map(|body| (body, true)),
        responses: responses(route),
    }
}

fn responses(route: &Route) -> Vec<Response> {
    let error = Response::error;
    let mut done = Response::json(200, "Done.", route.answer);
    if route.id == "getPluginBundle" {
        done.content = Some(("application/javascript", route.answer));
    }
    let mut all = vec![
        done,
        error(
            400,
            "Something in the path, the query or the body breaks a rule.",
        ),
        error(401, "No credential, or one that does not verify."),
        error(403, "Not with this credential."),
        error(404, "There is no such thing."),
        error(503, "The store cannot be used now, or too much is in work."),
    ];
    if route.body.is_some() || route.method == "DELETE" {
        all.extend([
            error(408, "The body did not arrive in time."),
            error(413, "The body, or a value in it, is too large."),
            error(507, "A plugin's share of storage is used up."),
        ]);
    }
    if route.id == "callTool" {
        all.push(error(
            422,
            "The arguments do not conform to the tool's parameters; `violations` says where.",
        ));
    }
    if route.method != "GET" {
        all.extend([
            error(409, "It contradicts what there is."),
            error(500, "The plugin host failed."),
        ]);
    }
    all
}

fn forwarded(method: &'static str, verb: &str) -> Operation {
    let error = Response::error;
    Operation {
        method,
        path: FORWARDED_PATH,
        id: format!("{verb}PluginRoute"),
        summary: "The answer of the plugin with this route.",
        permission: Needs::Client.as_str(),
        security: &["token"],
        parameters: vec![
            Parameter::path(
                "route",
                "The route of a plugin.",
                json!({"type": "string", "minLength": 1}),
            ),
            Parameter::path(
                "path",
                "The path that the plugin is asked for.",
                json!({"type": "string"}),
            ),
        ],
        body: None,
        responses: vec![
            Response::empty("default", "The plugin's answer."),
            error(400, "The route is not valid."),
            error(401, "No credential, or one that does not verify."),
            error(404, "No running plugin has this route."),
            error(502, "The plugin failed."),
            error(
                503,
                "The plugin is being started again, or has too much to do.",
            ),
            error(504, "The plugin did not answer in time."),
        ],
    }
}

fn path_parameters(path: &'static str) -> impl Iterator<Item = Parameter> {
    placeholders(path).map(|name| match name {
        "pluginId" => Parameter::path(
            name,
            "The plugin's id.",
            json!({"type": "string", "pattern": PLUGIN_ID}),
        ),
        _ => Parameter::path(name, "Opaque.", json!({"type": "string", "minLength": 1})),
    })
}

/// Every parameter of a query that a route may name.
fn query(name: &'static str) -> Parameter {
    let page_max = limits::plugin_store::PAGE_ITEMS_MAX;
    let (words, schema) = match name {
        "page" => (
            "Which page, from 0.",
            json!({"type": "integer", "minimum": 0, "default": 0}),
        ),
        "page_size" => {
            let default = limits::plugin_store::PAGE_ITEMS_DEFAULT;
            (
                "Items of a page; more are cut.",
                json!({"type": "integer", "minimum": 1, "maximum": page_max, "default": default}),
            )
        }
        "level" => (
            "At or above this level.",
            json!({"type": "string", "enum": ["trace", "debug", "info", "warn", "error"]}),
        ),
        "since" => (
            "At or after this time: milliseconds since 1970, or RFC 3339.",
            json!({"type": "string"}),
        ),
        "recent" => (
            "How many decisions about plugins, newest first, of the latest ones.",
            json!({"type": "integer", "minimum": 0}),
        ),
        "plugin" => ("Of this plugin alone.", json!({"type": "string"})),
        "state" => (
            "In this state alone.",
            json!({"type": "string", "enum": ["pending", "allowed", "denied"]}),
        ),
        "name" => (
            "Name of the file that it stands in.",
            json!({"type": "string", "default": "jackfield.json"}),
        ),
        "strict" => (
            "Refuse unknown fields.",
            json!({"type": "boolean", "default": false}),
        ),
        "mode" => (
            "Which calls a user has to allow first, by what the tool may do; absent: as the operator says.",
            json!({"type": "string", "enum": plugin_manifest::ToolMode::NAMES}),
        ),
        _ => ("The capability.", json!({"type": "string"})),
    };
    let parameter = Parameter::query(name, words, schema);
    if name == "capability" {
        parameter.required()
    } else {
        parameter
    }
}

#[cfg(test)]
mod tests {
    use super::document;

    #[test]
    fn schemas_and_references_fit() {
        let (missing, unused) = document().unresolved();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(unused.is_empty(), "{unused:?}");
    }
}
