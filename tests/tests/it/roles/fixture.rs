//! The operations of the document, the callers, and a private server for each request.

use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};
use tests::{
    host::{Host, SERVICE_CREDENTIAL, Settings},
    http::{Request, Response},
    root,
};

/// A word in every text of a private server; no refusal may contain it.
pub(super) const SECRET: &str = "zebrafinch";

/// How to call an operation; see tests/cases/roles/README.md.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asking {
    pub(super) path: BTreeMap<String, String>,
    pub(super) query: String,
    pub(super) body: Option<Value>,
    pub(super) instead: BTreeMap<String, u16>,
}

/// All callers. `foreign` presents a token of another host, `forged` a text that is no token.
pub(super) const CALLERS: [&str; 10] = [
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
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) permission: String,
    pub(super) success: u16,
    pub(super) documented: Vec<u16>,
}

/// All operations that the running host documents.
pub(super) fn operations(host: &Host) -> Vec<Operation> {
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
pub(super) fn refusal(operation: &Operation, who: &str) -> Option<u16> {
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
pub(super) struct Fixture {
    pub(super) host: Host,
    pub(super) tokens: BTreeMap<&'static str, String>,
    pub(super) asking: BTreeMap<String, Asking>,
    pub(super) operations: Vec<Operation>,
}

/// A fresh server for each request that may change it.
pub(super) struct World {
    pub(super) server: String,
    pub(super) invite: String,
}

impl Fixture {
    pub(super) fn new() -> Self {
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

    pub(super) fn send(
        &self,
        who: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Response {
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
    pub(super) fn world(&self, name: &str) -> World {
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

    pub(super) fn asking(&self, operation: &Operation) -> &Asking {
        self.asking.get(&operation.id).unwrap_or_else(|| {
            panic!(
                "tests/cases/roles/requests.json does not know {}",
                operation.id
            )
        })
    }

    /// The path of an operation in a world; `server` is the segment that names the server.
    pub(super) fn path(&self, operation: &Operation, world: &World, server: &str) -> String {
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

    pub(super) fn body(&self, operation: &Operation, world: &World) -> Option<Value> {
        let text = self.asking(operation).body.as_ref()?.to_string();
        let fresh = format!("fresh-{}", world.server);
        let text = text
            .replace("{{server}}", &world.server)
            .replace("{{invite}}", &world.invite)
            .replace("{{fresh}}", &fresh);
        Some(serde_json::from_str(&text).expect("a body"))
    }

    pub(super) fn ask(&self, who: &str, operation: &Operation, world: &World) -> Response {
        let path = self.path(operation, world, &world.server);
        self.send(
            who,
            &operation.method,
            &path,
            self.body(operation, world).as_ref(),
        )
    }

    /// The revision of the server, if it exists.
    pub(super) fn revision(&self, world: &World) -> Option<u64> {
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
