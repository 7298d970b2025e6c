//! One data directory, one host.

use super::settings;
use std::os::unix::fs::symlink;

#[test]
fn a_second_host_names_the_first_ones_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let first = settings(&data).start();
    first.create_server("olga", "durable");
    let alias = folder.path().join("alias");
    symlink(&data, &alias).expect("a link");
    for path in [&data, &alias] {
        let failure = settings(path).try_start().err().expect("a refusal");
        assert!(
            failure.log.contains("error[DATA_IN_USE]"),
            "{}",
            failure.log
        );
        assert!(
            failure.log.contains(&first.process_id().to_string()),
            "it names the process: {}",
            failure.log
        );
    }
    let _ = first.get("/api/servers/durable").expect(200);
    // The lock belongs to the process and ends with it.
    first.kill();
    let second = settings(&alias).start();
    let _ = second.get("/api/servers/durable").expect(200);
}

#[test]
fn of_many_concurrent_starts_one_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| settings(folder.path()).try_start()))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().expect("a start"))
            .collect()
    });
    let refused: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().err())
        .collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(
        refused
            .iter()
            .all(|failure| failure.log.contains("error[DATA_IN_USE]")),
        "{refused:?}"
    );
}
