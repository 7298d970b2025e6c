//! `kill -9` at any moment, under load.

use super::{assert_whole, put, row, settings};
use std::{collections::BTreeMap, sync::mpsc::Sender, time::Duration};
use tests::{
    host::{Host, token},
    http::Request,
    killing::kill_among,
    rng::{Rng, seed},
};

const WRITERS: usize = 4;
/// Rows that one writer writes, overwrites and removes.
const ROWS: usize = 8;

/// What was acknowledged to one writer, and the write in progress when the host died. A row is a
/// URL, or `None` if removed.
#[derive(Default)]
struct Journal {
    acknowledged: BTreeMap<String, Option<String>>,
    in_flight: Option<(String, Option<String>)>,
    /// The highest acknowledged revision.
    revision: u64,
}

impl Journal {
    /// Writes until the host is gone, and reports each answer.
    fn write(
        &mut self,
        address: &str,
        token: &str,
        mut rng: Rng,
        marks: u64,
        writer: usize,
        told: &Sender<()>,
    ) {
        for mark in marks.. {
            let plugin = format!("writer-{writer}.row-{}", rng.below(ROWS));
            let exists = self.acknowledged.get(&plugin).is_some_and(Option::is_some);
            let path = format!("/api/servers/durable/plugins/{plugin}/requirement");
            let (request, becomes) = if exists && rng.chance(25) {
                (Request::new("DELETE", &path), None)
            } else {
                let row = row(mark);
                (
                    Request::new("PUT", &path).json(&row),
                    row["installUrl"].as_str().map(str::to_owned),
                )
            };
            self.in_flight = Some((plugin.clone(), becomes.clone()));
            let Ok(answer) = request.bearer(token).send(address) else {
                return;
            };
            assert_eq!(answer.status, 200, "{}", answer.text());
            self.revision = self
                .revision
                .max(answer.json()["revision"].as_u64().expect("a revision"));
            self.acknowledged.insert(plugin, becomes);
            self.in_flight = None;
            if told.send(()).is_err() {
                return;
            }
        }
    }

    /// Compares with the stored rows; a write that was in progress may or may not be there.
    fn settle(&mut self, rows: &BTreeMap<String, String>, seed: u64) {
        for (plugin, wanted) in &self.acknowledged {
            let found = rows.get(plugin).cloned();
            let pending = self
                .in_flight
                .as_ref()
                .filter(|(other, _)| other == plugin)
                .map(|(_, becomes)| becomes);
            assert!(
                found == *wanted || Some(&found) == pending,
                "seed {seed}: {plugin} was acknowledged as {wanted:?}, and is {found:?}"
            );
        }
        if let Some((plugin, _)) = self.in_flight.take() {
            let found = rows.get(&plugin).cloned();
            self.acknowledged.insert(plugin, found);
        }
    }
}

/// All rows, and the server's revision.
fn read(host: &Host) -> (BTreeMap<String, String>, u64) {
    let snapshot = host.get("/api/servers/durable/plugins").expect(200).json();
    let rows = snapshot["requirements"].as_array().expect("a list").iter();
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let rows = rows
        .map(|row| (text(&row["pluginId"]), text(&row["installUrl"])))
        .collect();
    (rows, snapshot["revision"].as_u64().expect("a revision"))
}

fn survive(kills: usize) {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let host = settings(folder.path()).start();
    host.create_server("olga", "durable");
    let token = token(folder.path(), "olga", "client");
    let mut running = Some(host);
    let mut journals: Vec<Journal> = (0..WRITERS).map(|_| Journal::default()).collect();
    let mut writes = 0;
    for kill in 0..kills {
        let host = running
            .take()
            .unwrap_or_else(|| settings(folder.path()).start());
        let (rows, revision) = read(&host);
        let told = journals
            .iter()
            .map(|journal| journal.revision)
            .max()
            .unwrap_or_default();
        assert!(
            revision >= told,
            "seed {seed}: after kill {kill} the revision is {revision}, but {told} was acknowledged"
        );
        assert!(
            rows.keys()
                .all(|plugin| journals.iter().any(|journal| journal
                    .acknowledged
                    .contains_key(plugin)
                    || journal
                        .in_flight
                        .as_ref()
                        .is_some_and(|(other, _)| other == plugin))),
            "seed {seed}: a row that no writer wrote"
        );
        for journal in &mut journals {
            journal.settle(&rows, seed);
        }
        writes += kill_among(
            host,
            &mut journals,
            &mut rng,
            200,
            |journal, writer, address, rng, told| {
                let marks = (kill * WRITERS + writer) as u64 * 1_000_000;
                journal.write(address, &token, rng, marks, writer, told);
            },
        );
        assert_whole(folder.path());
    }
    println!("{kills} kills among {writes} acknowledged writes");
    let host = settings(folder.path()).start();
    let (rows, _) = read(&host);
    for journal in &mut journals {
        journal.settle(&rows, seed);
    }
    let _ = put(&host, &token, "after.all", 1).expect(200);
}

#[test]
fn acknowledged_changes_survive_every_kill() {
    survive(30);
}

#[test]
#[ignore = "long: five hundred starts of the host"]
fn acknowledged_changes_survive_five_hundred_kills() {
    survive(500);
}

/// A host that dies while it creates its data: keys, files and schema are complete or absent, and
/// the next start finishes the work.
#[test]
fn a_kill_during_the_first_start_leaves_no_partial_data() {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    for _ in 0..8 {
        let folder = tempfile::tempdir().expect("a folder");
        for _ in 0..3 {
            settings(folder.path()).start_and_kill(Duration::from_millis(rng.below(600) as u64));
        }
        let host = settings(folder.path()).start();
        host.create_server("olga", "durable");
        let token = host.token("olga", "client");
        let _ = put(&host, &token, "x.y", 1).expect(200);
        drop(host);
        assert_whole(folder.path());
    }
}
