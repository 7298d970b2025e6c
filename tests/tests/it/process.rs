//! The process: its commands, refusals to start, shutdown.

use serde_json::json;
use std::{fs, net::TcpListener};
use tests::{
    client::Client,
    host::{Host, Settings, jackfield, run, token},
};

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(jackfield()
        .args(["serve", "--listen", &address, "--data"])
        .arg(folder.path()));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        said.contains(&address) || said.contains(address.rsplit(':').next().expect("a port")),
        "{said}"
    );
}

#[test]
fn an_unknown_key_of_the_configuration_is_named() {
    let failure = Settings::new()
        .config("[socket]\nping_intervall_ms = 5\n")
        .try_start()
        .err()
        .expect("a refusal");
    assert!(!failure.status.success());
    assert!(failure.log.contains("ping_intervall_ms"), "{}", failure.log);
}

#[test]
fn a_variable_that_is_not_utf8_is_named_or_left_out() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let check = |name: &str| {
        let output = run(jackfield()
            .args(["config", "check"])
            .env(name, OsStr::from_bytes(b"\xff")));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    assert_eq!(check("OTHER"), (true, String::new()));
    let (is_valid, said) = check("JACKFIELD_PLUGIN_MODE");
    assert!(
        !is_valid && said.contains("JACKFIELD_PLUGIN_MODE is not UTF-8"),
        "{said}"
    );
}

/// Databases hold password hashes and invites: no file of the data folder, and of a backup, is another user's to read.
#[test]
fn the_files_of_a_host_are_for_its_own_user() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = Host::start();
    host.create_server("olga", "private");
    let target = tempfile::tempdir().expect("a folder");
    let copy = target.path().join("copy");
    let backup = run(jackfield()
        .arg("backup")
        .arg("--data")
        .arg(host.data())
        .arg("--to")
        .arg(&copy));
    assert!(backup.status.success(), "{backup:?}");
    let mut folders = vec![host.data().to_owned(), copy];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        let mut paths = vec![folder.clone()];
        for entry in fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            match entry.file_type().expect("a type").is_dir() {
                true => folders.push(entry.path()),
                false => paths.push(entry.path()),
            }
        }
        for path in paths {
            // Files beside a database come and go.
            let Ok(about) = fs::metadata(&path) else {
                continue;
            };
            let mode = about.permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} files and folders");
}

#[test]
fn the_configuration_can_be_checked_and_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let shown = run(jackfield().args(["config", "default"]));
    assert!(
        shown.status.success(),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    let good = folder.path().join("good.toml");
    fs::write(&good, &shown.stdout).expect("a file");
    let checked = run(jackfield().args(["config", "check", "--config"]).arg(&good));
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    let bad = folder.path().join("bad.toml");
    fs::write(&bad, "[no_such_table]\n").expect("a file");
    let refused = run(jackfield().args(["config", "check", "--config"]).arg(&bad));
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("no_such_table"),
        "{refused:?}"
    );
}

#[test]
fn what_serve_refuses_config_check_refuses_in_the_same_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("jackfield.toml");
    for (text, says) in [
        (
            "[plugins.policy]\nallow = [{id = \"http.fetch\", hosts = [\"http://a.example\"]}]\n",
            "http.fetch: hosts[0]: host pattern must be a host alone, without scheme, user or path\n",
        ),
        (
            "[plugins.policy]\nallow = [{id = \"http.fetch\", hosts = [\"-x.example\"]}]\n",
            "http.fetch: hosts[0]: host pattern ",
        ),
        (
            "[plugins.policy]\ndeny = [{id = \"storage.kv\", names = [\"a*b\"]}]\n",
            "a*b",
        ),
        (
            "[plugins.policy]\ndeny = [{id = \"storage.kv\", hosts = [\"a.example\"]}]\n",
            "hosts",
        ),
        ("[plugins.policy]\nallow = [\"http.fetsh\"]\n", "http.fetsh"),
        ("[plugins.policy]\nmode = \"lenient\"\n", "lenient"),
        ("[plugins.policy]\nprofile = \"lenient\"\n", "lenient"),
        ("[plugins.network]\nopen = [\"*.internal\"]\n", "open[0]"),
        ("[plugins.network]\nopen = [\"10.0.0.1/8\"]\n", "open[0]"),
        (
            "[plugins.limits]\nrequests_per_minute = 6001\n",
            "requests_per_minute (6001)",
        ),
        ("[plugins]\nservers = \"some\"\n", "some"),
        ("[plugins]\non_failure = \"skip\"\n", "skip"),
        ("[plugins.by_id.\"Acme\"]\nservers = \"all\"\n", "pluginId"),
        (
            "[plugins.by_id.\"acme.polls\"]\nserver = \"all\"\n",
            "server",
        ),
    ] {
        fs::write(&file, text).expect("a file");
        let said = |arguments: &[&str]| {
            let mut command = jackfield();
            command.args(arguments).arg("--config").arg(&file);
            let output = run(&mut command);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{text}: {said}");
            said
        };
        let data = folder.path().display().to_string();
        let checked = said(&["config", "check"]);
        assert!(checked.contains(says), "{text}: {checked}");
        let served = said(&["serve", "--listen", "127.0.0.1:0", "--data", &data]);
        assert_eq!(checked, served, "{text}");
    }
}

#[test]
fn the_reference_shows_the_default_configuration() {
    let shown = run(jackfield().args(["config", "default"]));
    let text = String::from_utf8(shown.stdout).expect("text");
    super::documents::same_as_reference("config.toml", &text);
}

#[test]
fn the_version_is_the_workspaces() {
    let output = run(jackfield().arg("--version"));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        concat!("jackfield ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_token_is_the_last_line_and_three_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Settings::new().data(folder.path()).start();
    let made = token(folder.path(), "ann", "client");
    assert_eq!(made.split('.').count(), 3, "{made}");
    let mut client = Client::connect(&host, "ann");
    client.identify(json!({"token": made}));
    assert!(client.settled().is_empty(), "the token is good");
    let of_plugin = run(jackfield()
        .args(["token", "--user", "plugin:example.polls", "--data"])
        .arg(folder.path()));
    assert!(!of_plugin.status.success(), "plugins have no tokens");
    let said = String::from_utf8_lossy(&of_plugin.stderr);
    assert!(said.contains("--user"), "{said}");
}

#[test]
fn a_second_host_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Settings::new().data(folder.path()).start();
    let failure = Settings::new()
        .data(folder.path())
        .try_start()
        .err()
        .expect("a refusal");
    assert!(!failure.status.success());
    assert!(
        failure.log.contains(&folder.path().display().to_string()),
        "{}",
        failure.log
    );
    assert_eq!(first.get("/healthz").status, 200, "the first goes on");
}

#[test]
fn a_damaged_database_is_refused_and_not_modified() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Settings::new().data(folder.path()).start();
    host.create_server("olga", "kept");
    host.signal("TERM");
    assert!(host.wait().success());
    let database = database(folder.path());
    fs::write(
        &database,
        b"this is no database, and it is longer than a header of one would be, by far: "
            .repeat(100),
    )
    .expect("a file");
    let before = fs::read(&database).expect("a file");
    let failure = Settings::new()
        .data(folder.path())
        .try_start()
        .err()
        .expect("a refusal");
    assert!(!failure.status.success());
    assert!(
        failure.log.contains(
            database
                .file_name()
                .and_then(|name| name.to_str())
                .expect("a name")
        ),
        "{}",
        failure.log
    );
    assert_eq!(
        fs::read(&database).expect("a file"),
        before,
        "never repaired by forgetting"
    );
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Settings::new().data(folder.path()).start();
    host.create_server("olga", "kept");
    host.signal("TERM");
    assert!(host.wait().success());
    let database = rusqlite::Connection::open(database(folder.path())).expect("a database");
    database
        .execute(
            "UPDATE meta SET value = 1000000 WHERE name = 'schema_version'",
            [],
        )
        .expect("a version");
    drop(database);
    let failure = Settings::new()
        .data(folder.path())
        .try_start()
        .err()
        .expect("a refusal");
    assert!(failure.log.contains("DATABASE_NEWER"), "{}", failure.log);
}

/// The directory's database below a data folder.
fn database(data: &std::path::Path) -> std::path::PathBuf {
    fn search(folder: &std::path::Path) -> Option<std::path::PathBuf> {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        // The database of plugins is another file beside it.
        entries.retain(|path| path.file_name().is_none_or(|name| name != "plugins.db"));
        entries.into_iter().find_map(|path| match path.is_dir() {
            true => search(&path),
            false => fs::read(&path)
                .is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"))
                .then_some(path),
        })
    }
    search(data).expect("a database in the data folder")
}

#[test]
fn a_shutdown_notifies_clients_and_exits_cleanly() {
    let host = Host::start();
    host.create_server("olga", "farewell");
    let mut clients: Vec<Client> = (0..3)
        .map(|at| Client::joined(&host, &format!("guest-{at}"), "farewell"))
        .collect();
    host.signal("TERM");
    for client in &mut clients {
        let (code, reason) = client.closed();
        assert_eq!(code, 1001, "{reason}");
    }
    assert!(host.wait().success());
}

#[test]
fn acknowledged_changes_survive_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acknowledged = 0;
    for round in 0..3 {
        let host = Settings::new().data(folder.path()).start();
        if round == 0 {
            host.create_server("olga", "durable");
        }
        let known = host.get("/api/servers/durable/plugins").expect(200).json();
        assert_eq!(
            known["requirements"].as_array().map(Vec::len),
            Some(acknowledged),
            "after kill {round}"
        );
        let token = host.token("olga", "client");
        let (address, (sender, answers)) = (host.address(), std::sync::mpsc::channel());
        let first = acknowledged;
        let writer = std::thread::spawn(move || {
            for at in first.. {
                let path = format!("/api/servers/durable/plugins/plugin-{at:05}/requirement");
                let request = tests::http::Request::new("PUT", &path)
                    .bearer(&token)
                    .json(&json!({"status": "optional"}));
                match request.send(&address) {
                    Ok(answer) if answer.status == 200 => {
                        if sender.send(()).is_err() {
                            return;
                        }
                    }
                    _ => return,
                }
            }
        });
        for _ in 0..5 {
            answers
                .recv_timeout(tests::PATIENCE)
                .expect("an acknowledged write");
        }
        host.kill();
        writer.join().expect("the writer ends");
        acknowledged += 5 + answers.try_iter().count();
        // One write may have been committed although its answer was lost; the next round counts it.
        let host = Settings::new().data(folder.path()).start();
        let known = host.get("/api/servers/durable/plugins").expect(200).json();
        let rows = known["requirements"].as_array().expect("a list");
        assert!(
            rows.len() == acknowledged || rows.len() == acknowledged + 1,
            "{} of {acknowledged}",
            rows.len()
        );
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(row["pluginId"], format!("plugin-{at:05}"));
        }
        acknowledged = rows.len();
        host.kill();
    }
}

#[test]
fn a_backup_of_a_running_host_can_be_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::start();
    host.create_server("olga", "saved");
    host.require(
        "olga",
        "saved",
        "example.polls",
        &json!({"status": "required"}),
    );
    let copy = folder.path().join("backup");
    let output = run(jackfield()
        .arg("backup")
        .arg("--data")
        .arg(host.data())
        .arg("--to")
        .arg(&copy));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let restored = Settings::new().data(&copy).start();
    let snapshot = restored
        .get("/api/servers/saved/plugins")
        .expect(200)
        .json();
    assert_eq!(snapshot["requirements"][0]["pluginId"], "example.polls");
}
