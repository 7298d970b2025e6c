//! Installing, reloading, disabling and removing plugins.

use serde_json::{Value, json};
use std::fs;
use tests::{http::Request, plugins::Directory};

#[test]
fn a_plugin_in_the_folder_runs_and_answers_on_its_route() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let host = directory.settings().start();
    let about = host.plugin_in("tests.probe", "loaded");
    assert_eq!(
        (&about["enabled"], &about["running"], &about["health"]),
        (&json!(true), &json!(true), &json!("healthy"))
    );
    let request = Request::new("PATCH", "/api/plugins/route/probe/request?a=1&b=%20x")
        .bearer(&host.token("alice", "client"));
    let seen = host.send(&Request {
        body: Some(b"hi".to_vec()),
        ..request
            .header("x-mine", "1")
            .header("cookie", "secret")
            .header("connection", "x-hop")
            .header("x-hop", "of-this-connection")
    });
    let seen = seen.expect(200).json();
    assert_eq!(
        (&seen["method"], &seen["path"], &seen["query"]),
        (&json!("PATCH"), &json!("/request"), &json!("a=1&b=%20x")),
        "method, path and query reach the plugin"
    );
    assert_eq!(
        (&seen["user"], &seen["role"], &seen["body"]),
        (&json!("alice"), &json!("client"), &json!("hi"))
    );
    let headers = seen["headers"].to_string();
    assert!(
        headers.contains("x-mine") && !headers.contains("secret") && !headers.contains("Bearer"),
        "credentials stay here: {headers}"
    );
    assert!(!headers.contains("of-this-connection"), "{headers}");
    assert_eq!(
        host.ask_plugin("GET", "/probe/status/418", b"").status,
        418,
        "the plugin's status is passed on"
    );
    assert_eq!(
        host.ask_plugin("GET", "/probe", b"").status,
        502,
        "an error of the plugin is a 502"
    );
    let metrics = host.get("/metrics").expect(200).text();
    let of = |name: &str| {
        let line = metrics.lines().find_map(|line| {
            line.strip_prefix(&format!("jackfield_{name}{{plugin=\"tests.probe\"}} "))
        });
        line.unwrap_or_else(|| panic!("{name}: {metrics}"))
            .parse::<u64>()
            .expect("a number")
    };
    assert!(
        of("plugin_calls_total") >= 3 && of("plugin_busy_nanoseconds_total") > 0,
        "{metrics}"
    );
    assert_eq!(
        (
            of("plugin_instances"),
            of("plugin_crashes_total"),
            of("plugin_turned_away_total")
        ),
        (1, 0, 0)
    );
}

/// An answer of a plugin speaks for itself, not for the host's origin or to a proxy in front.
#[test]
fn an_answer_has_the_headers_of_an_answer_only() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    let ask = |path: &str| host.ask_plugin("GET", &format!("/probe/header/{path}"), b"");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("location", "elsewhere"),
        ("x-plugin-mood", "fine"),
    ] {
        let answer = ask(&format!("{name}/{value}")).expect(200);
        assert_eq!(answer.header(name), Some(value));
        assert_eq!(answer.header("content-security-policy"), Some("sandbox"));
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            Some("same-origin")
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let answer = ask("connection/close").expect(200);
    assert_eq!(answer.text(), "with a header");
    for name in [
        "access-control-allow-origin",
        "set-cookie",
        "clear-site-data",
        "strict-transport-security",
        "service-worker-allowed",
        "refresh",
        "link",
        "content-security-policy",
        "x-accel-redirect",
    ] {
        let answer = ask(&format!("{name}/x")).expect(502);
        let body = answer.json();
        assert_eq!(body["code"], "PLUGIN_FAILED");
        let text = body["error"].as_str().unwrap_or_default();
        assert!(text.contains(name), "{name}: {text}");
    }
    let answer = ask("cache-control/no-store").expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}

#[test]
fn routes_need_credentials_and_valid_paths() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    assert_eq!(
        host.get("/api/plugins/route/probe/request").status,
        401,
        "a route needs credentials"
    );
    assert_eq!(host.get("/api/plugins").status, 401);
    assert_eq!(
        host.ask_plugin("GET", "/nobody/x", b"").status,
        404,
        "no plugin has this route"
    );
    for path in ["/..%2Fx/", "/%2e%2e/x"] {
        assert_eq!(
            host.ask_plugin("GET", path, b"").status,
            400,
            "a segment with two dots is accepted: {path}"
        );
    }
    let client = Request::new("POST", "/api/plugins/tests.probe/disable")
        .bearer(&host.token("alice", "client"));
    assert_eq!(
        host.send(&client).status,
        403,
        "a client may not disable a plugin"
    );
    assert_eq!(
        host.ask_plugin("GET", "/probe/status/418", b"").status,
        418,
        "it was not disabled"
    );
}

#[test]
fn bodies_stream_both_ways() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let answer = host.ask_plugin("POST", "/probe/stream", &body).expect(200);
    assert!(answer.body == body, "three megabytes came back changed");
}

#[test]
fn disabling_removes_routes_and_survives_a_restart() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let data = tempfile::tempdir().unwrap();
    let host = directory.settings().data(data.path()).start();
    host.plugin_in("tests.probe", "loaded");
    let _ = host
        .admin("POST", "/api/plugins/tests.probe/disable", &Value::Null)
        .expect(200);
    assert_eq!(
        host.ask_plugin("GET", "/probe/request", b"").status,
        404,
        "the route of a disabled plugin is gone"
    );
    assert_eq!(
        host.admin("GET", "/api/plugins/tests.probe", &Value::Null)
            .json()["enabled"],
        false
    );
    assert!(
        host.admin("GET", "/api/plugins/tests.probe/logs", &Value::Null)
            .text()
            .contains("deactivate"),
        "the plugin must be deactivated before it is unloaded"
    );
    host.kill();
    let host = directory.settings().data(data.path()).start();
    let about = host.plugin_in("tests.probe", "disabled");
    assert_eq!(
        about["enabled"], false,
        "a disabled plugin stays listed and disabled after a restart"
    );
    let _ = host
        .admin("POST", "/api/plugins/tests.probe/enable", &Value::Null)
        .expect(200);
    host.plugin_in("tests.probe", "loaded");
    assert_eq!(
        host.ask_plugin("GET", "/probe/status/418", b"").status,
        418,
        "an enabled plugin answers again"
    );
}

/// `.metadata/config.json` says which plugins are enabled; edits of the file take effect.
#[test]
fn the_enabled_file_is_written_and_followed() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    directory.install("polls", |_| {});
    let data = tempfile::tempdir().unwrap();
    let file = directory.path().join(".metadata/config.json");
    let host = directory.settings().data(data.path()).start();
    host.plugin_in("tests.probe", "loaded");
    assert!(!file.exists(), "absent means enabled");
    let _ = host
        .admin("POST", "/api/plugins/tests.probe/disable", &Value::Null)
        .expect(200);
    let said = |file: &std::path::Path| {
        serde_json::from_str::<Value>(&fs::read_to_string(file).unwrap()).unwrap()
    };
    assert_eq!(
        said(&file),
        json!({"plugins": {"jackfield.polls": true, "tests.probe": false}})
    );
    fs::write(
        &file,
        r#"{"plugins": {"jackfield.polls": false, "tests.probe": true}}"#,
    )
    .unwrap();
    host.plugin_in("tests.probe", "loaded");
    host.plugin_in("jackfield.polls", "disabled");
    host.kill();
    fs::write(&file, r#"{"plugins": {"tests.probe": false}}"#).unwrap();
    let host = directory.settings().data(data.path()).start();
    host.plugin_in("tests.probe", "disabled");
    fs::write(&file, "{").unwrap();
    while fs::read_to_string(&file).unwrap() == "{" {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(
        said(&file)["plugins"]["tests.probe"],
        false,
        "what cannot be understood changes nothing"
    );
    assert_eq!(
        host.admin("GET", "/api/plugins/tests.probe", &Value::Null)
            .json()["enabled"],
        false
    );
}

/// The file counts before anything is started, its edits survive changes over REST, and its entries those of plugins that
/// come later.
#[test]
fn an_edit_of_the_enabled_file_is_never_lost() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let data = tempfile::tempdir().unwrap();
    let file = directory.path().join(".metadata/config.json");
    let write = |text: &str| fs::write(&file, text).unwrap();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    write(r#"{"plugins": {"jackfield.polls": false, "tests.probe": false}}"#);
    let host = directory.settings().data(data.path()).start();
    host.plugin_in("tests.probe", "disabled");
    let events = |plugin: &str| {
        let events = host.admin(
            "GET",
            &format!("/api/plugins/{plugin}/events"),
            &Value::Null,
        );
        events.expect(200).text()
    };
    assert!(!events("tests.probe").contains("started"), "it ran first");
    directory.install("polls", |_| {});
    host.plugin_in("jackfield.polls", "disabled");
    assert!(!events("jackfield.polls").contains("started"));
    // Each round edits one plugin by hand and another one over REST at the same time.
    for enabled in [true, false] {
        write(&format!(
            r#"{{"plugins": {{"jackfield.polls": {enabled}, "tests.probe": {}}}}}"#,
            !enabled
        ));
        let verb = if enabled { "enable" } else { "disable" };
        let path = format!("/api/plugins/tests.probe/{verb}");
        let _ = host.admin("POST", &path, &Value::Null).expect(200);
        let state = if enabled { "loaded" } else { "disabled" };
        host.plugin_in("jackfield.polls", state);
        host.plugin_in("tests.probe", state);
        let text = json!({"plugins": {"jackfield.polls": enabled, "tests.probe": enabled}});
        tests::until("the file to say so", || {
            let said: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            (said == text).then_some(())
        });
    }
}

/// A route needs the grant `http.serve`; the refusal names what is missing.
#[test]
fn a_route_needs_its_grant() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let host = directory.closed_settings().start();
    host.plugin_in("tests.probe", "loaded");
    let refused = host.ask_plugin("GET", "/probe/status/418", b"");
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (403, &json!("CONSENT_PENDING")),
        "{}",
        refused.text()
    );
    let grants = "/api/plugins/tests.probe/grants";
    let scoped = json!({"capability": "http.serve", "scope": {"paths": ["/status/*"]}});
    let _ = host.admin("PUT", grants, &scoped).expect(200);
    assert_eq!(host.ask_plugin("GET", "/probe/status/418", b"").status, 418);
    assert_eq!(
        host.ask_plugin("GET", "/probe/request", b"").status,
        403,
        "outside the grant"
    );
    let _ = host
        .admin(
            "DELETE",
            &format!("{grants}?capability=http.serve"),
            &Value::Null,
        )
        .expect(200);
    let _ = host
        .admin(
            "PUT",
            grants,
            &json!({"capability": "http.serve", "deny": true}),
        )
        .expect(200);
    let refused = host.ask_plugin("GET", "/probe/status/418", b"").json();
    assert_eq!(refused["code"], "DENIED", "{refused}");
    directory.install("plugin-probe", |manifest| {
        let list = manifest["capabilities"].as_array_mut().expect("a list");
        list.retain(|one| one != "http.serve" && one["id"] != "http.serve");
    });
    let code = || host.ask_plugin("GET", "/probe/status/418", b"").json()["code"].clone();
    while code() != "NOT_DECLARED" {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn added_and_removed_plugins_are_noticed() {
    let directory = Directory::default();
    let host = directory.settings().start();
    directory.install("polls", |_| {});
    host.plugin_in("jackfield.polls", "loaded");
    fs::remove_dir_all(directory.path().join("jackfield.polls")).unwrap();
    while host
        .admin("GET", "/api/plugins/jackfield.polls", &Value::Null)
        .status
        != 404
    {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_blocked_plugin_names_its_reason() {
    let directory = Directory::default();
    directory.install("plugin-probe", |manifest| {
        manifest["id"] = "tests.undeclared".into();
        manifest["capabilities"] = json!(["http.serve", "storage.kv"]);
        manifest["route"] = "/undeclared".into();
    });
    directory.install("plugin-probe", |manifest| {
        manifest["id"] = "tests.alone".into();
        manifest["relationships"] = json!({"requires": [{"id": "tests.absent"}]});
        manifest["route"] = "/alone".into();
    });
    directory.install("plugin-probe", |manifest| {
        manifest["version"] = "9.9.9".into()
    });
    directory.put(
        "text",
        &json!({"id": "tests.text", "entrypoint": "x.wasm"}),
        &directory.path().join("tests.probe/jackfield.json"),
    );
    directory.install("plugin-probe", |manifest| {
        manifest["id"] = "tests.other".into();
        manifest["route"] = "/other".into();
        manifest["integrity"] = json!({"plugin_probe.wasm": "0".repeat(64)});
    });
    let host = directory.settings().start();
    let reason = |plugin: &str| {
        host.plugin_in(plugin, "blocked")["lastError"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let exchanged = reason("tests.other");
    assert!(exchanged.contains("integrity says 0000"), "{exchanged}");
    let undeclared = reason("tests.undeclared");
    assert!(
        undeclared.contains("users needs users.read")
            && undeclared.contains("events needs events.server.publish"),
        "{undeclared}"
    );
    assert!(reason("tests.alone").contains("missing_dependency:tests.absent"));
    assert!(
        reason("tests.probe").contains("0.1.0"),
        "a component with another version than its manifest must be blocked"
    );
    let bad = host
        .admin("GET", "/api/plugins/check", &Value::Null)
        .expect(200)
        .text();
    assert!(bad.contains("\"text\""), "{bad}");
}

#[test]
fn what_does_not_run_here_says_so_and_must_fit_the_host_all_the_same() {
    let directory = Directory::default();
    let kinds = ["library", "process", "client", "component"];
    for kind in kinds {
        directory.install("plugin-probe", |manifest| {
            manifest["id"] = format!("tests.{kind}").into();
            manifest["kind"] = kind.into();
            manifest["route"] = format!("/{kind}").into();
            if matches!(kind, "client" | "component") {
                manifest["entry"] = json!({"tui": manifest["entrypoint"]});
            }
        });
        if matches!(kind, "client" | "component") {
            let file = directory
                .path()
                .join(format!("tests.{kind}/jackfield.json"));
            let text = fs::read_to_string(&file).expect("a manifest");
            let mut manifest: Value = serde_json::from_str(&text).expect("JSON");
            drop(
                manifest
                    .as_object_mut()
                    .expect("an object")
                    .remove("entrypoint"),
            );
            fs::write(file, manifest.to_string()).expect("a manifest");
        }
    }
    directory.install("plugin-probe", |manifest| {
        manifest["id"] = "tests.later".into();
        manifest["kind"] = "library".into();
        manifest["compatibility"] = json!({"minimumHostVersion": "99.0.0"});
    });
    let host = directory.settings().start();
    for kind in kinds {
        let id = format!("tests.{kind}");
        let about = host.plugin_in(&id, "validated");
        let reason = about["lastError"].as_str().unwrap_or_default();
        assert!(
            about["runsHere"] == false && about["running"] == false,
            "{about}"
        );
        assert!(
            reason.starts_with("not_here: ") && (kind == "component" || reason.contains(kind)),
            "{about}"
        );
        let enabled = host.admin("POST", &format!("/api/plugins/{id}/enable"), &Value::Null);
        let enabled = enabled.expect(200).json();
        assert_eq!(enabled["plugin"]["lastError"], reason, "{enabled}");
    }
    let later = host.plugin_in("tests.later", "blocked");
    let reason = later["lastError"].as_str().unwrap_or_default();
    assert!(reason.starts_with("incompatible_host"), "{later}");
}

#[test]
fn a_reload_uses_the_new_files_and_keeps_serving() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    directory.install("plugin-probe", |manifest| {
        manifest["title"] = "Probe, again".into()
    });
    let _ = host
        .admin("POST", "/api/plugins/tests.probe/reload", &Value::Null)
        .expect(200);
    assert_eq!(
        host.plugin_in("tests.probe", "loaded")["name"],
        "Probe, again",
        "the new manifest is in use"
    );
    assert_eq!(host.ask_plugin("GET", "/probe/status/418", b"").status, 418);
}

/// Id, data and route stay with the plugin that had them first, also over a restart.
#[test]
fn a_newcomer_takes_neither_id_nor_route() {
    let directory = Directory::default();
    directory.install("polls", |_| {});
    let data = tempfile::tempdir().unwrap();
    let start = || directory.settings().data(data.path()).start();
    let host = start();
    host.plugin_in("jackfield.polls", "loaded");
    let polls = directory.path().join("jackfield.polls");
    let read = |folder: &std::path::Path| -> Value {
        serde_json::from_str(&fs::read_to_string(folder.join("jackfield.json")).unwrap()).unwrap()
    };
    let mut same_id = read(&polls);
    same_id["version"] = "9.9.9".into();
    directory.put("aaa", &same_id, &tests::guest("polls"));
    directory.install("plugin-probe", |manifest| {
        manifest["route"] = same_id["route"].clone();
        manifest["load"] = json!({"priority": "bootstrap"});
    });
    let is_so = |host: &tests::host::Host| {
        let why = host.plugin_in("tests.probe", "blocked")["lastError"].to_string();
        assert!(why.contains("route_conflict"), "{why}");
        let about = host.plugin_in("jackfield.polls", "loaded");
        assert_eq!(about["version"], "0.1.0", "{about}");
        let errors = host.admin("GET", "/api/plugins/check", &Value::Null);
        let errors = errors.expect(200).json()["errors"].clone();
        let says = errors["aaa"].as_str().unwrap_or_default();
        assert!(says.contains("belongs to jackfield.polls"), "{errors}");
        assert!(host.log().contains("belongs to jackfield.polls"));
    };
    is_so(&host);
    host.kill();
    is_so(&start());
}

#[test]
fn a_plugin_that_cannot_run_keeps_no_route_from_another() {
    let directory = Directory::default();
    // Its component says that it is another plugin.
    directory.install("plugin-probe", |manifest| {
        manifest["id"] = "aaa.broken".into();
    });
    directory.install("plugin-probe", |_| {});
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    let why = host.plugin_in("aaa.broken", "blocked")["lastError"].to_string();
    assert!(
        why.contains("the component says it is tests.probe"),
        "{why}"
    );
}

/// A host that was restored without the files of its plugins says so: what they moderated goes on without them.
#[test]
fn a_plugin_whose_files_are_gone_is_named() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let data = tempfile::tempdir().expect("a folder");
    let host = directory.settings().data(data.path()).start();
    host.plugin_in("tests.probe", "loaded");
    let missing = |host: &tests::host::Host| {
        let check = host.admin("GET", "/api/plugins/check", &Value::Null);
        check.expect(200).json()["missing"].clone()
    };
    assert_eq!(missing(&host), json!([]));
    host.grant_all("tests.probe");
    host.kill();
    let empty = Directory::default();
    let host = empty.settings().data(data.path()).start();
    tests::until("the warning", || {
        let log = host.log();
        (log.contains("no usable files") && log.contains("tests.probe")).then_some(())
    });
    assert_eq!(missing(&host), json!(["tests.probe"]));
}

/// An id that only the configuration knows is misspelt, or its plugin is not there: both are told.
#[test]
fn a_plugin_that_only_the_configuration_knows_is_named() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let host = directory
        .settings()
        .config("[plugins]\ndisable = [\"tests.prob\"]\n[plugins.by_id.\"tests.probe\"]\ntimeout_ms = 1000\n")
        .start();
    host.plugin_in("tests.probe", "loaded");
    let check = host.admin("GET", "/api/plugins/check", &Value::Null);
    assert_eq!(check.expect(200).json()["unknown"], json!(["tests.prob"]));
    tests::until("the warning", || {
        let log = host.log();
        (log.contains("the configuration names a plugin") && log.contains("tests.prob"))
            .then_some(())
    });
}
