//! Files that were killed in the middle of writing, are damaged, or are those of a newer program.

use crate::{Fixture, code, open};
use bytes::Bytes;
use plugin_store::{Change, Level, LogEntry, PluginStore};
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
};

/// Names the database for the child process.
const CHILD: &str = "JACKFIELD_TEST_STORE";
const WRITERS: usize = 6;
const KILLS: usize = 8;

/// Does nothing unless it is the child process of the test below: then it writes until it is killed, and says what was
/// acknowledged.
#[test]
fn writes_until_it_is_killed() {
    let Some(path) = env::var_os(CHILD) else {
        return;
    };
    let store = open(&PathBuf::from(path));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        async move {
            let first = read(&store, &format!("left-{writer}")).await.unwrap_or(0);
            for number in first + 1.. {
                let value = Bytes::from(format!(
                    "{number:0>width$}",
                    width = 8 + (number as usize * 397) % 20_000
                ));
                let pair = ["left", "right"]
                    .map(|side| Change::Set(format!("{side}-{writer}"), value.clone()));
                store.kv_apply("p", pair.into()).await.expect("it writes");
                store.log(LogEntry {
                    plugin: "p".into(),
                    at_ms: number,
                    level: Level::Info,
                    message: "written".into(),
                    fields: None,
                });
                writeln!(std::io::stdout(), "acknowledged {writer} {number}").expect("a parent");
            }
        }
    });
    let writers: Vec<_> = writers.map(|writer| runtime.spawn(writer)).collect();
    runtime.block_on(async {
        for writer in writers {
            writer.await.expect("it writes for ever");
        }
    });
}

async fn read(store: &PluginStore, key: &str) -> Option<u64> {
    let value = store.kv_get("p", key).await.expect("a read")?;
    Some(
        std::str::from_utf8(&value)
            .expect("text")
            .parse()
            .expect("a number"),
    )
}

#[tokio::test]
async fn acknowledged_changes_survive_a_kill() {
    let fixture = Fixture::new();
    drop(fixture.open());
    for kill in 0..KILLS {
        let mut child = Command::new(env::current_exe().expect("a program"))
            .args(["--exact", "crash::writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, fixture.file())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut acknowledged = [0; WRITERS];
        let mut note = |line: &str| {
            // The test runner's own words stand before the first line.
            let Some((_, line)) = line.split_once("acknowledged ") else {
                return false;
            };
            let (writer, number) = line.split_once(' ').expect("two numbers");
            acknowledged[writer.parse::<usize>().expect("a number")] =
                number.parse::<u64>().expect("a number");
            true
        };
        let mut count = 0;
        while count < 40 + 61 * kill {
            count += usize::from(note(
                &lines.next().expect("the child lives").expect("a line"),
            ));
        }
        child.kill().expect("a kill");
        child.wait().expect("its end");
        for line in lines
            .map_while(Result::ok)
            .filter(|line| line.matches(' ').count() >= 2)
        {
            note(&line);
        }
        let store = fixture.open();
        let mut used = 0;
        for (writer, number) in acknowledged.into_iter().enumerate() {
            let left = store
                .kv_get("p", &format!("left-{writer}"))
                .await
                .expect("a read")
                .unwrap_or_default();
            let right = store
                .kv_get("p", &format!("right-{writer}"))
                .await
                .expect("a read")
                .unwrap_or_default();
            assert_eq!(left, right, "kill {kill}: both or none");
            assert!(
                read(&store, &format!("left-{writer}")).await >= Some(number),
                "kill {kill}: {number} of {writer} was acknowledged"
            );
            used += left.len() + right.len() + "left-0right-0".len();
        }
        assert_eq!(
            store.kv_usage("p").await.expect("a number"),
            used as u64,
            "kill {kill}: what is counted is what is there"
        );
    }
}

#[test]
fn a_database_of_a_newer_program_is_left_alone() {
    let fixture = Fixture::new();
    drop(fixture.open());
    for version in [1_000, -1] {
        fixture
            .sql()
            .execute_batch(&format!("PRAGMA user_version = {version}"))
            .expect("SQL");
        let before = fs::read(fixture.file()).expect("a file");
        assert_eq!(code(PluginStore::open(&fixture.file())), "DATABASE_NEWER");
        assert!(fs::read(fixture.file()).expect("a file") == before);
    }
}

#[tokio::test]
async fn what_is_damaged_or_gone_is_refused() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for at in 0..200 {
        store
            .kv_apply(
                "p",
                vec![Change::Set(at.to_string(), vec![at; 2_000].into())],
            )
            .await
            .expect("it writes");
    }
    drop(store);
    let whole = fs::read(fixture.file()).expect("a file");
    let mut damaged = whole.clone();
    for byte in &mut damaged[8_192..40_000] {
        *byte ^= 0x5a;
    }
    fs::write(fixture.file(), &damaged).expect("a file");
    assert_eq!(code(PluginStore::open(&fixture.file())), "DATABASE_CORRUPT");
    assert!(
        fs::read(fixture.file()).expect("a file") == damaged,
        "it is left as it is"
    );
    fs::write(
        fixture.file(),
        "no database at all, and long enough to be looked at ".repeat(100),
    )
    .expect("a file");
    assert_eq!(code(PluginStore::open(&fixture.file())), "DATABASE_CORRUPT");
    fs::remove_file(fixture.file()).expect("a file");
    assert_eq!(code(PluginStore::open(&fixture.file())), "DATABASE_MISSING");
    fs::write(fixture.file(), whole).expect("a file");
    assert_eq!(
        fixture
            .open()
            .kv_keys("p", "", None, 1_000)
            .await
            .expect("keys")
            .keys
            .len(),
        200
    );
}

/// A byte within a text can be hit so that it is none any more; SQLite does not mind.
#[tokio::test]
async fn what_cannot_be_read_as_it_was_written_is_damage() {
    let fixture = Fixture::new();
    fixture
        .open()
        .switch(Some("p"), Some("olga"), 1)
        .await
        .expect("it writes");
    fixture
        .sql()
        .execute_batch("UPDATE switches SET thrown_by = CAST(x'6ffd' AS TEXT)")
        .expect("SQL");
    assert_eq!(code(fixture.open().switches().await), "DATABASE_CORRUPT");
}
