//! Durability of plugin values: `kill -9` of the host, and the end of an instance, during writes.
//!
//! Each write sets two keys to the same mark in one step; different marks would be half a write.

use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, sync::mpsc::Sender};
use tests::{
    client::Client,
    host::{Host, token},
    http::Request,
    killing::kill_among,
    plugins::Directory,
    rng::{Rng, seed},
};

const WRITERS: usize = 3;
/// Pairs of keys of one writer.
const PAIRS: usize = 4;

/// What was acknowledged to one writer, and the write that was in progress when the host died.
#[derive(Default)]
struct Journal {
    acknowledged: BTreeMap<String, u64>,
    in_flight: Option<(String, u64)>,
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
            let pair = format!("writer-{writer}.pair-{}", rng.below(PAIRS));
            self.in_flight = Some((pair.clone(), mark));
            let mut request =
                Request::new("POST", &format!("/api/plugins/route/probe/kv-pair/{pair}"))
                    .bearer(token);
            request.body = Some(mark.to_string().into_bytes());
            let Ok(answer) = request.send(address) else {
                return;
            };
            // A dying host may still answer that the plugin has ended.
            if matches!(answer.status, 502 | 503) {
                return;
            }
            assert_eq!((answer.status, answer.json()), (200, Value::Null));
            self.acknowledged.insert(pair, mark);
            self.in_flight = None;
            if told.send(()).is_err() {
                return;
            }
        }
    }

    /// Compares with the stored values; a write that was in progress may or may not be there.
    fn settle(&mut self, host: &Host, seed: u64) {
        let pending = self.in_flight.take();
        let names: Vec<String> = self
            .acknowledged
            .keys()
            .chain(pending.as_ref().map(|(pair, _)| pair))
            .cloned()
            .collect();
        for pair in names {
            let found = read(host, &pair, seed);
            let wanted = self.acknowledged.get(&pair).copied();
            let under_way = pending
                .as_ref()
                .filter(|(other, _)| *other == pair)
                .map(|(_, mark)| *mark);
            assert!(
                found == wanted || (found.is_some() && found == under_way),
                "seed {seed}: {pair} was acknowledged as {wanted:?} with {under_way:?} under way, and is {found:?}"
            );
            if let Some(mark) = found {
                self.acknowledged.insert(pair, mark);
            }
        }
    }
}

/// The mark of a pair; both keys must agree.
fn read(host: &Host, pair: &str, seed: u64) -> Option<u64> {
    let end = |end: &str| {
        host.ask_plugin_again("GET", &format!("/probe/kv-get/{pair}.{end}"))
            .expect(200)
            .json()
    };
    let (left, right) = (end("left"), end("right"));
    assert_eq!(left, right, "seed {seed}: {pair} is half written");
    left.as_str().map(|mark| mark.parse().expect("a mark"))
}

fn start(directory: &Directory, data: &Path) -> Host {
    let host = directory
        .settings()
        .config("[socket]\nshards = 1\n[plugins]\nrestart_ms = 1\n")
        .data(data)
        .start();
    host.plugin_in("tests.probe", "loaded");
    host
}

fn survive(kills: usize) {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let (directory, data) = (Directory::default(), tempfile::tempdir().expect("a folder"));
    directory.install("plugin-probe", |_| {});
    let host = start(&directory, data.path());
    host.grant_all("tests.probe");
    let token = token(data.path(), "alice", "client");
    let mut running = Some(host);
    let mut journals: Vec<Journal> = (0..WRITERS).map(|_| Journal::default()).collect();
    let mut writes = 0;
    for kill in 0..kills {
        let host = running
            .take()
            .unwrap_or_else(|| start(&directory, data.path()));
        journals
            .iter_mut()
            .for_each(|journal| journal.settle(&host, seed));
        writes += kill_among(
            host,
            &mut journals,
            &mut rng,
            150,
            |journal, writer, address, rng, told| {
                let marks = (kill * WRITERS + writer) as u64 * 1_000_000;
                journal.write(address, &token, rng, marks, writer, told);
            },
        );
    }
    println!("{kills} kills among {writes} acknowledged writes");
    let host = start(&directory, data.path());
    journals
        .iter_mut()
        .for_each(|journal| journal.settle(&host, seed));
}

#[test]
fn acknowledged_plugin_values_survive_every_kill() {
    survive(8);
}

#[test]
#[ignore = "long: five hundred starts of the host"]
fn acknowledged_plugin_values_survive_five_hundred_kills() {
    survive(500);
}

#[test]
fn an_instance_ended_during_a_write_leaves_no_half_write() {
    let (directory, data) = (Directory::default(), tempfile::tempdir().expect("a folder"));
    directory.install("plugin-probe", |manifest| {
        manifest["limits"] = json!({"responseTimeoutMs": 200})
    });
    let host = start(&directory, data.path());
    host.grant_all("tests.probe");
    let mut marks = Vec::new();
    for round in 0..6 {
        let answer = host.ask_plugin(
            "GET",
            &format!("/probe/kv-pairs-for-ever/round-{round}"),
            b"",
        );
        assert!(matches!(answer.status, 502 | 504), "{}", answer.text());
        // The ended instance writes no more: the stored values stay as they are.
        let mark = read(&host, &format!("round-{round}"), 0);
        assert_eq!(mark, read(&host, &format!("round-{round}"), 0));
        marks.push(mark);
    }
    assert!(
        marks.iter().all(Option::is_some),
        "it wrote, and was ended while it did: {marks:?}"
    );
}

#[test]
fn a_graceful_end_leaves_a_single_database_file() {
    let (directory, data) = (Directory::default(), tempfile::tempdir().expect("a folder"));
    directory.install("plugin-probe", |_| {});
    let host = start(&directory, data.path());
    host.grant_all("tests.probe");
    host.create_server("olga", "plaza");
    // With instances for requests and for a server, and with a client connected.
    let mut client = Client::joined(&host, "alice", "plaza");
    client.send(json!({"type": "chat_message", "serverId": "plaza", "message": "hello"}));
    assert_eq!(
        host.ask_plugin("POST", "/probe/kv-pair/last", b"7")
            .expect(200)
            .json(),
        Value::Null
    );
    let log = data.path().join("plugins.db-wal");
    assert!(
        log.exists(),
        "while it runs, the newest is in the write-ahead log"
    );
    host.signal("TERM");
    assert!(host.wait().success());
    assert!(!log.exists(), "the database was not closed");
    let host = start(&directory, data.path());
    assert_eq!(read(&host, "last", 0), Some(7));
}
