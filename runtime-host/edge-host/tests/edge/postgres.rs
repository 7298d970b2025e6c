//! `spin:postgres` against a PostgreSQL of its own: a temporary cluster on a loopback port.

use crate::support::{App, post};
use edge_host::EdgeHost;
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// A running cluster; it ends with the value.
struct Cluster {
    dir: TempDir,
    tools: PathBuf,
    port: u16,
}

/// PostgreSQL refuses to run as root, where tests in containers often run.
fn tool(tools: &Path, arguments: &[&str]) -> Output {
    let line = format!("{}/{}", tools.display(), arguments.join(" "));
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n");
    let mut command = if root {
        let mut command = Command::new("su");
        command.args(["-s", "/bin/sh", "postgres", "-c", &line]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", &line]);
        command
    };
    command.current_dir("/").output().expect("tool")
}

impl Cluster {
    /// None where Debian's PostgreSQL is not installed.
    fn start() -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let mut tools: Vec<PathBuf> = versions
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .collect();
        tools.retain(|tools| tools.join("initdb").exists());
        tools.sort();
        let tools = tools.pop()?;
        let dir = tempfile::tempdir().expect("directory");
        let data = dir.path().join("pg");
        std::fs::create_dir(&data).expect("directory");
        // The cluster's user must reach and own its directory.
        assert!(
            Command::new("chmod")
                .arg("755")
                .arg(dir.path())
                .status()
                .expect("chmod")
                .success()
        );
        let _ = Command::new("chown").arg("postgres").arg(&data).status();
        let port = TcpListener::bind("127.0.0.1:0")
            .expect("port")
            .local_addr()
            .expect("address")
            .port();
        let data = data.display().to_string();
        let made = tool(
            &tools,
            &[
                "initdb",
                "-D",
                &data,
                "-U",
                "tester",
                "-A",
                "trust",
                "--no-sync",
                "-E",
                "UTF8",
            ],
        );
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let options = format!(
            "'-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off'"
        );
        let started = tool(
            &tools,
            &[
                "pg_ctl",
                "-D",
                &data,
                "-o",
                &options,
                "-w",
                "-l",
                &format!("{data}/log"),
                "start",
            ],
        );
        assert!(
            started.status.success(),
            "{}",
            String::from_utf8_lossy(&started.stdout)
        );
        Some(Self { dir, tools, port })
    }

    fn address(&self) -> String {
        format!("postgres://tester@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.dir.path().join("pg").display().to_string();
        tool(
            &self.tools,
            &["pg_ctl", "-D", &data, "-m", "immediate", "stop"],
        );
    }
}

async fn run(host: &EdgeHost, address: &str, statements: Value) -> Value {
    post(
        host,
        "/probe/postgres",
        json!({ "address": address, "statements": statements }),
    )
    .await
}

fn error(result: &Value) -> &str {
    result["error"]
        .as_str()
        .unwrap_or_else(|| panic!("no error: {result}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_reached_typed_pooled_and_guarded() {
    let Some(cluster) = Cluster::start() else {
        return test_support::skip("PostgreSQL is not installed (Debian package `postgresql`)");
    };
    let app = App::probe("allowed_outbound_hosts = [\"postgres://127.0.0.1:*\"]").await;
    let address = cluster.address();
    types(&app.host, &address).await;
    statements(&app.host, &address).await;
    leftovers(&app.host, &address).await;
    guards(&app.host, &address, cluster.port).await;
}

/// Every type goes there and comes back.
async fn types(host: &EdgeHost, address: &str) {
    for (sample, sql, expected, data_type) in [
        ("bool", "bool", "Boolean(true)", "Boolean"),
        ("int16", "int2", "Int16(-2)", "Int16"),
        ("int32", "int4", "Int32(-3)", "Int32"),
        ("int64", "int8", "Int64(-9223372036854775808)", "Int64"),
        ("float32", "float4", "Floating32(1.5)", "Floating32"),
        ("float64", "float8", "Floating64(-2.25)", "Floating64"),
        ("text", "text", "Str(\"grüße\")", "Str"),
        ("text", "varchar", "Str(\"grüße\")", "Str"),
        ("binary", "bytea", "Binary([0, 255])", "Binary"),
        ("date", "date", "Date((2026, 2, 28))", "Date"),
        ("time", "time", "Time((23, 59, 58, 123456000))", "Time"),
        (
            "datetime",
            "timestamp",
            "Datetime((2026, 2, 28, 23, 59, 58, 123456000))",
            "Datetime",
        ),
        (
            "timestamp",
            "timestamptz",
            "Datetime((2023, 11, 14, 22, 13, 20, 0))",
            "Datetime",
        ),
        (
            "uuid",
            "uuid",
            "Uuid(\"6f9619ff-8b86-d011-b42d-00c04fc964ff\")",
            "Uuid",
        ),
        (
            "jsonb",
            "jsonb",
            "Jsonb([123, 34, 97, 34, 58, 32, 91, 49, 44, 32, 110, 117, 108, 108, 93, 125])",
            "Jsonb",
        ),
        (
            "decimal",
            "numeric",
            "Decimal(\"-12345678901234567890.125\")",
            "Decimal",
        ),
        (
            "range32",
            "int4range",
            "RangeInt32((Some((1, RangeBoundKind::Inclusive)), None))",
            "RangeInt32",
        ),
        (
            "range64",
            "int8range",
            "RangeInt64((None, Some((9, RangeBoundKind::Exclusive))))",
            "RangeInt64",
        ),
        (
            "range-decimal",
            "numrange",
            "RangeDecimal((Some((\"1.5\", RangeBoundKind::Inclusive)), Some((\"2\", RangeBoundKind::Inclusive))))",
            "RangeDecimal",
        ),
        (
            "array32",
            "int4[]",
            "ArrayInt32([Some(1), None])",
            "ArrayInt32",
        ),
        (
            "array64",
            "int8[]",
            "ArrayInt64([Some(-1), None])",
            "ArrayInt64",
        ),
        (
            "array-decimal",
            "numeric[]",
            "ArrayDecimal([Some(\"0.50\"), None])",
            "ArrayDecimal",
        ),
        (
            "array-text",
            "text[]",
            "ArrayStr([Some(\"a\"), None])",
            "ArrayStr",
        ),
        (
            "interval",
            "interval",
            "Interval(Interval { micros: 5, days: 6, months: 7 })",
            "Interval",
        ),
        ("null", "int4", "DbNull", "Int32"),
    ] {
        let result = run(
            host,
            address,
            json!([["query", format!("SELECT $1::{sql} AS v"), [sample]]]),
        )
        .await;
        let found = result[0]["rows"][0][0]
            .as_str()
            .unwrap_or_else(|| panic!("{sample}: {result}"));
        assert_eq!(found.trim_start_matches("DbValue::"), expected, "{sample}");
        let column = result[0]["columns"][0].as_str().expect("column");
        assert_eq!(
            column.replace("DbDataType::", ""),
            format!("v: {data_type}"),
            "{sample}"
        );
    }
}

async fn statements(host: &EdgeHost, address: &str) {
    let results = run(
        host,
        address,
        json!([
            [
                "execute",
                "CREATE TABLE t (id int8 PRIMARY KEY, a text)",
                []
            ],
            [
                "execute",
                "INSERT INTO t SELECT n, 'x' FROM generate_series(1, 1000) AS n",
                []
            ],
            ["query", "SELECT id FROM t ORDER BY id", []],
            ["query", "SELECT id FROM t WHERE false", []],
            ["execute", "INSERT INTO t VALUES (1, 'y')", []],
            ["query", "SELEKT", []],
            ["query", "SELECT $1::jsonb", ["bad-json"]],
            ["query", "SELECT 1 / 0", []],
        ]),
    )
    .await;
    assert_eq!(results[1], 1000);
    assert_eq!(results[2]["rows"].as_array().map(Vec::len), Some(1000));
    assert_eq!(
        (
            &results[3]["rows"],
            results[3]["columns"].as_array().map(Vec::len)
        ),
        (&json!([]), Some(1))
    );
    assert!(error(&results[4]).contains("23505"), "{}", results[4]);
    assert!(error(&results[5]).contains("42601"), "{}", results[5]);
    assert!(
        error(&results[6]).contains("BadParameter"),
        "{}",
        results[6]
    );
    assert!(error(&results[7]).contains("22012"), "{}", results[7]);
}

/// A transaction and settings that one user leaves open do not reach the next.
async fn leftovers(host: &EdgeHost, address: &str) {
    run(
        host,
        address,
        json!([
            ["execute", "BEGIN", []],
            ["execute", "DELETE FROM t", []],
            ["execute", "SET search_path TO nowhere", []]
        ]),
    )
    .await;
    for _ in 0..3 {
        let results = run(
            host,
            address,
            json!([["query", "SELECT count(*) FROM t", []]]),
        )
        .await;
        assert!(
            results[0]["rows"][0][0]
                .as_str()
                .expect("count")
                .contains("Int64(1000)"),
            "{results}"
        );
    }
}

async fn guards(host: &EdgeHost, address: &str, port: u16) {
    let closed = App::probe("").await;
    let denied = run(&closed.host, address, json!([])).await;
    assert!(
        error(&denied).contains(&format!(
            "address postgres://127.0.0.1:{port} is not permitted"
        )),
        "{denied}"
    );
    for (address, text) in [
        (
            "postgres://u:secret@localhost/x".to_owned(),
            "not permitted",
        ),
        (
            format!("host=127.0.0.1 hostaddr=10.0.0.1 port={port} user=tester"),
            "hostaddr is not supported",
        ),
        (
            "host=/var/run/postgresql user=tester".to_owned(),
            "Unix sockets are not supported",
        ),
        (
            "host=127.0.0.1 port=x password=secret".to_owned(),
            "malformed connection string",
        ),
        (
            "host=127.0.0.1 port=1 user=tester sslmode=disable".to_owned(),
            "cannot connect",
        ),
    ] {
        let refused = run(host, &address, json!([])).await;
        assert!(
            error(&refused).contains(text) && !error(&refused).contains("secret"),
            "{address}: {refused}"
        );
    }
    let many = json!([["query", "SELECT pg_sleep(0.05)::text", []]]);
    let done = futures::future::join_all((0..60).map(|_| run(host, address, many.clone()))).await;
    assert!(
        done.iter().all(|results| results[0]["rows"].is_array()),
        "{done:?}"
    );
}
