//! RFC 6455 over a real socket: the catalogue of cases, and its completeness.

use std::collections::BTreeMap;
use tests::{
    conformance::{Witness, cases, run},
    host::Settings,
    measures::Counters,
};

/// Number of cases in each section of the catalogue.
const CATALOGUE: [(&str, usize); 8] = [
    ("1", 16),
    ("2", 11),
    ("3", 7),
    ("4", 10),
    ("5", 20),
    ("6", 145),
    ("7", 37),
    ("10", 1),
];

#[test]
fn every_catalogue_case_exists_once() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut ids = std::collections::BTreeSet::new();
    for case in cases() {
        let section = case.id.split('.').next().expect("a section").to_owned();
        *counts.entry(section).or_default() += 1;
        assert!(ids.insert(case.id.clone()), "{} stands twice", case.id);
        assert!(
            case.deviation.as_ref().is_none_or(|why| !why.is_empty()),
            "{}: a deviation needs a reason",
            case.id
        );
    }
    let wanted: BTreeMap<String, usize> = CATALOGUE
        .iter()
        .map(|(section, count)| ((*section).to_owned(), *count))
        .collect();
    assert_eq!(counts, wanted);
}

#[test]
fn every_catalogue_case_holds() {
    let host = Settings::new().start();
    let mut witness = Witness::connect(&host, "witness");
    let before = Counters::of(&host);
    let mut failures = Vec::new();
    let mut ends: BTreeMap<u16, f64> = BTreeMap::new();
    for case in cases() {
        *ends.entry(case.end).or_default() += 1.0;
        if let Err(why) = run(&host, &case, &mut witness) {
            failures.push(format!("{} ({}): {why}", case.id, case.title));
        }
    }
    // The witness got nothing that no case expects: the next message is the probe.
    let last = tests::conformance::Case::probe();
    if let Err(why) = run(&host, &last, &mut witness) {
        failures.push(format!("after all: {why}"));
    }
    *ends.entry(last.end).or_default() += 1.0;
    assert!(
        failures.is_empty(),
        "{} cases fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    for (code, count) in ends {
        before.until_grown(&host, "connections_closed_total", &code.to_string(), count);
    }
}
