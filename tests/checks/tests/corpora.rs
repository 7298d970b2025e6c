//! Replays the fuzzing corpora in each test run.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Largest size of a corpus: inputs are selected by hand.
const FILES_MAX: usize = 300;
const BYTES_MAX: u64 = 400 << 10;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/fuzz/corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("readable").path())
        .collect()
}

fn replay(target: &str) {
    let (_, check) = checks::ALL
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a check");
    let inputs = files(&corpus().join(target));
    assert!(!inputs.is_empty(), "the corpus of {target} is empty");
    for path in inputs {
        let bytes = fs::read(&path).expect("readable");
        // The panic names the failure, this line the input.
        eprintln!("{}", path.display());
        check(&bytes);
    }
}

#[test]
fn frames() {
    replay("frame");
}

#[test]
fn envelopes() {
    replay("envelope");
}

#[test]
fn manifests() {
    replay("manifest");
}

#[test]
fn schemas() {
    replay("schema");
}

#[test]
fn ranges() {
    replay("range");
}

#[test]
fn urls() {
    replay("url");
}

#[test]
fn each_check_has_a_target_and_a_corpus_of_bounded_size() {
    let expected: BTreeSet<String> = checks::ALL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let names = |folder: PathBuf| {
        files(&folder)
            .iter()
            .map(|path| {
                path.file_stem()
                    .expect("named")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    };
    assert_eq!(expected, names(corpus()));
    assert_eq!(expected, names(corpus().join("../targets")));
    let all: Vec<PathBuf> = expected
        .iter()
        .flat_map(|name| files(&corpus().join(name)))
        .collect();
    let bytes: u64 = all
        .iter()
        .map(|path| fs::metadata(path).expect("readable").len())
        .sum();
    assert!(
        all.len() <= FILES_MAX && bytes <= BYTES_MAX,
        "{} files, {bytes} bytes",
        all.len()
    );
}
