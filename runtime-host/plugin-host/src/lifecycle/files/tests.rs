//! Links that are exchanged while files are read.

use super::{Place, file_of};
use crate::lifecycle::catalog::discover;
use anyhow::Result;
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

const SWAPS: usize = 10_000;

fn manifest(id: &str) -> String {
    format!(
        r#"{{"schemaVersion":1,"id":"{id}","title":"T","description":"","version":"1.0.0","apiVersion":"1.0.0","kind":"client",
        "compatibility":{{"minimumHostVersion":"0.0.0"}},"entrypoint":"main.js"}}"#
    )
}

fn manifest_bytes(root: &Path, path: &Path) -> Result<Vec<u8>> {
    Place::new(root, path.parent().unwrap(), false)?.manifest_bytes(path)
}

/// Puts the folder and a link to the outside in each other's place until told to end; at least [`SWAPS`] times.
fn swap(place: &Path, folder: &Path, outside: &Path, end: &AtomicBool) {
    let mut swaps = 0;
    while swaps < SWAPS || !end.load(Ordering::Relaxed) {
        fs::rename(place, folder).unwrap();
        symlink(outside, place).unwrap();
        fs::remove_file(place).unwrap();
        fs::rename(folder, place).unwrap();
        swaps += 1;
    }
}

#[test]
fn a_link_that_is_swapped_in_opens_nothing() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = inside.path().canonicalize().unwrap();
    let place = root.join("plugin");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("jackfield.json"), manifest("tests.inside")).unwrap();
    fs::write(place.join("main.js"), "").unwrap();
    fs::write(
        outside.path().join("jackfield.json"),
        manifest("tests.outside"),
    )
    .unwrap();
    let end = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let swapping = threads.spawn(|| swap(&place, &root.join(".away"), outside.path(), &end));
        let mut seen = 0;
        while seen < 1_000 || !swapping.is_finished() {
            if let Ok(bytes) = manifest_bytes(&root, &place.join("jackfield.json")) {
                assert!(
                    !String::from_utf8_lossy(&bytes).contains("outside"),
                    "a swapped link must not lead out of the directory"
                );
            }
            if let Some(bytes) = file_of(&root, &place, "jackfield.json", 1_024) {
                assert!(!String::from_utf8_lossy(&bytes).contains("outside"));
            }
            let catalog = discover(&root).unwrap();
            assert!(
                catalog
                    .packages
                    .values()
                    .all(|package| package.manifest.id.as_str() == "tests.inside"),
                "a swapped link must not lead out of the directory"
            );
            seen += 1;
            end.store(seen >= 1_000, Ordering::Relaxed);
        }
    });
    assert_eq!(
        discover(&root).unwrap().packages["plugin"]
            .manifest
            .id
            .as_str(),
        "tests.inside"
    );
}

/// The folder stays where it is, and a file in it becomes a link to the outside and a file again.
#[test]
fn a_script_that_is_swapped_for_a_link_is_not_read() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = inside.path().canonicalize().unwrap();
    let folder = root.join("plugin");
    fs::create_dir(&folder).unwrap();
    let (script, spare, secret) = (
        folder.join("bundle.js"),
        folder.join("spare.js"),
        outside.path().join("secret"),
    );
    fs::write(&spare, "script").unwrap();
    fs::write(&secret, "secret").unwrap();
    let end = AtomicBool::new(false);
    let mut read = 0;
    std::thread::scope(|threads| {
        let swapping = threads.spawn(|| {
            let (link, copy) = (folder.join("link"), folder.join("copy"));
            let mut swaps = 0;
            while swaps < SWAPS || !end.load(Ordering::Relaxed) {
                fs::hard_link(&spare, &copy).unwrap();
                fs::rename(&copy, &script).unwrap();
                // A rename of one hard link over another of the same file does nothing.
                let _ = fs::remove_file(&copy);
                symlink(&secret, &link).unwrap();
                fs::rename(&link, &script).unwrap();
                swaps += 1;
            }
        });
        while read < 1_000 || !swapping.is_finished() {
            if let Some(bytes) = file_of(&root, &folder, "bundle.js", 64) {
                assert_eq!(bytes, b"script");
                read += 1;
            }
            end.store(read >= 1_000, Ordering::Relaxed);
        }
    });
    assert_eq!(
        file_of(&root, &folder, "spare.js", 6).as_deref(),
        Some(&b"script"[..])
    );
    assert_eq!(
        file_of(&root, &folder, "spare.js", 5),
        None,
        "one byte too many"
    );
    assert_eq!(
        file_of(&root, &root, "plugin/spare.js", 64),
        None,
        "no folder of its own"
    );
    assert_eq!(
        file_of(&root, &folder, "../plugin/spare.js", 64).as_deref(),
        Some(&b"script"[..])
    );
}

#[test]
fn links_and_pipes_are_no_files() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = inside.path().canonicalize().unwrap();
    fs::write(outside.path().join("secret"), "canary").unwrap();
    symlink(outside.path().join("secret"), root.join("absolute")).unwrap();
    symlink("../../../../../../etc/passwd", root.join("relative")).unwrap();
    symlink("/", root.join("slash")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    fs::write(root.join("real"), "kept").unwrap();
    symlink("real", root.join("within")).unwrap();
    let read =
        |name: &str| manifest_bytes(&root, &root.join(name)).map_err(|error| format!("{error:#}"));
    for name in ["absolute", "relative", "slash/etc/passwd"] {
        assert!(
            read(name)
                .unwrap_err()
                .contains("leads out of the plugins directory"),
            "{name}"
        );
    }
    assert!(read("pipe").unwrap_err().contains("not a regular file"));
    assert_eq!(read("within").unwrap(), b"kept");
}

/// Neither a component nor any other file that a manifest names comes from another plugin's folder.
#[test]
fn a_plugin_has_no_files_in_the_folder_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let put = |folder: &str, entrypoint: &str| {
        let folder = root.join(folder);
        fs::create_dir_all(&folder).unwrap();
        let text = manifest(&format!("tests.{}", folder.file_name().unwrap().display()));
        let text = text.replace("main.js", entrypoint);
        fs::write(folder.join("jackfield.json"), text).unwrap();
        folder
    };
    let owner = put("owner", "main.js");
    fs::write(owner.join("main.js"), "").unwrap();
    fs::write(owner.join("plugin.wasm"), "").unwrap();
    for (name, entrypoint) in [("script", "main.js"), ("component", "plugin.wasm")] {
        let folder = put(name, entrypoint);
        symlink(owner.join(entrypoint), folder.join(entrypoint)).unwrap();
    }
    fs::write(root.join("single.json"), manifest("tests.single")).unwrap();
    symlink(owner.join("plugin.wasm"), root.join("single.wasm")).unwrap();
    let catalog = discover(root).unwrap();
    assert_eq!(
        catalog.packages.keys().collect::<Vec<_>>(),
        ["owner"],
        "{:?}",
        catalog.errors
    );
    let refused: Vec<&str> = catalog.errors.keys().map(String::as_str).collect();
    assert_eq!(refused, ["component", "script", "single.wasm"]);
}
