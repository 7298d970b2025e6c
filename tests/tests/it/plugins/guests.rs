//! Hostile components as data: every case of `tests/cases/guests/cases.json` in one host, with its
//! expected end, beside an undisturbed pair of clients.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use tests::{
    bystander::{Bystander, STEADY},
    guests::{folder, guest},
    measures::resident_bytes,
    plugins::Directory,
    root,
};

/// Memory that all guests together may leave behind, far below what they ask for.
const LEFT_BYTES_MAX: usize = 192 * limits::KIB * limits::KIB;
/// Guests that other tests use.
const ELSEWHERE: [&str; 4] = ["activate-traps", "base", "chat-flags", "chat-rewrites"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    guest: String,
    /// Tells cases with the same guest apart.
    #[serde(default)]
    name: String,
    /// Requirement that the case proves; metadata.
    #[serde(rename = "case")]
    _case: String,
    #[serde(default)]
    manifest: Map<String, Value>,
    state: String,
    #[serde(default)]
    says: String,
}

fn cases() -> Vec<Case> {
    let text =
        std::fs::read_to_string(root().join("tests/cases/guests/cases.json")).expect("cases");
    serde_json::from_str(&text).expect("a list of cases")
}

#[test]
fn each_hostile_guest_ends_as_expected_and_disturbs_no_client() {
    let directory = Directory::default();
    let host = directory
        .settings()
        .config(STEADY)
        .config("[plugins]\nrestart_ms = 1000\n")
        .start();
    let bystander = Bystander::start(&host, "calm");
    let before = resident_bytes(&host);
    let cases = cases();
    for (at, case) in cases.iter().enumerate() {
        directory.install_guest(
            &format!("tests.guest-{at}"),
            &guest(&case.guest),
            |manifest| {
                manifest
                    .as_object_mut()
                    .expect("an object")
                    .extend(case.manifest.clone());
            },
        );
    }
    for (at, case) in cases.iter().enumerate() {
        let about = host.plugin_in(&format!("tests.guest-{at}"), &case.state);
        let reason = about["lastError"].as_str().unwrap_or_default();
        assert!(
            reason.contains(&case.says),
            "{} {}: {reason}",
            case.guest,
            case.name
        );
        println!("{} {}: {} {reason}", case.guest, case.name, case.state);
    }
    let left = resident_bytes(&host).saturating_sub(before);
    assert!(
        left < LEFT_BYTES_MAX,
        "the guests leave {left} bytes behind"
    );
    bystander.undisturbed();
}

#[test]
fn every_guest_has_a_case() {
    let files = std::fs::read_dir(folder())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "wat"));
    let files: BTreeSet<String> = files
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let known = cases()
        .into_iter()
        .map(|case| case.guest)
        .chain(ELSEWHERE.map(str::to_owned));
    assert_eq!(files, known.collect());
}
