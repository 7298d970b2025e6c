//! Databases of every earlier schema version, and interrupted migrations.

use super::{assert_whole, database, put, settings, stop};
use rusqlite::Connection;
use serde_json::Value;
use std::{fs, path::Path};
use tests::{host::token, http::Request, root};

/// The table that holds the version of a schema; it exists before the first migration.
const META: &str = "CREATE TABLE meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL)";

/// Creates a database from SQL text.
fn database_of(data: &Path, sql: &str) {
    fs::create_dir_all(data).expect("a folder");
    Connection::open(database(data))
        .and_then(|connection| connection.execute_batch(sql))
        .expect("SQL");
}

/// The statements of one migration.
fn migration(version: usize) -> Vec<String> {
    let folder = root().join("components/plugin-support/migrations/sqlite");
    let sql = fs::read_to_string(folder.join(format!("{version:04}.sql"))).expect("a migration");
    sql.split("\n--;\n").map(str::to_owned).collect()
}

/// The schema of a version.
fn schema(version: usize) -> String {
    let migrations = (1..=version).flat_map(migration);
    std::iter::once(META.to_owned())
        .chain(migrations)
        .map(|statement| statement + ";\n")
        .collect()
}

fn cases() -> std::path::PathBuf {
    root().join("tests/cases/crash")
}

/// `rows-N.sql` holds the rows of a database as version N left it; `rows-N.json` has the expected
/// answers by path.
#[test]
fn every_older_database_migrates_without_loss() {
    let mut versions = 0;
    for entry in fs::read_dir(cases()).expect("the cases") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        versions += 1;
        let version = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.strip_prefix("rows-")?.parse().ok())
            .unwrap_or_else(|| panic!("{} is no rows-N.sql", path.display()));
        let rows = fs::read_to_string(&path).expect("SQL");
        let folder = tempfile::tempdir().expect("a folder");
        database_of(folder.path(), &(schema(version) + &rows));
        let expected: Value = serde_json::from_str(
            &fs::read_to_string(path.with_extension("json")).expect("its answers"),
        )
        .expect("JSON");
        // Twice: the first start migrates, the second finds the migrated database.
        for start in 0..2 {
            let host = settings(folder.path()).start();
            let token = token(folder.path(), "olga", "admin");
            for (path, wanted) in expected.as_object().expect("answers by path") {
                let answer = host
                    .send(&Request::new("GET", path).bearer(&token))
                    .expect(200)
                    .json();
                assert_eq!(&answer, wanted, "{path}, start {start}");
            }
            stop(host);
        }
        let host = settings(folder.path()).start();
        let _ = put(
            &host,
            &token(folder.path(), "olga", "client"),
            "plugin-new",
            1,
        )
        .expect(200);
        drop(host);
        assert_whole(folder.path());
    }
    assert!(versions >= 1, "no databases in {}", cases().display());
}

/// A migration that was interrupted after any of its statements is finished by the next start.
#[test]
fn an_interrupted_migration_is_finished() {
    let statements = migration(1);
    assert!(
        statements.len() > 5,
        "statements are separated by lines of `--;`"
    );
    for done in 0..=statements.len() {
        let folder = tempfile::tempdir().expect("a folder");
        let begun = std::iter::once(META.to_owned()).chain(statements[..done].iter().cloned());
        database_of(folder.path(), &begun.collect::<Vec<_>>().join(";\n"));
        let host = settings(folder.path()).start();
        host.create_server("olga", "durable");
        let _ = put(&host, &host.token("olga", "client"), "x.y", 1).expect(200);
        drop(host);
        assert_whole(folder.path());
        let connection = Connection::open(database(folder.path())).expect("a database");
        let version: i64 = connection
            .query_row(
                "SELECT value FROM meta WHERE name = 'schema_version'",
                [],
                |row| row.get(0),
            )
            .expect("a version");
        assert_eq!(version, 1, "{done} statements were done");
    }
}
