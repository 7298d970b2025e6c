//! The OpenAPI document of the directory. Schemas of bodies and answers stand in `schemas.json` beside this file.

use super::{Needs, Query, ROUTES, Route};
use crate::permission::Action;
use limits::{
    directory::{AUDIT_PAGE_MAX, CHANGES_PAGE_MAX, KNOWN_USERS_PAGE_MAX},
    rest::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX},
};
use rest::openapi::{Document, Operation, Parameter, Response, placeholders};
use serde_json::{Value, json};

const SCHEMAS: &str = include_str!("schemas.json");

/// The methods that plugin data answers with `410`: all.
const ALL_METHODS: [(&str, &str); 8] = [
    ("GET", "get"),
    ("PUT", "put"),
    ("POST", "post"),
    ("PATCH", "patch"),
    ("DELETE", "delete"),
    ("HEAD", "head"),
    ("OPTIONS", "options"),
    ("TRACE", "trace"),
];

const PLUGIN_DATA: &str = "/api/servers/{serverId}/plugins/{pluginId}/data/{key}";
const SERVER_ID: &str = "^[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}$";
/// No control characters, no white space at the ends.
const USER_ID: &str = "^[^\\s\\u0000-\\u001f\\u007f-\\u009f]([^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f])?$";

/// The document of the directory's own routes.
#[must_use]
pub fn document() -> Document {
    let gone = ALL_METHODS
        .into_iter()
        .map(|(method, verb)| plugin_data(method, format!("{verb}PluginData")));
    Document::new(
        "Jackfield server directory",
        "Servers, their plugin requirements and people. Errors are `{\"error\",\"code\",…}`; a change answers 200 with JSON.",
        env!("CARGO_PKG_VERSION"),
    )
    .operations(ROUTES.0.iter().map(operation))
    .operations(gone)
    .schemas(serde_json::from_str(SCHEMAS).unwrap_or_default())
    .bearer(
        "token",
        "JSON Web Token: `sub` is the identity, `role` may be `admin`.",
    )
    .bearer("service", "The service credential of gateways.")
}

fn operation(route: &Route) -> Operation {
    Operation {
        method: route.method,
        path: route.path,
        id: route.id.to_owned(),
        summary: route.summary,
        permission: route.needs.as_str(),
        security: match route.needs {
            Needs::Service => &["service"],
            Needs::Nothing | Needs::On(Action::View) => &["", "token"],
            _ => &["token"],
        },
        parameters: path_parameters(route.path)
            .chain(query_parameters(route.query))
            .collect(),
        body: route.body.map(|body| (body, route.body_required())),
        responses: responses(route),
    }
}

fn plugin_data(method: &'static str, id: String) -> Operation {
    Operation {
        method,
        path: PLUGIN_DATA,
        id,
        summary: "Plugin data is not stored on this server.",
        permission: Needs::Nothing.as_str(),
        security: &[],
        parameters: path_parameters(PLUGIN_DATA).collect(),
        body: None,
        responses: vec![
            Response::error(410, "Gone, for every method."),
            Response::error(400, "The path is not percent-encoded UTF-8."),
        ],
    }
}

fn responses(route: &Route) -> Vec<Response> {
    let error = Response::error;
    let mut all = vec![
        Response::json(route.status, "Done.", route.answer),
        error(
            400,
            "Something in the path, the query or the body breaks a rule; `violations` lists what.",
        ),
        error(401, "No identity, or a token that does not verify."),
        error(403, "Not with this identity."),
        error(404, "There is no such thing."),
        error(503, "A part that this needs is missing or does not answer."),
    ];
    if route.method != "GET" {
        all.extend([
            error(408, "The body did not arrive in time."),
            error(409, "It contradicts what there is, or a limit is reached."),
            error(412, "`If-Match` names another revision."),
            error(413, "The body is too large."),
            error(415, "The body is not `application/json`."),
            error(429, "Too many attempts, or changes of one server."),
        ]);
    }
    if route.id == "putEvent" {
        all.push(error(422, "The schema cannot be compiled."));
    }
    if route.method == "GET"
        && (route.path.ends_with("{serverId}") || route.path.ends_with("/plugins"))
    {
        all.push(Response::empty(
            304,
            "Unchanged since the revision that `If-None-Match` names.",
        ));
    }
    if route.id == "getOpenApi" {
        all.push(Response::empty(
            304,
            "Unchanged since the entity tag that `If-None-Match` names.",
        ));
    }
    all
}

fn path_parameters(path: &'static str) -> impl Iterator<Item = Parameter> {
    placeholders(path).map(|name| {
        let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
        match name {
            "serverId" => Parameter::path(name, "The server's id.", text(SERVER_ID)),
            "pluginId" => Parameter::path(
                name,
                "The plugin's id.",
                text("^[a-z0-9][a-z0-9.-]{1,126}[a-z0-9]$"),
            ),
            "eventName" => Parameter::path(
                name,
                "The event's name.",
                text("^[a-z][a-z0-9.:-]{1,126}[a-z0-9]$"),
            ),
            "roleId" => Parameter::path(name, "The role's id.", text("^[a-z0-9._-]{1,64}$")),
            "userId" => Parameter::path(
                name,
                "The identity.",
                json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": USER_ID}),
            ),
            _ => Parameter::path(name, "Opaque.", json!({"type": "string", "minLength": 1})),
        }
    })
}

fn query_parameters(query: Query) -> Vec<Parameter> {
    let limit = |default: usize, max: usize| {
        let schema = json!({"type": "integer", "minimum": 1, "maximum": max, "default": default});
        Parameter::query("limit", "Items of one page.", schema)
    };
    let flag = |name, description| {
        Parameter::query(
            name,
            description,
            json!({"type": "boolean", "default": false}),
        )
    };
    let after = || {
        let schema = json!({"type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"});
        Parameter::query("after", "`next` of the page before.", schema)
    };
    let position = |name, description| {
        let schema: Value = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
        Parameter::query(name, description, schema)
    };
    match query {
        Query::None => Vec::new(),
        Query::Page => vec![limit(PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX), after()],
        Query::Servers => vec![
            limit(PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX),
            after(),
            flag("mine", "Only servers of which the caller is a member."),
        ],
        Query::Cascade => vec![flag(
            "cascade",
            "Remove the plugin's event definitions too.",
        )],
        Query::Audit => vec![
            Parameter::query(
                "server",
                "Only this server.",
                json!({"type": "string", "pattern": SERVER_ID}),
            ),
            position("before", "`next` of the page before."),
            limit(PAGE_ITEMS_DEFAULT, AUDIT_PAGE_MAX),
        ],
        Query::Changes => vec![
            position("after", "The last position that is known."),
            limit(CHANGES_PAGE_MAX, CHANGES_PAGE_MAX),
        ],
        Query::KnownPlugins => vec![position(
            "pluginsRevision",
            "`pluginsRevision` of the requirements and event definitions that the gateway has.",
        )],
        Query::KnownUsers => vec![after(), limit(KNOWN_USERS_PAGE_MAX, KNOWN_USERS_PAGE_MAX)],
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
