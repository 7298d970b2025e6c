//! `jackfield plugin …` against a running host: output for users and scripts, and errors.

use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
};
use tests::{
    host::{Host, jackfield, run},
    plugins::Directory,
};

/// A host with one plugin that has no component.
fn host(directory: &Directory) -> Host {
    let folder = directory.path().join("quiet");
    fs::create_dir_all(&folder).expect("a folder");
    let manifest = json!({
        "schemaVersion": 1, "id": "tests.quiet", "title": "Quiet", "description": "", "version": "1.2.3", "apiVersion": "1.0.0",
        "kind": "client", "compatibility": {"minimumHostVersion": "0.0.0"}, "entrypoint": "./main.js",
        "capabilities": [{"id": "http.fetch", "hosts": ["*.example.org"], "reason": "to tell people"}, "storage.kv"],
    });
    fs::write(folder.join("main.js"), "").expect("a script");
    fs::write(folder.join("jackfield.json"), manifest.to_string()).expect("a manifest");
    let host = directory.settings().start();
    host.plugin_in("tests.quiet", "validated");
    host
}

fn command(host: &Host, arguments: &[&str]) -> Command {
    let mut command = jackfield();
    command
        .arg("plugin")
        .args(arguments)
        .args(["--url", host.url()])
        .arg("--data")
        .arg(host.data());
    command.env_remove("JACKFIELD_TOKEN");
    command
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn says(host: &Host, arguments: &[&str]) -> String {
    text(&run(&mut command(host, arguments)))
}

fn refused(command: &mut Command) -> String {
    let output = run(command);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn plugins_are_listed_shown_and_switched() {
    let directory = Directory::default();
    let host = host(&directory);
    let table = says(&host, &["list"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][..3], ["ID", "VERSION", "STATE"], "{table}");
    assert_eq!(
        rows[1][..3],
        ["tests.quiet", "1.2.3", "validated"],
        "{table}"
    );
    let list: Value = serde_json::from_str(&says(&host, &["list", "--json"])).expect("JSON");
    assert_eq!(
        (&list[0]["id"], &list[0]["capabilities"]),
        (&json!("tests.quiet"), &json!(["http.fetch", "storage.kv"]))
    );
    assert!(says(&host, &["info", "tests.quiet"]).contains("name          Quiet"));
    assert!(says(&host, &["disable", "tests.quiet"]).starts_with("tests.quiet: disabled"));
    host.plugin_in("tests.quiet", "disabled");
    let enabled = says(&host, &["enable", "tests.quiet"]);
    assert!(
        enabled.starts_with("tests.quiet: validated (not_here: ") && enabled.contains("clients"),
        "{enabled}"
    );
    assert!(says(&host, &["events", "tests.quiet"]).contains("enabled"));
}

#[test]
fn grants_are_given_and_taken_back() {
    let directory = Directory::default();
    let host = host(&directory);
    assert!(says(&host, &["grants", "tests.quiet"]).contains("to tell people"));
    let given = says(
        &host,
        &[
            "grants",
            "tests.quiet",
            "give",
            "http.fetch",
            "--host",
            "a.example.org",
        ],
    );
    assert!(
        given.contains("allowed") && given.contains("a.example.org") && given.contains("operator"),
        "{given}"
    );
    assert!(
        says(
            &host,
            &[
                "grants",
                "tests.quiet",
                "deny",
                "storage.kv",
                "--seconds",
                "60"
            ]
        )
        .contains("denied")
    );
    let left = says(
        &host,
        &[
            "grants",
            "tests.quiet",
            "revoke",
            "http.fetch",
            "storage.kv",
            "--json",
        ],
    );
    assert_eq!(
        serde_json::from_str::<Value>(&left).expect("JSON")["grants"],
        json!([])
    );
    let error = refused(&mut command(
        &host,
        &["grants", "tests.quiet", "give", "shell.exec"],
    ));
    assert!(
        error.contains("error[CONFLICT]") && error.contains("NOT_DECLARED"),
        "{error}"
    );
    assert!(says(&host, &["consents"]).contains("nothing to show"));
    assert!(
        refused(&mut command(&host, &["consents", "allow", "unknown"]))
            .contains("no such question")
    );
    let audit = says(&host, &["audit", "--recent", "20"]);
    for part in [
        "grant",
        "deny",
        "revoke",
        "operator",
        "a.example.org",
        "denied",
    ] {
        assert!(audit.contains(part), "{part}: {audit}");
    }
}

#[test]
fn a_log_is_shown_and_followed() {
    let directory = Directory::default();
    directory.install("plugin-probe", |_| {});
    let host = directory.settings().start();
    host.plugin_in("tests.probe", "loaded");
    let log = |text: &str| {
        host.ask_plugin("POST", "/probe/log", text.as_bytes())
            .expect(200)
    };
    let _ = log("before\u{1b}[2J");
    let past = says(&host, &["logs", "tests.probe"]);
    assert!(
        past.lines().any(|line| line.contains("before\\u{1b}[2J")),
        "{past}"
    );
    let mut following = command(&host, &["logs", "-f", "tests.probe", "--json"]);
    let mut following = following.stdout(Stdio::piped()).spawn().expect("a command");
    let lines = BufReader::new(following.stdout.take().expect("its output")).lines();
    let mut messages = lines.map(|line| {
        serde_json::from_str::<Value>(&line.expect("a line")).expect("JSON")["message"].to_string()
    });
    assert!(
        messages.any(|message| message.contains("before")),
        "the past comes first"
    );
    let _ = log("after");
    assert!(messages.any(|message| message.contains("after")));
    following.kill().expect("it runs until it is ended");
    following.wait().expect("its end");
    let page: String = says(
        &host,
        &["logs", "tests.probe", "--level", "error", "--json"],
    );
    assert!(
        page.lines()
            .all(|line| serde_json::from_str::<Value>(line).expect("JSON")["level"] == "Error")
    );
}

#[test]
fn errors_name_the_problem_and_the_remedy() {
    let directory = Directory::default();
    let host = host(&directory);
    let error = refused(
        jackfield()
            .args(["plugin", "list", "--url", "http://127.0.0.1:9", "--data"])
            .arg(host.data()),
    );
    assert!(
        error.contains("error[HOST_UNREACHABLE]") && error.contains("jackfield serve"),
        "{error}"
    );
    let error = refused(command(&host, &["list"]).args(["--token", "nonsense"]));
    assert!(
        error.contains("error[UNAUTHORIZED]") && error.contains("--data"),
        "{error}"
    );
    let error = refused(
        command(&host, &["disable", "tests.quiet"])
            .args(["--token", &host.token("carla", "client")]),
    );
    assert!(
        error.contains("error[FORBIDDEN]") && error.contains("--role admin"),
        "{error}"
    );
    let error = refused(
        jackfield()
            .args(["plugin", "list", "--data", "/nonexistent"])
            .env_remove("JACKFIELD_TOKEN"),
    );
    assert!(
        error.contains("jackfield keys init") && error.contains("--token"),
        "{error}"
    );
    let error = refused(&mut command(&host, &["info", "un.known"]));
    assert!(
        error.contains("error[NOT_FOUND]") && error.contains("Plugin not found"),
        "{error}"
    );
    let misnamed = run(&mut command(&host, &["info", "Not An Id"]));
    assert_eq!(
        misnamed.status.code(),
        Some(2),
        "an invalid name is refused without a request"
    );
}

#[test]
fn the_doctor_reports_problems() {
    let directory = Directory::default();
    let host = host(&directory);
    let said = says(&host, &["doctor"]);
    assert!(said.contains("tests.quiet is validated"), "{said}");
    assert!(
        said.contains("policy: a capability without a grant is subject to consent")
            && said.contains("shell.exec is denied"),
        "the doctor must show the effective policy: {said}"
    );
    fs::create_dir(directory.path().join("broken")).expect("a folder");
    fs::write(directory.path().join("broken/jackfield.json"), "{").expect("a file");
    let found = host.admin("POST", "/api/plugins/tests.quiet/reload", &Value::Null);
    assert_eq!(found.status, 200, "{}", found.text());
    let doctor = || run(&mut command(&host, &["doctor", "--json"]));
    let began = std::time::Instant::now();
    let output = loop {
        let output = doctor();
        if output.status.code() == Some(1) || began.elapsed() > tests::PATIENCE {
            break output;
        }
    };
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let errors: Vec<&Value> = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["grade"] == "error")
        .collect();
    assert!(
        report["ok"] == false
            && errors.len() == 1
            && errors[0]["text"]
                .as_str()
                .is_some_and(|text| text.starts_with("broken:")),
        "{report}"
    );
}

#[test]
fn shells_complete_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&run(jackfield().args(["completions", shell])));
        assert!(
            script.contains("consents") && script.contains("doctor"),
            "{shell}"
        );
    }
}

#[test]
fn manifests_are_checked_without_a_host() {
    let directory = Directory::default();
    fs::write(directory.path().join("jackfield.json"), "{}").expect("a file");
    let output = run(jackfield()
        .args(["plugin", "check", "--json"])
        .arg(directory.path()));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (output.status.code(), &report["ok"]),
        (Some(1), &json!(false))
    );
}
