//! Stored data when the process, the disk or a file fails.

mod damage;
mod disk;
mod kill;
mod owners;
mod schema;

use rusqlite::Connection;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::{
    host::{Host, Settings},
    http::{Request, Response},
};

/// Settings for a host on this data, with one shard: these tests start many hosts.
fn settings(data: &Path) -> Settings {
    Settings::new().config("[socket]\nshards = 1\n").data(data)
}

/// The directory's database.
fn database(data: &Path) -> PathBuf {
    data.join("sqlite-default.db")
}

/// Stores a requirement of the server `durable` that carries `mark`.
fn put(host: &Host, token: &str, plugin: &str, mark: u64) -> Response {
    let path = format!("/api/servers/durable/plugins/{plugin}/requirement");
    host.send(&Request::new("PUT", &path).bearer(token).json(&row(mark)))
}

fn row(mark: u64) -> Value {
    json!({"status": "optional", "installUrl": format!("https://p.example/{mark}"), "reason": "x".repeat(200)})
}

/// Ends a host with SIGTERM.
fn stop(host: Host) {
    host.signal("TERM");
    assert!(host.wait().success());
}

/// Opens a copy of the database as a crash has left it, and checks that SQLite finds it whole and
/// that no change is there by half: each has its revision, its row in the feed, its row in the
/// audit, and what it wrote.
fn assert_whole(data: &Path) {
    let copy = tempfile::tempdir().expect("a folder");
    let file = database(copy.path());
    for end in ["", "-wal"] {
        let from = format!("{}{end}", database(data).display());
        if Path::new(&from).exists() {
            fs::copy(&from, format!("{}{end}", file.display())).expect("a copy");
        }
    }
    let connection = Connection::open(&file).expect("a database");
    let one = |sql: &str| -> Value {
        let text: String = connection
            .query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0))
            .map(shown)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        text.into()
    };
    assert_eq!(one("PRAGMA integrity_check"), "ok");
    for (what, sql) in [
        (
            "audit rows without a row in the feed",
            "SELECT count(*) FROM audit WHERE change_seq NOT IN (SELECT seq FROM change)",
        ),
        (
            "servers whose revision is not their last change's",
            "SELECT count(*) FROM scope AS s WHERE kind = 'server' AND revision <> (SELECT max(revision) FROM audit WHERE scope_id = s.id)",
        ),
        (
            "servers with a gap or a repetition in their revisions",
            "SELECT count(*) FROM (SELECT 1 FROM audit WHERE scope_kind = 'server' GROUP BY scope_id \
             HAVING count(DISTINCT revision) <> count(*) OR max(revision) - min(revision) + 1 <> count(*))",
        ),
        (
            "requirements that the audit does not know as they are",
            "SELECT count(*) FROM entry AS e WHERE kind = 'requirement' AND NOT EXISTS (SELECT 1 FROM audit AS a \
             WHERE a.scope_id = e.scope_id AND a.revision = e.version AND a.target = e.key AND a.action = 'requirement.put')",
        ),
        (
            "documents that are no JSON",
            "SELECT (SELECT count(*) FROM entry WHERE NOT json_valid(doc)) + (SELECT count(*) FROM scope WHERE NOT json_valid(doc))",
        ),
    ] {
        assert_eq!(one(sql), "0", "{what}");
    }
}

fn shown(value: rusqlite::types::Value) -> String {
    match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    }
}
