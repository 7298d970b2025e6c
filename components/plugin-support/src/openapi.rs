//! The OpenAPI 3.1 document (T51), made from the table of routes. Every operation states its permission as `x-permission` and every status it
//! answers with; the schemas of bodies and answers stand in `schemas.json` beside this file.

use crate::route::{Needs, Query, ROUTES, Route};
use limits::{
    directory::{AUDIT_PAGE_MAX, CHANGES_PAGE_MAX, KNOWN_USERS_PAGE_MAX},
    rest::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX},
};
use serde_json::{Value, json};
use utoipa::openapi::{
    ComponentsBuilder, Content, HttpMethod, InfoBuilder, LicenseBuilder, OpenApiBuilder, Paths,
    Ref, RefOr, Required, Response, ResponseBuilder, Schema,
    extensions::ExtensionsBuilder,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

const SCHEMAS: &str = include_str!("schemas.json");

/// Plugin data answers every method alike, so every method is documented.
const GONE: &[(HttpMethod, &str)] = &[
    (HttpMethod::Get, "get"),
    (HttpMethod::Put, "put"),
    (HttpMethod::Post, "post"),
    (HttpMethod::Patch, "patch"),
    (HttpMethod::Delete, "delete"),
    (HttpMethod::Head, "head"),
    (HttpMethod::Options, "options"),
    (HttpMethod::Trace, "trace"),
];

const SERVER_ID: &str = "^[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}$";
/// No control characters, no white space at the ends.
const USER_ID: &str = "^[^\\s\\u0000-\\u001f\\u007f-\\u009f]([^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f])?$";

/// The document as JSON text.
pub(crate) fn document() -> String {
    let mut paths = Paths::new();
    for route in ROUTES {
        if let Some(method) = method(route.method) {
            paths.add_path_operation(route.path, vec![method], operation(route));
        }
    }
    let data = "/api/servers/{serverId}/plugins/{pluginId}/data/{key}";
    for (method, verb) in GONE {
        paths.add_path_operation(
            data,
            vec![method.clone()],
            gone(&format!("{verb}PluginData")),
        );
    }
    let bearer = |text: &str| {
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(text))
                .build(),
        )
    };
    let components = ComponentsBuilder::new()
        .security_scheme(
            "token",
            bearer("JSON Web Token: `sub` is the identity, `role` may be `admin`."),
        )
        .security_scheme("service", bearer("The service credential of gateways."))
        .build();
    let info = InfoBuilder::new()
        .title("Jackfield server directory")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Servers, their plugin requirements and people. Errors are `{\"error\",\"code\",…}`; a change answers 200 with JSON.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let document = OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components))
        .build();
    let mut document = serde_json::to_value(&document).unwrap_or_default();
    document["components"]["schemas"] = serde_json::from_str(SCHEMAS).unwrap_or_default();
    document.to_string()
}

fn method(text: &str) -> Option<HttpMethod> {
    Some(match text {
        "GET" => HttpMethod::Get,
        "PUT" => HttpMethod::Put,
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => return None,
    })
}

fn operation(route: &Route) -> Operation {
    let tag = route
        .path
        .split('/')
        .nth(2)
        .unwrap_or_default()
        .trim_end_matches(".json");
    let mut operation = OperationBuilder::new()
        .operation_id(Some(route.id))
        .summary(Some(route.summary))
        .tag(tag)
        .extensions(Some(
            ExtensionsBuilder::new()
                .add("x-permission", route.needs.as_str())
                .build(),
        ))
        .parameters(Some(
            path_parameters(route.path)
                .into_iter()
                .chain(query_parameters(route.query)),
        ))
        .response(route.status.to_string(), content("Done.", route.answer));
    for (status, words) in refusals(route) {
        operation = operation.response(status, content(words, "Error"));
    }
    if route.method == "GET"
        && (route.path.ends_with("{serverId}") || route.path.ends_with("/plugins"))
    {
        operation = operation.response(
            "304",
            Response::new("Unchanged since the revision that `If-None-Match` names."),
        );
    }
    if let Some(body) = route.body {
        let content = Content::new(Some(reference(body)));
        let required = if route.body_required() {
            Required::True
        } else {
            Required::False
        };
        operation = operation.request_body(Some(
            RequestBodyBuilder::new()
                .content("application/json", content)
                .required(Some(required))
                .build(),
        ));
    }
    let none: [String; 0] = [];
    operation = match route.needs {
        Needs::Service => operation.security(SecurityRequirement::new("service", none)),
        Needs::Nothing | Needs::On(directory::permission::Action::View) => operation
            .security(SecurityRequirement::default())
            .security(SecurityRequirement::new("token", none)),
        _ => operation.security(SecurityRequirement::new("token", none)),
    };
    operation.build()
}

/// Plugin data is gone for everybody (T46).
fn gone(id: &str) -> Operation {
    OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some("Plugin data is not stored on this server (T46)."))
        .tag("servers")
        .extensions(Some(
            ExtensionsBuilder::new()
                .add("x-permission", Needs::Nothing.as_str())
                .build(),
        ))
        .parameters(Some(path_parameters("/{serverId}/{pluginId}/{key}")))
        .response("410", content("Gone, for every method.", "Error"))
        .response(
            "400",
            content("The path is not percent-encoded UTF-8.", "Error"),
        )
        .build()
}

fn refusals(route: &Route) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        (
            "400",
            "Something in the path, the query or the body breaks a rule; `violations` lists what.",
        ),
        ("401", "No identity, or a token that does not verify."),
        ("403", "Not with this identity."),
        ("404", "There is no such thing."),
        (
            "503",
            "A part that this needs is missing or does not answer.",
        ),
    ];
    if route.method != "GET" {
        all.extend([
            ("408", "The body did not arrive in time."),
            (
                "409",
                "It contradicts what there is, or a limit is reached.",
            ),
            ("412", "`If-Match` names another revision."),
            ("413", "The body is too large."),
            ("415", "The body is not `application/json`."),
            ("429", "Too many attempts."),
        ]);
    }
    if route.id == "putEvent" {
        all.push(("422", "The schema cannot be compiled."));
    }
    all
}

fn content(words: &str, schema: &str) -> Response {
    ResponseBuilder::new()
        .description(words)
        .content("application/json", Content::new(Some(reference(schema))))
        .build()
}

fn reference(schema: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(schema))
}

fn parameter(name: &str, place: ParameterIn, words: &str, schema: Value) -> Parameter {
    let required = if matches!(place, ParameterIn::Path) {
        Required::True
    } else {
        Required::False
    };
    let schema: Option<RefOr<Schema>> = serde_json::from_value(schema).ok();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(words))
        .schema(schema)
        .build()
}

fn path_parameters(path: &str) -> Vec<Parameter> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let (words, schema) = match name {
                "serverId" => (
                    "The server's id.",
                    json!({"type": "string", "pattern": SERVER_ID}),
                ),
                "pluginId" => (
                    "The plugin's id (T18).",
                    json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9.-]{1,126}[a-z0-9]$"}),
                ),
                "eventName" => (
                    "The event's name (T19).",
                    json!({"type": "string", "pattern": "^[a-z][a-z0-9.:-]{1,126}[a-z0-9]$"}),
                ),
                "roleId" => (
                    "The role's id.",
                    json!({"type": "string", "pattern": "^[a-z0-9._-]{1,64}$"}),
                ),
                "userId" => (
                    "The identity.",
                    json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": USER_ID}),
                ),
                _ => ("Opaque.", json!({"type": "string", "minLength": 1})),
            };
            parameter(name, ParameterIn::Path, words, schema)
        })
        .collect()
}

fn query_parameters(query: Query) -> Vec<Parameter> {
    let limit = |default: usize, max: usize| {
        parameter(
            "limit",
            ParameterIn::Query,
            "Items of one page.",
            json!({"type": "integer", "minimum": 1, "maximum": max, "default": default}),
        )
    };
    let flag = |name: &str, words: &str| {
        parameter(
            name,
            ParameterIn::Query,
            words,
            json!({"type": "boolean", "default": false}),
        )
    };
    let after = || {
        parameter(
            "after",
            ParameterIn::Query,
            "`next` of the page before.",
            json!({"type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"}),
        )
    };
    let seq = |name: &str, words: &str| {
        parameter(
            name,
            ParameterIn::Query,
            words,
            json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}),
        )
    };
    match query {
        Query::None => Vec::new(),
        Query::Page => vec![limit(PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX), after()],
        Query::Servers => {
            vec![
                limit(PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX),
                after(),
                flag("mine", "Only servers of which the caller is a member."),
            ]
        }
        Query::Cascade => vec![flag(
            "cascade",
            "Remove the plugin's event definitions too.",
        )],
        Query::Audit => vec![
            parameter(
                "server",
                ParameterIn::Query,
                "Only this server.",
                json!({"type": "string", "pattern": SERVER_ID}),
            ),
            seq("before", "`next` of the page before."),
            limit(PAGE_ITEMS_DEFAULT, AUDIT_PAGE_MAX),
        ],
        Query::Changes => vec![
            seq("after", "The last position that is known."),
            limit(CHANGES_PAGE_MAX, CHANGES_PAGE_MAX),
        ],
        Query::Noted => vec![after(), limit(KNOWN_USERS_PAGE_MAX, KNOWN_USERS_PAGE_MAX)],
    }
}
