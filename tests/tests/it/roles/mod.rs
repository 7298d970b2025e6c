//! Permissions: every operation of the running host's OpenAPI document is called with every role,
//! and the answer must be what its `x-permission` says. An operation without `x-permission` fails
//! the test.
mod fixture;

use fixture::{CALLERS, Fixture, SECRET, refusal};
use serde_json::json;
use tests::http::Request;

#[test]
fn each_operation_enforces_its_permission() {
    let fixture = Fixture::new();
    for id in fixture.asking.keys() {
        assert!(
            fixture
                .operations
                .iter()
                .any(|operation| operation.id == *id),
            "requests.json speaks of {id}, which does not exist"
        );
    }
    let shared = fixture.world("shared");
    let before = fixture.revision(&shared).expect("a server");
    let mut wrong = Vec::new();
    for operation in &fixture.operations {
        for who in CALLERS {
            let told = format!("{} by {who} ({})", operation.id, operation.permission);
            if let Some(status) = refusal(operation, who) {
                let answer = fixture.ask(who, operation, &shared);
                if answer.status != status || answer.text().contains(SECRET) {
                    wrong.push(format!(
                        "{told}: wanted {status}, got {} {}",
                        answer.status,
                        answer.text()
                    ));
                }
                continue;
            }
            let world = fixture.world(&format!("{}-{who}", operation.id));
            let answer = fixture.ask(who, operation, &world);
            let wanted = fixture
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
        fixture.revision(&shared),
        Some(before),
        "refused requests have changed something"
    );
}

/// No operation that needs an identity tells an unknown caller whether a server exists.
#[test]
fn anonymous_callers_cannot_probe_for_servers() {
    let fixture = Fixture::new();
    let world = fixture.world("hidden");
    for operation in fixture
        .operations
        .iter()
        .filter(|operation| operation.path.contains("{serverId}"))
    {
        if operation.success == 410 || ["view", "service"].contains(&operation.permission.as_str())
        {
            continue;
        }
        let body = fixture.body(operation, &world);
        let [there, nowhere] = [&world.server, "w-nowhere"].map(|server| {
            let answer = fixture.send(
                "anonymous",
                &operation.method,
                &fixture.path(operation, &world, server),
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
    let fixture = Fixture::new();
    let world = fixture.world("spelt");
    let own = world.server.to_uppercase();
    let _ = fixture
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
    let before = fixture.revision(&world).expect("a server");
    for operation in fixture
        .operations
        .iter()
        .filter(|operation| operation.path.contains("{serverId}") && operation.success != 410)
    {
        // Joining with the invite is allowed in every spelling.
        if operation.id == "joinServer" || operation.id == "createJoinRequest" {
            continue;
        }
        for spelling in &spellings {
            let path = fixture.path(operation, &world, spelling);
            let answer = fixture.send(
                "stranger",
                &operation.method,
                &path,
                fixture.body(operation, &world).as_ref(),
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
        fixture.revision(&world),
        Some(before),
        "another owner's server was changed"
    );
}

/// Headers and parameters that some frameworks read as the method.
#[test]
fn the_method_cannot_be_overridden() {
    let fixture = Fixture::new();
    let world = fixture.world("overridden");
    let before = fixture.revision(&world);
    for operation in fixture
        .operations
        .iter()
        .filter(|operation| operation.method == "GET" && operation.permission != "service")
    {
        let path = fixture.path(operation, &world, &world.server);
        let plain = fixture.send("owner", "GET", &path, None).status;
        for header in [
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
        ] {
            for method in ["DELETE", "PUT", "PATCH"] {
                let request = Request::new("GET", &path)
                    .bearer(&fixture.tokens["owner"])
                    .header(header, method);
                assert_eq!(
                    fixture.host.send(&request).status,
                    plain,
                    "GET {path} with {header}: {method}"
                );
            }
        }
        let join = if path.contains('?') { '&' } else { '?' };
        let answer = fixture.send("owner", "GET", &format!("{path}{join}_method=DELETE"), None);
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
            .bearer(&fixture.tokens["owner"])
            .header(header, "DELETE")
            .json(&json!({}));
        let _ = fixture.host.send(&request).expect(405);
    }
    assert_eq!(fixture.revision(&world), before, "a method was overridden");
}

/// Routes that the host answers itself, which no document of the directory lists.
#[test]
fn the_routes_of_the_host_need_credentials_too() {
    let fixture = Fixture::new();
    for who in CALLERS {
        let connections = match who {
            "admin" => 200,
            "anonymous" | "forged" | "foreign" | "service" => 401,
            _ => 403,
        };
        let _ = fixture
            .send(who, "GET", "/api/connections", None)
            .expect(connections);
        let wake = if who == "service" { 200 } else { 401 };
        let _ = fixture
            .send(who, "POST", "/internal/wake", Some(&json!({"seq": 0})))
            .expect(wake);
        for path in ["/", "/healthz", "/readyz", "/metrics", "/limits"] {
            let _ = fixture.send(who, "GET", path, None).expect(200);
            let _ = fixture.send(who, "DELETE", path, None).expect(405);
        }
    }
}
