//! C14 and C15: what a request costs that a plugin answers, beside one that the host answers itself, and what a plugin that computes does to
//! another one and to the host.

use super::{Bench, hosting::Installed};
use crate::{
    figure::{Figure, Unit, median, paired_ratio},
    http::{self, Asked},
    load::share_of,
};
use anyhow::Result;

/// Answered by the host itself, after the same way in and the same look at the token.
const NATIVE: &str = "GET /api/hooks";
/// Answered by the host itself, without a token.
const OPEN: &str = "GET /healthz";
/// Answered by a plugin.
const ROUTE: &str = "GET /api/plugins/route/bench-0001/";
/// Answered by another plugin that computes for most of the time an event handler has, again and again.
const SLOW: &str = "GET /api/plugins/route/bench-0000/burn/400";
/// Requests at once.
const CONNECTIONS: usize = 16;

/// C14.
pub(crate) fn route(bench: &Bench) -> Result<Vec<Figure>> {
    if !bench.wants("C14") {
        return Ok(Vec::new());
    }
    let installed = Installed::new(bench, 2, None)?;
    let server = installed.start(bench)?;
    installed.wait(&server)?;
    let time = bench.time(1_500, 700);
    let mut costs = [const { Vec::new() }; 3];
    for pair in 0..=bench.pairs {
        bench.say(&format!("C14: pair {pair} of {}", bench.pairs));
        for (line, costs) in [OPEN, NATIVE, ROUTE].into_iter().zip(&mut costs) {
            let before = server.cpu_ns()?;
            let answers = http::load(
                server.address(),
                Asked {
                    line,
                    token: server.token(),
                    connections: CONNECTIONS,
                    ..Asked::default()
                },
                time,
            )?;
            // The first turn fills caches.
            if pair > 0 {
                costs.push((server.cpu_ns()? - before) as f64 / answers as f64);
            }
        }
    }
    let [open, native, route] = costs;
    let show = |values: &[f64]| Unit::Nanoseconds.show(median(values));
    Ok(vec![Figure {
        case: "C14",
        what:
            "processor time of a request on a plugin's route / of one that the host answers itself"
                .into(),
        value: paired_ratio(&route, &native),
        unit: Unit::Times,
        aim: None,
        must: None,
        note: format!(
            "plugin {}, {NATIVE} {}; {OPEN}, which needs no token, {}",
            show(&route),
            show(&native),
            show(&open)
        ),
    }])
}

/// C15.
pub(crate) fn slow_neighbour(bench: &Bench) -> Result<Vec<Figure>> {
    if !bench.wants("C15") {
        return Ok(Vec::new());
    }
    let installed = Installed::new(bench, 2, None)?;
    let server = installed.start(bench)?;
    installed.wait(&server)?;
    let time = bench.time(4_000, 1_500);
    let asked = |line| Asked {
        line,
        token: server.token(),
        connections: 1,
        ..Asked::default()
    };
    let mut figures = Vec::new();
    for (line, who) in [
        (ROUTE, "a plugin's answers"),
        (OPEN, "the host's own answers"),
    ] {
        let (mut calm, mut disturbed, mut middle) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 1..=bench.pairs {
            bench.say(&format!("C15: pair {pair} of {}, {line}", bench.pairs));
            let alone = http::compete(server.address(), &[asked(line)], time)?.remove(0);
            let beside =
                http::compete(server.address(), &[asked(line), asked(SLOW)], time)?.remove(0);
            calm.push(share_of(&alone.latencies_ns, 0.99));
            disturbed.push(share_of(&beside.latencies_ns, 0.99));
            middle.push(share_of(&beside.latencies_ns, 0.5) / share_of(&alone.latencies_ns, 0.5));
        }
        let show = |values: &[f64]| Unit::Nanoseconds.show(median(values));
        figures.push(Figure {
            case: "C15",
            what: format!("p99 of {who} beside a plugin that always computes / undisturbed"),
            value: paired_ratio(&disturbed, &calm),
            unit: Unit::Times,
            aim: None,
            must: None,
            note: format!(
                "{} and {}; p50 {:.2}×; all on one processor",
                show(&disturbed),
                show(&calm),
                median(&middle)
            ),
        });
    }
    Ok(figures)
}
