//! Reports of whole folders.

use super::{examine, report::Report};
use plugin_manifest::{Code, Form, Options};
use serde_json::{Value, json};
use std::{fs, path::Path};

const MANIFEST: &str = r#"{
  "schemaVersion": 1, "id": "a.bc", "title": "T", "description": "", "version": "1.0.0", "apiVersion": "1.0.0",
  "kind": "client", "compatibility": {"minimumHostVersion": "0.0.0"},
  "entrypoint": "./dist/main.js", "readme": "README.md"
}
"#;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    folder
}

fn check(path: &Path) -> Report {
    examine(path, Options::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn codes(examined: &Report) -> Vec<Code> {
    examined
        .violations
        .iter()
        .map(|violation| violation.code)
        .collect()
}

#[test]
fn a_complete_folder_is_ok() {
    let folder = folder(&[
        ("jackfield.json", MANIFEST),
        ("dist/main.js", ""),
        ("README.md", ""),
    ]);
    let examined = check(folder.path());
    assert!(examined.is_ok() && examined.violations.is_empty());
    assert!(
        examined
            .text(false)
            .ends_with("jackfield.json: ok, a.bc 1.0.0 (no problems)")
    );
    let json: Value = serde_json::from_str(&examined.json()).unwrap();
    assert_eq!(
        (&json["ok"], &json["form"], &json["violations"]),
        (&json!(true), &json!("jackfield"), &json!([]))
    );
}

#[test]
fn files_are_looked_for_in_order() {
    let all = [
        ("package.json", "{}"),
        ("plugin.toml", ""),
        ("plugin.json", "{}"),
        ("toju-plugin.json", MANIFEST),
        ("jackfield.json", MANIFEST),
    ];
    for (count, form) in [
        (5, Form::Jackfield),
        (4, Form::Toju),
        (3, Form::Toju),
        (2, Form::Thoth),
        (1, Form::Jcode),
    ] {
        assert_eq!(check(folder(&all[..count]).path()).imported.form, form);
    }
    let empty = folder(&[("README.md", "")]);
    let Err(error) = examine(empty.path(), Options::default()) else {
        panic!("there is no plugin")
    };
    assert!(
        error
            .to_string()
            .contains("none of jackfield.json, toju-plugin.json"),
        "{error}"
    );
    assert!(examine(&empty.path().join("absent"), Options::default()).is_err());
}

#[test]
fn missing_files_are_warned_about_at_their_place() {
    let folder = folder(&[("jackfield.json", MANIFEST), ("README.md/inner", "")]);
    let examined = check(folder.path());
    assert!(examined.is_ok());
    assert_eq!(codes(&examined), [Code::FileMissing, Code::FileMissing]);
    let json: Value = serde_json::from_str(&examined.json()).unwrap();
    assert_eq!(json["violations"][0]["pointer"], "/entrypoint");
    assert_eq!(
        (
            &json["violations"][0]["line"],
            &json["violations"][0]["column"]
        ),
        (&json!(4), &json!(17))
    );
    assert_eq!(json["violations"][1]["message"], "README.md is not a file");
}

#[cfg(unix)]
#[test]
fn links_may_not_leave_the_folder() {
    let outside = folder(&[("secret", "canary")]);
    let folder = folder(&[("jackfield.json", MANIFEST), ("real.md", "")]);
    std::os::unix::fs::symlink(outside.path(), folder.path().join("dist")).unwrap();
    std::os::unix::fs::symlink("real.md", folder.path().join("README.md")).unwrap();
    fs::write(outside.path().join("main.js"), "").unwrap();
    let examined = check(folder.path());
    assert_eq!(codes(&examined), [Code::FileEscapes]);
    assert!(!examined.is_ok());
    assert!(!examined.text(false).contains("canary"));
}

#[test]
fn findings_of_foreign_forms_point_into_their_own_file() {
    let package = r#"{"name": "abc", "version": "1.0.0", "jcode": {"entry": "./index.js"}}"#;
    let folder = folder(&[("package.json", package)]);
    let json: Value = serde_json::from_str(&check(folder.path()).json()).unwrap();
    assert_eq!(json["violations"][0]["pointer"], "/jcode/entry");
    assert_eq!(json["violations"][0]["column"], 56);
}

#[test]
fn the_text_reads_like_a_compilers() {
    let broken = MANIFEST
        .replace("\"1.0.0\", \"api", "\"1.0\", \"api")
        .replace("./dist", "..")
        .replace("\"title\"", "\"titel\"");
    let folder = folder(&[("jackfield.json", &broken)]);
    let file = folder.path().join("jackfield.json");
    let text = check(&file)
        .text(false)
        .replace(&file.display().to_string(), "jackfield.json");
    let expected = r#"error[MISSING_FIELD]: title is missing
 --> jackfield.json:1:1
  |
1 | {
  | ^
  |
  = help: is "titel" meant to be it?

warning[UNKNOWN_KEY]: titel is not a known field
 --> jackfield.json:2:37
  |
2 |   "schemaVersion": 1, "id": "a.bc", "titel": "T", "description": "", "version": "1.0", "apiVersion": "1.0.0",
  |                                     ^^^^^^^
  |
  = help: did you mean "title"?

"#;
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("error[PATH_ESCAPES]: entrypoint must not hold the segment '..'\n --> jackfield.json:4:17\n"), "{text}");
    assert!(
        text.ends_with("jackfield.json: refused (3 errors, 1 warning)"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}') && check(&file).text(true).contains('\u{1b}'));
}

#[test]
fn hostile_bytes_do_not_reach_the_terminal() {
    for bytes in [
        &b"{\"title\": \"\x1b]0;evil\x07\"}"[..],
        b"{\"\xff\xfe\": \"\xc0\xaf",
        "{\"a\u{202e}b\": 1}".as_bytes(),
        b"",
        b"\xef\xbb\xbf{}",
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plugin.json"), bytes).unwrap();
        let examined = check(folder.path());
        assert!(!examined.is_ok());
        let text = examined.text(false);
        assert!(
            !text
                .chars()
                .any(|letter| letter != '\n' && letter.is_control())
                && !text.contains('\u{202e}'),
            "{text:?}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("jackfield.json"),
        vec![b' '; limits::manifest::BYTES_MAX + 1],
    )
    .unwrap();
    assert_eq!(codes(&check(folder.path())), [Code::TooLarge]);
}
