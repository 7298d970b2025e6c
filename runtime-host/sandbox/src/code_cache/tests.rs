//! What is taken from the cache, what is refused, and what is private.

use super::{
    CodeCache, CodeCacheStats,
    folder::{evict, user_folder_from},
};
use anyhow::bail;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use wasmtime::{Config, Engine};

/// A component without anything in it.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
/// Another one: it has a custom section.
const NAMED: &[u8] = b"\0asm\x0d\0\x01\0\0\x03\x01ab";

fn stats(hits: u64, compiled: u64, refused: u64) -> CodeCacheStats {
    CodeCacheStats {
        hits,
        compiled,
        refused,
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).expect("a folder");
    files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "cwasm"))
        .collect()
}

#[test]
fn a_component_is_compiled_once_for_each_content_and_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = CodeCache::open(&folder.path().join("code")).expect("a cache");
    let plain = Engine::default();
    let fuel = Engine::new(Config::new().consume_fuel(true)).expect("an engine");
    for (engine, bytes) in [(&plain, EMPTY), (&plain, NAMED), (&fuel, EMPTY)] {
        cache.load(engine, "test", bytes).expect("a component");
    }
    assert_eq!(cache.stats(), stats(0, 3, 0));
    let again = CodeCache::open(cache.folder()).expect("the same key");
    again.load(&plain, "test", EMPTY).expect("a component");
    assert_eq!(again.stats(), stats(1, 0, 0));
    assert!(again.load(&plain, "test", b"\0asm\x01\0\0\0").is_err());
    assert!(
        again
            .load(&plain, "test", b"\0asm\x0d\0\x01\0\xff")
            .is_err()
    );
    assert_eq!(again.stats(), stats(1, 0, 0), "a failure is not kept");
}

#[test]
fn nothing_is_made_while_the_cache_has_its_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = CodeCache::open(folder.path()).expect("a cache");
    let engine = Engine::default();
    let refused = cache.load_made(&engine, "test", &[7; 32], || bail!("not made"));
    assert!(refused.is_err());
    for made in [true, false] {
        let mut is_made = false;
        let component = cache.load_made(&engine, "test", &[7; 32], || {
            is_made = true;
            Ok(EMPTY.to_vec())
        });
        component.expect("a component");
        assert_eq!(is_made, made);
    }
}

#[test]
fn an_entry_that_was_not_written_with_the_key_is_compiled_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = CodeCache::open(folder.path()).expect("a cache");
    let engine = Engine::default();
    cache.load(&engine, "test", EMPTY).expect("a component");
    let [file] = &entries(folder.path())[..] else {
        panic!("one component, one file")
    };
    let good = fs::read(file).expect("an entry");
    let flipped = |at: usize| [&good[..at], &[good[at] ^ 1], &good[at + 1..]].concat();
    let forgeries = [
        flipped(0),
        flipped(good.len() / 2),
        flipped(good.len() - 1),
        good[..good.len() / 2].to_vec(),
        good[..32].to_vec(),
        good[..16].to_vec(),
        good[32..].to_vec(),
        [&good[..], b"more"].concat(),
        Vec::new(),
    ];
    for (at, forged) in forgeries.iter().enumerate() {
        fs::write(file, forged).expect("a forgery");
        cache.load(&engine, "test", EMPTY).expect("a component");
        let done = at as u64 + 1;
        assert_eq!(cache.stats(), stats(0, 1 + done, done), "forgery {at}");
    }
    cache.load(&engine, "test", NAMED).expect("a component");
    let other = entries(folder.path()).into_iter().find(|path| path != file);
    let refused = cache.stats().refused;
    fs::copy(file, other.expect("a second entry")).expect("a copy");
    cache.load(&engine, "test", NAMED).expect("a component");
    assert_eq!(
        cache.stats().refused,
        refused + 1,
        "good code under the name of another component"
    );
    fs::remove_file(folder.path().join("key")).expect("no key");
    let stranger = CodeCache::open(folder.path()).expect("another key");
    stranger.load(&engine, "test", EMPTY).expect("a component");
    assert_eq!(stranger.stats(), stats(0, 1, 1), "written with another key");
}

#[test]
fn folder_and_files_are_private() {
    let outer = tempfile::tempdir().expect("a folder");
    let folder = outer.path().join("open");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("a mode");
    let cache = CodeCache::open(&folder).expect("a cache");
    cache
        .load(&Engine::default(), "test", EMPTY)
        .expect("a component");
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for file in fs::read_dir(&folder).expect("files") {
        let path = file.expect("a file").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let key = folder.join("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("a mode");
    let error = CodeCache::open(&folder).expect_err("the key is readable by all");
    assert!(
        format!("{error:#}").contains("readable by other users"),
        "{error:#}"
    );
    fs::write(&key, b"short").expect("a key");
    assert!(CodeCache::open(&folder).is_err(), "the key is too short");
}

#[test]
fn the_least_recently_used_entries_go_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let now = SystemTime::now();
    for (at, name) in ["oldest.cwasm", "older.cwasm", "young.cwasm"]
        .iter()
        .enumerate()
    {
        let file = fs::File::create(folder.path().join(name)).expect("a file");
        file.set_len(10).expect("a length");
        file.set_modified(now - Duration::from_secs(100 - at as u64))
            .expect("a time");
    }
    fs::write(folder.path().join("key"), [0; 32]).expect("a key");
    let left = |bytes_max| {
        evict(folder.path(), bytes_max).expect("an eviction");
        entries(folder.path()).len()
    };
    assert_eq!((left(30), left(29), left(10)), (3, 2, 1));
    assert!(folder.path().join("young.cwasm").exists());
    assert_eq!(left(0), 0);
    assert!(folder.path().join("key").exists(), "the key is no entry");
}

#[test]
fn the_folder_follows_the_environment() {
    let folder = |variables: &[(&str, &str)]| {
        user_folder_from(|name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some((*value).into())
        })
    };
    let home = ("HOME", "/home/a");
    let xdg = ("XDG_CACHE_HOME", "/x");
    assert_eq!(
        folder(&[home]),
        Some("/home/a/.cache/jackfield/code".into())
    );
    assert_eq!(folder(&[home, xdg]), Some("/x/jackfield/code".into()));
    assert_eq!(
        folder(&[home, xdg, ("JACKFIELD_CACHE", "/c")]),
        Some("/c/code".into())
    );
    assert_eq!(folder(&[("HOME", "relative")]), None);
    assert_eq!(folder(&[]), None);
}
