//! A disk that is full, read-only, limited or broken.

use super::{assert_whole, database, put, settings, stop};
use serde_json::json;
use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;
use tests::{
    client::Client,
    host::{jackfield, token},
    until,
};

/// A separate file system, small enough to be filled.
struct Disk(TempDir);

impl Disk {
    /// Eight mebibytes; `None` if this process may not mount.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "none"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        println!(
            "mounting is not allowed here: the disk's size is not tested, the process's own limit is"
        );
        None
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    /// Fills it to the last byte, then frees `spare` bytes.
    fn fill(&self, spare: u64) {
        let mut filler = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.filler())
            .expect("a file");
        let page = [0x5a; 4096];
        for block in [&page[..], &page[..1]] {
            while filler.write_all(block).is_ok() {}
        }
        let length = filler.metadata().expect("its length").len();
        filler
            .set_len(length.saturating_sub(spare))
            .expect("a shorter file");
    }

    fn free(&self) {
        fs::remove_file(self.filler()).expect("a file");
    }

    fn remount(&self, option: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{option}")])
            .arg(self.0.path())
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "remount {option}"
        );
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}

/// Asserts that a host refuses to start with this code and without a panic.
fn refuses(data: &Path, code: &str) {
    let failure = settings(data)
        .try_start()
        .err()
        .unwrap_or_else(|| panic!("{code}: it starts"));
    assert!(
        failure.log.contains(&format!("error[{code}]")),
        "{code}: {}",
        failure.log
    );
    assert!(!failure.log.contains("panicked"), "{}", failure.log);
}

#[test]
fn a_full_disk_at_start_is_reported_and_harms_nothing() {
    let Some(disk) = Disk::new() else { return };
    disk.fill(0);
    refuses(&disk.data(), "DISK_FULL");
    // More and more room: the host starts completely, or says that the disk is full.
    let mut started = 0;
    for spare in [1, 2, 3, 5, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256].map(|pages| pages * 4096) {
        disk.free();
        disk.fill(spare);
        match settings(&disk.data()).try_start() {
            Ok(host) => {
                started += 1;
                let _ = host.get("/healthz").expect(200);
            }
            Err(failure) => assert!(
                failure.log.contains("error[DISK_FULL]"),
                "{spare} bytes: {}",
                failure.log
            ),
        }
    }
    disk.free();
    let host = settings(&disk.data()).start();
    host.create_server("olga", "durable");
    stop(host);
    disk.fill(0);
    let before = fs::read(database(&disk.data())).expect("a database");
    refuses(&disk.data(), "DISK_FULL");
    assert_eq!(
        fs::read(database(&disk.data())).expect("a database"),
        before,
        "what could not be opened was left alone"
    );
    disk.free();
    let host = settings(&disk.data()).start();
    let _ = host.get("/api/servers/durable").expect(200);
    println!("with little room it started {started} times of 14");
}

#[test]
fn a_full_disk_stops_only_writes() {
    let Some(disk) = Disk::new() else { return };
    let host = settings(&disk.data()).start();
    host.create_server("olga", "durable");
    let token = host.token("olga", "client");
    let _ = put(&host, &token, "plugin-before", 1).expect(200);
    let mut client = Client::joined(&host, "guest", "durable");
    let mut other = Client::joined(&host, "other", "durable");
    disk.fill(0);
    // The log of the database has some room left; then there is none.
    let mut acknowledged = 0;
    let refused = loop {
        let answer = put(&host, &token, &format!("plugin-{acknowledged}"), 2);
        if answer.status != 200 {
            break answer;
        }
        acknowledged += 1;
        assert!(acknowledged < 400, "the disk is full, and writes go on");
    };
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (503, &json!("DATABASE_FULL")),
        "{}",
        refused.text()
    );
    for at in 0..20 {
        let answer = put(&host, &token, &format!("again-{at}"), 3);
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (503, &json!("DATABASE_FULL")),
            "{}",
            answer.text()
        );
    }
    // Everything that does not write continues.
    let known = host.get("/api/servers/durable/plugins").expect(200).json();
    assert_eq!(
        known["requirements"].as_array().map(Vec::len),
        Some(acknowledged + 1)
    );
    let _ = host.get("/healthz").expect(200);
    client.send(json!({"type": "chat_message", "serverId": "durable", "message": "no room"}));
    assert_eq!(other.expect("chat_message")["message"], "no room");
    drop(Client::joined(&host, "late", "durable"));

    disk.free();
    until("writes to work again", || {
        (put(&host, &token, "plugin-after", 4).status == 200).then_some(())
    });
    host.kill();
    assert_whole(&disk.data());
    let host = settings(&disk.data()).start();
    let known = host.get("/api/servers/durable/plugins").expect(200).json();
    assert_eq!(
        known["requirements"].as_array().map(Vec::len),
        Some(acknowledged + 2),
        "before, {acknowledged} on the way, after"
    );
}

/// The size of files can be limited for a process (`LimitFSIZE` of systemd): a write beyond it is
/// an I/O error, and by default the end.
#[test]
fn a_refused_write_does_not_end_the_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = settings(folder.path()).start();
    host.create_server("olga", "durable");
    let token = host.token("olga", "client");
    let _ = put(&host, &token, "plugin-before", 1).expect(200);
    let limit = |bytes: &str| {
        let status = Command::new("prlimit")
            .args([
                "--pid",
                &host.process_id().to_string(),
                &format!("--fsize={bytes}:unlimited"),
            ])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "prlimit, from util-linux"
        );
    };
    limit("100");
    for at in 0..5 {
        let answer = put(&host, &token, &format!("plugin-{at}"), 2);
        let code = answer.json()["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(
            answer.status == 503
                && ["DATABASE_UNAVAILABLE", "DATABASE_FULL"].contains(&code.as_str()),
            "{}",
            answer.text()
        );
    }
    let _ = host.get("/healthz").expect(200);
    let known = host.get("/api/servers/durable/plugins").expect(200).json();
    assert_eq!(
        known["requirements"].as_array().map(Vec::len),
        Some(1),
        "nothing by half"
    );
    limit("unlimited");
    until("writes to work again", || {
        (put(&host, &token, "plugin-after", 3).status == 200).then_some(())
    });
    host.kill();
    assert_whole(folder.path());
}

#[test]
fn a_read_only_disk_is_named() {
    let Some(disk) = Disk::new() else { return };
    let host = settings(&disk.data()).start();
    host.create_server("olga", "durable");
    stop(host);
    disk.remount("ro");
    refuses(&disk.data(), "DISK_READ_ONLY");
    disk.remount("rw");
    let host = settings(&disk.data()).start();
    let _ = host.get("/api/servers/durable").expect(200);
}

/// A disk that answers every read of the file with an I/O error, as the memory of another process
/// does at address 0.
#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    stop(settings(folder.path()).start());
    fs::remove_file(database(folder.path())).expect("a database");
    symlink("/proc/self/mem", database(folder.path())).expect("a link");
    let failure = settings(folder.path())
        .try_start()
        .err()
        .expect("a refusal");
    assert!(!failure.log.contains("panicked"), "{}", failure.log);
    assert!(
        failure.log.contains("error[D"),
        "a code of a database or disk: {}",
        failure.log
    );
    assert!(
        failure.log.contains("sqlite-default.db"),
        "it names the file: {}",
        failure.log
    );
}

/// The host works although its log cannot be written.
#[test]
fn an_unwritable_log_does_not_end_the_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let host = settings(&data)
        .log(Path::new("/dev/full"))
        .config("[log]\nfilter = \"debug\"\n")
        .start();
    host.create_server("olga", "durable");
    let mut client = Client::joined(&host, "guest", "durable");
    let token = token(&data, "olga", "client");
    for at in 0..20 {
        let _ = put(&host, &token, &format!("plugin-{at}"), 1).expect(200);
        client.refused(
            json!({"type": "chat_message", "serverId": "nowhere", "message": "logged"}),
            "NOT_A_MEMBER",
        );
    }
    let _ = host.get("/healthz").expect(200);
    stop(host);
}

/// The same for standard output, which carries only the `ready` line.
#[test]
fn an_unread_standard_output_does_not_end_the_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let config = folder.path().join("jackfield.toml");
    fs::write(&config, "[socket]\nshards = 1\n").expect("a file");
    let full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("a device");
    let mut command = jackfield();
    command.env(
        "JACKFIELD_CACHE__DIRECTORY",
        tests::output_folder().join("jackfield-test-cache"),
    );
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .arg("--data")
        .arg(folder.path().join("data"));
    let mut child = command
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let lines = BufReader::new(child.stderr.take().expect("a piped log")).lines();
    let mut file = File::create(&log).expect("a log");
    let mut ready = false;
    for line in lines.map_while(Result::ok) {
        writeln!(file, "{line}").expect("a line");
        if line.contains("ready") && !ready {
            ready = true;
            let status = Command::new("kill")
                .args(["-TERM", &child.id().to_string()])
                .status();
            assert!(status.is_ok_and(|status| status.success()));
        }
    }
    let status = child.wait().expect("an ended child");
    let said = fs::read_to_string(&log).expect("a log");
    assert!(
        ready && status.success() && !said.contains("panicked"),
        "{status}: {said}"
    );
}
