//! SQLite databases and key-value stores on real files.

use crate::support::{App, load, post, probe_manifest, send};
use edge_host::{EdgeHost, backup, database_file};
use http::Method;
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

const GRANTS: &str =
    "sqlite_databases = [\"default\", \"second\"]\nkey_value_stores = [\"default\"]";

async fn sql(host: &EdgeHost, statements: Value) -> Value {
    post(host, "/probe/sqlite", json!({ "statements": statements })).await
}

fn error(result: &Value) -> &str {
    result["error"]
        .as_str()
        .unwrap_or_else(|| panic!("no error: {result}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_return_columns_rows_and_counts() {
    let app = App::probe(GRANTS).await;
    let made = sql(
        &app.host,
        json!([
            [
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b REAL, c BLOB)",
                []
            ],
            [
                "INSERT INTO t (a, b, c) VALUES (?, ?, x'00ff')",
                ["grüße", 1.5]
            ],
            ["INSERT INTO t (a) VALUES (?)", [null]],
            ["SELECT * FROM t ORDER BY id", []],
            ["INSERT INTO t (a) VALUES (?)", ["grüße"]],
            ["SELEKT", []],
            ["UPDATE t SET b = 2", []],
        ]),
    )
    .await;
    assert_eq!(
        (&made[1]["changes"], &made[1]["rowid"], &made[2]["rowid"]),
        (&1.into(), &1.into(), &2.into())
    );
    assert_eq!(made[3]["columns"], json!(["id", "a", "b", "c"]));
    assert_eq!(
        made[3]["rows"],
        json!([[1, "grüße", 1.5, { "blob": [0, 255] }], [2, null, null, null]])
    );
    assert_eq!(
        error(&made[4]),
        "Error::Io(\"UNIQUE constraint failed: t.a\")"
    );
    assert!(error(&made[5]).contains("syntax error"), "{made}");
    assert_eq!(made[6]["changes"], 2);
    // The next connection is the same one from the pool, and shows nothing of its former user.
    let fresh = sql(
        &app.host,
        json!([
            ["SELECT count(*) FROM t", []],
            ["PRAGMA foreign_keys", []],
            ["PRAGMA synchronous", []]
        ]),
    )
    .await;
    assert_eq!(
        (&fresh[0]["rows"], &fresh[0]["changes"], &fresh[0]["rowid"]),
        (&json!([[2]]), &0.into(), &0.into())
    );
    assert_eq!(
        (&fresh[1]["rows"], &fresh[2]["rows"]),
        (&json!([[1]]), &json!([[2]]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_user_leaves_behind_the_next_does_not_see() {
    let app = App::probe(GRANTS).await;
    sql(&app.host, json!([["CREATE TABLE t (a)", []]])).await;
    sql(
        &app.host,
        json!([
            ["BEGIN", []],
            ["INSERT INTO t VALUES (1)", []],
            ["CREATE TEMP TABLE mine (a)", []]
        ]),
    )
    .await;
    sql(
        &app.host,
        json!([
            ["PRAGMA case_sensitive_like = 1", []],
            ["PRAGMA foreign_keys = 0", []]
        ]),
    )
    .await;
    for _ in 0..3 {
        let next = sql(
            &app.host,
            json!([
                ["SELECT count(*) FROM t", []],
                ["PRAGMA foreign_keys", []],
                ["SELECT * FROM mine", []]
            ]),
        )
        .await;
        assert_eq!(
            (&next[0]["rows"], &next[1]["rows"]),
            (&json!([[0]]), &json!([[1]]))
        );
        assert!(error(&next[2]).contains("no such table"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_and_the_file_system_are_guarded() {
    let app = App::probe(GRANTS).await;
    let denied = post(
        &app.host,
        "/probe/sqlite",
        json!({ "database": "other", "statements": [] }),
    )
    .await;
    assert_eq!(error(&denied), "Error::AccessDenied");
    let file = app.dir.path().join("other.db");
    let attached = sql(
        &app.host,
        json!([
            [format!("ATTACH '{}' AS other", file.display()), []],
            [format!("VACUUM INTO '{}'", file.display()), []],
            ["PRAGMA journal_mode = OFF", []],
            ["PRAGMA synchronous = OFF", []],
            ["PRAGMA writable_schema = 1", []],
            ["SELECT load_extension('x')", []],
            ["ATTACH ':memory:' AS own", []],
            ["ATTACH '' AS own", []],
            ["ATTACH ?1 AS other", [file.display().to_string()]],
            [
                format!(
                    "ATTACH ('{}' || '.db') AS other",
                    file.with_extension("").display()
                ),
                []
            ],
            [format!("ATTACH (SELECT '{}') AS other", file.display()), []],
            ["VACUUM INTO ?1", [file.display().to_string()]],
        ]),
    )
    .await;
    let results = attached.as_array().expect("results");
    assert_eq!(results.len(), 12);
    for (at, result) in results.iter().enumerate() {
        assert!(result["error"].is_string(), "{at}: {attached}");
    }
    assert!(!file.exists());
    // What is made here by a former user of the file is no way in either.
    let secret = "CREATE TABLE secret (a); INSERT INTO secret VALUES (1)";
    rusqlite::Connection::open(&file)
        .expect("a database")
        .execute_batch(secret)
        .expect("a table");
    let read = sql(
        &app.host,
        json!([
            ["ATTACH ?1 AS other", [file.display().to_string()]],
            ["SELECT * FROM other.secret", []],
            ["UPDATE other.secret SET a = 2", []]
        ]),
    )
    .await;
    for at in 0..3 {
        assert!(read[at]["error"].is_string(), "{at}: {read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_and_running_time_are_bounded() {
    let app = App::probe(GRANTS).await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let big = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT zeroblob(1048576) FROM n";
    let bounded = sql(&app.host, json!([[big, []], ["SELECT 1", []]])).await;
    assert!(
        error(&bounded[0]).contains("exceeds the limit of 33554432 bytes"),
        "{bounded}"
    );
    assert_eq!(bounded[1]["rows"], json!([[1]]));
    let bounded = sql(&app.host, json!([[endless, []]])).await;
    assert!(
        error(&bounded[0]).contains("exceeds the limit of 100000 rows"),
        "{bounded}"
    );
}

/// On the only async thread: a read that runs there for long would keep the other request from starting.
#[tokio::test]
async fn a_long_read_leaves_the_thread_to_other_requests() {
    let app = App::probe(GRANTS).await;
    let long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000000) SELECT count(*) FROM n";
    let big = "SELECT length(hex(zeroblob(300000)))";
    let order = Mutex::new(Vec::new());
    tokio::join!(
        async {
            let result = sql(&app.host, json!([[long, []], [big, []]])).await;
            assert_eq!(result[0]["rows"], json!([[10_000_000]]));
            assert_eq!(result[1]["rows"], json!([[600_000]]));
            order.lock().expect("order").push("long");
        },
        async {
            let result = sql(&app.host, json!([["SELECT 1", []]])).await;
            assert_eq!(result[0]["rows"], json!([[1]]));
            order.lock().expect("order").push("short");
        }
    );
    assert_eq!(order.into_inner().expect("order"), ["short", "long"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_change_the_watched_table_are_announced() {
    let app = App::probe(GRANTS).await;
    sql(
        &app.host,
        json!([["CREATE TABLE t (a)", []], ["CREATE TABLE other (a)", []]]),
    )
    .await;
    let announced = Arc::new(AtomicUsize::new(0));
    let count = announced.clone();
    app.host.watch("t", move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let insert = json!(["INSERT INTO t VALUES (1)", []]);
    for (statements, expected) in [
        (json!([["INSERT INTO other VALUES (1)", []]]), 0),
        (json!([["SELECT * FROM t", []]]), 0),
        (json!([insert]), 1),
        (json!([["BEGIN", []], insert, insert, ["COMMIT", []]]), 2),
        (json!([["BEGIN", []], insert]), 2),
        (json!([["INSERT INTO other VALUES (2)", []]]), 2),
        (json!([["DELETE FROM t WHERE a = 1", []]]), 3),
    ] {
        sql(&app.host, statements.clone()).await;
        assert_eq!(announced.load(Ordering::SeqCst), expected, "{statements}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_database_is_database_full() {
    let app = App::probe(GRANTS).await;
    let full = sql(
        &app.host,
        json!([
            ["CREATE TABLE t (a)", []],
            ["PRAGMA max_page_count = 10", []],
            ["INSERT INTO t VALUES (zeroblob(1000000))", []],
        ]),
    )
    .await;
    assert_eq!(error(&full[2]), "Error::DatabaseFull");
    assert_eq!(
        sql(&app.host, json!([["INSERT INTO t VALUES (1)", []]])).await[0]["changes"],
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_wait_for_each_other() {
    let app = App::probe(GRANTS).await;
    sql(&app.host, json!([["CREATE TABLE t (a)", []]])).await;
    let one = json!([
        ["BEGIN IMMEDIATE", []],
        ["INSERT INTO t VALUES (1)", []],
        ["COMMIT", []]
    ]);
    let done = futures::future::join_all((0..40).map(|_| sql(&app.host, one.clone()))).await;
    for results in &done {
        assert!(
            results
                .as_array()
                .expect("results")
                .iter()
                .all(|result| result["error"].is_null()),
            "{results}"
        );
    }
    assert_eq!(
        sql(&app.host, json!([["SELECT count(*) FROM t", []]])).await[0]["rows"],
        json!([[40]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn data_survives_a_restart_and_can_be_backed_up_while_in_use() {
    let dir = tempfile::tempdir().expect("directory");
    let manifest = probe_manifest("", GRANTS);
    let host = load(dir.path(), &manifest, &[]).await.expect("application");
    sql(
        &host,
        json!([["CREATE TABLE t (a)", []], ["INSERT INTO t VALUES (7)", []]]),
    )
    .await;
    let copies = backup(&dir.path().join("data"), &dir.path().join("copies")).expect("backup");
    let names: Vec<_> = copies
        .iter()
        .map(|copy| {
            copy.file_name()
                .and_then(|name| name.to_str())
                .expect("name")
        })
        .collect();
    assert_eq!(
        names,
        [
            "key-value-default.db",
            "sqlite-default.db",
            "sqlite-second.db"
        ]
    );
    assert!(
        backup(&dir.path().join("data"), &dir.path().join("copies"))
            .expect_err("refusal")
            .to_string()
            .contains("exists already")
    );
    sql(&host, json!([["DELETE FROM t", []]])).await;
    drop(host);
    let host = load(dir.path(), &manifest, &[]).await.expect("application");
    assert_eq!(
        sql(&host, json!([["SELECT count(*) FROM t", []]])).await[0]["rows"],
        json!([[0]])
    );
    drop(host);
    std::fs::remove_dir_all(dir.path().join("data")).expect("removal");
    std::fs::rename(dir.path().join("copies"), dir.path().join("data")).expect("restore");
    let host = load(dir.path(), &manifest, &[]).await.expect("application");
    assert_eq!(
        sql(&host, json!([["SELECT a FROM t", []]])).await[0]["rows"],
        json!([[7]])
    );
}

async fn refusal(dir: &Path) -> String {
    format!(
        "{:#}",
        load(dir, &probe_manifest("", GRANTS), &[])
            .await
            .err()
            .expect("a refusal")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_stop_the_start_and_stay_as_they_are() {
    let dir = tempfile::tempdir().expect("directory");
    let file = database_file(&dir.path().join("data"), "default");
    let host = load(dir.path(), &probe_manifest("", GRANTS), &[])
        .await
        .expect("application");
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT i, hex(randomblob(50)) FROM n";
    sql(
        &host,
        json!([
            ["CREATE TABLE t (a, b)", []],
            [rows, []],
            ["PRAGMA wal_checkpoint(TRUNCATE)", []]
        ]),
    )
    .await;
    drop(host);
    let mut bytes = std::fs::read(&file).expect("file");
    let end = bytes.len();
    bytes[8192..end.min(80_000)].fill(0x5a);
    std::fs::write(&file, &bytes).expect("damage");
    let text = refusal(dir.path()).await;
    assert!(
        text.contains("sqlite-default.db is corrupt; restore it from a backup"),
        "{text}"
    );
    assert!(
        std::fs::read(&file).expect("file") == bytes,
        "a damaged file is left as it is"
    );

    std::fs::write(
        &file,
        b"this is no database, and it is long enough to look at its header",
    )
    .expect("file");
    let text = refusal(dir.path()).await;
    assert!(
        text.contains("sqlite-default.db is not a SQLite database; restore it from a backup"),
        "{text}"
    );

    std::fs::remove_file(&file).expect("removal");
    std::fs::create_dir(&file).expect("directory");
    let text = refusal(dir.path()).await;
    assert!(
        text.contains("cannot be opened; check the owner and mode"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn key_value_stores_keep_what_they_are_given() {
    let app = App::probe(GRANTS).await;
    let call = async |method: Method, key: &str, body: &str| {
        send(
            &app.host,
            method,
            "/probe/key-value",
            &[("x-key", key)],
            body.to_owned(),
        )
        .await
        .json()
    };
    assert_eq!(
        call(Method::GET, "a", "").await,
        json!({ "exists": false, "value": null })
    );
    assert_eq!(call(Method::PUT, "b", "1").await, json!(null));
    assert_eq!(call(Method::PUT, "a", "1").await, json!(null));
    assert_eq!(call(Method::PUT, "a", "2").await, json!(null));
    assert_eq!(
        call(Method::GET, "a", "").await,
        json!({ "exists": true, "value": "2" })
    );
    assert_eq!(call(Method::POST, "", "").await, json!(["a", "b"]));
    assert_eq!(call(Method::DELETE, "a", "").await, json!(true));
    assert_eq!(call(Method::DELETE, "a", "").await, json!(true));
    assert_eq!(call(Method::POST, "", "").await, json!(["b"]));
    let long = call(
        Method::PUT,
        &"k".repeat(limits::edge_host::KEY_BYTES_MAX + 1),
        "",
    )
    .await;
    assert!(error(&long).contains("a key may have 1024 bytes"), "{long}");
    let denied = send(
        &app.host,
        Method::GET,
        "/probe/key-value",
        &[("x-store", "other")],
        "",
    )
    .await
    .json();
    assert_eq!(error(&denied), "Error::AccessDenied");
}
