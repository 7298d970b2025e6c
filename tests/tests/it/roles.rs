//! Permissions: every operation of the running host's OpenAPI document is called with every role,
//! and the answer must be what its `x-permission` says. An operation without `x-permission` fails
//! the test.

use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};
use tests::{
    host::{Host, SERVICE_CREDENTIAL, Settings},
    http::{Request, Response},
    root,
};

/// A word in every text of a private server; no refusal may contain it.
const SECRET: &str = "zebrafinch";

/// How to call an operation; see tests/cases/roles/README.md.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asking {
    path: BTreeMap<String, String>,
    query: String,
    body: Option<Value>,
    instead: BTreeMap<String, u16>,
}

/// All callers. `foreign` presents a token of another host, `forged` a text that is no token.
const EVERYBODY: [&str; 10] = [
    "anonymous",
    "forged",
    "foreign",
    "stranger",
    "member",
    "warden",
    "manager",
    "owner",
    "admin",
    "service",
];

/// An operation as the document describes it.
struct Operation {
    id: String,
    method: String,
    path: String,
    permission: String,
    success: u16,
    documented: Vec<u16>,
}

/// All operations that the running host documents.
fn operations(host: &Host) -> Vec<Operation> {
    let document = host.get("/api/openapi.json").expect(200).json();
    let mut all = Vec::new();
    // `plugin-api` tests its own operations the same way.
    let of_plugins = |path: &str| {
        [
            "/api/plugins",
            "/api/consents",
            "/api/capabilities",
            "/api/tools",
            "/api/hooks",
        ]
        .iter()
        .any(|prefix| path.starts_with(prefix))
    };
    for (path, methods) in document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .filter(|(path, _)| !of_plugins(path))
    {
        for (method, operation) in methods.as_object().expect("methods") {
            let id = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{method} {path} has no operationId"));
            let permission = operation["x-permission"]
                .as_str()
                .unwrap_or_else(|| panic!("{method} {path} states no x-permission"));
            let answers = operation["responses"].as_object().expect("responses");
            let documented: Vec<u16> = answers
                .keys()
                .map(|status| status.parse().expect("a status"))
                .collect();
            let success = documented
                .iter()
                .copied()
                .find(|status| (200..300).contains(status))
                .unwrap_or(410);
            let (id, method) = (id.to_owned(), method.to_uppercase());
            all.push(Operation {
                id,
                method,
                path: path.clone(),
                permission: permission.to_owned(),
                success,
                documented,
            });
        }
    }
    assert!(
        all.len() > 40,
        "the document is about {} operations only",
        all.len()
    );
    all
}

/// The status with which `who` is refused; `None` if allowed. An independent second statement of
/// the policy.
fn refusal(operation: &Operation, who: &str) -> Option<u16> {
    if operation.success == 410 {
        return None;
    }
    let inside = ["member", "warden", "manager", "owner", "admin"];
    let may: &[&str] = match operation.permission.as_str() {
        "none" => &[
            "anonymous",
            "stranger",
            "member",
            "warden",
            "manager",
            "owner",
            "admin",
        ],
        "identity" | "proof" | "createServers" => {
            &["stranger", "member", "warden", "manager", "owner", "admin"]
        }
        // The world is private.
        "view" | "member" => &inside,
        "manageMembers" => &inside[1..],
        "manageServer" => &inside[2..],
        "owner" => &inside[3..],
        "service" => &["service"],
        other => panic!(
            "{}: nothing is known of the permission {other}",
            operation.id
        ),
    };
    match who {
        _ if may.contains(&who) => None,
        "anonymous" => Some(401),
        // For the internal API it is a wrong credential, elsewhere a token that does not verify.
        "forged" | "foreign" | "service" if operation.permission != "service" => Some(401),
        _ => Some(403),
    }
}

/// A host, the credentials of its users, and how its operations are called.
struct Stage {
    host: Host,
    tokens: BTreeMap<&'static str, String>,
    asking: BTreeMap<String, Asking>,
    operations: Vec<Operation>,
}

/// A fresh server for each request that may change it.
struct World {
    server: String,
    invite: String,
}

impl Stage {
    fn new() -> Self {
        let host = Settings::new()
            .config("[rest]\nservers_per_owner = 100000\n")
            .start();
        let people = [
            "stranger", "member", "warden", "manager", "owner", "target", "banned", "asked",
        ];
        let mut tokens: BTreeMap<_, _> = people
            .into_iter()
            .map(|who| (who, host.token(who, "client")))
            .collect();
        tokens.insert("admin", host.token("admin", "admin"));
        tokens.insert("foreign", Host::start().token("owner", "admin"));
        tokens.insert(
            "forged",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJvd25lciIsInJvbGUiOiJhZG1pbiJ9.".into(),
        );
        tokens.insert("service", SERVICE_CREDENTIAL.into());
        let text =
            fs::read_to_string(root().join("tests/cases/roles/requests.json")).expect("the cases");
        let operations = operations(&host);
        Self {
            asking: serde_json::from_str(&text).expect("the form of the cases"),
            host,
            tokens,
            operations,
        }
    }

    fn send(&self, who: &str, method: &str, path: &str, body: Option<&Value>) -> Response {
        let mut request = Request::new(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        if who != "anonymous" {
            request = request.bearer(&self.tokens[who]);
        }
        self.host.send(&request)
    }

    /// An unused world.
    fn world(&self, name: &str) -> World {
        let server = format!("w-{name}");
        let owner = |method: &str, path: &str, body: Value| {
            let answer = self.send("owner", method, &format!("/api/servers{path}"), Some(&body));
            assert!(answer.status < 300, "{method} {path}: {}", answer.text());
            answer.json()
        };
        let at = format!("/{server}");
        owner(
            "POST",
            "",
            json!({"id": server, "name": SECRET, "description": SECRET, "private": true}),
        );
        let invite = owner("POST", &format!("{at}/invites"), json!({}))["code"]
            .as_str()
            .expect("a code")
            .to_owned();
        for who in ["member", "warden", "manager", "target"] {
            let body = json!({"invite": invite});
            let _ = self
                .send(who, "POST", &format!("/api/servers{at}/join"), Some(&body))
                .expect(200);
        }
        for (role, permissions) in [
            ("helper", json!([])),
            ("people", json!(["manageMembers"])),
            ("everything", json!(["manageServer"])),
        ] {
            owner(
                "PUT",
                &format!("{at}/roles/{role}"),
                json!({"name": SECRET, "permissions": permissions}),
            );
        }
        for (who, role) in [
            ("target", "helper"),
            ("warden", "people"),
            ("manager", "everything"),
        ] {
            owner(
                "PUT",
                &format!("{at}/members/{who}/roles/{role}"),
                json!({}),
            );
        }
        owner(
            "PUT",
            &format!("{at}/bans/banned"),
            json!({"reason": SECRET}),
        );
        owner(
            "PUT",
            &format!("{at}/plugins/x.y/requirement"),
            json!({"status": "required", "reason": SECRET}),
        );
        owner(
            "PUT",
            &format!("{at}/plugins/x.y/events/ping"),
            json!({"direction": "serverRelay", "scope": "server"}),
        );
        let _ = self
            .send(
                "asked",
                "POST",
                &format!("/api/servers{at}/join-requests"),
                Some(&json!({"message": SECRET})),
            )
            .expect(200);
        World { server, invite }
    }

    fn asking(&self, operation: &Operation) -> &Asking {
        self.asking.get(&operation.id).unwrap_or_else(|| {
            panic!(
                "tests/cases/roles/requests.json does not know {}",
                operation.id
            )
        })
    }

    /// The path of an operation in a world; `server` is the segment that names the server.
    fn path(&self, operation: &Operation, world: &World, server: &str) -> String {
        let asking = self.asking(operation);
        let parts = operation.path.split('/').map(|part| {
            let Some(name) = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'))
            else {
                return part.to_owned();
            };
            let usual = match name {
                "serverId" => server,
                "pluginId" => "x.y",
                "eventName" => "ping",
                "roleId" => "helper",
                "userId" => "target",
                "code" => &world.invite,
                "key" => "k",
                other => panic!(
                    "{}: nothing is known of the parameter {other}",
                    operation.id
                ),
            };
            asking
                .path
                .get(name)
                .map_or(usual, String::as_str)
                .to_owned()
        });
        parts.collect::<Vec<_>>().join("/") + &asking.query.replace("{{server}}", server)
    }

    fn body(&self, operation: &Operation, world: &World) -> Option<Value> {
        let text = self.asking(operation).body.as_ref()?.to_string();
        let fresh = format!("fresh-{}", world.server);
        let text = text
            .replace("{{server}}", &world.server)
            .replace("{{invite}}", &world.invite)
            .replace("{{fresh}}", &fresh);
        Some(serde_json::from_str(&text).expect("a body"))
    }

    fn ask(&self, who: &str, operation: &Operation, world: &World) -> Response {
        let path = self.path(operation, world, &world.server);
        self.send(
            who,
            &operation.method,
            &path,
            self.body(operation, world).as_ref(),
        )
    }

    /// The revision of the server, if it exists.
    fn revision(&self, world: &World) -> Option<u64> {
        self.send(
            "admin",
            "GET",
            &format!("/api/servers/{}", world.server),
            None,
        )
        .json()["revision"]
            .as_u64()
    }
}

#[test]
fn each_operation_enforces_its_permission() {
    let stage = Stage::new();
    for id in stage.asking.keys() {
        assert!(
            stage.operations.iter().any(|operation| operation.id == *id),
            "requests.json speaks of {id}, which does not exist"
        );
    }
    let shared = stage.world("shared");
    let before = stage.revision(&shared).expect("a server");
    let mut wrong = Vec::new();
    for operation in &stage.operations {
        for who in EVERYBODY {
            let told = format!("{} by {who} ({})", operation.id, operation.permission);
            if let Some(status) = refusal(operation, who) {
                let answer = stage.ask(who, operation, &shared);
                if answer.status != status || answer.text().contains(SECRET) {
                    wrong.push(format!(
                        "{told}: wanted {status}, got {} {}",
                        answer.status,
                        answer.text()
                    ));
                }
                continue;
            }
            let world = stage.world(&format!("{}-{who}", operation.id));
            let answer = stage.ask(who, operation, &world);
            let wanted = stage
                .asking(operation)
                .instead
                .get(who)
                .copied()
                .unwrap_or(operation.success);
            if answer.status != wanted || !operation.documented.contains(&answer.status) {
                wrong.push(format!(
                    "{told}: wanted {wanted}, got {} {}",
                    answer.status,
                    answer.text()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} verdicts are not as promised:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(
        stage.revision(&shared),
        Some(before),
        "refused requests have changed something"
    );
}

/// No operation that needs an identity tells an unknown caller whether a server exists.
#[test]
fn anonymous_callers_cannot_probe_for_servers() {
    let stage = Stage::new();
    let world = stage.world("hidden");
    for operation in stage
        .operations
        .iter()
        .filter(|operation| operation.path.contains("{serverId}"))
    {
        if operation.success == 410 || ["view", "service"].contains(&operation.permission.as_str())
        {
            continue;
        }
        let body = stage.body(operation, &world);
        let [there, nowhere] = [&world.server, "w-nowhere"].map(|server| {
            let answer = stage.send(
                "anonymous",
                &operation.method,
                &stage.path(operation, &world, server),
                body.as_ref(),
            );
            (answer.status, answer.text())
        });
        assert_eq!(there, nowhere, "{}", operation.id);
        assert_eq!(there.0, 401, "{}", operation.id);
    }
}

/// Other spellings of a server's id: the owner of a server whose id differs in case only reaches
/// nothing with them.
#[test]
fn a_server_id_has_one_spelling() {
    let stage = Stage::new();
    let world = stage.world("spelt");
    let own = world.server.to_uppercase();
    let _ = stage
        .send(
            "stranger",
            "POST",
            "/api/servers",
            Some(&json!({"id": own, "name": "Own"})),
        )
        .expect(201);
    let server = &world.server;
    let escaped: String = server.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let spellings = [
        format!("{own}%2F..%2F{server}"),
        format!("{own}/../{server}"),
        format!("{own}%2f%2e%2e%2f{server}"),
        format!("..%2Fservers%2F{server}"),
        format!("./{server}"),
        format!("/{server}"),
        format!("{server}%00"),
        format!("{server}%00{own}"),
        format!("{own}%00{server}"),
        format!("{server}%20"),
        format!("{server};{own}"),
        format!("{server},{own}"),
        format!("{escaped}%2f"),
        format!("%25{}", &escaped[1..]),
        format!("{server}\\..\\{own}"),
        escaped,
    ];
    let before = stage.revision(&world).expect("a server");
    for operation in stage
        .operations
        .iter()
        .filter(|operation| operation.path.contains("{serverId}") && operation.success != 410)
    {
        // Joining with the invite is allowed in every spelling.
        if operation.id == "joinServer" || operation.id == "createJoinRequest" {
            continue;
        }
        for spelling in &spellings {
            let path = stage.path(operation, &world, spelling);
            let answer = stage.send(
                "stranger",
                &operation.method,
                &path,
                stage.body(operation, &world).as_ref(),
            );
            assert!(
                (400..500).contains(&answer.status),
                "{} {path}: {} {}",
                operation.method,
                answer.status,
                answer.text()
            );
            assert!(!answer.text().contains(SECRET), "{path}: {}", answer.text());
        }
    }
    assert_eq!(
        stage.revision(&world),
        Some(before),
        "another owner's server was changed"
    );
}

/// Headers and parameters that some frameworks read as the method.
#[test]
fn the_method_cannot_be_overridden() {
    let stage = Stage::new();
    let world = stage.world("overridden");
    let before = stage.revision(&world);
    for operation in stage
        .operations
        .iter()
        .filter(|operation| operation.method == "GET" && operation.permission != "service")
    {
        let path = stage.path(operation, &world, &world.server);
        let plain = stage.send("owner", "GET", &path, None).status;
        for header in [
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
        ] {
            for method in ["DELETE", "PUT", "PATCH"] {
                let request = Request::new("GET", &path)
                    .bearer(&stage.tokens["owner"])
                    .header(header, method);
                assert_eq!(
                    stage.host.send(&request).status,
                    plain,
                    "GET {path} with {header}: {method}"
                );
            }
        }
        let join = if path.contains('?') { '&' } else { '?' };
        let answer = stage.send("owner", "GET", &format!("{path}{join}_method=DELETE"), None);
        assert_eq!(
            answer.status,
            plain,
            "GET {path} with _method=DELETE: {}",
            answer.text()
        );
    }
    for header in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ] {
        let path = format!("/api/servers/{}", world.server);
        let request = Request::new("POST", &path)
            .bearer(&stage.tokens["owner"])
            .header(header, "DELETE")
            .json(&json!({}));
        let _ = stage.host.send(&request).expect(405);
    }
    assert_eq!(stage.revision(&world), before, "a method was overridden");
}

/// Routes that the host answers itself, which no document of the directory lists.
#[test]
fn the_routes_of_the_host_need_credentials_too() {
    let stage = Stage::new();
    for who in EVERYBODY {
        let connections = match who {
            "admin" => 200,
            "anonymous" | "forged" | "foreign" | "service" => 401,
            _ => 403,
        };
        let _ = stage
            .send(who, "GET", "/api/connections", None)
            .expect(connections);
        let wake = if who == "service" { 200 } else { 401 };
        let _ = stage
            .send(who, "POST", "/internal/wake", Some(&json!({"seq": 0})))
            .expect(wake);
        for path in ["/", "/healthz", "/readyz", "/metrics", "/limits"] {
            let _ = stage.send(who, "GET", path, None).expect(200);
            let _ = stage.send(who, "DELETE", path, None).expect(405);
        }
    }
}
