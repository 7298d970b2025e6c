//! Compiling plugins: files that are no component, too large or too expensive, and forged files in
//! the cache of compiled code.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tests::{
    bystander::{Bystander, STEADY},
    guests::guest,
    host::{Host, Settings, jackfield},
    measures::{processor_ticks, resident_bytes},
    output_folder,
    plugins::Directory,
    rng::{Rng, seed},
};

/// Components with a few bytes changed, loaded by one host.
const MUTANTS: usize = 32;
/// The same in the long form, each in its own compiler process.
const MUTANTS_LONG: usize = 10_000;
/// A file far larger than any component may be.
const HUGE_BYTES: u64 = 200 * limits::MIB as u64;
/// Memory that refusing it may cost.
const REFUSAL_BYTES_MAX: usize = 20 * limits::MIB;
/// Processor time of a compiler process in a test, beyond what the host has used itself; hundredths
/// of a second.
const COMPILE_TICKS: u64 = 1_000;

/// Waits until a plugin is loaded, blocked or failed; its state and the reason.
fn settled(host: &Host, plugin: &str) -> (String, String) {
    tests::until(plugin, || {
        let answer = host.admin("GET", &format!("/api/plugins/{plugin}"), &Value::Null);
        let about = if answer.status == 200 {
            answer.json()
        } else {
            Value::Null
        };
        let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
        ["loaded", "blocked", "failed"]
            .contains(&text("state").as_str())
            .then(|| (text("state"), text("lastError")))
    })
}

/// The component with one to eight bytes changed.
fn mutant(component: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = component.to_vec();
    for _ in 0..=rng.below(8) {
        // The preamble stays, otherwise nothing behind it would be read.
        let at = 8 + rng.below(bytes.len() - 8);
        bytes[at] ^= 1 + rng.below(255) as u8;
    }
    bytes
}

#[test]
fn files_that_are_no_component_are_refused_with_a_reason() {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let component = guest("idle");
    let module = [0, b'a', b's', b'm', 1, 0, 0, 0];
    let mut files: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "is empty"),
        (
            module.to_vec(),
            "is a core WebAssembly module; a component is needed",
        ),
        (b"(component)".to_vec(), "is not a WebAssembly component"),
        (vec![0; 64], "is not a WebAssembly component"),
        (component[..8].to_vec(), "missing required export"),
    ];
    files.extend((1..8).map(|part| {
        (
            component[..component.len() * part / 8].to_vec(),
            "is not a valid component",
        )
    }));
    files.extend((0..MUTANTS).map(|_| (mutant(&component, &mut rng), "")));
    let directory = Directory::default();
    for (at, (bytes, _)) in files.iter().enumerate() {
        directory.install_guest(&format!("tests.file-{at}"), bytes, |_| {});
    }
    let host = directory.settings().config(STEADY).start();
    let bystander = Bystander::start(&host, "calm");
    for (at, (_, says)) in files.iter().enumerate() {
        let (state, reason) = settled(&host, &format!("tests.file-{at}"));
        assert!(
            reason.contains(says),
            "seed {seed}, file {at}: {state} {reason}"
        );
        assert!(
            says.is_empty() || state == "blocked",
            "seed {seed}, file {at}: {state} {reason}"
        );
        assert!(
            !reason.contains("panicked"),
            "seed {seed}, file {at}: {reason}"
        );
    }
    bystander.undisturbed();
}

#[test]
#[ignore = "long: ten thousand compiling processes"]
fn ten_thousand_mutated_components_are_compiled_or_refused() {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let component = guest("idle");
    for at in 0..MUTANTS_LONG {
        let mut child = jackfield();
        let mut child = child
            .arg("compile-plugin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The compiler may end before it has read everything.
        let _ = child
            .stdin
            .take()
            .unwrap()
            .write_all(&mutant(&component, &mut rng));
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(0 | 1)) && !said.contains("panicked"),
            "seed {seed}, mutant {at}: {said}"
        );
    }
}

#[test]
fn a_component_that_is_too_large_is_not_read() {
    let directory = Directory::default();
    let host = directory.settings().start();
    let before = resident_bytes(&host);
    directory.install_guest("tests.huge", &[], |_| {});
    let file = fs::OpenOptions::new()
        .write(true)
        .open(directory.path().join("tests.huge/guest.wasm"))
        .unwrap();
    file.set_len(HUGE_BYTES).unwrap();
    let reason = tests::until("the file to be refused", || {
        let (state, reason) = settled(&host, "tests.huge");
        (state == "blocked" && reason.contains("limit of a component")).then_some(reason)
    });
    assert!(
        reason.contains(&format!(
            "the limit of a component is {}",
            limits::manifest::COMPONENT_BYTES_MAX
        )),
        "the size limit must be named: {reason}"
    );
    let grown = resident_bytes(&host).saturating_sub(before);
    assert!(
        grown < REFUSAL_BYTES_MAX,
        "refusing the file cost {grown} bytes"
    );
}

/// A component with one function whose locals are all live in all of its loops: a small file that
/// makes register allocation expensive.
fn bomb() -> Vec<u8> {
    const LOCALS: u64 = 1_500;
    const LOOPS: usize = 200;
    let leb = |mut number: u64| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    let with_length = |bytes: Vec<u8>| [leb(bytes.len() as u64), bytes].concat();
    let section = |id: u8, bytes: Vec<u8>| [vec![id], with_length(bytes)].concat();
    // local.get at, local.get another, i32.add, local.set at
    let mixed = (0..LOCALS).flat_map(|at| {
        [
            vec![0x20],
            leb(at),
            vec![0x20],
            leb((at * 7 + 1) % LOCALS),
            vec![0x6a, 0x21],
            leb(at),
        ]
        .concat()
    });
    // loop ... local.get 0, br_if 0, end
    let one: Vec<u8> = [
        vec![0x03, 0x40],
        mixed.collect(),
        vec![0x20, 0, 0x0d, 0, 0x0b],
    ]
    .concat();
    let body = [
        vec![1],
        leb(LOCALS),
        vec![0x7f],
        one.repeat(LOOPS),
        vec![0x0b],
    ]
    .concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, vec![1, 0x60, 0, 0]),
        section(3, vec![1, 0]),
        section(10, [vec![1], with_length(body)].concat()),
    ];
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, module.concat())].concat()
}

/// The compiler process inherits the limit of the host and cannot raise it, so the test sets a
/// limit that is reached quickly.
#[test]
fn an_expensive_component_ends_only_its_compiler_process() {
    let directory = Directory::default();
    directory.install("polls", |_| {});
    let host = directory.settings().start();
    host.plugin_in("jackfield.polls", "loaded");
    host.grant_all("jackfield.polls");
    let seconds = (processor_ticks(&host) + COMPILE_TICKS) / 100;
    let limited = Command::new("prlimit")
        .arg(format!("--pid={}", host.process_id()))
        .arg(format!("--cpu={seconds}:{seconds}"))
        .status();
    assert!(limited.expect("prlimit runs").success());
    directory.install_guest("tests.bomb", &bomb(), |_| {});
    let reason = tests::until("the compiler's end", || {
        // Polled rarely, because the processor time of the host counts towards the limit.
        std::thread::sleep(Duration::from_secs(1));
        let answer = host.admin("GET", "/api/plugins/tests.bomb", &Value::Null);
        (answer.status == 200 && answer.json()["state"] == "blocked")
            .then(|| answer.json()["lastError"].to_string())
    });
    assert!(
        reason.contains("is too expensive to compile"),
        "the reason must name the cost: {reason}"
    );
    assert_eq!(
        host.ask_plugin("GET", "/polls/", b"").status,
        200,
        "the host and its other plugins live"
    );
}

/// Files of compiled code in a cache.
fn code(cache: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(cache).expect("a cache");
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "cwasm"))
        .collect()
}

/// A cache of its own for one test, filled with what other tests have compiled, so that only what is new here has to be compiled.
fn copied_cache() -> TempDir {
    let cache = tempfile::tempdir().expect("a folder");
    let shared = output_folder().join("jackfield-test-cache");
    for file in fs::read_dir(&shared).into_iter().flatten().flatten() {
        let path = file.path();
        if path.is_file() && !file.file_name().to_string_lossy().starts_with('.') {
            // A file may be evicted while the folder is read; its code is then compiled here.
            let _ = fs::copy(&path, cache.path().join(file.file_name()));
        }
    }
    // The compiled code of the edge's components.
    let modules = shared.join("modules");
    fs::create_dir_all(&modules).expect("a folder");
    symlink(modules, cache.path().join("modules")).expect("a link");
    cache
}

/// The component with a custom section that no other test's has: its code is in no cache.
fn unique(mut component: Vec<u8>) -> Vec<u8> {
    let nanoseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_nanos();
    component.extend_from_slice(&[0, 20, 3, b'n', b'e', b'w']);
    component.extend_from_slice(&nanoseconds.to_le_bytes());
    component
}

#[test]
fn forged_compiled_code_is_never_loaded() {
    let (directory, data) = (Directory::default(), tempfile::tempdir().unwrap());
    let cache = copied_cache();
    let settings = || -> Settings {
        let place = toml::Value::from(cache.path().display().to_string());
        directory
            .settings()
            .data(data.path())
            .config(&format!("[cache]\ndirectory = {place}\n"))
    };
    let complaints = |host: Host| {
        host.plugin_in("tests.idle", "loaded");
        let log = host.log();
        host.kill();
        log.matches("compiled code is refused and compiled again")
            .count()
    };
    settings().start().kill();
    let before = code(cache.path());
    let new_code = |known: &BTreeSet<PathBuf>| -> PathBuf {
        let now = code(cache.path());
        let mut new = now.difference(known);
        let file = new.next().expect("code of a component that was not known");
        assert_eq!(new.next(), None, "one plugin, one file");
        file.clone()
    };
    directory.install_guest("tests.idle", &unique(guest("idle")), |_| {});
    assert_eq!(complaints(settings().start()), 0);
    let file = &new_code(&before);
    let good = fs::read(file).unwrap();
    assert_eq!(
        complaints(settings().start()),
        0,
        "code that the host has written is loaded"
    );
    assert_eq!(fs::read(file).unwrap(), good, "and not written again");

    let flipped = |at: usize| [&good[..at], &[good[at] ^ 1], &good[at + 1..]].concat();
    let forgeries = [
        ("a byte of the code", flipped(good.len() / 2)),
        ("a byte of the digest", flipped(0)),
        ("the last byte", flipped(good.len() - 1)),
        ("cut", good[..good.len() / 2].to_vec()),
        ("cut within the digest", good[..16].to_vec()),
        ("longer", [&good[..], b"more"].concat()),
        ("code without a digest", good[32..].to_vec()),
        ("a digest alone", good[..32].to_vec()),
        ("a program", fs::read("/bin/true").unwrap()),
    ];
    for (what, forged) in forgeries {
        fs::write(file, forged).unwrap();
        assert_eq!(complaints(settings().start()), 1, "{what}");
        assert_eq!(
            fs::read(file).unwrap().len(),
            good.len(),
            "{what} is replaced"
        );
    }
    // Good code of this very host, under the name of another component.
    let before = code(cache.path());
    directory.install_guest("tests.idle", &unique(guest("tables")), |_| {});
    assert_eq!(complaints(settings().start()), 0);
    fs::copy(file, new_code(&before)).unwrap();
    assert_eq!(
        complaints(settings().start()),
        1,
        "good code under another name"
    );
}
