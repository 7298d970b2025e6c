//! Hostile manifests: the cases of the manifest checker through `jackfield plugin check`, and
//! through the plugins directory of a host.

use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tests::{
    bystander::{Bystander, STEADY},
    guests::guest,
    host::{jackfield, run},
    plugins::Directory,
    root, until,
};

/// Prefixes of the folder names of hostile cases.
const HOSTILE: [&str; 8] = ["m3", "m4", "json-", "t07-", "t08-", "t09-", "t18-", "t29-"];
/// Size of a manifest that must be refused unread.
const HUGE_BYTES: u64 = 100 * limits::MIB as u64;

/// Hostile cases with a manifest in the native format: name, input, expected report.
fn cases() -> Vec<(String, PathBuf, Value)> {
    let folders = fs::read_dir(root().join("tests/cases/manifest"))
        .expect("cases")
        .map(|entry| entry.expect("an entry").path());
    let mut cases: Vec<_> = folders
        .filter_map(|folder| {
            let name = folder.file_name()?.to_str()?.to_owned();
            let input = folder.join("input.json");
            let hostile = HOSTILE.iter().any(|beginning| name.starts_with(beginning));
            // Cases with options check flags that this test does not pass.
            if !hostile || !input.exists() || folder.join("options.json").exists() {
                return None;
            }
            let expected = fs::read_to_string(folder.join("expect.json")).expect("an expectation");
            Some((name, input, serde_json::from_str(&expected).expect("JSON")))
        })
        .collect();
    cases.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(cases.len() > 50, "there are cases");
    cases
}

/// Code, pointer and severity of each violation, without missing files: the cases have none.
fn findings(violations: &Value) -> BTreeSet<(String, String, String)> {
    let text =
        |violation: &Value, key: &str| violation[key].as_str().unwrap_or_default().to_owned();
    let all = violations.as_array().expect("a list").iter();
    all.map(|one| {
        (
            text(one, "code"),
            text(one, "pointer"),
            text(one, "severity"),
        )
    })
    .filter(|(code, ..)| code != "FILE_MISSING")
    .collect()
}

#[test]
fn plugin_check_reports_the_expected_violations() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jackfield.json");
    for (name, input, expected) in cases() {
        fs::copy(&input, &file).unwrap();
        let output = run(jackfield().args(["plugin", "check", "--json"]).arg(&file));
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            findings(&report["violations"]),
            findings(&expected["violations"]),
            "{name}"
        );
        assert_eq!(
            (&report["ok"], output.status.code()),
            (&expected["ok"], Some(i32::from(expected["ok"] != true))),
            "{name}"
        );
    }
}

#[test]
fn a_directory_full_of_hostile_manifests_harms_no_host() {
    let directory = Directory::default();
    let cases = cases();
    for (name, input, _) in &cases {
        let folder = directory.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::copy(input, folder.join("jackfield.json")).unwrap();
    }
    let host = directory.settings().config(STEADY).start();
    let bystander = Bystander::start(&host, "calm");
    let bad = until("the directory to be looked at", || {
        let bad = host
            .admin("GET", "/api/plugins/check", &Value::Null)
            .expect(200)
            .json();
        bad["errors"]
            .as_object()
            .filter(|errors| !errors.is_empty())
            .cloned()
    });
    for (name, _, expected) in &cases {
        // Of several packages with one id only one is used and the others are reported as
        // duplicates, so only other errors are compared.
        assert!(
            expected["ok"] == true || bad.contains_key(name),
            "{name} is refused"
        );
        let says = bad.get(name).and_then(Value::as_str).unwrap_or_default();
        assert!(
            expected["ok"] != true || says.is_empty() || says.contains("is there twice"),
            "{name}: {says}"
        );
    }
    let list = host
        .admin("GET", "/api/plugins", &Value::Null)
        .expect(200)
        .json();
    assert!(
        list.as_array()
            .expect("a list")
            .iter()
            .all(|plugin| plugin["running"] == false),
        "{list}"
    );
    bystander.undisturbed();
}

fn error_of(host: &tests::host::Host, name: &str) -> String {
    until(name, || {
        let bad = host
            .admin("GET", "/api/plugins/check", &Value::Null)
            .expect(200)
            .json();
        bad["errors"][name].as_str().map(str::to_owned)
    })
}

#[test]
fn links_out_of_the_plugins_directory_are_not_followed() {
    let (directory, outside) = (Directory::default(), tempfile::tempdir().unwrap());
    let component = guest("idle");
    let put = |folder: &Path| {
        let elsewhere = Directory::default();
        elsewhere.install_guest("tests.outside", &component, |manifest| {
            manifest["description"] = "canary".into()
        });
        fs::create_dir_all(folder).unwrap();
        for file in ["jackfield.json", "guest.wasm"] {
            fs::copy(
                elsewhere.path().join("tests.outside").join(file),
                folder.join(file),
            )
            .unwrap();
        }
    };
    put(outside.path());
    symlink(outside.path(), directory.path().join("folder")).unwrap();
    for (name, file) in [("manifest", "jackfield.json"), ("component", "guest.wasm")] {
        put(&directory.path().join(name));
        fs::remove_file(directory.path().join(name).join(file)).unwrap();
        symlink(
            outside.path().join(file),
            directory.path().join(name).join(file),
        )
        .unwrap();
    }
    put(&directory.path().join("device"));
    fs::remove_file(directory.path().join("device/guest.wasm")).unwrap();
    symlink("/dev/zero", directory.path().join("device/guest.wasm")).unwrap();
    let host = directory.settings().start();
    for name in ["folder", "manifest", "component", "device"] {
        let error = error_of(&host, name);
        assert!(
            error.contains("leads out of the plugins directory") && !error.contains("canary"),
            "{name}: a link out of the plugins directory was followed: {error}"
        );
    }
    assert_eq!(
        host.admin("GET", "/api/plugins", &Value::Null)
            .expect(200)
            .json(),
        json!([]),
        "a package behind a link must not be listed"
    );
}

#[test]
fn plugin_ids_never_become_file_names() {
    let directory = Directory::default();
    let component = guest("idle");
    let ids = ["a..b", "con", "nul.txt", "aux"];
    for (at, id) in ids.iter().enumerate() {
        directory.install_guest(id, &component, |_| {});
        // The folder's name is independent of the id.
        fs::rename(
            directory.path().join(id),
            directory.path().join(format!("plugin-{at}")),
        )
        .unwrap();
    }
    let host = directory.settings().start();
    for id in ids {
        let state = || {
            let list = host
                .admin("GET", "/api/plugins", &Value::Null)
                .expect(200)
                .json();
            list.as_array()?.iter().find(|plugin| plugin["id"] == id)?["state"]
                .as_str()
                .map(str::to_owned)
        };
        until(id, || state().filter(|state| state == "loaded"));
        let _ = host
            .admin(
                "POST",
                &format!("/api/plugins/{id}/kv"),
                &json!({"action": "set", "key": "k", "value": id}),
            )
            .expect(200);
        let get = host
            .admin(
                "POST",
                &format!("/api/plugins/{id}/kv"),
                &json!({"action": "get", "key": "k"}),
            )
            .expect(200)
            .json();
        assert_eq!(get["value"], id, "values of {id} are mixed up");
    }
    let names = fs::read_dir(host.data())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    assert!(
        names
            .collect::<Vec<_>>()
            .iter()
            .all(|name| !ids.iter().any(|id| name.contains(id))),
        "an id became a file name"
    );
}

#[test]
fn cycles_conflicts_and_wrong_versions_block_with_a_reason() {
    let directory = Directory::default();
    let component = guest("idle");
    let stands = |id: &str, change: Value| {
        directory.install_guest(id, &component, |manifest| {
            manifest
                .as_object_mut()
                .expect("an object")
                .extend(change.as_object().expect("an object").clone());
        });
    };
    stands(
        "tests.one",
        json!({"relationships": {"requires": ["tests.two"]}}),
    );
    stands(
        "tests.two",
        json!({"relationships": {"requires": ["tests.one"]}}),
    );
    stands(
        "tests.self",
        json!({"relationships": {"requires": ["tests.self"]}}),
    );
    stands(
        "tests.foe",
        json!({"relationships": {"conflicts": ["tests.good"]}}),
    );
    stands("tests.good", json!({}));
    stands(
        "tests.newer",
        json!({"compatibility": {"minimumHostVersion": "99.0.0"}}),
    );
    stands("tests.api", json!({"apiVersion": "9.0.0"}));
    let file = directory.path().join("tests.huge/jackfield.json");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::File::create(&file)
        .unwrap()
        .set_len(HUGE_BYTES)
        .unwrap();
    let host = directory.settings().start();
    let reason = |id: &str| {
        host.plugin_in(id, "blocked")["lastError"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    for id in ["tests.one", "tests.two"] {
        assert_eq!(
            reason(id),
            "cycle:tests.one: stands on a cycle: tests.one -> tests.two -> tests.one",
            "{id} must name the cycle"
        );
    }
    assert!(
        error_of(&host, "tests.huge").contains("more than 65536 bytes"),
        "a manifest that is too large must be refused by size"
    );
    let own = host.admin("GET", "/api/plugins/tests.self", &Value::Null);
    let own = if own.status == 200 {
        reason("tests.self")
    } else {
        error_of(&host, "tests.self")
    };
    assert!(
        own.contains("cycle") || own.contains("itself"),
        "a plugin that requires itself must be refused: {own}"
    );
    assert!(
        reason("tests.foe").contains("conflict"),
        "a conflict must be named: {}",
        reason("tests.foe")
    );
    assert!(
        reason("tests.newer").contains("wants a host >=99.0.0"),
        "the required host version must be named: {}",
        reason("tests.newer")
    );
    assert!(
        reason("tests.api").contains("wants host API 9.0.0"),
        "the required API version must be named: {}",
        reason("tests.api")
    );
}

#[test]
fn control_characters_and_secret_settings_are_not_shown() {
    let directory = Directory::default();
    directory.install_guest("tests.texts", &guest("idle"), |manifest| {
        manifest["title"] = "<script>alert(1)</script>\u{202e}gnp.exe\u{200b}".into();
        manifest["description"] = "\u{1b}]0;owned\u{7}".into();
        manifest["settings"]["token"] = json!({"type": "string", "title": "Token", "secret": true});
    });
    let host = directory.settings().start();
    host.plugin_in("tests.texts", "loaded");
    for arguments in [&["list"][..], &["info", "tests.texts"], &["doctor"]] {
        let mut command = jackfield();
        let output = run(command
            .arg("plugin")
            .args(arguments)
            .args(["--url", host.url()])
            .arg("--data")
            .arg(host.data()));
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(
            !shown.contains(['\u{202e}', '\u{200b}', '\u{1b}', '\u{7}']),
            "control characters reach the terminal: {shown:?}"
        );
    }
    let secret = "a-secret-setting";
    let set = host
        .admin(
            "PUT",
            "/api/plugins/tests.texts/settings",
            &json!({"token": secret}),
        )
        .expect(200)
        .text();
    let shown = host
        .admin("GET", "/api/plugins/tests.texts/settings", &Value::Null)
        .expect(200)
        .json();
    assert_eq!(
        (
            &shown["settings"]["token"]["set"],
            &shown["settings"]["token"]["value"]
        ),
        (&json!(true), &Value::Null),
        "a secret setting must be shown as set, without its value: {shown}"
    );
    let about = host
        .admin("GET", "/api/plugins/tests.texts", &Value::Null)
        .expect(200)
        .text();
    let events = host
        .admin("GET", "/api/plugins/tests.texts/events", &Value::Null)
        .expect(200)
        .text();
    for said in [set, shown.to_string(), about, events, host.log()] {
        assert!(!said.contains(secret), "a secret setting is shown: {said}");
    }
}
