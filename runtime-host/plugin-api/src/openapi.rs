//! What this crate adds to the OpenAPI document of the directory, made from the table of routes; schemas stand in `schemas.json` beside this.

use crate::{
    answer::{Body, Refusal, full},
    auth::Needs,
    route::{ROUTES, Route},
};
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use limits::rest::RESPONSE_BYTES_MAX;
use serde_json::{Map, Value, json};

const SCHEMAS: &str = include_str!("schemas.json");
const PLUGIN_ID: &str = "^[a-z0-9][a-z0-9.-]{1,126}[a-z0-9]$";

/// Methods that plugins may answer on their routes.
const FORWARDED: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The directory's answer with the routes about plugins in it. What is no such document goes on as it is.
pub async fn extend_answer(response: Response<Body>) -> Response<Body> {
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = Limited::new(body, RESPONSE_BYTES_MAX)
        .collect()
        .await
        .map(|body| body.to_bytes())
    else {
        return Refusal::new(
            StatusCode::BAD_GATEWAY,
            "EDGE_UNAVAILABLE",
            "the document broke off",
        )
        .into_response();
    };
    let Ok(mut document) = serde_json::from_slice::<Value>(&bytes) else {
        return Response::from_parts(head, full(bytes));
    };
    extend(&mut document);
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.remove(header::ETAG);
    Response::from_parts(head, full(document.to_string().into()))
}

/// Adds the routes about plugins to a document.
pub fn extend(document: &mut Value) {
    let mut paths = Map::new();
    for route in ROUTES {
        let at = paths.entry(route.path).or_insert_with(|| json!({}));
        at[route.method.to_ascii_lowercase()] = operation(route);
    }
    for method in FORWARDED {
        let at = paths
            .entry("/api/plugins/route/{route}/{path}")
            .or_insert_with(|| json!({}));
        at[method] = forwarded(method);
    }
    let schemas: Map<String, Value> = serde_json::from_str(SCHEMAS).unwrap_or_default();
    merge(&mut document["paths"], paths);
    merge(&mut document["components"]["schemas"], schemas);
    document["components"]["securitySchemes"]["pluginToken"] = json!({"type": "http", "scheme": "bearer", "description": "A plugin's own token; it opens the plugin's values and nothing else."});
    if let Some(parameters) = document
        .pointer_mut("/paths/~1api~1audit/get/parameters")
        .and_then(Value::as_array_mut)
    {
        // The same path answers about plugins when one of these is given.
        parameters.extend(["recent", "plugin"].map(query));
    }
    if let Some(schema) = document
        .pointer_mut("/paths/~1api~1audit/get/responses/200/content/application~1json/schema")
    {
        let of_directory = schema.take();
        *schema = json!({"anyOf": [of_directory, reference("AuditEntries")]});
    }
}

fn merge(into: &mut Value, from: Map<String, Value>) {
    if !into.is_object() {
        *into = json!({});
    }
    if let Some(into) = into.as_object_mut() {
        into.extend(from);
    }
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.id, "summary": route.summary, "tags": [route.path.split('/').nth(2).unwrap_or_default()],
        "x-permission": route.needs.as_str(),
        "parameters": parameters(route.path).into_iter().chain(route.query.iter().copied().map(query)).collect::<Vec<_>>(),
        "responses": responses(route),
        "security": match route.needs {
            Needs::Own => json!([{"token": []}, {"pluginToken": []}]),
            Needs::Client | Needs::Admin => json!([{"token": []}]),
        },
    });
    if let Some(body) = route.body {
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": reference(body)}}});
    }
    operation
}

fn responses(route: &Route) -> Value {
    let kind = if route.id == "getPluginBundle" {
        "application/javascript"
    } else {
        "application/json"
    };
    let content = json!({ kind: {"schema": reference(route.answer)} });
    let mut responses = json!({"200": {"description": "Done.", "content": content}});
    let mut add = |status: &str, words: &str| {
        responses[status] = json!({"description": words, "content": {"application/json": {"schema": reference("Error")}}});
    };
    add(
        "400",
        "Something in the path, the query or the body breaks a rule.",
    );
    add("401", "No credential, or one that does not verify.");
    add("403", "Not with this credential.");
    add("404", "There is no such thing.");
    add(
        "503",
        "The store cannot be used now, or too much is in work.",
    );
    if route.body.is_some() || route.method == "DELETE" {
        add("408", "The body did not arrive in time.");
        add("413", "The body, or a value in it, is too large.");
        add("507", "A plugin's share of storage is used up.");
    }
    if route.method != "GET" {
        add("409", "It contradicts what there is.");
        add("500", "The plugin host failed.");
    }
    responses
}

fn forwarded(method: &str) -> Value {
    let text = |words: &str| json!({"description": words, "content": {"application/json": {"schema": reference("Error")}}});
    json!({
        "operationId": format!("{method}PluginRoute"), "summary": "What the plugin with this route answers (R25 to R29).", "tags": ["plugins"],
        "x-permission": Needs::Client.as_str(), "security": [{"token": []}],
        "parameters": [
            {"name": "route", "in": "path", "required": true, "description": "The route of a plugin.", "schema": {"type": "string", "minLength": 1}},
            {"name": "path", "in": "path", "required": true, "description": "What the plugin is asked for.", "schema": {"type": "string"}},
        ],
        "responses": {
            "default": {"description": "What the plugin answers."},
            "400": text("The route is none."), "401": text("No credential, or one that does not verify."),
            "404": text("No running plugin has this route."), "502": text("The plugin failed."),
            "503": text("The plugin is being started again, or has too much to do."), "504": text("The plugin did not answer in time."),
        },
    })
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn parameters(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let (words, schema) = match name {
                "pluginId" => ("The plugin's id (T18).", json!({"type": "string", "pattern": PLUGIN_ID})),
                _ => ("Opaque.", json!({"type": "string", "minLength": 1})),
            };
            json!({"name": name, "in": "path", "required": true, "description": words, "schema": schema})
        })
        .collect()
}

/// Every parameter of a query that a route may name.
fn query(name: &str) -> Value {
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
        _ => ("The capability.", json!({"type": "string"})),
    };
    let required = name == "capability";
    json!({"name": name, "in": "query", "required": required, "description": words, "schema": schema})
}

#[cfg(test)]
mod tests {
    use super::{SCHEMAS, extend};
    use serde_json::{Map, Value, json};

    #[test]
    fn every_schema_that_is_named_is_there() {
        let schemas: Map<String, Value> = serde_json::from_str(SCHEMAS).expect("JSON");
        let mut document = json!({"paths": {"/api/audit": {"get": {"parameters": []}}}, "components": {"schemas": {"Error": {}, "AnyObject": {}}}});
        extend(&mut document);
        let text = document.to_string();
        let named = text
            .split("#/components/schemas/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next());
        let mut count = 0;
        for name in named {
            assert!(
                document["components"]["schemas"].get(name).is_some(),
                "{name}"
            );
            count += 1;
        }
        assert!(
            count > 100
                && schemas
                    .keys()
                    .all(|name| text.contains(&format!("#/components/schemas/{name}\""))),
            "none is left over"
        );
        assert_eq!(
            document["paths"]["/api/audit"]["get"]["parameters"]
                .as_array()
                .map(Vec::len),
            Some(2)
        );
    }
}
