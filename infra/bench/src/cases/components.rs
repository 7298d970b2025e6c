//! C1-C5: what the validator component costs, beside JSON.parse and ajv in Node. `measure` of plugin-host does the measuring of our side: the
//! same code that a shard calls, in a process of its own.

use super::{
    Bench,
    pairs::{Series, fresh_turns},
};
use crate::{
    figure::{Bound, Figure, Unit},
    server::Kind,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

const CASES: [&str; 5] = ["C1", "C2", "C3", "C4", "C5"];

/// The events of C1 and C2, as `measure` names them, with aim and must as ratios to ajv.
const EVENTS: [(&str, &str, f64, f64); 2] = [
    ("C1", "plugin_event 1 KiB", 1.0, 2.0),
    ("C2", "plugin_event 64 KiB", 1.0, 1.9),
];

/// Costs of one call each, with aim and must in nanoseconds.
const CALLS: [(&str, &str, &str, f64, f64); 3] = [
    (
        "C3",
        "boundaryNs",
        "a call into a component and back with 1 KiB that decides nothing",
        300.0,
        1_000.0,
    ),
    (
        "C4",
        "freshInstanceNs",
        "a fresh validator instance",
        15_000.0,
        50_000.0,
    ),
    (
        "C5",
        "registrationNs",
        "registering a schema and the first event that it checks",
        100_000.0,
        1_000_000.0,
    ),
];

/// C1-C5.
pub(crate) fn validator(bench: &Bench) -> Result<Vec<Figure>> {
    if !CASES.iter().any(|case| bench.wants(case)) {
        return Ok(Vec::new());
    }
    let mut events = [Series::default(), Series::default()];
    let mut calls = [Series::default(), Series::default(), Series::default()];
    let mut measured = None;
    fresh_turns(
        bench,
        "C1-C5",
        bench.pairs,
        &[Kind::Subject, Kind::Seed],
        |kind| {
            if kind == Kind::Subject {
                let report = measure(bench, "", &[])?;
                for (series, (_, name, ..)) in events.iter_mut().zip(EVENTS) {
                    let all = report["events"]
                        .as_array()
                        .context("measure names no events")?;
                    let event = all
                        .iter()
                        .find(|event| event["name"] == name)
                        .with_context(|| format!("measure names no {name}"))?;
                    series.add(kind, event["componentNs"].as_f64().context("componentNs")?);
                }
                for (series, (_, key, ..)) in calls.iter_mut().zip(CALLS) {
                    series.add(kind, report[key].as_f64().unwrap_or(f64::NAN));
                }
                measured = Some(report);
                return Ok(());
            }
            let report = ajv(bench, measured.as_ref().context("the subject comes first")?)?;
            for (series, (_, name, ..)) in events.iter_mut().zip(EVENTS) {
                series.add(
                    kind,
                    report[name]
                        .as_f64()
                        .with_context(|| format!("ajv.mjs names no {name}"))?,
                );
            }
            Ok(())
        },
    )?;
    let mut figures = Vec::new();
    for (series, (case, name, aim, must)) in events.iter().zip(EVENTS) {
        let show = |kind| Unit::Nanoseconds.show(series.median(kind));
        figures.push(Figure {
            case,
            what: format!("{name} through the validator component / JSON.parse and ajv"),
            value: series.ratio(Kind::Seed),
            unit: Unit::Times,
            aim: Some(Bound::AtMost(aim)),
            must: Some(Bound::AtMost(must)),
            note: format!(
                "component {}, ajv {}",
                show(Kind::Subject),
                show(Kind::Seed)
            ),
        });
    }
    for (series, (case, _, what, aim, must)) in calls.iter().zip(CALLS) {
        figures.push(Figure {
            case,
            what: what.into(),
            value: series.median(Kind::Subject),
            unit: Unit::Nanoseconds,
            aim: Some(Bound::AtMost(aim)),
            must: Some(Bound::AtMost(must)),
            note: "processor time, no reference".into(),
        });
    }
    figures.retain(|figure| bench.wants(figure.case));
    Ok(figures)
}

/// Our side: `measure`, with the command for plugins or without one.
pub(super) fn measure(bench: &Bench, command: &str, arguments: &[&str]) -> Result<Value> {
    let text = run_measure(bench, command, arguments, true)?;
    serde_json::from_str(text.trim_end().lines().last().unwrap_or_default())
        .context("measure printed no JSON")
}

/// Runs `measure` and returns what it printed.
pub(super) fn run_measure(
    bench: &Bench,
    command: &str,
    arguments: &[&str],
    json: bool,
) -> Result<String> {
    let components = bench.place.root.join("target/wasm32-wasip2/component");
    let program = bench.place.measure.display();
    let mut measure = Command::new(&bench.place.measure);
    measure
        .args((!command.is_empty()).then_some(command))
        .arg(components)
        .args(arguments)
        .args(json.then_some("--json"));
    let output = measure.stderr(Stdio::inherit()).output();
    let output = output
        .with_context(|| format!("{program} does not start; `cargo xtask bench` builds it"))?;
    ensure!(output.status.success(), "{program}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// Node's side, with the same schema and events.
fn ajv(bench: &Bench, measured: &Value) -> Result<Value> {
    let mut command = Command::new("node");
    command
        .arg("ajv.mjs")
        .current_dir(&bench.place.seed)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("node does not start")?;
    child
        .stdin
        .take()
        .context("a piped input")?
        .write_all(measured.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "ajv.mjs: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}
