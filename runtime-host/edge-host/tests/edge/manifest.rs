//! The manifest parser against `tests/cases/spin-manifest/<case>.toml`; `<case>.expect` holds `ok` or the whole
//! refusal. `UPDATE_EXPECT=1` writes the expectations.

use edge_host::manifest::Manifest;
use std::path::Path;
use test_support::root;

#[test]
fn each_case_is_accepted_or_refused_with_its_text() {
    let folder = root().join("tests/cases/spin-manifest");
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .expect("cases")
        .map(|entry| entry.expect("entry").path())
        .collect();
    cases.sort();
    let (mut checked, mut wrong) = (0, Vec::new());
    for case in cases {
        match case.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => {}
            Some("expect") if case.with_extension("toml").exists() => continue,
            _ => panic!("no test reads {}", case.display()),
        }
        checked += 1;
        let found = match Manifest::parse(
            &std::fs::read_to_string(&case).expect("case"),
            Path::new("."),
        ) {
            Ok(_) => "ok\n".to_owned(),
            Err(error) => format!("{error}\n"),
        };
        let expectation = case.with_extension("expect");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&expectation, &found).expect("expectation");
        }
        let expected = std::fs::read_to_string(&expectation).unwrap_or_default();
        if expected != found {
            wrong.push(format!(
                "{}:\n  expected: {expected}  found: {found}",
                case.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 10, "only {checked} cases");
}

#[test]
fn our_own_manifest_is_accepted() {
    let manifest = Manifest::read(&root().join("spin.toml")).expect("spin.toml");
    assert_eq!(manifest.served(), ["plugin-support", "envelope-api"]);
    assert!(
        manifest
            .variables
            .values()
            .all(|variable| variable.default.is_some()),
        "every variable has a default"
    );
}
