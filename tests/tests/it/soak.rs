//! Random connections against a model of the expected deliveries; `cargo xtask soak` runs longer
//! and larger.

use std::{env, time::Duration};
use tests::{
    host::{Host, Settings},
    limits_raised,
    measures::resident_bytes,
    rng,
    soak::{
        Plan, Report, run,
        slope::{after_warm_up, slope},
    },
};

fn host() -> Host {
    Settings::new()
        .config(limits_raised())
        .config("[rest]\nservers_per_owner = 100000\n")
        .config("[log]\nfilter = \"warn\"\n")
        .start()
}

fn soak(plan: Plan) -> Report {
    println!(
        "seed {}, {} connections in {} rooms for {:?}",
        plan.seed,
        plan.connections,
        plan.rooms(),
        plan.duration
    );
    let host = host();
    let report = run(&host, plan).unwrap_or_else(|why| panic!("{why}"));
    println!(
        "{} connections opened, {} cut, {} closed as slow, {} stalls survived; {} messages sent and {} heard, {} presence events; \
         {} times at rest, {} rosters of fresh joiners compared",
        report.opened,
        report.cut,
        report.slow,
        report.resumed,
        report.sent,
        report.received,
        report.presence,
        report.settled,
        report.rosters
    );
    let samples = after_warm_up(&report.memory);
    if let (Some(slope), Some(last)) = (slope(samples), samples.last()) {
        let peak = samples
            .iter()
            .fold(0.0_f64, |peak, sample| peak.max(sample.1));
        println!(
            "memory: {:.1} MiB at the end, {:.1} MiB at most, slope {:+.2} MiB a minute over {} samples after the warm-up",
            last.1 / limits::MIB as f64,
            peak / limits::MIB as f64,
            slope * 60.0 / limits::MIB as f64,
            samples.len()
        );
    }
    assert_eq!(host.get("/healthz").status, 200);
    assert!(resident_bytes(&host) < 2048 * limits::MIB);
    assert!(!host.log().contains("panicked"), "{}", host.log());
    report
}

#[test]
fn a_short_soak_matches_the_model() {
    let plan = Plan {
        duration: Duration::from_secs(15),
        connections: 200,
        seed: 20_260_101,
        settle_every: Duration::from_secs(5),
    };
    let report = soak(plan);
    assert!(report.settled >= 3 && report.rosters >= 15, "{report:?}");
    assert!(
        report.sent > 500 && report.received > report.sent && report.presence > 500,
        "it was too quiet to prove anything: {report:?}"
    );
    assert!(report.cut > 0 && report.resumed > 0, "{report:?}");
}

/// What `cargo xtask soak` runs.
#[test]
#[ignore = "long: as long as JACKFIELD_SOAK_MINUTES says, ten minutes by default"]
fn a_soak_of_the_configured_length_matches_the_model() {
    let number = |name: &str, default: u64| {
        env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    soak(Plan {
        duration: Duration::from_secs(60 * number("JACKFIELD_SOAK_MINUTES", 10)),
        connections: number("JACKFIELD_SOAK_CONNECTIONS", 5_000) as usize,
        seed: rng::seed(),
        settle_every: Duration::from_secs(30),
    });
}
