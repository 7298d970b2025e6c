//! C4, C6 and C7 for plugins: an instance, an event into a plugin and back, and an event without subscribers. `measure` of plugin-host does
//! the measuring, as for the validator.

use super::{Bench, components};
use crate::figure::{Bound, Figure, Unit, median};
use anyhow::{Context as _, Result};
use serde_json::Value;

/// Kinds of events, as `measure` names them: what is shown beside the figure of C6.
const CALLS: [(&str, &str); 5] = [
    ("none", "no call"),
    ("kv", "kv get"),
    ("settings", "settings get"),
    ("publish", "events publish"),
    ("log", "log write"),
];

/// C4, C6 and C7.
pub(crate) fn in_process(bench: &Bench) -> Result<Vec<Figure>> {
    if !["C4", "C6", "C7"].iter().any(|case| bench.wants(case)) {
        return Ok(Vec::new());
    }
    let counts: &[usize] = match (bench.wants("C7"), bench.quick) {
        (true, false) => &[1, 100, 1_000],
        (true, true) => &[1, 100],
        (false, _) => &[1],
    };
    let mut reports: Vec<Vec<Value>> = counts.iter().map(|_| Vec::new()).collect();
    for pair in 0..=bench.pairs {
        for (count, reports) in counts.iter().zip(&mut reports) {
            // The first turn compiles what is not in the cache yet; that takes a while for a thousand.
            bench.say(&format!(
                "C4, C6, C7: pair {pair} of {}, {count} plugins",
                bench.pairs
            ));
            let (cache, count) = (
                bench.place.cache.join("measure").display().to_string(),
                count.to_string(),
            );
            let report = components::measure(bench, "plugins", &[&cache, &count])?;
            if pair > 0 {
                reports.push(report);
            }
        }
    }
    let of = |at: usize, pointer: &str| -> Result<f64> {
        let values = reports[at]
            .iter()
            .map(|report| report.pointer(pointer).and_then(Value::as_f64));
        Ok(median(
            &values
                .collect::<Option<Vec<_>>>()
                .with_context(|| format!("measure names no {pointer}"))?,
        ))
    };
    let show = |value| Unit::Nanoseconds.show(value);
    let figure = |case, what: &str, value, bounds: (f64, f64), note| Figure {
        case,
        what: what.into(),
        value,
        unit: Unit::Nanoseconds,
        aim: Some(Bound::AtMost(bounds.0)),
        must: Some(Bound::AtMost(bounds.1)),
        note,
    };
    let mut figures = Vec::new();
    figures.push(figure(
        "C4",
        "a fresh plugin instance",
        of(0, "/freshInstance")?,
        (15e3, 50e3),
        "processor time, no reference".into(),
    ));
    let calls: Vec<String> = CALLS
        .iter()
        .map(|(word, name)| {
            Ok(format!(
                "{name} {}",
                show(of(0, &format!("/events/{word}"))?)
            ))
        })
        .collect::<Result<_>>()?;
    let what = "an event through dispatch and mailbox into a plugin and back, with three host calls (kv, settings, events)";
    figures.push(figure(
        "C6",
        what,
        of(0, "/events/three")?,
        (2e3, 5e3),
        calls.join(", "),
    ));
    for (at, count) in counts.iter().enumerate() {
        let what = format!("an event without subscribers, {count} plugins");
        let (topic, plugin) = (of(at, "/unheard/topic")?, of(at, "/unheard/plugin")?);
        let note = format!(
            "its plugin is not here; {topic:.1} ns where no plugin listens to any of its kind"
        );
        figures.push(figure("C7", &what, plugin, (20.0, 40.0), note));
    }
    figures.retain(|figure| bench.wants(figure.case));
    Ok(figures)
}
