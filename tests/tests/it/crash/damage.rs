//! Bytes that are not what was written: the host refuses to start and says to restore, or it runs
//! and nothing is wrong. What it never does: panic, begin anew in silence, or answer with less than
//! there was.

use super::{database, put, settings, stop};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::{
    host::{Host, token},
    http::Request,
    rng::{Rng, seed},
};

/// A data directory after a kill: a database with content, and a write-ahead log with more.
struct Original {
    folder: tempfile::TempDir,
    token: String,
    known: Vec<Value>,
}

/// Requests to a host whose files were damaged.
const QUESTIONS: [&str; 7] = [
    "/api/servers/durable",
    "/api/servers/durable/plugins",
    "/api/servers/durable/roles",
    "/api/servers/durable/members",
    "/api/servers/durable/bans",
    "/api/servers/other-7/plugins",
    "/api/users/me",
];

impl Original {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let host = settings(folder.path())
            .config("[rest]\nservers_per_owner = 1000\n")
            .start();
        let token = token(folder.path(), "olga", "admin");
        host.create_server("olga", "durable");
        for at in 0..60 {
            let _ = put(&host, &token, &format!("plugin-{at}"), at).expect(200);
        }
        for at in 0..10 {
            host.create_server("olga", &format!("other-{at}"));
        }
        // Checkpoint; later writes stay in the log.
        stop(host);
        let host = settings(folder.path()).start();
        let act = |path: &str, body: Value| {
            let _ = host
                .act(
                    "olga",
                    "PUT",
                    &format!("/api/servers/durable/{path}"),
                    &body,
                )
                .expect(200);
        };
        for at in 0..10 {
            let _ = put(&host, &token, &format!("late-{at}"), at).expect(200);
            act(&format!("bans/troll-{at}"), json!({"reason": "spam"}));
            act(
                &format!("roles/role-{at}"),
                json!({"name": "Role", "permissions": ["manageMembers"]}),
            );
        }
        let known = QUESTIONS
            .iter()
            .map(|path| ask(&host, &token, path).1)
            .collect();
        host.kill();
        let log = fs::metadata(folder.path().join("sqlite-default.db-wal"))
            .expect("a log")
            .len();
        assert!(log > 100_000, "a log of {log} bytes");
        Self {
            folder,
            token,
            known,
        }
    }

    /// A copy to damage.
    fn copy(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().expect("a folder");
        for entry in fs::read_dir(self.folder.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                fs::copy(&path, copy.path().join(path.file_name().expect("a name")))
                    .expect("a copy");
            }
        }
        copy
    }

    /// Starts a host on damaged files and classifies what happens.
    fn judge(&self, data: &Path, damage: &str) -> Outcome {
        let before = fs::read(database(data)).unwrap_or_default();
        let host = match settings(data).try_start() {
            Ok(host) => host,
            Err(failure) => {
                let log = &failure.log;
                assert!(!log.contains("panicked"), "{damage}: {log}");
                assert!(
                    [
                        "error[DATABASE_CORRUPT]",
                        "error[DATABASE_MISSING]",
                        "error[DATABASE_NEWER]"
                    ]
                    .iter()
                    .any(|code| log.contains(code)),
                    "{damage}: {log}"
                );
                assert!(
                    log.contains("restore") || log.contains("DATABASE_NEWER"),
                    "{damage}: it says what to do: {log}"
                );
                assert_eq!(
                    fs::read(database(data)).unwrap_or_default(),
                    before,
                    "{damage}: the file was left as it is"
                );
                return Outcome::Refused;
            }
        };
        let answers: Vec<_> = QUESTIONS
            .iter()
            .map(|path| ask(&host, &self.token, path))
            .collect();
        let written = put(&host, &self.token, "plugin-new", 1);
        for (status, body) in answers
            .iter()
            .cloned()
            .chain([(written.status, written.json())])
        {
            assert!(
                status == 200 || (status == 503 && body["code"] == "DATABASE_CORRUPT"),
                "{damage}: {status} {body}"
            );
        }
        assert!(!host.log().contains("panicked"), "{damage}: {}", host.log());
        assert_eq!(host.get("/healthz").status, 200, "{damage}");
        if answers.iter().any(|(status, _)| *status == 503) {
            return Outcome::Told;
        }
        for ((_, body), known) in answers.iter().zip(&self.known) {
            assert_eq!(
                lengths(body),
                lengths(known),
                "{damage}: something is missing"
            );
        }
        let same = answers
            .iter()
            .zip(&self.known)
            .all(|((_, body), known)| body == known);
        if same {
            Outcome::Sound
        } else {
            Outcome::Unnoticed
        }
    }
}

/// Effect of the damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The host does not start and names the reason.
    Refused,
    /// It starts, and reports the damage where it reads it.
    Told,
    /// Nothing in use was hit.
    Sound,
    /// Bytes within a text changed and it still is a valid text. SQLite keeps no checksums of
    /// pages.
    Unnoticed,
}

fn ask(host: &Host, token: &str, path: &str) -> (u16, Value) {
    let answer = host.send(&Request::new("GET", path).bearer(token));
    (answer.status, answer.json())
}

/// Lengths of all lists in an answer.
fn lengths(body: &Value) -> Vec<(String, usize)> {
    let lists = body.as_object().into_iter().flatten();
    lists
        .filter_map(|(name, value)| Some((name.clone(), value.as_array()?.len())))
        .collect()
}

/// Damages one place of one file and describes it.
fn damage(data: &Path, rng: &mut Rng) -> String {
    let name = if rng.chance(60) {
        "sqlite-default.db"
    } else {
        "sqlite-default.db-wal"
    };
    let path = data.join(name);
    let mut bytes = fs::read(&path).expect("a file");
    // The last commit of a log, and a log that ends early, look like the traces of a crash.
    let is_log = name.ends_with("wal");
    let end = if is_log {
        bytes.len() * 4 / 5
    } else {
        bytes.len()
    };
    let page = rng.below(end / 4096) * 4096;
    let place = match rng.below(100) {
        0..15 => rng.below(100),
        15..50 => page + rng.below(16),
        _ => rng.below(end),
    };
    let what = match rng.below(10) {
        0 if !is_log => {
            bytes.truncate(place);
            "cut"
        }
        1 => {
            let end = (page + 4096).min(bytes.len());
            bytes[page..end].fill(0);
            "page of zeros"
        }
        2 => {
            let end = (place + 64).min(bytes.len());
            bytes[place..end].fill_with(|| rng.next() as u8);
            "noise"
        }
        _ => {
            bytes[place] ^= 1 << rng.below(8);
            "flipped bit"
        }
    };
    fs::write(&path, bytes).expect("a file");
    format!("{what} at {place} of {name}")
}

fn at_many_places(places: usize, seed: u64) {
    println!("seed {seed}");
    let (original, mut rng) = (Original::new(), Rng::new(seed));
    let mut outcomes = Vec::new();
    for at in 0..places {
        let copy = original.copy();
        let told = format!("seed {seed}, {at}: {}", damage(copy.path(), &mut rng));
        let outcome = original.judge(copy.path(), &told);
        println!("{told}: {outcome:?}");
        outcomes.push(outcome);
    }
    let count = |wanted| {
        outcomes
            .iter()
            .filter(|outcome| **outcome == wanted)
            .count()
    };
    let (refused, told, sound, unnoticed) = (
        count(Outcome::Refused),
        count(Outcome::Told),
        count(Outcome::Sound),
        count(Outcome::Unnoticed),
    );
    println!(
        "of {places}: {refused} refused, {told} told later, {sound} harmless, {unnoticed} within a text"
    );
    assert!(refused * 3 > places, "most damage is found at the start");
    assert!(unnoticed * 5 < places, "little of it is not found");
}

#[test]
fn damage_is_refused_or_harmless() {
    // The same places each time, because damage within a text cannot be detected.
    at_many_places(40, 20_260_101);
}

#[test]
#[ignore = "long: two hundred starts of the host"]
fn damage_at_two_hundred_places_is_refused_or_harmless() {
    at_many_places(200, seed());
}

/// A file that is gone or empty looks like a new one to SQLite.
#[test]
fn a_vanished_database_is_refused() {
    let original = Original::new();
    let refused = |data: &Path, code: &str| {
        let failure = settings(data).try_start().err().expect("a refusal");
        assert!(
            failure.log.contains(code) && failure.log.contains("restore"),
            "{}",
            failure.log
        );
    };
    let file = |data: &Path, end: &str| PathBuf::from(format!("{}{end}", database(data).display()));
    for vanish in [
        |path: &Path| fs::remove_file(path).expect("a file"),
        |path: &Path| fs::write(path, "").expect("a file"),
    ] {
        // With its log.
        let copy = original.copy();
        vanish(&database(copy.path()));
        refused(copy.path(), "error[DATABASE_");
        // Without it.
        let copy = original.copy();
        for end in ["", "-wal", "-shm"] {
            if file(copy.path(), end).exists() {
                vanish(&file(copy.path(), end));
            }
        }
        refused(copy.path(), "error[DATABASE_MISSING]");
        // Starting with an empty database needs an explicit step.
        fs::remove_file(database(copy.path()).with_extension("in-use")).expect("the mark");
        let host = settings(copy.path()).start();
        assert_eq!(host.get("/api/servers/durable").status, 404);
    }
}

/// Acknowledged changes that are only in the log are not lost by a damaged byte; damage in the last
/// one looks like a crash.
#[test]
fn damage_in_the_log_is_detected() {
    let original = Original::new();
    let log = |data: &Path| data.join("sqlite-default.db-wal");
    let bytes = fs::read(log(original.folder.path())).expect("a log");
    for place in [
        0,
        9,
        17,
        30,
        32,
        45,
        60,
        2000,
        bytes.len() / 4,
        bytes.len() / 2,
    ] {
        let copy = original.copy();
        let mut bytes = bytes.clone();
        bytes[place] ^= 1;
        fs::write(log(copy.path()), bytes).expect("a log");
        assert_eq!(
            original.judge(copy.path(), &format!("byte {place} of the log")),
            Outcome::Refused,
            "byte {place}"
        );
    }
}

/// SQLite returns texts that are not UTF-8; the request gets `DATABASE_CORRUPT`, not "unavailable".
#[test]
fn a_text_that_is_not_utf8_is_reported_as_damage() {
    let original = Original::new();
    for (table, row) in [("entry", "key = 'plugin-3'"), ("scope", "id = 'durable'")] {
        let copy = original.copy();
        let open = rusqlite::Connection::open(database(copy.path())).expect("a database");
        // A set high bit at the end of the document, as a flip would leave it.
        let sql = format!(
            "UPDATE {table} SET doc = CAST(CAST(substr(doc, 1, length(doc) - 1) AS BLOB) || x'fd' AS TEXT) WHERE {row}"
        );
        assert_eq!(open.execute(&sql, []).expect(&sql), 1, "{sql}");
        drop(open);
        assert_eq!(original.judge(copy.path(), table), Outcome::Told, "{table}");
    }
}
