//! C12 and C13: what a request costs that a component answers, in our host and under `spin up`.

use super::{Bench, pairs::Series};
use crate::{
    figure::{Bound, Figure, Unit},
    http,
    server::{Kind, Server},
};
use anyhow::{Context as _, Result};
use std::process::{Command, Stdio};

/// What a browser asks first: the least that a component of ours can answer, so that what is left is the way to it and back.
const REQUEST: &str = "OPTIONS /api/envelopes/validate";
/// Requests at once.
const CONNECTIONS: usize = 16;

/// C12 and C13.
pub(crate) fn http(bench: &Bench) -> Result<Vec<Figure>> {
    if !bench.wants("C12") && !bench.wants("C13") {
        return Ok(Vec::new());
    }
    let mut kinds = vec![Kind::Subject];
    if bench.wants("C12") {
        kinds.push(Kind::Fresh);
    }
    let spin = has_spin();
    match (bench.wants("C13"), &spin) {
        (true, Some(_)) => kinds.push(Kind::Spin),
        (true, None) => bench.say("C13 is left out: there is no `spin` on the PATH"),
        (false, _) => {}
    }
    let mut servers = Vec::new();
    for kind in kinds {
        bench.say(&format!("{}: {REQUEST}", kind.name()));
        servers.push((kind, Server::start(kind, &bench.place, &[])?));
    }
    let time = bench.time(1_500, 700);
    let mut cost = Series::default();
    for pair in 0..=bench.pairs {
        if pair > 0 {
            bench.say(&format!("C12, C13: pair {pair} of {}", bench.pairs));
        }
        for (kind, server) in &servers {
            let before = server.cpu_ns()?;
            let answers = http::load(server.address(), REQUEST, CONNECTIONS, time).with_context(|| kind.name())?;
            // The first turn compiles nothing any more, but it fills caches and pools.
            if pair > 0 {
                cost.add(*kind, (server.cpu_ns()? - before) as f64 / answers as f64);
            }
        }
    }
    let mut figures = Vec::new();
    let what = "processor time of a request that a component answers, instances";
    for (kind, state, aim, must) in [(Kind::Subject, "reused", 25e3, 40e3), (Kind::Fresh, "fresh", 60e3, 110e3)] {
        figures.push(Figure {
            case: "C12",
            what: format!("{what} {state}"),
            value: cost.median(kind),
            unit: Unit::Nanoseconds,
            aim: Some(Bound::AtMost(aim)),
            must: Some(Bound::AtMost(must)),
            note: format!("{REQUEST}; no reference"),
        });
    }
    if !bench.wants("C12") {
        figures.clear();
    }
    if let (true, Some(version)) = (bench.wants("C13"), spin) {
        figures.push(Figure {
            case: "C13",
            what: "requests of a processor second, ours / under spin up".into(),
            // Costs the other way round are requests of a second.
            value: 1.0 / cost.ratio(Kind::Spin),
            unit: Unit::Times,
            aim: Some(Bound::AtLeast(1.3)),
            must: Some(Bound::AtLeast(1.0)),
            note: format!(
                "{} and {}; {version}",
                Unit::Nanoseconds.show(cost.median(Kind::Subject)),
                Unit::Nanoseconds.show(cost.median(Kind::Spin))
            ),
        });
    }
    Ok(figures)
}

/// The version of the `spin` on the PATH, if there is one.
fn has_spin() -> Option<String> {
    let output = Command::new("spin").arg("--version").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.split(" (").next().unwrap_or_default().trim().to_owned())
}
