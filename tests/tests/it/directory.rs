//! The REST API: the black-box cases against every host that can serve them.

use std::{collections::BTreeMap, sync::Mutex};
use tests::{
    case::{self, Case, Target},
    host::{Failure, Host, Settings},
    root, skip,
    spin::{self, Spin},
};

#[test]
fn every_case_holds_on_the_native_host() {
    run("the native host", |variables| match native(variables) {
        Ok(host) => Ok(Box::new(host)),
        Err(failure) => Err(failure.log),
    });
}

/// The same components under Spin must give the same answers.
#[test]
fn every_case_holds_under_spin() {
    if !spin::is_installed() {
        return skip("there is no `spin` on the PATH");
    }
    run("spin up", |variables| Ok(Box::new(Spin::start(variables))));
}

fn native(variables: &BTreeMap<String, String>) -> Result<Host, Failure> {
    let mut config = String::from("[edge.variables]\n");
    for (name, value) in variables {
        config.push_str(&format!("{name} = {}\n", toml::Value::from(value.as_str())));
    }
    Settings::new().config(&config).try_start()
}

/// Runs every case; cases with the same variables share a host.
fn run(target: &str, start: impl Fn(&BTreeMap<String, String>) -> Result<Box<dyn Target>, String>) {
    let mut groups: BTreeMap<BTreeMap<String, String>, Vec<(String, Case)>> = BTreeMap::new();
    for (file, case) in case::load(&root().join("tests/cases/rest")) {
        groups
            .entry(case.variables.clone())
            .or_default()
            .push((file, case));
    }
    assert!(!groups.is_empty(), "no cases");
    let failures = Mutex::new(Vec::new());
    for (variables, cases) in &groups {
        let host = match start(variables) {
            Ok(host) => host,
            Err(log)
                if log.contains("DIRECTORY_UNUSABLE")
                    && cases.iter().all(|(_, case)| case.is_about_no_service()) =>
            {
                continue;
            }
            Err(log) => panic!("no start with {variables:?}:\n{log}"),
        };
        let next = Mutex::new(cases.iter());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some((file, case)) = { next.lock().expect("a lock").next() } {
                        if let Err(why) = case::run(case, &*host) {
                            failures
                                .lock()
                                .expect("a lock")
                                .push(format!("{file}: {} {:?}: {why}", case.name, case.rows));
                        }
                    }
                });
            }
        });
    }
    let failures = failures.into_inner().expect("a lock");
    let count: usize = groups.values().map(Vec::len).sum();
    assert!(
        failures.is_empty(),
        "{} of {count} cases fail on {target}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
